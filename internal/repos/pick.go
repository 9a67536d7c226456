package repos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
)

// PickKind says whether changes are brought somewhere else or taken back.
type PickKind string

// The kinds.
const (
	CherryPick PickKind = "cherryPick"
	Revert     PickKind = "revert"
)

// maxPicked bounds the commits of one pick.
const maxPicked = 200

// PickRequest asks for a branch on which changes are made anew, or taken back.
type PickRequest struct {
	Repository  slipway.RepositoryID
	Kind        PickKind
	PullRequest slipway.PullRequestID // whose changes; 0 for those of Commits
	Commits     []slipway.CommitID    // in the order in which they are picked or reverted
	Onto        string                // a branch, with or without refs/heads/
	Branch      string                // that is made for it
	Committer   Signature             // a zero time means now
	Actor       slipway.Actor
}

// Pick is what became of a PickRequest.
type Pick struct {
	ID          int64
	Repository  slipway.RepositoryID
	Kind        PickKind
	PullRequest slipway.PullRequestID
	Commits     []slipway.CommitID
	Onto        string // `refs/heads/release`
	Branch      string // `refs/heads/revert-12`; it is not there when Reason says why
	Reason      string // why it failed; empty when it did not
	Conflicts   []string
	Conflicting slipway.CommitID // the commit that conflicts; zero without conflicts
	Created     time.Time
	CreatedBy   slipway.Actor
}

// pickedChange is one commit to make of what another one did.
type pickedChange struct {
	of       slipway.CommitID
	from, to slipway.CommitID // what is done is their difference
	message  string
	author   Signature // zero for the committer
}

// Pick makes a branch on top of another on which the changes of commits or a pull request are made anew, or taken back. What conflicts is told in the answer;
// then no branch is made.
func (s *Service) Pick(ctx context.Context, req PickRequest) (Pick, error) {
	p := Pick{Repository: req.Repository, Kind: req.Kind, PullRequest: req.PullRequest, Commits: slices.Clone(req.Commits), Created: s.clock.Now(), CreatedBy: req.Actor,
		Conflicts: []string{}}
	if req.Kind != CherryPick && req.Kind != Revert {
		return p, slipway.Invalid("pick by cherryPick or revert, not %q", shorten(string(req.Kind), 40))
	}
	if err := req.Committer.check("a committer"); err != nil {
		return p, err
	}
	if req.Committer.Time.IsZero() {
		req.Committer.Time = p.Created
	}
	name := strings.TrimPrefix(req.Branch, branchPrefix)
	if err := checkBranch(name); err != nil {
		return p, err
	}
	p.Branch = branchPrefix + name
	onto, top, err := s.branch(ctx, req.Repository, "ontoRefName", req.Onto)
	if err != nil {
		return p, err
	}
	p.Onto = onto
	switch _, err := s.Resolve(ctx, req.Repository, p.Branch); {
	case err == nil:
		return p, slipway.Conflict("there is a branch %s already: choose another name", name)
	case slipway.CodeOf(err) != slipway.CodeNotFound:
		return p, err
	}
	changes, err := s.picked(ctx, &p)
	if err != nil {
		return p, err
	}
	start := top
	for _, c := range changes {
		if top, err = s.applyChange(ctx, req, c, top); err != nil {
			break
		}
	}
	var conflict rebaseConflict
	switch {
	case errors.As(err, &conflict):
		p.Reason, p.Conflicts, p.Conflicting = conflict.Error(), conflict.paths, conflict.commit
	case err != nil:
		return p, err
	case top == start:
		p.Reason = fmt.Sprintf("branch %s would get no change by it", strings.TrimPrefix(p.Onto, branchPrefix))
	default:
		if err := s.moveRefs(ctx, req.Repository, refMove{Ref: p.Branch, After: top}); err != nil {
			return p, err
		}
	}
	return s.keepPick(context.WithoutCancel(ctx), p)
}

// keepPick writes the row, and announces the branch.
func (s *Service) keepPick(ctx context.Context, p Pick) (Pick, error) {
	if p.Reason == "" {
		if _, err := s.Announce(ctx, p.Repository, p.CreatedBy, p.Branch); err != nil {
			return p, err
		}
	}
	return s.insertPick(ctx, p)
}

// insertPick writes the row.
func (s *Service) insertPick(ctx context.Context, p Pick) (Pick, error) {
	commits, err := json.Marshal(p.Commits)
	if err != nil {
		return p, fmt.Errorf("encode commits: %w", err)
	}
	conflicts, err := json.Marshal(p.Conflicts)
	if err != nil {
		return p, fmt.Errorf("encode conflicts: %w", err)
	}
	by, err := json.Marshal(p.CreatedBy)
	if err != nil {
		return p, fmt.Errorf("encode actor: %w", err)
	}
	status := "completed"
	if p.Reason != "" {
		status = "failed"
	}
	const insert = `
		INSERT INTO git_picks (repository, kind, pull_request, commits, onto, branch, status, reason, conflicts, conflicting, created, created_by)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id`
	err = s.db.QueryRowContext(ctx, insert, string(p.Repository), string(p.Kind), int64(p.PullRequest), string(commits), p.Onto, p.Branch, status, p.Reason, string(conflicts),
		string(p.Conflicting), db.Micros(p.Created), string(by)).Scan(&p.ID)
	if err != nil {
		return p, fmt.Errorf("note what was picked: %w", err)
	}
	return p, nil
}

// picked lists the changes that are made, and names the commits that they are of.
func (s *Service) picked(ctx context.Context, p *Pick) ([]pickedChange, error) {
	if p.PullRequest != 0 {
		if len(p.Commits) > 0 {
			return nil, slipway.Invalid("name a pull request or commits, not both")
		}
		return s.pickedPullRequest(ctx, p)
	}
	if n := len(p.Commits); n == 0 || n > maxPicked {
		return nil, slipway.Invalid("name a pull request or 1 to %d commits", maxPicked)
	}
	var changes []pickedChange
	for _, id := range p.Commits {
		if err := checkCommitID(id); err != nil {
			return nil, err
		}
		c, err := s.Commit(ctx, p.Repository, id)
		if err != nil {
			return nil, err
		}
		changes = append(changes, pickOf(p.Kind, c))
	}
	return changes, nil
}

// pickOf is what a commit did to its first parent, or the reverse.
func pickOf(kind PickKind, c Commit) pickedChange {
	var parent slipway.CommitID
	if len(c.Parents) > 0 {
		parent = c.Parents[0]
	}
	if kind == CherryPick {
		return pickedChange{of: c.ID, from: parent, to: c.ID, author: c.Author,
			message: strings.TrimRight(c.Message, "\n") + fmt.Sprintf("\n\n(cherry picked from commit %s)", c.ID)}
	}
	message := fmt.Sprintf("Revert %q\n\nThis reverts commit %s", c.Subject(), c.ID) // as git-revert(1) writes it
	if len(c.Parents) > 1 {
		message += ", reversing\nchanges made to " + string(parent)
	}
	return pickedChange{of: c.ID, from: c.ID, to: parent, message: message + "."}
}

// pickedPullRequest picks the commits of a pull request one by one, and reverts all that it did at once.
func (s *Service) pickedPullRequest(ctx context.Context, p *Pick) ([]pickedChange, error) {
	pull, err := s.PullRequest(ctx, p.PullRequest)
	if err == nil && pull.Repository != p.Repository {
		err = slipway.NotFound("the repository has no pull request %d", p.PullRequest)
	}
	if err != nil {
		return nil, err
	}
	last := pull.SourceCommit
	if pull.Status == PullRequestCompleted {
		last = pull.MergeCommit
	}
	if p.Kind == Revert {
		if pull.Status != PullRequestCompleted {
			return nil, slipway.Conflict("pull request %d is %s: there is nothing to revert", pull.ID, pull.Status)
		}
		p.Commits = []slipway.CommitID{last}
		return []pickedChange{{of: last, from: last, to: pull.TargetCommit,
			message: fmt.Sprintf("Revert %q\n\nThis reverts pull request %d, which brought commit %s.", pull.Title, pull.ID, last)}}, nil
	}
	args := []string{"rev-list", "--no-merges", "--topo-order", fmt.Sprintf("--max-count=%d", maxPicked+1), string(last), "^" + string(pull.TargetCommit)}
	ids, err := s.revList(ctx, p.Repository, args, nil)
	if err != nil {
		return nil, err
	}
	if len(ids) > maxPicked {
		return nil, slipway.Limit("pull request %d has more than %d commits: pick them with git", pull.ID, maxPicked)
	}
	slices.Reverse(ids)
	commits, err := s.commits(ctx, p.Repository, ids)
	if err != nil {
		return nil, err
	}
	var changes []pickedChange
	for _, c := range commits {
		p.Commits = append(p.Commits, c.ID)
		changes = append(changes, pickOf(CherryPick, c))
	}
	return changes, nil
}

// applyChange writes a commit on top of onto that does what from to to does. One that changes nothing there any more is left out.
func (s *Service) applyChange(ctx context.Context, req PickRequest, c pickedChange, onto slipway.CommitID) (slipway.CommitID, error) {
	tree := func(commit slipway.CommitID) (string, error) {
		if commit.IsZero() {
			return formatOf(string(onto)).emptyTree(), nil
		}
		one, err := s.Commit(ctx, req.Repository, commit)
		return one.Tree, err
	}
	// A merge of two stand-ins whose only common ancestor has the tree that the change is from.
	standIn := func(commit slipway.CommitID, parents ...slipway.CommitID) (slipway.CommitID, error) {
		t, err := tree(commit)
		if err != nil {
			return "", err
		}
		return s.writeCommit(ctx, req.Repository, newCommit{tree: t, parents: parents, message: "stand-in", author: req.Committer, committer: req.Committer})
	}
	base, err := standIn(c.from)
	if err != nil {
		return "", err
	}
	ours, err := standIn(onto, base)
	if err != nil {
		return "", err
	}
	theirs, err := standIn(c.to, base)
	if err != nil {
		return "", err
	}
	m, err := s.mergeTrees(ctx, req.Repository, ours, theirs)
	if err != nil {
		return "", err
	}
	if len(m.conflicts) > 0 {
		return "", rebaseConflict{c.of, m.conflicts}
	}
	was, err := tree(onto)
	if err != nil || m.tree == was {
		return onto, err
	}
	if c.author.Name == "" && c.author.Email == "" {
		c.author = req.Committer
	}
	return s.writeCommit(ctx, req.Repository, newCommit{tree: m.tree, parents: []slipway.CommitID{onto}, message: c.message, author: c.author, committer: req.Committer})
}

const pickColumns = `id, repository, kind, pull_request, commits, onto, branch, reason, conflicts, conflicting, created, created_by`

func scanPick(row interface{ Scan(...any) error }, p *Pick) error {
	var created int64
	var commits, conflicts, by string
	err := row.Scan(&p.ID, (*string)(&p.Repository), (*string)(&p.Kind), (*int64)(&p.PullRequest), &commits, &p.Onto, &p.Branch, &p.Reason, &conflicts,
		(*string)(&p.Conflicting), &created, &by)
	if err != nil {
		return err
	}
	p.Created = db.Time(created)
	return errors.Join(json.Unmarshal([]byte(commits), &p.Commits), json.Unmarshal([]byte(conflicts), &p.Conflicts), json.Unmarshal([]byte(by), &p.CreatedBy))
}

// PickByID returns what became of a request, by its number.
func (s *Service) PickByID(ctx context.Context, id slipway.RepositoryID, kind PickKind, number int64) (Pick, error) {
	return s.onePick(ctx, `SELECT `+pickColumns+` FROM git_picks WHERE repository = $1 AND kind = $2 AND id = $3`, string(id), string(kind), number)
}

// PickOfBranch returns the newest request for a branch.
func (s *Service) PickOfBranch(ctx context.Context, id slipway.RepositoryID, kind PickKind, branch string) (Pick, error) {
	return s.onePick(ctx, `SELECT `+pickColumns+` FROM git_picks WHERE repository = $1 AND kind = $2 AND branch = $3 ORDER BY id DESC LIMIT 1`, string(id), string(kind), branch)
}

func (s *Service) onePick(ctx context.Context, query string, args ...any) (Pick, error) {
	p, err := db.One(ctx, s.db, scanPick, query, args...)
	if db.IsNoRows(err) {
		return p, slipway.NotFound("there is no such cherry-pick or revert")
	}
	if err != nil {
		return p, fmt.Errorf("find what was picked: %w", err)
	}
	return p, nil
}

// RestoreSource makes the source branch of a pull request again, at the commit that it was last at.
func (s *Service) RestoreSource(ctx context.Context, by slipway.Actor, id slipway.PullRequestID) error {
	p, err := s.PullRequest(ctx, id)
	if err != nil {
		return err
	}
	if err := s.mayPush(ctx, p, by); err != nil {
		return err
	}
	if _, err := s.Resolve(ctx, p.source(), p.Source); err == nil {
		return slipway.Conflict("branch %s is there", p.SourceBranch())
	} else if slipway.CodeOf(err) != slipway.CodeNotFound {
		return err
	}
	if err := s.giveSource(ctx, p, p.SourceCommit, by); err != nil {
		return err
	}
	if err := s.moveRefs(ctx, p.source(), refMove{Ref: p.Source, After: p.SourceCommit}); err != nil {
		return err
	}
	_, err = s.Announce(context.WithoutCancel(ctx), p.source(), by, p.Source)
	return err
}

// HasSource says whether the source branch of a pull request is there.
func (s *Service) HasSource(ctx context.Context, p PullRequest) (bool, error) {
	_, err := s.Resolve(ctx, p.source(), p.Source)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return false, nil
	}
	return err == nil, err
}
