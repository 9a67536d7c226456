package repos

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/db"
)

// pullOption begins the push options that ask for a pull request from the pushed branch: git push -o pullrequest.create.
const pullOption = "pullrequest."

// pullOptions is what they are, for whoever wrote one wrong.
const pullOptions = "pullrequest.create, .target=BRANCH, .title=TEXT, .description=TEXT, .draft, .label=NAME, .auto-complete, .auto-complete=STRATEGY and .delete-source"

// pushedRequest is the pull request that a push asks for.
type pushedRequest struct {
	target, title string // empty for the default branch, and for what CreatePullRequest makes of the commits
	description   string
	draft         bool
	labels        []string
	complete      bool
	strategy      MergeStrategy // with complete
	deleteSource  bool          // with complete
}

// readPushedRequest reads it from the push options, nil when none asks for one. A description has `\n` for a line break, since an
// option is one line.
func readPushedRequest(options []string) (*pushedRequest, error) {
	var req pushedRequest
	asked, create := false, false
	for _, o := range options {
		o, ok := strings.CutPrefix(o, pullOption)
		if !ok {
			continue
		}
		asked = true
		name, value, valued := strings.Cut(o, "=")
		known := true
		switch name {
		case "create":
			create = true
		case "target":
			req.target = strings.TrimPrefix(value, branchPrefix)
		case "title":
			req.title = value
		case "description":
			req.description = strings.ReplaceAll(value, `\n`, "\n")
		case "draft":
			req.draft = true
		case "label":
			req.labels = append(req.labels, value)
		case "auto-complete":
			req.complete, req.strategy = true, MergeStrategy(value)
		case "delete-source":
			req.deleteSource = true
		default:
			known = false
		}
		wants := slices.Contains([]string{"target", "title", "description", "label"}, name)
		takes := wants || name == "auto-complete"
		if !known || wants && value == "" || valued && (!takes || value == "") {
			return nil, slipway.Invalid("push option %q is not known here: there are %s", shorten(pullOption+o, 80), pullOptions)
		}
	}
	if !asked {
		return nil, nil
	}
	return &req, req.check(create)
}

func (req pushedRequest) check(create bool) error {
	strategies := []MergeStrategy{"", NoFastForward, Squash, Rebase, RebaseMerge}
	switch {
	case !create:
		return slipway.Invalid("push options of pull requests go with %screate: git push -o %screate", pullOption, pullOption)
	case !slices.Contains(strategies, req.strategy):
		return slipway.Invalid("merge strategy %q: write -o pullrequest.auto-complete=noFastForward, squash, rebase or rebaseMerge", req.strategy)
	case req.deleteSource && !req.complete:
		return slipway.Invalid("-o pullrequest.delete-source goes with -o pullrequest.auto-complete")
	case len(req.labels) > maxLabels:
		return slipway.Limit("a pull request has at most %d labels", maxLabels)
	}
	return nil
}

// checkPushedRequest refuses a push whose pull request could not be opened, before its refs move.
func (s *Service) checkPushedRequest(ctx context.Context, r Repository, actor slipway.Actor, ask pushCheck) error {
	req, err := readPushedRequest(ask.options)
	if err != nil || req == nil {
		return err
	}
	var branches []string
	for _, m := range ask.moves {
		if name, ok := strings.CutPrefix(m.Ref, branchPrefix); ok && !m.After.IsZero() {
			branches = append(branches, name)
		}
	}
	if len(branches) != 1 {
		return slipway.Invalid("a pull request has one source, and this push has %d branches: push one with -o pullrequest.create", len(branches))
	}
	target := req.target
	if target == "" {
		target = r.DefaultBranch
	}
	if target == branches[0] {
		return slipway.Invalid("a pull request from %s needs another target: push to another branch (git push -o pullrequest.create origin HEAD:refs/heads/TOPIC), or name one by -o pullrequest.target=BRANCH", target)
	}
	if _, _, err := s.branch(ctx, r.ID, "target", target); err != nil {
		return err
	}
	if req.complete && actor.Kind != slipway.ActorUser {
		return slipway.Forbidden("only a user completes pull requests: leave -o pullrequest.auto-complete out")
	}
	return nil
}

// Received is what a push did, for whoever answers the pusher.
type Received struct {
	Updates      []Pushed      // one for each branch or tag
	PullRequests []PullRequest // active ones from the branches that it moved, the one that it asked for among them
	Refusal      string        // why the pull request that it asked for is not as it asked
}

// receivePullRequests brings the pull requests from the branches that a push moved up to date, and opens the one that it asks for.
// That one of them cannot be read is told, and harms nothing: the push has happened, and its event does the same again.
func (s *Service) receivePullRequests(ctx context.Context, id slipway.RepositoryID, actor slipway.Actor, updates []Pushed, options []string) Received {
	received := Received{Updates: updates}
	req, err := readPushedRequest(options)
	if err != nil { // the check before the push has read the same
		s.logger.Error("read the options of a push that was let through", "repository", id, "error", err)
	}
	sources, err := s.activeSources(ctx, id)
	if err != nil {
		s.logger.Warn("list the sources of pull requests", "repository", id, "error", err)
	}
	for _, u := range updates {
		if u.Deleted() || !strings.HasPrefix(u.Ref, branchPrefix) || req == nil && !sources[u.Ref] {
			continue
		}
		if req != nil {
			if err := s.openPushedRequest(ctx, id, actor, u, *req); err != nil {
				s.logger.Warn("open the pull request of a push", "repository", id, "ref", u.Ref, "error", err)
				received.Refusal = message(err)
			}
		}
		list, err := s.activeFrom(ctx, id, actor, u.Ref)
		if err != nil {
			s.logger.Warn("bring the pull requests of a pushed branch up to date", "repository", id, "ref", u.Ref, "error", err)
		}
		received.PullRequests = append(received.PullRequests, list...)
	}
	return received
}

// activeSources are the branches of active pull requests, forks' too.
func (s *Service) activeSources(ctx context.Context, id slipway.RepositoryID) (map[string]bool, error) {
	const query = `SELECT DISTINCT source FROM pull_requests WHERE repository = $1 AND status = 'active' LIMIT $2`
	list, err := db.List(ctx, s.db, db.Value[string], query, string(id), maxRefs)
	sources := map[string]bool{}
	for _, ref := range list {
		sources[ref] = true
	}
	return sources, err
}

// maxAnswered bounds the branches and pull requests that the pusher waits for.
const maxAnswered = 20

// activeFrom lists the active pull requests whose source is the branch, compared with what their branches are at now.
func (s *Service) activeFrom(ctx context.Context, id slipway.RepositoryID, actor slipway.Actor, ref string) ([]PullRequest, error) {
	list, err := s.PullRequests(ctx, PullRequestFilter{Repository: id, Status: PullRequestActive, Source: ref, Limit: maxAnswered})
	if err != nil {
		return nil, err
	}
	for i := range list {
		if err := s.follow(ctx, list[i].ID, actor); err != nil && slipway.CodeOf(err) != slipway.CodeConflict {
			return list[:i], err
		}
		if list[i], err = s.PullRequest(ctx, list[i].ID); err != nil {
			return list[:i], err
		}
	}
	return slices.DeleteFunc(list, func(p PullRequest) bool { return p.Status != PullRequestActive }), nil
}

// openPushedRequest opens the pull request that a push asks for, or changes the one that is open.
func (s *Service) openPushedRequest(ctx context.Context, id slipway.RepositoryID, actor slipway.Actor, u Pushed, req pushedRequest) error {
	p, err := s.CreatePullRequest(ctx, NewPullRequest{Repository: id, Source: u.Ref, Target: req.target, Title: req.title, Description: req.description, Draft: req.draft, Actor: actor})
	if slipway.CodeOf(err) == slipway.CodeConflict { // there is one
		p, err = s.changePushedRequest(ctx, id, actor, u, req)
	}
	if err != nil {
		return err
	}
	for _, label := range req.labels {
		if _, err := s.AddLabel(ctx, actor, p.ID, label); err != nil {
			return fmt.Errorf("pull request %d is open, without the label %q: %w", p.ID, label, err)
		}
	}
	if !req.complete {
		return nil
	}
	user, err := s.People.User(ctx, slipway.UserID(actor.ID))
	if err != nil {
		return err
	}
	_, err = s.SetAutoComplete(ctx, actor, p.ID, &AutoComplete{Completion: Completion{Strategy: req.strategy, DeleteSource: req.deleteSource}, By: actor,
		Committer: Signature{Name: user.GitName(), Email: user.Email}})
	return err
}

// changePushedRequest gives the open pull request of the pushed branch what the options say; what they leave out stays.
func (s *Service) changePushedRequest(ctx context.Context, id slipway.RepositoryID, actor slipway.Actor, u Pushed, req pushedRequest) (PullRequest, error) {
	r, err := s.Get(ctx, id)
	if err != nil {
		return PullRequest{}, err
	}
	target := req.target
	if target == "" {
		target = r.DefaultBranch
	}
	list, err := s.PullRequests(ctx, PullRequestFilter{Repository: id, Status: PullRequestActive, Source: u.Ref, Target: branchPrefix + target, Limit: 1})
	if err != nil {
		return PullRequest{}, err
	}
	if len(list) == 0 {
		return PullRequest{}, slipway.Conflict("the pull request from %s into %s was closed meanwhile: push again", strings.TrimPrefix(u.Ref, branchPrefix), target)
	}
	var c PullRequestChange
	if req.title != "" {
		c.Title = &req.title
	}
	if req.description != "" {
		c.Description = &req.description
	}
	if req.draft {
		c.Draft = &req.draft
	}
	return s.UpdatePullRequest(ctx, actor, list[0].ID, c)
}
