package api

import (
	"fmt"
	"net/http"
	"net/url"
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

// logs lists the logs of a run's steps, or answers with a zip file of them all when the client accepts that.
func (b buildRoutes) logs(w http.ResponseWriter, r request) error {
	run, err := b.run(r)
	if err != nil {
		return err
	}
	if strings.Contains(r.Header.Get("Accept"), "application/zip") || r.URL.Query().Get("$format") == "zip" {
		w.Header().Set("Content-Type", "application/zip")
		if err := b.pipelines.WriteLogs(r.Context(), run.ID, w, r.URL.Query().Get("timestamps") != "false"); err != nil {
			panic(http.ErrAbortHandler) // the answer has begun; a file that breaks off must not look whole
		}
		return nil
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
	// The whole of it. An error is of a client that went away, or comes after the answer has begun.
	_ = b.pipelines.CopyLog(r.Context(), job.ID, step, w, r.URL.Query().Get("timestamps") != "false")
	return nil
}

// LogMatch is a line of a log that a search found.
type LogMatch struct {
	Job  int64  `json:"job"` // the number of the job's attempt
	Name string `json:"jobName"`
	Log  int64  `json:"log"` // the log's number, as in its link
	Step string `json:"step"`
	Line int    `json:"line"` // counted from 1
	Time string `json:"time"`
	Text string `json:"text"`
	URL  string `json:"url"` // of the line on the page
}

// LogSearch is the answer to a search in logs. Incomplete says that there is more than was asked for.
type LogSearch struct {
	Count      int        `json:"count"`
	Value      []LogMatch `json:"value"`
	Incomplete bool       `json:"incomplete"`
}

// searchLogs looks for ?text= in all logs of a run; top is how many lines at most.
func (b buildRoutes) searchLogs(w http.ResponseWriter, r request) error {
	run, err := b.run(r)
	if err != nil {
		return err
	}
	top, err := strconv.Atoi("0" + r.URL.Query().Get("top"))
	if err != nil || top > pipelines.MaxLogMatches {
		return slipway.Invalid("top is a number of at most %d", pipelines.MaxLogMatches)
	}
	found, err := b.pipelines.SearchLogs(r.Context(), run.ID, r.URL.Query().Get("text"), top)
	if err != nil {
		return err
	}
	out := LogSearch{Count: len(found.Matches), Value: []LogMatch{}, Incomplete: found.More}
	for _, m := range found.Matches {
		page := fmt.Sprintf("%s/%s/_build/results?buildId=%d&j=%d&s=%d&l=%d#L%d", b.url, url.PathEscape(r.project.Name), run.ID, m.Job, m.Step, m.Line, m.Line)
		out.Value = append(out.Value, LogMatch{Job: int64(m.Job), Name: m.Title, Log: int64(m.Job)*logsOfJob + int64(m.Step), Step: m.Name, Line: m.Line,
			Time: m.Time, Text: m.Text, URL: page})
	}
	httpx.WriteJSON(w, http.StatusOK, out)
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
