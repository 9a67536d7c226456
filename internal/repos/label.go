package repos

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"slipway"
	"slipway/internal/db"
)

// Bounds of labels.
const (
	maxLabel  = 100 // characters of a name
	maxLabels = 50  // of one pull request
)

// labelSpace makes labels' ids of their projects and names.
var labelSpace = uuid.MustParse("5ff2ba1c-5a0c-4dd4-9a55-0a1e0b2f3c0d")

// Label is a word by which pull requests are found.
type Label struct{ Name string }

// ID is the same for all labels of a project that are called alike, in any case.
func (l Label) ID(project slipway.ProjectID) uuid.UUID {
	return uuid.NewSHA1(labelSpace, []byte(string(project)+"/"+strings.ToLower(l.Name)))
}

// AddLabel gives a pull request a label; one that it has already stays as it is.
func (s *Service) AddLabel(ctx context.Context, by slipway.Actor, id slipway.PullRequestID, name string) (Label, error) {
	name = strings.TrimSpace(name)
	if n := utf8.RuneCountInString(name); n == 0 || n > maxLabel || strings.ContainsAny(name, ",;\x00\n") {
		p := slipway.Invalid("a label has 1 to %d characters, without commas, semicolons and line breaks", maxLabel)
		p.Field = "name"
		return Label{}, p
	}
	err := s.changeExtras(ctx, by, id, func(tx *db.Tx) error {
		n, err := db.One(ctx, tx, db.Value[int64], `SELECT count(*) FROM pull_request_labels WHERE pull_request = $1`, int64(id))
		if err != nil {
			return err
		}
		if n >= maxLabels {
			return slipway.Limit("pull request %d has %d labels already", id, n)
		}
		const insert = `INSERT INTO pull_request_labels (pull_request, name_key, name) VALUES ($1, $2, $3) ON CONFLICT (pull_request, name_key) DO NOTHING`
		_, err = tx.ExecContext(ctx, insert, int64(id), strings.ToLower(name), name)
		return err
	})
	if err != nil {
		return Label{}, fmt.Errorf("label pull request %d: %w", id, err)
	}
	return Label{name}, nil
}

// RemoveLabel takes a label away, by its name or its id.
func (s *Service) RemoveLabel(ctx context.Context, by slipway.Actor, p PullRequest, nameOrID string) error {
	label, err := s.Label(ctx, p, nameOrID)
	if err != nil {
		return err
	}
	err = s.changeExtras(ctx, by, p.ID, func(tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM pull_request_labels WHERE pull_request = $1 AND name_key = $2`, int64(p.ID), strings.ToLower(label.Name))
		return err
	})
	if err != nil {
		return fmt.Errorf("remove label of pull request %d: %w", p.ID, err)
	}
	return nil
}

// changeExtras runs f in a transaction with the event of a change.
func (s *Service) changeExtras(ctx context.Context, by slipway.Actor, id slipway.PullRequestID, f func(tx *db.Tx) error) error {
	p, err := s.PullRequest(ctx, id)
	if err != nil {
		return err
	}
	r, err := s.Get(ctx, p.Repository)
	if err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return s.tellPullRequest(ctx, tx, EventPullRequestUpdated, r, p, by, nil)
	})
}

// Label finds one of a pull request's labels by its name or its id.
func (s *Service) Label(ctx context.Context, p PullRequest, nameOrID string) (Label, error) {
	all, err := s.Labels(ctx, p.ID)
	if err != nil {
		return Label{}, err
	}
	for _, l := range all[p.ID] {
		if strings.EqualFold(l.Name, nameOrID) || l.ID(p.Project).String() == strings.ToLower(nameOrID) {
			return l, nil
		}
	}
	return Label{}, slipway.NotFound("pull request %d has no label %q", p.ID, shorten(nameOrID, 100))
}

// Labels returns the labels of pull requests in the order of their names.
func (s *Service) Labels(ctx context.Context, ids ...slipway.PullRequestID) (map[slipway.PullRequestID][]Label, error) {
	all := map[slipway.PullRequestID][]Label{}
	type row struct {
		pull int64
		name string
	}
	scan := func(r interface{ Scan(...any) error }, l *row) error { return r.Scan(&l.pull, &l.name) }
	for part := range slices.Chunk(ids, 100) {
		var args []any
		var places []string
		for _, id := range part {
			args = append(args, int64(id))
			places = append(places, fmt.Sprintf("$%d", len(args)))
		}
		query := `SELECT pull_request, name FROM pull_request_labels WHERE pull_request IN (` + strings.Join(places, ", ") + `) ORDER BY pull_request, name_key`
		list, err := db.List(ctx, s.db, scan, query, args...)
		if err != nil {
			return nil, fmt.Errorf("list labels: %w", err)
		}
		for _, l := range list {
			id := slipway.PullRequestID(l.pull)
			all[id] = append(all[id], Label{l.name})
		}
	}
	return all, nil
}

// maxLikes bounds those who like one comment and are named.
const maxLikes = 1000

// CommentKey names a comment of a pull request.
type CommentKey struct {
	Thread int64
	Number int
}

// Like notes that somebody likes a comment, or does no more.
func (s *Service) Like(ctx context.Context, by slipway.Actor, id slipway.PullRequestID, c CommentKey, likes bool) error {
	if one, err := s.comment(ctx, id, c.Thread, c.Number); err != nil {
		return err
	} else if one.Deleted {
		return slipway.Conflict("comment %d was deleted", c.Number)
	}
	actor, err := json.Marshal(by)
	if err != nil {
		return fmt.Errorf("encode actor: %w", err)
	}
	if likes {
		const insert = `
			INSERT INTO pull_request_likes (thread, number, user_id, actor, liked) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (thread, number, user_id) DO NOTHING`
		_, err = s.db.ExecContext(ctx, insert, c.Thread, c.Number, by.ID, string(actor), db.Micros(s.clock.Now()))
	} else {
		_, err = s.db.ExecContext(ctx, `DELETE FROM pull_request_likes WHERE thread = $1 AND number = $2 AND user_id = $3`, c.Thread, c.Number, by.ID)
	}
	if err != nil {
		return fmt.Errorf("like comment %d of thread %d: %w", c.Number, c.Thread, err)
	}
	return nil
}

// Likes returns who likes the comments of a pull request, in the order in which they said so.
func (s *Service) Likes(ctx context.Context, id slipway.PullRequestID) (map[CommentKey][]slipway.Actor, error) {
	type row struct {
		CommentKey
		actor slipway.Actor
	}
	scan := func(r interface{ Scan(...any) error }, l *row) error {
		var actor string
		if err := r.Scan(&l.Thread, &l.Number, &actor); err != nil {
			return err
		}
		return json.Unmarshal([]byte(actor), &l.actor)
	}
	const query = `
		SELECT l.thread, l.number, l.actor FROM pull_request_likes l JOIN pull_request_threads t ON t.id = l.thread
		WHERE t.pull_request = $1 ORDER BY l.liked, l.user_id LIMIT $2`
	list, err := db.List(ctx, s.db, scan, query, int64(id), maxLikes)
	if err != nil {
		return nil, fmt.Errorf("list likes of pull request %d: %w", id, err)
	}
	all := map[CommentKey][]slipway.Actor{}
	for _, l := range list {
		all[l.CommentKey] = append(all[l.CommentKey], l.actor)
	}
	return all, nil
}
