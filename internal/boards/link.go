package boards

import (
	"context"
	"fmt"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
)

// Link joins an item with a commit, a pull request, a run, a deployment, an alert or another thing of the loop.
type Link struct {
	To    slipway.Reference
	Title string // what people read
	URL   string // a path of this server, or empty
	Time  time.Time
	By    slipway.Actor
}

// Link links an item; it reports whether the link is new. Linking again changes nothing.
func (s *Service) Link(ctx context.Context, by slipway.Actor, id slipway.WorkItemID, l Link) (bool, error) {
	var isNew bool
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		i, err := getItem(ctx, tx, id)
		if err != nil {
			return err
		}
		isNew, err = s.link(ctx, tx, by, i, l)
		return err
	})
	return isNew, err
}

func (s *Service) link(ctx context.Context, tx *db.Tx, by slipway.Actor, i Item, l Link) (bool, error) {
	if _, err := slipway.ParseReference(l.To.String()); err != nil {
		return false, err
	}
	if l.URL != "" && (!strings.HasPrefix(l.URL, "/") || strings.HasPrefix(l.URL, "//")) {
		return false, slipway.Invalid("a link's address must be a path of this server")
	}
	if len(l.Title) > 1000 || len(l.URL) > 2000 || len(l.To.ID) > 500 {
		return false, slipway.Limit("the link is too long")
	}
	n, err := db.One(ctx, tx, db.Value[int64], `SELECT count(*) FROM boards_links WHERE item_id = $1`, int64(i.ID))
	if err != nil {
		return false, fmt.Errorf("link work item %d: %w", i.ID, err)
	}
	if n >= maxLinks {
		return false, slipway.Limit("work item %d has %d links already", i.ID, n)
	}
	actor, err := encodeActor(by)
	if err != nil {
		return false, err
	}
	const insert = `
		INSERT INTO boards_links (item_id, reference_kind, reference_id, title, url, time, actor) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT DO NOTHING`
	result, err := tx.ExecContext(ctx, insert, int64(i.ID), string(l.To.Kind), l.To.ID, l.Title, l.URL, db.Micros(s.clock.Now()), actor)
	if err != nil {
		return false, fmt.Errorf("link work item %d to %s: %w", i.ID, l.To, err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	return true, s.tell(ctx, tx, EventItemLinked, i, by, nil, l.To)
}

// Unlink takes a link away; a missing one is NotFound.
func (s *Service) Unlink(ctx context.Context, by slipway.Actor, id slipway.WorkItemID, to slipway.Reference) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		i, err := getItem(ctx, tx, id)
		if err != nil {
			return err
		}
		const statement = `DELETE FROM boards_links WHERE item_id = $1 AND reference_kind = $2 AND reference_id = $3`
		result, err := tx.ExecContext(ctx, statement, int64(id), string(to.Kind), to.ID)
		if err != nil {
			return fmt.Errorf("unlink work item %d from %s: %w", id, to, err)
		}
		if n, err := result.RowsAffected(); err == nil && n == 0 {
			return slipway.NotFound("work item %d has no link to %s", id, to)
		}
		return s.tell(ctx, tx, EventItemUnlinked, i, by, nil, to)
	})
}

// Links lists an item's links, newest first, at most 1000.
func (s *Service) Links(ctx context.Context, id slipway.WorkItemID) ([]Link, error) {
	const query = `
		SELECT reference_kind, reference_id, title, url, time, actor FROM boards_links
		WHERE item_id = $1 ORDER BY time DESC, reference_kind, reference_id LIMIT 1000`
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, l *Link) error {
		var micros int64
		var actor string
		if err := row.Scan((*string)(&l.To.Kind), &l.To.ID, &l.Title, &l.URL, &micros, &actor); err != nil {
			return err
		}
		l.Time = db.Time(micros)
		return decodeActor(actor, &l.By)
	}, query, int64(id))
	if err != nil {
		return nil, fmt.Errorf("list links of work item %d: %w", id, err)
	}
	return list, nil
}
