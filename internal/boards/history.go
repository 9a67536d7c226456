package boards

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
)

// Revision is one change of an item's fields.
type Revision struct {
	Number  int64
	Time    time.Time
	By      slipway.Actor
	Changes []FieldChange
}

// History lists an item's revisions, newest first, at most 1000.
func (s *Service) History(ctx context.Context, id slipway.WorkItemID) ([]Revision, error) {
	const query = `SELECT revision, time, actor, changes FROM boards_revisions WHERE item_id = $1 ORDER BY revision DESC LIMIT 1000`
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, r *Revision) error {
		var micros int64
		var actor, changes string
		if err := row.Scan(&r.Number, &micros, &actor, &changes); err != nil {
			return err
		}
		r.Time = db.Time(micros)
		if err := decodeActor(actor, &r.By); err != nil {
			return err
		}
		return json.Unmarshal([]byte(changes), &r.Changes)
	}, query, int64(id))
	if err != nil {
		return nil, fmt.Errorf("list revisions of work item %d: %w", id, err)
	}
	return list, nil
}

// Comment is what somebody said about an item.
type Comment struct {
	ID   int64
	Time time.Time
	By   slipway.Actor
	Text string // Markdown
}

// Comment adds a comment.
func (s *Service) Comment(ctx context.Context, by slipway.Actor, id slipway.WorkItemID, text string) (Comment, error) {
	var c Comment
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		i, err := getItem(ctx, tx, id)
		if err != nil {
			return err
		}
		c, err = s.comment(ctx, tx, by, i, text)
		return err
	})
	return c, err
}

func (s *Service) comment(ctx context.Context, tx *db.Tx, by slipway.Actor, i Item, text string) (Comment, error) {
	c := Comment{Time: s.clock.Now(), By: by, Text: strings.TrimSpace(text)}
	if c.Text == "" {
		return c, slipway.Invalid("a comment needs some text")
	}
	if len(c.Text) > maxComment {
		return c, slipway.Limit("a comment has at most %d bytes", maxComment)
	}
	actor, err := encodeActor(by)
	if err != nil {
		return c, err
	}
	const insert = `INSERT INTO boards_comments (item_id, time, actor, text) VALUES ($1, $2, $3, $4) RETURNING id`
	if err := tx.QueryRowContext(ctx, insert, int64(i.ID), db.Micros(c.Time), actor, c.Text).Scan(&c.ID); err != nil {
		return c, fmt.Errorf("comment on work item %d: %w", i.ID, err)
	}
	return c, s.tell(ctx, tx, EventItemCommented, i, by, nil)
}

// Comments lists an item's comments, oldest first, at most 1000.
func (s *Service) Comments(ctx context.Context, id slipway.WorkItemID) ([]Comment, error) {
	const query = `SELECT id, time, actor, text FROM boards_comments WHERE item_id = $1 ORDER BY id LIMIT 1000`
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, c *Comment) error {
		var micros int64
		var actor string
		if err := row.Scan(&c.ID, &micros, &actor, &c.Text); err != nil {
			return err
		}
		c.Time = db.Time(micros)
		return decodeActor(actor, &c.By)
	}, query, int64(id))
	if err != nil {
		return nil, fmt.Errorf("list comments of work item %d: %w", id, err)
	}
	return list, nil
}
