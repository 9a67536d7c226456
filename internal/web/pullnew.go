package web

import (
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
	if from != view.id {
		view.Title = view.Source
		if _, err := p.repos.Commit(ctx, from, target); slipway.CodeOf(err) == slipway.CodeNotFound {
			return nil // the fork is behind: what it brings is seen when it has come here
		} else if err != nil {
			return err
		}
	}
	would := repos.PullRequest{Repository: from, SourceCommit: source, TargetCommit: target}
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
	if from != view.id { // its files are pages of another repository
		view.Commits = nil
		return nil
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
