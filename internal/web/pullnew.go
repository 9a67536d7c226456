package web

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/repos"
)

type newPullView struct {
	codeView
	Source, Target     string
	Branches           []string
	Sources            []sourceChoice // repositories of the source
	SourceRepository   string
	SourceBranches     []string
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
	if err := p.chooseSource(r, &view); err != nil {
		return err
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

// chooseSource fills in the repositories and branches that a pull request can be from.
func (p codePages) chooseSource(r *http.Request, view *newPullView) error {
	var err error
	if view.Sources, err = p.sources(r.Context(), view.codeView); err != nil {
		return err
	}
	if len(view.Sources) == 0 {
		return slipway.Forbidden("you may push neither to %s nor to a fork of it: fork it first", view.Repo)
	}
	view.SourceRepository = r.FormValue("sourceRepository")
	if !slices.ContainsFunc(view.Sources, func(s sourceChoice) bool { return s.ID == view.SourceRepository }) {
		view.SourceRepository = view.Sources[0].ID
	}
	view.SourceBranches = view.Branches
	if id := slipway.RepositoryID(view.SourceRepository); id != view.id {
		branches, err := p.repos.Branches(r.Context(), id)
		if err != nil {
			return err
		}
		view.SourceBranches = nil
		for _, b := range branches[:min(len(branches), 1000)] {
			view.SourceBranches = append(view.SourceBranches, b.Name)
		}
	}
	return nil
}

// compare fills in what the source has and the target has not.
func (p codePages) compare(r *http.Request, view *newPullView) error {
	from := slipway.RepositoryID(view.SourceRepository)
	if view.Source == "" || view.Source == view.Target && from == view.id {
		view.Why = "Choose the branch with your changes, and the one that is to get them."
		return nil
	}
	ctx := r.Context()
	source, err := p.repos.Resolve(ctx, from, "refs/heads/"+view.Source)
	if err != nil {
		return err
	}
	target, err := p.repos.Resolve(ctx, view.id, "refs/heads/"+view.Target)
	if err != nil {
		return err
	}
	would, err := p.repos.PreviewPullRequest(ctx, from, source, view.id, target)
	if err != nil {
		return err
	}
	if len(would.Commits) == 0 {
		view.Why = "Branch " + view.Source + " has no commit that " + view.Target + " has not."
		return nil
	}
	at, err := p.elsewhere(ctx, view.codeView, from) // where what it brings can be looked at
	if err != nil {
		return err
	}
	view.More = would.More
	for _, one := range would.Commits {
		view.Commits = append(view.Commits, at.row(one))
	}
	view.Title = view.Source
	if len(would.Commits) == 1 {
		view.Title, view.Description = would.Commits[0].Subject(), would.Commits[0].Body()
	}
	left, right := view.codeView, at
	left.Version, right.Version = "GC"+string(target), "GB"+view.Source
	view.Changes = newChanges(would.Diff, left, right, changesView{}, "", 0, nil)
	return nil
}

// elsewhere leads to the pages of another repository, which the caller may read.
func (p codePages) elsewhere(ctx context.Context, c codeView, id slipway.RepositoryID) (codeView, error) {
	if id == c.id {
		return c, nil
	}
	r, err := p.repos.Get(ctx, id)
	if err != nil {
		return c, err
	}
	project, err := p.identity.Project(ctx, r.Project)
	if err != nil {
		return c, err
	}
	c.Project, c.Repo, c.Default, c.id, c.repo = &project, r.Name, r.DefaultBranch, r.ID, r
	return c, nil
}

func (p codePages) createPull(w http.ResponseWriter, r *http.Request, v View) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxPullForm)
	c, err := p.open(r, v, "pullrequests")
	if err != nil {
		return err
	}
	view := newPullView{codeView: c}
	if err := p.chooseSource(r, &view); err != nil {
		return err
	}
	var fork slipway.RepositoryID
	if view.SourceRepository != string(c.id) {
		fork = slipway.RepositoryID(view.SourceRepository)
	}
	pull, err := p.repos.CreatePullRequest(r.Context(), repos.NewPullRequest{Repository: c.id, Fork: fork, Source: r.FormValue("sourceRef"), Target: r.FormValue("targetRef"),
		Title: r.FormValue("title"), Description: formText(r, "description"), Draft: r.FormValue("draft") != "", Actor: v.Caller.Actor})
	if err != nil {
		return err
	}
	return p.Redirect(w, r, c.pullURL(pull.ID))
}
