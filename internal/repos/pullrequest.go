package repos

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// The kinds of events about pull requests. Their subject is the pull request, they refer to the commits that it brings, and their
// payload is a PullRequestPayload.
const (
	EventPullRequestCreated   events.Kind = "repos.pull_request_created"
	EventPullRequestUpdated   events.Kind = "repos.pull_request_updated" // title, description, draft, or what its branches are at
	EventPullRequestVoted     events.Kind = "repos.pull_request_voted"
	EventPullRequestCompleted events.Kind = "repos.pull_request_completed"
	EventPullRequestAbandoned events.Kind = "repos.pull_request_abandoned"
)

// PullRequestStatus says how far a pull request is, in Azure Repos' words.
type PullRequestStatus string

// The states of pull requests.
const (
	PullRequestActive    PullRequestStatus = "active"
	PullRequestCompleted PullRequestStatus = "completed" // its changes are on the target
	PullRequestAbandoned PullRequestStatus = "abandoned"
)

// MergeStatus is what a trial merge of an active pull request found, in Azure Repos' words.
type MergeStatus string

// The outcomes of trial merges.
const (
	MergeQueued    MergeStatus = "queued"    // not tried yet
	MergeSucceeded MergeStatus = "succeeded" // MergeCommit is the result
	MergeConflicts MergeStatus = "conflicts" // Conflicts names the files
	MergeFailure   MergeStatus = "failure"   // MergeReason says why
)

// MergeStrategy is how a pull request reaches its target, in Azure Repos' words.
type MergeStrategy string

// The strategies.
const (
	NoFastForward MergeStrategy = "noFastForward" // a merge commit
	Squash        MergeStrategy = "squash"        // one commit with all changes
	Rebase        MergeStrategy = "rebase"        // its commits anew on top of the target
	RebaseMerge   MergeStrategy = "rebaseMerge"   // the same with a merge commit on top: semi-linear
)

// Bounds of pull requests.
const (
	maxTitle          = 400      // characters
	maxDescription    = 64 << 10 // bytes
	toldDescription   = 16 << 10 // bytes of the description in an event
	maxPullCommits    = 1000     // that an event refers to and a page lists
	maxPullRequests   = 1000     // that a list returns
	maxIterations     = 10_000
	pullRequestPrefix = "refs/pull/"
)

// PullRequest asks that what one branch has comes to another.
type PullRequest struct {
	ID           slipway.PullRequestID
	Repository   slipway.RepositoryID
	Project      slipway.ProjectID
	Fork         slipway.RepositoryID // that has the source branch; empty when Repository has it
	ForkName     string               // of that repository when the pull request was opened
	Source       string               // `refs/heads/topic`
	Target       string               // `refs/heads/main`
	Title        string
	Description  string // Markdown
	Draft        bool
	Status       PullRequestStatus
	Created      time.Time
	CreatedBy    slipway.Actor
	Closed       time.Time // zero while it is active
	ClosedBy     slipway.Actor
	SourceCommit slipway.CommitID // what the branches are at; of a closed one, what they were at
	TargetCommit slipway.CommitID
	MergeStatus  MergeStatus
	MergeCommit  slipway.CommitID // the trial merge, at MergeRef; of a completed one the commit that the target got
	MergeReason  string           // why there is none
	Conflicts    []string         // paths, at most 200
	Completion   Completion       // what was asked for, of a completed one
	AutoComplete *AutoComplete    // nil when nobody asked for it

	workItems  int // linked to it, as was last told
	revision   int64
	completing slipway.CommitID // what the target gets, from before it gets it until this is completed
}

// MergeRef is where the trial merge of an active pull request can be fetched from: `refs/pull/12/merge`.
func (p PullRequest) MergeRef() string { return fmt.Sprintf("%s%d/merge", pullRequestPrefix, p.ID) }

// SourceBranch is the source without its prefix.
func (p PullRequest) SourceBranch() string { return strings.TrimPrefix(p.Source, branchPrefix) }

// TargetBranch is the target without its prefix.
func (p PullRequest) TargetBranch() string { return strings.TrimPrefix(p.Target, branchPrefix) }

// PullRequestPayload is the payload of the events of pull requests.
type PullRequestPayload struct {
	Repository    slipway.RepositoryID `json:"repository"`
	Name          string               `json:"name"`           // the repository's
	Fork          slipway.RepositoryID `json:"fork,omitempty"` // that has the source branch; empty when the repository has it
	Source        string               `json:"source"`
	Target        string               `json:"target"`
	Title         string               `json:"title"`
	Description   string               `json:"description"` // at most 16 KiB of it
	Draft         bool                 `json:"draft"`
	Status        PullRequestStatus    `json:"status"`
	SourceCommit  slipway.CommitID     `json:"source_commit"`
	TargetCommit  slipway.CommitID     `json:"target_commit"`
	MergeCommit   slipway.CommitID     `json:"merge_commit"`
	MergeStatus   MergeStatus          `json:"merge_status"`
	DefaultTarget bool                 `json:"default_target"`          // Target is the repository's default branch
	ResolveItems  bool                 `json:"resolve_items,omitempty"` // of a completed one: the linked work items are finished by it
}

// NewPullRequest asks for a pull request.
type NewPullRequest struct {
	Repository  slipway.RepositoryID
	Fork        slipway.RepositoryID // that has the source branch, to which the actor may push; empty when Repository has it
	Source      string               // a branch, with or without refs/heads/
	Target      string               // the default branch when empty
	Title       string               // the only commit's subject, or the source branch's name, when empty
	Description string
	Draft       bool
	Actor       slipway.Actor
}

// CreatePullRequest opens a pull request. Another active one of the same branches is a Conflict.
func (s *Service) CreatePullRequest(ctx context.Context, req NewPullRequest) (PullRequest, error) {
	r, err := s.Get(ctx, req.Repository)
	if err != nil {
		return PullRequest{}, err
	}
	if req.Target == "" {
		req.Target = r.DefaultBranch
	}
	p := PullRequest{Repository: r.ID, Project: r.Project, Title: strings.TrimSpace(req.Title), Description: req.Description, Draft: req.Draft,
		Status: PullRequestActive, Created: s.clock.Now(), CreatedBy: req.Actor, MergeStatus: MergeQueued, Conflicts: []string{}}
	from, err := s.openFork(ctx, r, req, &p)
	if err != nil {
		return PullRequest{}, err
	}
	if p.Source, p.SourceCommit, err = s.branch(ctx, from.ID, "sourceRefName", req.Source); err != nil {
		return PullRequest{}, err
	}
	if p.Target, p.TargetCommit, err = s.branch(ctx, r.ID, "targetRefName", req.Target); err != nil {
		return PullRequest{}, err
	}
	if p.Source == p.Target && p.Fork == "" {
		return PullRequest{}, slipway.Invalid("a pull request needs two branches, and %s is both its source and its target", p.SourceBranch())
	}
	if err := s.takeSource(ctx, p, p.SourceCommit, req.Actor); err != nil {
		return PullRequest{}, err
	}
	commits, _, err := s.Commits(ctx, r.ID, p.TargetCommit, p.SourceCommit, 2)
	if err != nil {
		return PullRequest{}, err
	}
	if len(commits) == 0 {
		return PullRequest{}, slipway.Invalid("branch %s has no commit that %s has not: there is nothing to bring", p.SourceBranch(), p.TargetBranch())
	}
	if p.Title == "" {
		p.Title = p.SourceBranch()
		if len(commits) == 1 {
			p.Title = commits[0].Subject()
		}
	}
	if err := p.check(); err != nil {
		return PullRequest{}, err
	}
	if err := s.insertPullRequest(ctx, r, &p); err != nil {
		return PullRequest{}, err
	}
	// Should this be cut short, the next push to either branch tries the merge.
	if err := s.follow(ctx, p.ID, req.Actor); err != nil && slipway.CodeOf(err) != slipway.CodeConflict {
		return PullRequest{}, err
	}
	return s.PullRequest(ctx, p.ID)
}

// branch finds a branch named in a request's field.
func (s *Service) branch(ctx context.Context, id slipway.RepositoryID, field, name string) (string, slipway.CommitID, error) {
	name = strings.TrimPrefix(name, branchPrefix)
	err := checkBranch(name)
	var commit slipway.CommitID
	if err == nil {
		commit, err = s.Resolve(ctx, id, branchPrefix+name)
	}
	if code := slipway.CodeOf(err); code == slipway.CodeNotFound || code == slipway.CodeInvalid {
		p := slipway.Invalid("there is no branch %q: push it first", name)
		p.Field = field
		return "", "", p
	}
	return branchPrefix + name, commit, err
}

func (p PullRequest) check() error {
	if n := utf8.RuneCountInString(p.Title); n == 0 || n > maxTitle || strings.ContainsAny(p.Title, "\x00\n") {
		bad := slipway.Invalid("a pull request needs a title of one line, of at most %d characters", maxTitle)
		bad.Field = "title"
		return bad
	}
	if len(p.Description) > maxDescription {
		bad := slipway.Limit("the description has %d bytes, more than the %d allowed", len(p.Description), maxDescription)
		bad.Field = "description"
		return bad
	}
	return nil
}

func (s *Service) insertPullRequest(ctx context.Context, r Repository, p *PullRequest) error {
	by, err := json.Marshal(p.CreatedBy)
	if err != nil {
		return fmt.Errorf("encode actor: %w", err)
	}
	base, err := s.MergeBase(ctx, p.Repository, p.TargetCommit, p.SourceCommit)
	if err != nil {
		return err
	}
	brings, err := s.brings(ctx, *p)
	if err != nil {
		return err
	}
	pusher, known, err := s.pusher(ctx, p.source(), p.Source, p.SourceCommit)
	if err != nil {
		return err
	}
	if !known || pusher.ID == "" {
		pusher = p.CreatedBy
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		const insert = `
			INSERT INTO pull_requests (revision, repository, project, source, target, title, description, draft, status, created, created_by, creator,
				closed, closed_by, source_commit, target_commit, merge_status, merge_commit, merge_reason, conflicts, completion, completing, fork, fork_name)
			VALUES (1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, '', $12, $13, $14, '', '', '[]', '', '', $15, $16) RETURNING id`
		err := tx.QueryRowContext(ctx, insert, string(p.Repository), string(p.Project), p.Source, p.Target, p.Title, p.Description, p.Draft,
			string(p.Status), db.Micros(p.Created), string(by), p.CreatedBy.ID, string(p.SourceCommit), string(p.TargetCommit), string(p.MergeStatus), string(p.Fork),
			p.ForkName).Scan((*int64)(&p.ID))
		if err != nil {
			return err
		}
		if err := s.addIteration(ctx, tx, *p, base, pusher); err != nil {
			return err
		}
		return s.tellPullRequest(ctx, tx, EventPullRequestCreated, r, *p, p.CreatedBy, brings)
	})
	if db.IsUniqueViolation(err) {
		return slipway.Conflict("there is an active pull request from %s into %s already", p.SourceBranch(), p.TargetBranch())
	}
	if err != nil {
		return fmt.Errorf("create pull request: %w", err)
	}
	return nil
}

// brings lists the commits that the source has and the target has not, newest first, at most 1000.
func (s *Service) brings(ctx context.Context, p PullRequest) ([]slipway.CommitID, error) {
	ids, _, err := s.newCommits(ctx, p.Repository, p.SourceCommit, []slipway.CommitID{p.TargetCommit}, maxPullCommits)
	return ids, err
}

// tellPullRequest appends an event about a pull request that concerns the commits.
func (s *Service) tellPullRequest(ctx context.Context, tx *db.Tx, kind events.Kind, r Repository, p PullRequest, by slipway.Actor, commits []slipway.CommitID) error {
	e := events.Event{Kind: kind, Project: p.Project, Subject: slipway.Ref(slipway.RefPullRequest, p.ID), Actor: by,
		References: []slipway.Reference{slipway.Ref(slipway.RefRepository, p.Repository)}}
	for _, c := range commits {
		e.References = append(e.References, slipway.Ref(slipway.RefCommit, c))
	}
	return s.log.Append(ctx, tx, &e, PullRequestPayload{Repository: p.Repository, Name: r.Name, Fork: p.Fork, Source: p.Source, Target: p.Target, Title: p.Title,
		Description: shorten(p.Description, toldDescription), Draft: p.Draft, Status: p.Status, SourceCommit: p.SourceCommit, TargetCommit: p.TargetCommit,
		MergeCommit: p.MergeCommit, MergeStatus: p.MergeStatus, DefaultTarget: p.Target == branchPrefix+r.DefaultBranch,
		ResolveItems: p.Status == PullRequestCompleted && p.Completion.ResolveItems})
}

const pullRequestColumns = `id, revision, repository, project, source, target, title, description, draft, status, created, created_by, closed, closed_by,
	source_commit, target_commit, merge_status, merge_commit, merge_reason, conflicts, completion, completing, auto_complete, work_items,
	fork, fork_name`

func scanPullRequest(row interface{ Scan(...any) error }, p *PullRequest) error {
	var created, closed int64
	var createdBy, closedBy, conflicts, completion, autoComplete string
	err := row.Scan((*int64)(&p.ID), &p.revision, (*string)(&p.Repository), (*string)(&p.Project), &p.Source, &p.Target, &p.Title, &p.Description, &p.Draft,
		(*string)(&p.Status), &created, &createdBy, &closed, &closedBy, (*string)(&p.SourceCommit), (*string)(&p.TargetCommit),
		(*string)(&p.MergeStatus), (*string)(&p.MergeCommit), &p.MergeReason, &conflicts, &completion, (*string)(&p.completing), &autoComplete, &p.workItems,
		(*string)(&p.Fork), &p.ForkName)
	if err != nil {
		return err
	}
	p.Created = db.Time(created)
	if closed != 0 {
		p.Closed = db.Time(closed)
	}
	for _, v := range []struct {
		text string
		into any
	}{{createdBy, &p.CreatedBy}, {closedBy, &p.ClosedBy}, {conflicts, &p.Conflicts}, {completion, &p.Completion}, {autoComplete, &p.AutoComplete}} {
		if v.text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(v.text), v.into); err != nil {
			return fmt.Errorf("read pull request %d: %w", p.ID, err)
		}
	}
	return nil
}

// PullRequest returns a pull request by its number.
func (s *Service) PullRequest(ctx context.Context, id slipway.PullRequestID) (PullRequest, error) {
	return getPullRequest(ctx, s.db, id)
}

func getPullRequest(ctx context.Context, q db.Querier, id slipway.PullRequestID) (PullRequest, error) {
	p, err := db.One(ctx, q, scanPullRequest, `SELECT `+pullRequestColumns+` FROM pull_requests WHERE id = $1`, int64(id))
	if db.IsNoRows(err) {
		return p, slipway.NotFound("there is no pull request %d", id)
	}
	if err != nil {
		return p, fmt.Errorf("get pull request %d: %w", id, err)
	}
	return p, nil
}

// PullRequestCommits lists the commits that a pull request brings, or brought, newest first, and whether there are more than 1000.
func (s *Service) PullRequestCommits(ctx context.Context, p PullRequest) ([]Commit, bool, error) {
	return s.Commits(ctx, p.Repository, p.TargetCommit, p.SourceCommit, maxPullCommits)
}

// PullRequestDiff is what a pull request changes: the source against the place where it left the target.
func (s *Service) PullRequestDiff(ctx context.Context, p PullRequest) (Diff, error) {
	base, err := s.MergeBase(ctx, p.Repository, p.TargetCommit, p.SourceCommit)
	if err != nil {
		return Diff{}, err
	}
	return s.Diff(ctx, p.Repository, base, p.SourceCommit)
}
