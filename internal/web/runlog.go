package web

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/pipelines"
)

// logView is a part of a step's log: its end, or what stands round a chosen line.
type logView struct {
	Title, Raw, Live       string
	Earlier, Later, Newest string // where the lines before and after are, "" without any
	Items                  []logItem
}

// logStep is the job and step that the request names, if they are of the run.
func logStep(r *http.Request, t *pipelines.Timeline) (*pipelines.TimelineJob, int, error) {
	step, err := strconv.Atoi(r.URL.Query().Get("s"))
	for i := range t.Stages {
		for k := range t.Stages[i].Jobs {
			j := &t.Stages[i].Jobs[k]
			for e := range j.Earlier {
				if err == nil && j.Earlier[e].ID.String() == r.URL.Query().Get("j") {
					return &j.Earlier[e], step, nil
				}
			}
			if err == nil && j.ID != 0 && j.ID.String() == r.URL.Query().Get("j") {
				return j, step, nil
			}
		}
	}
	return nil, 0, slipway.NotFound("this run has no such step")
}

const (
	// logOnPage is how much of a log the page itself holds; the rest is in the text and on pages before and after.
	logOnPage = 256 << 10
	// linesBefore a chosen line are on its page.
	linesBefore = 200
)

func logQuery(run slipway.RunID, id slipway.JobID, step int) string {
	return fmt.Sprintf("?buildId=%d&j=%d&s=%d", run, id, step)
}

// lineURL is the permalink of a line.
func lineURL(v View, query string, line int) string {
	return fmt.Sprintf("%s%s&l=%d#L%d", v.URL("_build", "results"), query, line, line)
}

func (p pipelinesPages) chosenLog(r *http.Request, v View, t *pipelines.Timeline) (*logView, error) {
	if r.URL.Query().Get("j") == "" {
		return nil, nil
	}
	j, step, err := logStep(r, t)
	if err != nil {
		return nil, err
	}
	query := logQuery(t.Run.ID, j.ID, step)
	view := &logView{Title: j.Title, Raw: v.URL("_build", "log") + query}
	size := int64(0)
	for _, s := range j.Steps {
		if s.ID == step {
			view.Title, size = s.DisplayName, s.LogSize
		}
	}
	line, _ := strconv.Atoi(r.URL.Query().Get("l"))
	var place pipelines.LogPlace
	if line > 0 {
		if place, err = p.pipelines.LogLineAt(r.Context(), j.ID, step, line); place.Line < line {
			line = 0 // the log is not as long
		}
	}
	switch {
	case err != nil:
	case line > 0:
		place, err = p.pipelines.LogLineAt(r.Context(), j.ID, step, max(line-linesBefore, 1))
	default:
		place, err = p.pipelines.LogLineAfter(r.Context(), j.ID, step, size-logOnPage)
	}
	if err != nil {
		return nil, err
	}
	l, err := p.pipelines.ReadLog(r.Context(), j.ID, step, place.Offset, logOnPage)
	if err != nil {
		return nil, err
	}
	paint := logPainter{page: v.URL("_build", "results") + query, line: place.Line, chosen: line}
	text := wholeLines(string(l.Data), l.Complete && place.Offset+int64(len(l.Data)) >= l.Size)
	view.Items = paint.items(text)
	offset := place.Offset + int64(len(text))
	if place.Line > 1 {
		view.Earlier = lineURL(v, query, max(place.Line-linesBefore, 1))
	}
	switch {
	case offset < l.Size && len(l.Data) >= logOnPage:
		view.Later, view.Newest = lineURL(v, query, paint.line), v.URL("_build", "results")+query+"#log"
	case !l.Complete:
		view.Live = fmt.Sprintf("%s%s&at=%s", v.URL("_build", "log", "live"), query, logAt(offset, paint.line))
	}
	return view, nil
}

// wholeLines leaves out a line without an end, which may still grow, unless it is the last of the log. A piece without any
// line's end is shown as it is: lines have a limit far below it.
func wholeLines(text string, last bool) string {
	if end := strings.LastIndexByte(text, '\n'); !last && (end >= 0 || len(text) < logOnPage) {
		return text[:end+1]
	}
	return text
}

// logAt is a place in a log as one word; readLogAt reads it, and takes everything else for the beginning.
func logAt(offset int64, line int) string { return fmt.Sprintf("%d-%d", offset, line) }

func readLogAt(text string) (offset int64, line int) {
	if n, _ := fmt.Sscanf(text, "%d-%d", &offset, &line); n != 2 || offset < 0 || line < 1 {
		return 0, 1
	}
	return offset, line
}

// liveLog sends the lines of a log as they come, from a place on; a browser that reconnects says where it was.
func (p pipelinesPages) liveLog(w http.ResponseWriter, r *http.Request, v View) error {
	t, err := p.found(r, v)
	if err != nil {
		return err
	}
	j, step, err := logStep(r, t)
	if err != nil {
		return err
	}
	at := r.Header.Get("Last-Event-ID")
	if at == "" {
		at = r.URL.Query().Get("at")
	}
	offset, line := readLogAt(at)
	paint := logPainter{page: v.URL("_build", "results") + logQuery(t.Run.ID, j.ID, step), line: line}
	return p.watch(w, r, t.Run.ID, func() (bool, error) {
		for {
			l, err := p.pipelines.ReadLog(r.Context(), j.ID, step, offset, logOnPage)
			if err != nil {
				return true, err
			}
			data := wholeLines(string(l.Data), l.Complete)
			if data == "" {
				if !l.Complete {
					_, err = io.WriteString(w, ": alive\n\n")
					return false, err
				}
				_, err = io.WriteString(w, "event: done\ndata: done\n\n")
				return true, err
			}
			offset += int64(len(data))
			items := paint.items(data)
			if err := writeLines(r, w, logAt(offset, paint.line), items); err != nil || offset >= l.Size && !l.Complete {
				return false, err
			}
		}
	})
}

// writeLines sends an event whose id is the place after it.
func writeLines(r *http.Request, w http.ResponseWriter, id string, items []logItem) error {
	var b strings.Builder
	if err := logText(items).Render(r.Context(), &b); err != nil {
		return err
	}
	var out strings.Builder
	fmt.Fprintf(&out, "id: %s\nevent: lines\n", id)
	for line := range strings.SplitSeq(b.String(), "\n") {
		out.WriteString("data: " + strings.TrimRight(line, "\r") + "\n")
	}
	out.WriteString("\n")
	_, err := io.WriteString(w, out.String())
	return err
}

// logText answers with a log as plain text, timestamps=false without the times, download=true as a file.
func (p pipelinesPages) logText(w http.ResponseWriter, r *http.Request, v View) error {
	t, err := p.found(r, v)
	if err != nil {
		return err
	}
	j, step, err := logStep(r, t)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.URL.Query().Get("download") == "true" {
		attach(w, fmt.Sprintf("run-%d-job-%d-step-%d.txt", t.Run.ID, j.ID, step))
	}
	// An error is of a client that went away, or comes after the answer has begun.
	_ = p.pipelines.CopyLog(r.Context(), j.ID, step, w, r.URL.Query().Get("timestamps") != "false")
	return nil
}

// attach makes of an answer a file of that name.
func attach(w http.ResponseWriter, name string) {
	w.Header().Set("Content-Disposition", "attachment; filename*=UTF-8''"+url.PathEscape(name))
}

// zipLogs answers with all logs of a run.
func (p pipelinesPages) zipLogs(w http.ResponseWriter, r *http.Request, v View) error {
	t, err := p.found(r, v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/zip")
	attach(w, fmt.Sprintf("run-%d-logs.zip", t.Run.ID))
	if err := p.pipelines.WriteLogs(r.Context(), t.Run.ID, w, r.URL.Query().Get("timestamps") != "false"); err != nil {
		panic(http.ErrAbortHandler) // the answer has begun; a file that breaks off must not look whole
	}
	return nil
}

// logSearchBox asks what to look for in the logs of a run.
type logSearchBox struct{ URL, Run, Text, Zip, PlainZip string }

func newLogSearchBox(v View, run slipway.RunID, text string) logSearchBox {
	zip := fmt.Sprintf("%s?buildId=%d", v.URL("_build", "logs", "zip"), run)
	return logSearchBox{URL: v.URL("_build", "logs"), Run: run.String(), Text: text, Zip: zip, PlainZip: zip + "&timestamps=false"}
}

type logSearchView struct {
	Title, Back    string
	Box            logSearchBox
	Searched, More bool
	Count          int
	Steps          []foundStep
}

type foundStep struct {
	Job, Name string
	Lines     []foundLine
	job       slipway.JobID
	step      int
}

type foundLine struct {
	Number    int
	URL, Text string
}

// searchLogs shows the lines of a run's logs that have a text.
func (p pipelinesPages) searchLogs(w http.ResponseWriter, r *http.Request, v View) error {
	t, err := p.found(r, v)
	if err != nil {
		return err
	}
	run := &t.Run
	text := r.URL.Query().Get("text")
	view := logSearchView{Title: run.PipelineName + " " + run.Number, Back: runURL(v, run.ID), Box: newLogSearchBox(v, run.ID, text)}
	if text != "" {
		found, err := p.pipelines.SearchLogs(r.Context(), run.ID, text, 0)
		if err != nil {
			return err
		}
		view.Searched, view.More, view.Count = true, found.More, len(found.Matches)
		for _, m := range found.Matches {
			if n := len(view.Steps); n == 0 || view.Steps[n-1].job != m.Job || view.Steps[n-1].step != m.Step {
				view.Steps = append(view.Steps, foundStep{Job: m.Title, Name: m.Name, job: m.Job, step: m.Step})
			}
			step := &view.Steps[len(view.Steps)-1]
			step.Lines = append(step.Lines, foundLine{Number: m.Line, URL: lineURL(v, logQuery(run.ID, m.Job, m.Step), m.Line), Text: m.Text})
		}
	}
	return p.Render(w, r, v.Titled("Search in "+view.Title, "pipelines"), logSearchPage(view))
}
