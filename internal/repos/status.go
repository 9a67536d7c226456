package repos

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/repos/policy"
)

// EventStatusPosted says that somebody posted a status. Its subject is the pull request or the commit, and its payload the status.
const EventStatusPosted events.Kind = "repos.status_posted"

// StatusState is what a status says, in Azure Repos' words.
type StatusState string

// The states of statuses.
const (
	StatusNotSet        StatusState = "notSet"
	StatusPending       StatusState = "pending"
	StatusSucceeded     StatusState = "succeeded"
	StatusFailed        StatusState = "failed"
	StatusError         StatusState = "error"
	StatusNotApplicable StatusState = "notApplicable"
)

// Status is what another service says of a commit, or of a pull request.
type Status struct {
	ID          int64                 `json:"id"`
	Repository  slipway.RepositoryID  `json:"repository"`
	PullRequest slipway.PullRequestID `json:"pull_request,omitempty"` // 0 for one of a commit
	Iteration   int                   `json:"iteration,omitempty"`    // of the pull request; the last one when 0 is posted
	Commit      slipway.CommitID      `json:"commit"`
	State       StatusState           `json:"state"`
	Genre       string                `json:"genre,omitempty"`
	Name        string                `json:"name"`
	Description string                `json:"description,omitempty"`
	URL         string                `json:"url,omitempty"` // of a page about it
	Created     time.Time             `json:"created"`
	CreatedBy   slipway.Actor         `json:"created_by"`
	// Origin is the run whose job posted it, nil for a person or another service.
	Origin *StatusOrigin `json:"origin,omitempty"`
}

// StatusOrigin is the run whose job's token posted a status.
type StatusOrigin struct {
	Run      slipway.RunID      `json:"run"`
	Pipeline slipway.PipelineID `json:"pipeline"`
	Ref      string             `json:"ref"`
	Commit   slipway.CommitID   `json:"commit"`
}

// maxStatuses bounds the statuses that are kept of a commit or a pull request.
const maxStatuses = 1000

func (st *Status) check() error {
	bad := func(field, format string, args ...any) error {
		p := slipway.Invalid(format, args...)
		p.Field = field
		return p
	}
	states := []StatusState{StatusNotSet, StatusPending, StatusSucceeded, StatusFailed, StatusError, StatusNotApplicable}
	switch {
	case !slices.Contains(states, st.State):
		return bad("state", "a status is notSet, pending, succeeded, failed, error or notApplicable, not %q", shorten(string(st.State), 40))
	case strings.TrimSpace(st.Name) == "" || len(st.Name) > 200 || len(st.Genre) > 200 || strings.ContainsAny(st.Name+st.Genre, "\n\x00"):
		return bad("context", "a status needs a name of one line, of at most 200 bytes, and a genre of at most as many")
	case len(st.Description) > 4000:
		return bad("description", "a status has a description of at most 4000 bytes")
	case st.URL == "":
		return nil
	}
	if u, err := url.Parse(st.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || len(st.URL) > 2000 {
		return bad("targetUrl", "write the address of a page that tells more, beginning with http:// or https://")
	}
	return nil
}

// PostStatus keeps a status of a commit, or of a pull request when it names one.
func (s *Service) PostStatus(ctx context.Context, st Status) (Status, error) {
	if err := st.check(); err != nil {
		return st, err
	}
	subject := slipway.Ref(slipway.RefCommit, st.Commit)
	if st.PullRequest != 0 {
		subject = slipway.Ref(slipway.RefPullRequest, st.PullRequest)
		if err := s.placeStatus(ctx, &st); err != nil {
			return st, err
		}
	} else if commit, err := s.Resolve(ctx, st.Repository, string(st.Commit)); err != nil || commit != st.Commit {
		return st, slipway.NotFound("the repository has no commit %q: write its full name", shorten(string(st.Commit), 64))
	}
	r, err := s.Get(ctx, st.Repository)
	if err != nil {
		return st, err
	}
	actor, err := json.Marshal(st.CreatedBy)
	if err != nil {
		return st, fmt.Errorf("encode actor: %w", err)
	}
	origin := []byte{}
	if st.Origin != nil {
		if origin, err = json.Marshal(st.Origin); err != nil {
			return st, fmt.Errorf("encode origin of status: %w", err)
		}
	}
	st.Created = s.clock.Now()
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		const count = `SELECT count(*) FROM git_statuses WHERE repository = $1 AND pull_request = $2 AND commit_id = $3`
		n, err := db.One(ctx, tx, db.Value[int64], count, string(st.Repository), int64(st.PullRequest), string(st.Commit))
		if err != nil {
			return err
		}
		if n >= maxStatuses {
			return slipway.Limit("%s has %d statuses already", subject, n)
		}
		const insert = `
			INSERT INTO git_statuses (repository, pull_request, iteration, commit_id, state, genre, name, description, target_url, created, created_by, origin)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id`
		err = tx.QueryRowContext(ctx, insert, string(st.Repository), int64(st.PullRequest), st.Iteration, string(st.Commit), string(st.State), st.Genre, st.Name,
			st.Description, st.URL, db.Micros(st.Created), string(actor), string(origin)).Scan(&st.ID)
		if err != nil {
			return err
		}
		e := events.Event{Kind: EventStatusPosted, Project: r.Project, Subject: subject, Actor: st.CreatedBy,
			References: []slipway.Reference{slipway.Ref(slipway.RefRepository, r.ID)}}
		return s.log.Append(ctx, tx, &e, st)
	})
	if err != nil {
		return st, fmt.Errorf("post status: %w", err)
	}
	return st, nil
}

// placeStatus finds the iteration of a pull request that a status is of.
func (s *Service) placeStatus(ctx context.Context, st *Status) error {
	iterations, err := s.Iterations(ctx, st.PullRequest)
	if err != nil {
		return err
	}
	if st.Iteration == 0 {
		st.Iteration = len(iterations)
	}
	if st.Iteration < 1 || st.Iteration > len(iterations) {
		bad := slipway.Invalid("pull request %d has %d iterations, and no iteration %d", st.PullRequest, len(iterations), st.Iteration)
		bad.Field = "iterationId"
		return bad
	}
	st.Commit = iterations[st.Iteration-1].SourceCommit
	return nil
}

func scanStatus(row interface{ Scan(...any) error }, st *Status) error {
	var created int64
	var by, origin string
	err := row.Scan(&st.ID, (*string)(&st.Repository), (*int64)(&st.PullRequest), &st.Iteration, (*string)(&st.Commit), (*string)(&st.State), &st.Genre, &st.Name,
		&st.Description, &st.URL, &created, &by, &origin)
	if err != nil {
		return err
	}
	st.Created = db.Time(created)
	if origin != "" {
		if err := json.Unmarshal([]byte(origin), &st.Origin); err != nil {
			return fmt.Errorf("read origin of status %d: %w", st.ID, err)
		}
	}
	return json.Unmarshal([]byte(by), &st.CreatedBy)
}

const statusColumns = `id, repository, pull_request, iteration, commit_id, state, genre, name, description, target_url, created, created_by, origin`

// CommitStatuses lists the statuses of a commit, newest first.
func (s *Service) CommitStatuses(ctx context.Context, id slipway.RepositoryID, commit slipway.CommitID) ([]Status, error) {
	const query = `SELECT ` + statusColumns + ` FROM git_statuses WHERE repository = $1 AND commit_id = $2 AND pull_request = 0 ORDER BY id DESC LIMIT $3`
	list, err := db.List(ctx, s.db, scanStatus, query, string(id), string(commit), maxStatuses)
	if err != nil {
		return nil, fmt.Errorf("list statuses of commit %s: %w", commit, err)
	}
	return list, nil
}

// PullRequestStatuses lists the statuses of a pull request, newest first.
func (s *Service) PullRequestStatuses(ctx context.Context, id slipway.PullRequestID) ([]Status, error) {
	list, err := db.List(ctx, s.db, scanStatus, `SELECT `+statusColumns+` FROM git_statuses WHERE pull_request = $1 ORDER BY id DESC LIMIT $2`, int64(id), maxStatuses)
	if err != nil {
		return nil, fmt.Errorf("list statuses of pull request %d: %w", id, err)
	}
	return list, nil
}

// PullRequestsOf lists the active pull requests whose source is at a commit.
func (s *Service) PullRequestsOf(ctx context.Context, id slipway.RepositoryID, commit slipway.CommitID) ([]slipway.PullRequestID, error) {
	const query = `SELECT id FROM pull_requests WHERE repository = $1 AND status = 'active' AND source_commit = $2 ORDER BY id LIMIT 1000`
	ids, err := db.List(ctx, s.db, db.Value[int64], query, string(id), string(commit))
	if err != nil {
		return nil, fmt.Errorf("list pull requests of commit %s: %w", commit, err)
	}
	var list []slipway.PullRequestID
	for _, id := range ids {
		list = append(list, slipway.PullRequestID(id))
	}
	return list, nil
}

// posted are the statuses that policies look at: the pull request's own, and those of its source commit.
func (s *Service) posted(ctx context.Context, p PullRequest) ([]policy.Posted, error) {
	own, err := s.PullRequestStatuses(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	commits, err := s.CommitStatuses(ctx, p.Repository, p.SourceCommit)
	if err != nil {
		return nil, err
	}
	all := append(own, commits...)
	slices.SortFunc(all, func(a, b Status) int { return int(b.ID - a.ID) })
	var list []policy.Posted
	for _, st := range all {
		one := policy.Posted{Name: st.Name, Genre: st.Genre, State: string(st.State), Description: st.Description, Author: st.CreatedBy.ID, AuthorName: st.CreatedBy.Name,
			Iteration: st.Iteration, Created: st.Created}
		if o := st.Origin; o != nil {
			one.Pipeline, one.OwnRun = int64(o.Pipeline), o.Ref == p.MergeRef() || o.Commit == p.SourceCommit
		}
		list = append(list, one)
	}
	return list, nil
}

// DeleteStatuses removes statuses of a pull request, all or none.
func (s *Service) DeleteStatuses(ctx context.Context, by slipway.Actor, id slipway.PullRequestID, statuses ...int64) error {
	err := s.changeExtras(ctx, by, id, func(tx *db.Tx) error {
		for _, one := range statuses {
			result, err := tx.ExecContext(ctx, `DELETE FROM git_statuses WHERE pull_request = $1 AND id = $2`, int64(id), one)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			if err == nil && n == 0 {
				err = slipway.NotFound("pull request %d has no status %d", id, one)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete statuses of pull request %d: %w", id, err)
	}
	return nil
}
