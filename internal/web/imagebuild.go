package web

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/images/builds"
	"slipway/internal/pipelines"
)

type imageBuildsView struct {
	URL  string
	Rows []imageBuildRow
	Runs bool // one of them does
}

type imageBuildView struct {
	imageBuildRow
	ID         int64
	Form       string // where to cancel; empty when it cannot be
	Run        *thing // nil for a build of a person
	Step       string // of the run, that built; empty when it is not known
	StepURL    string
	Ended      bool  // as far as anybody knows: of one that is lost
	Image      thing // without a URL when the registry does not have it
	Digest     slipway.Digest
	Error      string
	CanceledBy string
	Details    string // target and platforms
	Parts      []imageBuildStep
	Log        string // its end, when it is long
	LogURL     string // of the whole; empty when there is none
	LogCut     bool
}

// imageBuildStep is a step with the part of the slowest one's time that it took.
type imageBuildStep struct {
	Name, State, Took string
	Percent           int
}

// one shows a build: the page, the part that changes while it runs, or the log as text.
func (p buildPages) one(w http.ResponseWriter, r *http.Request, v View, text string) error {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return slipway.Invalid("the build %q is no number", text)
	}
	b, err := p.builds.Get(r.Context(), v.Project.ID, id)
	if err != nil {
		return err
	}
	log, err := p.builds.Log(r.Context(), v.Project.ID, id)
	if err != nil {
		return err
	}
	if r.URL.Query().Get("part") == "log" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = io.WriteString(w, log) // the reader is gone
		return nil
	}
	view, err := p.imageBuildView(r.Context(), v, b)
	if err != nil {
		return err
	}
	view.addLog(log)
	if r.URL.Query().Get("part") == "live" {
		return p.Fragment(w, r, imageBuildLive(view))
	}
	return p.Render(w, r, v.Titled("Image build", "images"), imageBuildPage(view))
}

func (p buildPages) imageBuildView(ctx context.Context, v View, b builds.Build) (imageBuildView, error) {
	view := imageBuildView{imageBuildRow: p.imageBuildRow(v, b), ID: b.ID, Digest: b.Digest, Error: b.Error, CanceledBy: b.CanceledBy, Ended: !b.Finished.IsZero()}
	if len(b.Tags) > 0 {
		view.Name = strings.Join(b.Tags, ", ") // with the registry, as one pulls it
	}
	if b.Run != 0 {
		run := p.things.describe(ctx, v, slipway.Ref(slipway.RefRun, b.Run))
		view.Run = &run
		var err error
		if view.Step, view.StepURL, err = p.stepThatBuilt(ctx, v, b); err != nil {
			return view, err
		}
	}
	if b.Digest != "" && p.things.Registry != nil {
		view.Image = p.things.describe(ctx, v, slipway.Ref(slipway.RefImage, b.Digest))
	}
	if view.Runs && b.By != nil && p.identity.Authorize(ctx, v.Caller, identity.Contribute, v.Project.ID) == nil {
		view.Form = v.URL("_imagebuilds")
	}
	if b.Target != "" {
		view.Details = "stage " + b.Target
	}
	if len(b.Platforms) > 0 {
		view.Details = strings.TrimPrefix(view.Details+", "+strings.Join(b.Platforms, ", "), ", ")
	}
	longest := 0.0
	for _, s := range b.Summary.Steps {
		longest = max(longest, s.Seconds)
	}
	for _, s := range b.Summary.Steps {
		part := imageBuildStep{Name: s.Title(), State: s.Outcome(), Took: seconds(s.Seconds)}
		switch {
		case s.Running && b.State != builds.Running:
			part.State, part.Took = "not ended", ""
		case s.Failed && b.State == builds.Canceled:
			part.State = "canceled"
		case s.Running, s.Cached:
			part.Took = ""
		}
		if longest > 0 && !s.Cached {
			part.Percent = int(100 * s.Seconds / longest)
		}
		view.Parts = append(view.Parts, part)
	}
	return view, nil
}

// stepThatBuilt is the title and the page of the step that ran in the build's job when the build began; empty if none did, as in a run that is deleted, or
// on a machine whose clock is another than the server's.
func (p buildPages) stepThatBuilt(ctx context.Context, v View, b builds.Build) (title, page string, err error) {
	if p.things.Pipelines == nil {
		return "", "", nil
	}
	t, err := p.things.Pipelines.Timeline(ctx, b.Run)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	began := b.Started.UnixMicro()
	for _, j := range attempts(t) {
		for _, s := range j.Steps {
			if j.ID == b.Job && s.Started != 0 && s.Started <= began && (s.Finished == 0 || began <= s.Finished) {
				title, page = s.DisplayName, stepURL(v, j.Run, j.ID, s.ID)
			}
		}
	}
	return title, page, nil
}

// attempts lists all attempts of all jobs of a run.
func attempts(t *pipelines.Timeline) []pipelines.TimelineJob {
	var list []pipelines.TimelineJob
	for _, st := range t.Stages {
		for _, j := range st.Jobs {
			list = append(append(list, j), j.Earlier...)
		}
	}
	return list
}

// shownLog is how much of a log the page has, in bytes: the end of it.
const shownLog = 64 << 10

func (view *imageBuildView) addLog(log string) {
	if log == "" {
		return
	}
	view.Log, view.LogURL = log, view.URL+"&part=log"
	if len(log) > shownLog {
		view.Log, view.LogCut = log[len(log)-shownLog:], true
		_, view.Log, _ = strings.Cut(view.Log, "\n")
	}
}

// cancel asks the program that builds to give up.
func (p buildPages) cancel(w http.ResponseWriter, r *http.Request, v View) error {
	id, err := strconv.ParseInt(r.FormValue("build"), 10, 64)
	if err != nil {
		return slipway.Invalid("the build %q is no number", r.FormValue("build"))
	}
	if _, err := p.builds.Cancel(r.Context(), v.Project.ID, id, v.Caller.Actor); err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_imagebuilds")+"?build="+strconv.FormatInt(id, 10))
}
