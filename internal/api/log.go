package api

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/pipelines"
)

// BuildLog is the log of a step.
type BuildLog struct {
	LogLink
	CreatedOn     *time.Time `json:"createdOn,omitempty"`
	LastChangedOn *time.Time `json:"lastChangedOn,omitempty"`
}

// logs lists the logs of a run's steps.
func (b buildRoutes) logs(w http.ResponseWriter, r request) error {
	run, err := b.run(r)
	if err != nil {
		return err
	}
	t, err := b.pipelines.Timeline(r.Context(), run.ID)
	if err != nil {
		return err
	}
	var out []BuildLog
	for i := range t.Stages {
		for k := range t.Stages[i].Jobs {
			j := &t.Stages[i].Jobs[k]
			for _, step := range j.Steps {
				if step.LogSize > 0 {
					out = append(out, BuildLog{*b.logLink(r.project, run.ID, j.ID, step), when(micros(step.Started)), when(micros(step.Finished))})
				}
			}
		}
	}
	return list(w, out)
}

// log answers with a step's log: as a list of lines when the client accepts JSON, with startLine and endLine, counted from
// 1, for some of them; and else as text, from ?offset= on in bytes, where X-Log-Size and X-Log-Complete say whether there is more.
func (b buildRoutes) log(w http.ResponseWriter, r request) error {
	run, err := b.run(r)
	if err != nil {
		return err
	}
	number, err := r.number("log")
	if err != nil {
		return err
	}
	job, err := b.pipelines.Job(r.Context(), slipway.JobID(number/logsOfJob))
	if err == nil && job.Run != run.ID {
		err = slipway.NotFound("run %d has no log %d", run.ID, number)
	}
	if err != nil {
		return err
	}
	step := int(number % logsOfJob)
	if strings.Contains(r.Header.Get("Accept"), "json") {
		return b.logLines(w, r, job.ID, step)
	}
	offset, err := strconv.ParseInt("0"+r.URL.Query().Get("offset"), 10, 64)
	if err != nil {
		return slipway.Invalid("offset %q is not a number", r.URL.Query().Get("offset"))
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	l, err := b.pipelines.ReadLog(r.Context(), job.ID, step, offset, 0)
	if err != nil {
		return err
	}
	w.Header().Set("X-Log-Size", strconv.FormatInt(l.Size, 10))
	w.Header().Set("X-Log-Complete", strconv.FormatBool(l.Complete))
	if r.URL.Query().Has("offset") {
		_, err = w.Write(l.Data)
		return err
	}
	for len(l.Data) > 0 { // the whole of it
		if _, err := w.Write(l.Data); err != nil {
			return nil // the client went away
		}
		offset += int64(len(l.Data))
		if l, err = b.pipelines.ReadLog(r.Context(), job.ID, step, offset, 0); err != nil {
			return nil // the answer has begun
		}
	}
	return nil
}

const (
	maxLines    = 100_000
	maxLineText = 64 << 20 // bytes of all lines of an answer
)

func (b buildRoutes) logLines(w http.ResponseWriter, r request, job slipway.JobID, step int) error {
	first, last := 1, maxLines
	for name, value := range map[string]*int{"startLine": &first, "endLine": &last} {
		if text := r.URL.Query().Get(name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 0 {
				return slipway.Invalid("%s %q is not a number", name, text)
			}
			*value = n
		}
	}
	lines := []string{}
	var l pipelines.Log
	var err error
	partial, number, size := "", 0, 0
	for offset := int64(0); ; offset += int64(len(l.Data)) {
		if l, err = b.pipelines.ReadLog(r.Context(), job, step, offset, 0); err != nil {
			return err
		}
		if len(l.Data) == 0 {
			break
		}
		text := partial + string(l.Data)
		partial = ""
		for line := range strings.Lines(text) {
			if !strings.HasSuffix(line, "\n") {
				partial = line
				break
			}
			if number++; number >= first && number <= last && len(lines) < maxLines && size < maxLineText {
				lines = append(lines, strings.TrimSuffix(line, "\n"))
				size += len(line)
			}
		}
	}
	if number++; partial != "" && number >= first && number <= last {
		lines = append(lines, partial)
	}
	httpx.WriteJSON(w, http.StatusOK, map[string]any{"count": len(lines), "value": lines})
	return nil
}
