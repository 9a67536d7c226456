package web

import (
	"net/http"
	"strings"

	"slipway/internal/repos"
)

type newPullView struct {
	codeView
	Source, Target     string
	Branches           []string
	Title, Description string
	Commits            []commitRow
	More               bool
	Changes            changesView
	Why                string // nothing can be asked for; empty when it can
}

// newPull is the form, with what the pull request would bring.
func (p codePages) newPull(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.open(r, v, "pullrequests")
	if err != nil {
		return err
	}
	view := newPullView{codeView: c, Source: branchName(r.FormValue("sourceRef")), Target: branchName(r.FormValue("targetRef"))}
	if view.Target == "" {
		view.Target = c.Default
	}
	branches, err := p.repos.Branches(r.Context(), c.id)
	if err != nil {
		return err
	}
	for _, b := range branches[:min(len(branches), 1000)] {
		view.Branches = append(view.Branches, b.Name)
	}
	if err := p.compare(r, &view); err != nil {
		return err
	}
	template, err := p.repos.PullRequestTemplate(r.Context(), repos.Repository{ID: c.id, DefaultBranch: c.Default}, view.Target)
	if err != nil {
		return err
	}
	view.Description = strings.TrimSpace(view.Description + "\n\n" + template)
	return p.Render(w, r, v.Titled("New pull request", "repos"), newPullPage(view))
}

// compare fills in what the source has and the target has not.
func (p codePages) compare(r *http.Request, view *newPullView) error {
	if view.Source == "" || view.Source == view.Target {
		view.Why = "Choose the branch with your changes, and the one that is to get them."
		return nil
	}
	ctx := r.Context()
	source, err := p.repos.Resolve(ctx, view.id, "refs/heads/"+view.Source)
	if err != nil {
		return err
	}
	target, err := p.repos.Resolve(ctx, view.id, "refs/heads/"+view.Target)
	if err != nil {
		return err
	}
	would := repos.PullRequest{Repository: view.id, SourceCommit: source, TargetCommit: target}
	commits, more, err := p.repos.PullRequestCommits(ctx, would)
	if err != nil {
		return err
	}
	if len(commits) == 0 {
		view.Why = "Branch " + view.Source + " has no commit that " + view.Target + " has not."
		return nil
	}
	view.More = more
	for _, one := range commits {
		view.Commits = append(view.Commits, view.row(one))
	}
	view.Title = view.Source
	if len(commits) == 1 {
		view.Title, view.Description = commits[0].Subject(), commits[0].Body()
	}
	d, err := p.repos.PullRequestDiff(ctx, would)
	if err != nil {
		return err
	}
	left, right := view.codeView, view.codeView
	left.Version, right.Version = "GC"+string(target), "GB"+view.Source
	view.Changes = newChanges(d, left, right, changesView{}, "", 0)
	return nil
}

func (p codePages) createPull(w http.ResponseWriter, r *http.Request, v View) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxPullForm)
	c, err := p.open(r, v, "pullrequests")
	if err != nil {
		return err
	}
	pull, err := p.repos.CreatePullRequest(r.Context(), repos.NewPullRequest{Repository: c.id, Source: r.FormValue("sourceRef"), Target: r.FormValue("targetRef"),
		Title: r.FormValue("title"), Description: formText(r, "description"), Draft: r.FormValue("draft") != "", Actor: v.Caller.Actor})
	if err != nil {
		return err
	}
	return p.Redirect(w, r, c.pullURL(pull.ID))
}
