package agent

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// logDetail is task.logdetail: a part of the step that the run's page shows below it. The properties are those of "Logging commands" in
// Microsoft's documentation; type, name and order are needed the first time.
func (t *task) logDetail(c command) []string {
	p := c.properties
	id := strings.ToLower(p["id"])
	if id == "" || len(id) > job.MaxDetailText {
		return []string{"##[warning]task.logdetail needs an id, a GUID."}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	details := slices.Clone(t.record.Details)
	i := slices.IndexFunc(details, func(d job.Detail) bool { return d.ID == id })
	if i < 0 {
		switch {
		case p["type"] == "" || p["name"] == "" || p["order"] == "":
			return []string{"##[warning]task.logdetail needs type, name and order the first time that it names an id."}
		case len(details) >= job.MaxDetails:
			return []string{fmt.Sprintf("##[warning]task.logdetail: a step shows %d parts at most.", job.MaxDetails)}
		}
		i = len(details)
		details = append(details, job.Detail{ID: id})
	}
	t.changeDetail(&details[i], c)
	t.record.Details = details
	t.reports.put(*t.record)
	return nil
}

// changeDetail takes what the properties say.
func (t *task) changeDetail(d *job.Detail, c command) {
	p := c.properties
	text := func(to *string, value string) {
		if value != "" {
			*to = t.mask.Mask(cut(value, job.MaxDetailText))
		}
	}
	text(&d.Parent, strings.ToLower(p["parentid"]))
	text(&d.Type, p["type"])
	text(&d.Name, p["name"])
	text(&d.Operation, c.text)
	if n, err := strconv.Atoi(p["order"]); err == nil {
		d.Order = n
	}
	if n, err := strconv.Atoi(p["progress"]); err == nil && n >= 0 && n <= 100 {
		d.Percent = n
	}
	moment := func(to *int64, value string) {
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05", "01/02/2006 15:04:05"} {
			if at, err := time.Parse(layout, value); err == nil {
				*to = at.UnixMicro()
				return
			}
		}
	}
	moment(&d.Started, p["starttime"])
	moment(&d.Finished, p["finishtime"])
	switch strings.ToLower(p["state"]) {
	case "initialized", "unknown":
		d.State = schedule.Pending
	case "inprogress":
		d.State = schedule.Running
	case "completed":
		d.State = schedule.Completed
	}
	for _, result := range []schedule.Result{schedule.Succeeded, schedule.SucceededWithIssues, schedule.Failed, schedule.Canceled, schedule.Skipped} {
		if strings.EqualFold(p["result"], string(result)) {
			d.Result, d.State = result, schedule.Completed
		}
	}
}
