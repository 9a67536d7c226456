package web

import (
	"net/http"
	"time"

	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/retention"
)

type runRetentionView struct {
	URL       string
	Own       retention.Settings
	Rows      []fateRow
	Delete    int // how many runs go
	Purge     int // how many lose their artifacts
	Keep      int
	Space     pipelines.ArtifactSpace
	MayChange bool
}

type fateRow struct {
	Action, Run, URL, Branch, Reason string
	Finished                         time.Time
}

// shownFates bounds the runs of each kind on the page.
const shownFates = 50

func (p pipelinesPages) addRetentionPages() {
	p.Project("GET", "/_settings/retention", identity.Read, p.retention)
	p.Project("POST", "/_settings/retention", identity.Administer, p.setRetention)
}

func (p pipelinesPages) retention(w http.ResponseWriter, r *http.Request, v View) error {
	view := runRetentionView{URL: v.URL("_settings", "retention"), MayChange: p.identity.Authorize(r.Context(), v.Caller, identity.Administer, v.Project.ID) == nil}
	var err error
	if view.Own, err = p.pipelines.Retention(r.Context(), v.Project.ID); err != nil {
		return err
	}
	if view.Space, err = p.pipelines.ArtifactSpace(r.Context(), v.Project.ID); err != nil {
		return err
	}
	fates, counts, err := p.pipelines.Fates(r.Context(), v.Project.ID, shownFates)
	if err != nil {
		return err
	}
	view.Delete, view.Purge, view.Keep = counts[retention.Delete], counts[retention.Purge], counts[retention.Keep]
	for i := range fates {
		f := &fates[i]
		view.Rows = append(view.Rows, fateRow{Action: fateText(f.Action), Run: f.Name + " " + f.Number, URL: runURL(v, f.Run), Branch: branchName(f.Ref), Reason: f.Reason, Finished: f.Finished})
	}
	return p.Render(w, r, v.Titled("How long runs are kept", "settings"), runRetentionPage(view))
}

func fateText(a retention.Action) string {
	switch a {
	case retention.Delete:
		return "goes"
	case retention.Purge:
		return "artifacts go"
	}
	return "stays"
}

func (p pipelinesPages) setRetention(w http.ResponseWriter, r *http.Request, v View) error {
	var s retention.Settings
	for name, into := range map[string]*int{"runs": &s.Runs, "pullRequestRuns": &s.PullRequestRuns, "artifacts": &s.Artifacts, "recent": &s.Recent} {
		var err error
		if *into, err = whole(r, name); err != nil {
			return err
		}
	}
	if err := p.pipelines.SetRetention(r.Context(), v.Project.ID, v.Caller.Actor, s); err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_settings", "retention"))
}

// deleteRun deletes a run from its page, which is gone then.
func (p pipelinesPages) deleteRun(w http.ResponseWriter, r *http.Request, v View, run *pipelines.Run) error {
	if err := p.identity.Authorize(r.Context(), v.Caller, identity.Administer, v.Project.ID); err != nil {
		return err
	}
	if err := p.pipelines.DeleteRun(r.Context(), run.ID, v.Caller.Actor); err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_build"))
}

// addLeases says who retains a run, and what the caller may do about it.
func (p pipelinesPages) addLeases(r *http.Request, v View, view *runView, run *pipelines.Run, mayChange bool) error {
	leases, err := p.pipelines.Leases(r.Context(), pipelines.LeaseFilter{Project: run.Project, Run: run.ID})
	if err != nil {
		return err
	}
	for _, l := range leases {
		text := l.Owner
		if !l.ForEver() {
			text += " until " + l.Expires.Format(time.DateOnly)
		}
		view.Leases = append(view.Leases, text)
		view.MayRelease = view.MayRelease || mayChange && l.Owner == "User:"+v.Caller.Actor.Name
	}
	over := run.State == pipelines.RunCompleted
	view.Purged, view.MayRetain = run.Purged, mayChange && over && !view.MayRelease
	view.MayDelete = over && len(leases) == 0 && p.identity.Authorize(r.Context(), v.Caller, identity.Administer, v.Project.ID) == nil
	return nil
}
