package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

// addForks serves the forks of repositories.
func (p codePages) addForks() {
	p.Project("GET", "/_git/{repo}/forks", identity.Read, p.forks)
	p.Project("POST", "/_git/{repo}/forks", identity.Read, p.fork) // whoever reads a repository forks it to a project of theirs
	p.Project("POST", "/_git/{repo}/forks/sync", identity.Contribute, p.syncFork)
}

// syncRow is a sync of a fork as its card shows it.
type syncRow struct {
	repos.ForkSync
	Progress []string // while it runs
}

// Busy says that the page changes by itself.
func (s syncRow) Busy() bool { return s.State == repos.MirrorQueued || s.State == repos.MirrorRunning }

type forksView struct {
	codeView
	Forks    []crumb
	More     int      // forks that the reader may not see
	Projects []string // in which the reader may make a fork
	Branches []string
	Syncs    []syncRow // of a fork, the latest first
}

// Busy says that a sync waits or is under way.
func (v forksView) Busy() bool { return len(v.Syncs) > 0 && v.Syncs[0].Busy() }

// place is where a repository is, PROJECT/NAME with its address; empty for who may not read it, and for one that is gone.
func (p codePages) place(ctx context.Context, v View, id slipway.RepositoryID) (crumb, error) {
	r, err := p.repos.Get(ctx, id)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return crumb{}, nil
	}
	if err != nil {
		return crumb{}, err
	}
	project, err := p.identity.Project(ctx, r.Project)
	if err != nil || p.identity.Authorize(ctx, v.Caller, identity.Read, project.ID) != nil {
		return crumb{}, err
	}
	return crumb{project.Name + "/" + r.Name, "/" + url.PathEscape(project.Name) + "/_git/" + url.PathEscape(r.Name)}, nil
}

func (p codePages) forks(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.open(r, v, "forks")
	if err != nil {
		return err
	}
	ctx, view := r.Context(), forksView{codeView: c}
	list, err := p.repos.Forks(ctx, c.id)
	if err != nil {
		return err
	}
	for _, one := range list {
		at, err := p.place(ctx, v, one.ID)
		if err != nil {
			return err
		}
		if at.Name == "" {
			view.More++
		} else {
			view.Forks = append(view.Forks, at)
		}
	}
	projects, err := p.identity.Projects(ctx, v.Caller)
	if err != nil {
		return err
	}
	for _, one := range projects {
		if p.identity.Authorize(ctx, v.Caller, identity.Administer, one.ID) == nil {
			view.Projects = append(view.Projects, one.Name)
		}
	}
	branches, err := p.repos.Branches(ctx, c.id)
	if err != nil {
		return err
	}
	for _, b := range branches[:min(len(branches), 1000)] {
		view.Branches = append(view.Branches, b.Name)
	}
	syncs, err := p.repos.ForkSyncs(ctx, c.id)
	if err != nil {
		return err
	}
	for _, one := range syncs[:min(len(syncs), 10)] {
		view.Syncs = append(view.Syncs, syncRow{one, p.repos.ForkProgress(one.ID)})
	}
	return p.Render(w, r, v.Titled("Forks", "repos"), forksPage(view))
}

// fork makes a fork in a project in which the caller may make repositories.
func (p codePages) fork(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.open(r, v, "forks")
	if err != nil {
		return err
	}
	project, err := p.identity.ProjectByName(r.Context(), r.FormValue("project"))
	if err == nil {
		err = p.identity.Authorize(r.Context(), v.Caller, identity.Administer, project.ID)
	}
	if err != nil {
		return err
	}
	fork, _, err := p.repos.Fork(r.Context(), repos.ForkRequest{Source: c.id, Project: project.ID, Name: strings.TrimSpace(r.FormValue("name")), Branch: r.FormValue("branch"), Actor: v.Caller.Actor})
	if err != nil {
		return err
	}
	return p.Redirect(w, r, "/"+url.PathEscape(project.Name)+"/_git/"+url.PathEscape(fork.Name)+"/forks")
}

// syncFork takes a branch, or all, of what the fork was forked from, if the caller may read that.
func (p codePages) syncFork(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.open(r, v, "forks")
	if err != nil {
		return err
	}
	if c.repo.Parent != "" && c.ForkedFrom.URL == "" {
		return slipway.Forbidden("you may not read what %s was forked from", c.Repo)
	}
	var branches []repos.SyncedBranch
	if b := r.FormValue("branch"); b != "" {
		branches = []repos.SyncedBranch{{Source: b}}
	}
	if _, err := p.repos.SyncFork(r.Context(), c.id, "", branches, v.Caller.Actor); err != nil {
		return err
	}
	return p.Redirect(w, r, c.URL("_git", c.Repo, "forks"))
}

// sourceChoice is a repository whose branches can be asked to be brought to another one.
type sourceChoice struct{ ID, Name string }

// sources are the repositories from which the caller may open a pull request into the one shown: itself, what it was forked from and its forks, and
// the other forks of that.
func (p codePages) sources(ctx context.Context, c codeView) ([]sourceChoice, error) {
	var list []sourceChoice
	add := func(r repos.Repository) error {
		at, err := p.place(ctx, c.View, r.ID)
		if err == nil && at.Name != "" && !r.Disabled && p.identity.Authorize(ctx, c.Caller, identity.Contribute, r.Project) == nil {
			list = append(list, sourceChoice{string(r.ID), at.Name})
		}
		return err
	}
	related := []repos.Repository{c.repo}
	if parent, err := p.repos.Get(ctx, c.repo.Parent); err == nil && c.repo.Parent != "" {
		siblings, err := p.repos.Forks(ctx, parent.ID)
		if err != nil {
			return nil, err
		}
		related = append(append(related, parent), siblings...)
	}
	forks, err := p.repos.Forks(ctx, c.id)
	if err != nil {
		return nil, err
	}
	seen := map[slipway.RepositoryID]bool{}
	for _, r := range append(related, forks...) {
		if !seen[r.ID] {
			seen[r.ID] = true
			if err := add(r); err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

// mayTakePart lets those change a pull request who may push to the repository, and who opened it from a fork, apart from what brings it to its target.
func mayTakePart(c codeView, pull repos.PullRequest) bool {
	return c.MayEdit || ownFork(c, pull)
}

func ownFork(c codeView, pull repos.PullRequest) bool {
	return pull.FromFork() && c.Caller.Kind == slipway.ActorUser && c.Caller.ID == pull.CreatedBy.ID
}

// ofAuthors are what who opened a pull request from a fork may do without the right to push.
var ofAuthors = map[string]bool{"edit": true, "abandon": true, "reactivate": true, "publish": true, "draft": true, "viewed": true, "resolve": true, "restore": true, "thread": true,
	"comment": true, "draft-thread": true, "draft-comment": true, "drop-draft": true, "edit-comment": true, "delete-comment": true, "thread-status": true, "like": true, "unlike": true,
	"apply": true}
