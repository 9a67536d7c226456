package web

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
)

type runView struct {
	runRow
	Form        string // where the buttons post to
	ID          slipway.RunID
	Trace       string
	Why         string
	Live        string // "" once the run is over
	Problems    []pipelines.FileProblem
	Warnings    []plan.Warning
	Sources     []sourceRow
	Packages    []pipelines.RunPackage
	Columns     [][]stageBox
	Jobs        jobList
	Waiting     []validationRow
	Pauses      pausesView
	Tags        []string
	List        string // of the project's runs
	PipelineURL string
	MayTag      bool
	By          string // who canceled
	MayCancel   bool
	MayRetry    bool
	MayRetain   bool
	MayRelease  bool // what the caller retained
	MayDelete   bool
	Leases      []string // who retains it, until when
	Purged      time.Time
	Artifacts   []artifactRow
	Tests       []testRow
	TestChanges testChanges
	Coverage    *coverageView // nil without any
	Summaries   []summaryRow
	Search      logSearchBox
	Log         *logView // nil unless a step is chosen
	Attachments []artifactFile
	Images      []imageBuildRow
}

// sourceRow is a run of another pipeline that the run takes artifacts from.
type sourceRow struct {
	Alias, Run, URL string
	Triggered       bool
}

type stageBox struct {
	Name, Title, State, Reason, Took string
	URL                              string // of its jobs alone, "" when all of the run's are shown
	Count                            string // of its jobs
	Attempt                          int
	Waits                            bool // for a person to start it
	MayRetry, MayRerun               bool // what failed of it; all of it
}

type jobRow struct {
	Title, Stage, State, Reason, Took, Note string
	InStage, Name                           string // of the rerun
	MayRerun                                bool
	Attempt                                 int
	Retried                                 string // why there is this attempt, if the one before was lost
	Steps                                   []stepRow
	Earlier                                 []jobRow // attempts, newest first
}

type stepRow struct {
	Title, State, Reason, Took, URL string
	Percent                         int
	Chosen                          bool
	Issues                          []issueRow
	Details                         []stepRow // parts that the step told of
}

func (s stepRow) isChosen() bool { return s.Chosen }

type issueRow struct{ Kind, Message, At string }

type artifactRow struct {
	Name, URL  string
	UploadedBy string
	Size       int64
	Files      []artifactFile
	More       int
}

type artifactFile struct {
	Path, URL string
	Size      int64
}

// validationRow is a manual validation that waits.
type validationRow struct {
	ID           int64
	Title        string
	Instructions templ.Component // nil without any
	Notify       string
	Approvers    string
	Then         string // what happens when nobody decides
	Expires      time.Time
	MayDecide    bool
}

type summaryRow struct {
	Name string
	Text templ.Component
}

func (p pipelinesPages) run(w http.ResponseWriter, r *http.Request, v View) error {
	t, err := p.found(r, v)
	if err != nil {
		return err
	}
	view, err := p.runView(r, v, t)
	if err != nil {
		return err
	}
	if err := p.addExtras(r.Context(), v, &view, &t.Run); err != nil {
		return err
	}
	view.Search = newLogSearchBox(v, t.Run.ID, "")
	if view.Log, err = p.chosenLog(r, v, t); err != nil {
		return err
	}
	return p.Render(w, r, v.Titled(t.Run.PipelineName+" "+t.Run.Number, "pipelines"), runPage(view))
}

// runView is what the live part of the page shows.
func (p pipelinesPages) runView(r *http.Request, v View, t *pipelines.Timeline) (runView, error) {
	run := &t.Run
	view := runView{runRow: p.runRow(r.Context(), v, run), Form: v.URL("_build", "results"), List: v.URL("_build"), ID: run.ID, PipelineURL: pipelineURL(v, run.Pipeline), Problems: run.Problems, Warnings: t.Warnings, Tags: run.Tags, By: run.CanceledBy,
		Trace: traceURL(v, slipway.Ref(slipway.RefRun, run.ID)), Why: v.URL("_build", "explain") + "?buildId=" + run.ID.String()}
	mayChange := p.identity.Authorize(r.Context(), v.Caller, identity.Contribute, v.Project.ID) == nil
	view.MayTag = mayChange
	over := run.State == pipelines.RunCompleted
	view.MayCancel = mayChange && !over && !run.Canceled
	view.MayRetry = mayChange && over && len(t.Stages) > 0 && len(run.Problems) == 0 && (run.Result == schedule.Failed || run.Result == schedule.Canceled)
	query := r.URL.Query()
	if !over {
		view.Live = v.URL("_build", "results", "live") + "?" + query.Encode()
	}
	if err := p.addLeases(r, v, &view, run, mayChange); err != nil {
		return view, err
	}
	validations, err := p.pipelines.Validations(r.Context(), run.ID)
	if err != nil {
		return view, err
	}
	for i := range validations {
		if v := &validations[i]; v.State == pipelines.ValidationPending && !over && !run.Canceled {
			view.Waiting = append(view.Waiting, p.validationRow(v, mayChange))
		}
	}
	if view.Pauses, err = p.pausesOf(r.Context(), v, t, mayChange && !over); err != nil {
		return view, err
	}
	sources, err := p.pipelines.Sources(r.Context(), run.ID)
	if err != nil {
		return view, err
	}
	for _, s := range sources {
		other, err := p.pipelines.Get(r.Context(), s.Source)
		if slipway.CodeOf(err) == slipway.CodeNotFound { // deleted
			view.Sources = append(view.Sources, sourceRow{Alias: s.Alias, Run: fmt.Sprintf("run %d, which was deleted", s.Source), URL: runURL(v, s.Source), Triggered: s.Triggered})
			continue
		}
		if err != nil {
			return view, err
		}
		view.Sources = append(view.Sources, sourceRow{Alias: s.Alias, Run: other.PipelineName + " " + other.Number, URL: runURL(v, other.ID), Triggered: s.Triggered})
	}
	if view.Packages, err = p.pipelines.Packages(r.Context(), run.ID); err != nil {
		return view, err
	}
	mayRerun := mayChange && (over || !run.Canceled)
	view.Columns = stageColumns(t.Stages, mayChange, mayRerun)
	view.Jobs = p.jobList(r, v, t, mayRerun)
	linkStages(&view, v, t.Stages)
	return view, nil
}

func (p pipelinesPages) validationRow(v *pipelines.Validation, mayDecide bool) validationRow {
	row := validationRow{ID: v.ID, Title: v.Title, Notify: strings.Join(v.Notify, ", "), Approvers: strings.Join(v.Approvers, ", "), Then: "rejected",
		Expires: v.Expires, MayDecide: mayDecide}
	if v.Resume {
		row.Then = "resumed"
	}
	if v.Instructions != "" {
		row.Instructions = p.markdown.render(v.Instructions)
	}
	return row
}

// stageColumns puts each stage one column behind those that it depends on.
func stageColumns(stages []pipelines.TimelineStage, mayChange, mayRerun bool) [][]stageBox {
	depth := map[string]int{}
	var columns [][]stageBox
	for i := range stages {
		st := &stages[i]
		column := 0
		for _, name := range st.DependsOn {
			column = max(column, depth[name]+1)
		}
		depth[st.Name] = column
		for len(columns) <= column {
			columns = append(columns, nil)
		}
		box := stageBox{Name: st.Name, Title: stageTitle(st), State: stateWord(string(st.State), string(st.Result)), Reason: st.Reason, Took: span(st.Started, st.Finished),
			Attempt: st.Attempt}
		box.Waits = mayChange && st.State == schedule.Pending && st.Waits
		if mayRerun && st.State == schedule.Completed && !st.Unwanted {
			failed := st.Result == schedule.Failed || st.Result == schedule.Canceled
			box.MayRetry, box.MayRerun = failed, !failed && len(st.Jobs) > 0 && st.Result != schedule.Skipped
		}
		box.Count = jobCount(st)
		columns[column] = append(columns[column], box)
	}
	return columns
}

// jobCount says how many jobs a stage has, and while it runs, how many of them are over.
func jobCount(st *pipelines.TimelineStage) string {
	done := 0
	for _, j := range st.Jobs {
		if j.State == schedule.Completed {
			done++
		}
	}
	if st.State == schedule.Running && len(st.Jobs) > 1 {
		return fmt.Sprintf("%d of %d jobs", done, len(st.Jobs))
	}
	return plural(len(st.Jobs), "job")
}

func (p pipelinesPages) jobRow(v View, st *pipelines.TimelineStage, j *pipelines.TimelineJob, query url.Values) jobRow {
	row := jobRow{Title: j.Title, Stage: stageTitle(st), State: stateWord(string(j.State), string(j.Result)), Reason: j.Reason, Took: span(j.Started, j.Finished),
		Note: j.PodNote, Attempt: j.Attempt, Retried: j.Retried, InStage: st.Name, Name: j.Name}
	for i := range slices.Backward(j.Earlier) {
		row.Earlier = append(row.Earlier, p.jobRow(v, st, &j.Earlier[i], query))
	}
	for _, s := range j.Steps {
		step := stepRow{Title: s.DisplayName, State: stateWord(string(s.State), string(s.Result)), Reason: s.Reason, Percent: s.Percent,
			Took: span(time.UnixMicro(s.Started), time.UnixMicro(s.Finished))}
		if s.Started == 0 || s.Finished == 0 {
			step.Took = ""
		}
		if s.LogSize > 0 || s.State == schedule.Running {
			step.URL = stepURL(v, j.Run, j.ID, s.ID)
		}
		step.Chosen = query.Get("j") == j.ID.String() && query.Get("s") == strconv.Itoa(s.ID)
		for _, issue := range s.Issues {
			one := issueRow{Kind: string(issue.Kind), Message: issue.Message}
			if issue.At != nil {
				one.At = issue.At.String()
			}
			step.Issues = append(step.Issues, one)
		}
		step.Details = detailRows(s.Details, "", 0)
		row.Steps = append(row.Steps, step)
	}
	return row
}

// stepURL is the page of a run with the log of a step.
func stepURL(v View, run slipway.RunID, of slipway.JobID, step int) string {
	return fmt.Sprintf("%s?buildId=%d&j=%d&s=%d#log", v.URL("_build", "results"), run, of, step)
}

// maxDetailDepth bounds how deep details lie in one another.
const maxDetailDepth = 5

// detailRows are the details below one, or below the step.
func detailRows(all []job.Detail, parent string, depth int) []stepRow {
	var rows []stepRow
	for _, d := range slices.SortedStableFunc(slices.Values(all), func(a, b job.Detail) int { return a.Order - b.Order }) {
		if d.Parent != parent || depth >= maxDetailDepth {
			continue
		}
		row := stepRow{Title: d.Name, State: stateWord(string(d.State), string(d.Result)), Reason: d.Operation, Percent: d.Percent, Details: detailRows(all, d.ID, depth+1)}
		if d.Started > 0 && d.Finished > 0 {
			row.Took = span(time.UnixMicro(d.Started), time.UnixMicro(d.Finished))
		}
		rows = append(rows, row)
	}
	return rows
}

const filesOnPage = 50

// addExtras adds artifacts, test results and summaries.
func (p pipelinesPages) addExtras(ctx context.Context, v View, view *runView, run *pipelines.Run) error {
	id := run.ID
	artifacts, err := p.pipelines.Artifacts(ctx, id)
	if err != nil {
		return err
	}
	for _, a := range artifacts {
		files, err := p.pipelines.ArtifactFiles(ctx, id, a.Name)
		if err != nil {
			return err
		}
		base := fmt.Sprintf("%s?buildId=%d&name=%s", v.URL("_build", "artifact"), id, url.QueryEscape(a.Name))
		row := artifactRow{Name: a.Name, URL: base, UploadedBy: a.UploadedBy.Name, Size: a.Size, More: max(len(files)-filesOnPage, 0)}
		for _, f := range files[:min(len(files), filesOnPage)] {
			row.Files = append(row.Files, artifactFile{Path: f.Path, Size: f.Size, URL: base + "&path=" + url.QueryEscape(f.Path)})
		}
		view.Artifacts = append(view.Artifacts, row)
	}
	if err := p.addAttachments(ctx, v, view, id); err != nil {
		return err
	}
	if err := p.addTests(ctx, v, view, run); err != nil {
		return err
	}
	if view.Coverage, err = p.coverageOf(ctx, v, id); err != nil {
		return err
	}
	if p.builds != nil {
		built, err := p.builds.OfRun(ctx, id)
		if err != nil {
			return err
		}
		for _, b := range built {
			view.Images = append(view.Images, p.imageBuildRow(v, b))
		}
	}
	summaries, err := p.pipelines.Summaries(ctx, id)
	if err != nil {
		return err
	}
	for _, m := range summaries {
		view.Summaries = append(view.Summaries, summaryRow{Name: m.Name, Text: p.markdown.render(m.Text)})
	}
	return nil
}

// watch sends what render makes after each change of the run, at most ten times a second and less often if that takes long, until it says
// that it was the last.
func (p pipelinesPages) watch(w http.ResponseWriter, r *http.Request, run slipway.RunID, send func() (last bool, err error)) error {
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Time{})
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	changes, end := p.pipelines.Watch(run)
	defer end()
	for {
		began := time.Now()
		last, err := send()
		if err != nil || control.Flush() != nil || last {
			return nil
		}
		// Whoever looks at a run of thousands of jobs has a fifth of a processor draw it, and no more.
		if !pause(r, min(max(100*time.Millisecond, 4*time.Since(began)), 5*time.Second)) {
			return nil
		}
		timer := time.NewTimer(2 * time.Second) // for changes made by another server, and to keep the connection
		select {
		case <-r.Context().Done():
			timer.Stop()
			return nil
		case <-changes:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (p pipelinesPages) liveRun(w http.ResponseWriter, r *http.Request, v View) error {
	t, err := p.found(r, v)
	if err != nil {
		return err
	}
	return p.watch(w, r, t.Run.ID, func() (bool, error) {
		t, err := p.pipelines.Timeline(r.Context(), t.Run.ID)
		if err != nil {
			return true, err
		}
		view, err := p.runView(r, v, t)
		if err == nil {
			err = p.addExtras(r.Context(), v, &view, &t.Run)
		}
		if err == nil {
			err = sendEvent(r, w, runLive(view))
		}
		over := t.Run.State == pipelines.RunCompleted
		if over && err == nil {
			_, err = io.WriteString(w, "event: done\ndata: done\n\n")
		}
		return over, err
	})
}

// artifact answers with a file of an artifact, or all of it as a tar file. Nothing in it is shown as a page of this server.
func (p pipelinesPages) artifact(w http.ResponseWriter, r *http.Request, v View) error {
	t, err := p.found(r, v)
	if err != nil {
		return err
	}
	name, file := r.URL.Query().Get("name"), r.URL.Query().Get("path")
	var content io.ReadCloser
	var size int64
	as := name + ".tar"
	if file == "" {
		o, err := p.pipelines.OpenArtifact(r.Context(), t.Run.ID, name)
		if err != nil {
			return err
		}
		content, size = o, o.Size()
	} else {
		as = path.Base(file)
		if content, size, err = p.pipelines.OpenArtifactFile(r.Context(), t.Run.ID, name, file); err != nil {
			return err
		}
	}
	defer content.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	attach(w, as)
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	_, _ = io.Copy(w, content)
	return nil
}
