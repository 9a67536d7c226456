package loop

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/repos"
)

// errUntrusted is what a deployment by a run comes to that gets no secrets.
var errUntrusted = slipway.Forbidden("a pull request from a fork deploys nothing: give the stage a condition, as ne(variables['System.PullRequest.IsFork'], 'True')")

// unlessUntrusted leaves out that a run may not deploy, which its stage has been told.
func unlessUntrusted(err error) error {
	if errors.Is(err, errUntrusted) {
		return nil
	}
	return err
}

// command is the comment that lets pipelines run a pull request: all, or those named after it.
const command = "/azp run"

// runCommanded starts the runs of a pull request from a fork for which a comment asks.
func (l *Loop) runCommanded(ctx context.Context, e events.Event) error {
	id, err := strconv.ParseInt(e.Subject.ID, 10, 64)
	if err != nil {
		return err
	}
	p, err := l.Repos.PullRequest(ctx, slipway.PullRequestID(id))
	if err != nil || !p.FromFork() {
		return err
	}
	return l.runPullRequest(ctx, e)
}

// forkSource is what pipelines ask of the fork of a pull request; nil when it is from none.
func (l *Loop) forkSource(ctx context.Context, p repos.PullRequest) (*pipelines.ForkSource, error) {
	if !p.FromFork() {
		return nil, nil
	}
	var source pipelines.ForkSource
	var err error
	if source.Member, err = l.mayPush(ctx, p.CreatedBy, p.Project); err != nil {
		return nil, err
	}
	iterations, err := l.Repos.Iterations(ctx, p.ID)
	if err != nil || len(iterations) == 0 {
		return &source, err
	}
	since := iterations[len(iterations)-1].Created
	threads, err := l.Repos.Threads(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	for _, t := range threads {
		for _, c := range t.Comments {
			all, names := commanded(c.Text)
			if c.Deleted || !all && len(names) == 0 || c.Created.Before(since) {
				continue
			}
			may, err := l.mayPush(ctx, c.Author, p.Project)
			if err != nil {
				return nil, err
			}
			if may {
				source.ApprovedAll = source.ApprovedAll || all
				source.Approved = append(source.Approved, names...)
			}
		}
	}
	return &source, nil
}

// commanded reads the first line of a comment: `/azp run` or `/azp run shop, shop-tests`.
func commanded(text string) (all bool, names []string) {
	line, ok := strings.CutPrefix(firstLine(text), command)
	if !ok || line != "" && line[0] != ' ' {
		return false, nil
	}
	for name := range strings.SplitSeq(line, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return len(names) == 0, names
}

// mayPush says whether somebody may push to the repositories of a project.
func (l *Loop) mayPush(ctx context.Context, who slipway.Actor, project slipway.ProjectID) (bool, error) {
	if who.Kind != slipway.ActorUser {
		return false, nil
	}
	u, err := l.Identity.User(ctx, slipway.UserID(who.ID))
	if slipway.CodeOf(err) == slipway.CodeNotFound || err == nil && u.Disabled {
		return false, nil
	}
	if err != nil || u.Administrator {
		return err == nil, err
	}
	role, err := l.Identity.Role(ctx, u.ID, project)
	return role == identity.RoleContributor || role == identity.RoleAdministrator, err
}

// sourceURI is the address of the repository with the source of a pull request, "" when its fork is gone.
func (l *Loop) sourceURI(ctx context.Context, p repos.PullRequest) (string, error) {
	id := p.Repository
	if p.FromFork() {
		id = p.Fork
	}
	r, err := l.Pipelines.Source.Repository(ctx, id)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return "", nil
	}
	return r.URL, err
}
