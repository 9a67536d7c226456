package events

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
)

const eventColumns = `id, kind, version, time, project, subject, actor, cause, payload`

func scanEvent(row interface{ Scan(...any) error }, e *Event) error {
	var kind, project, subject, actor, payload string
	var micros int64
	if err := row.Scan(&e.ID, &kind, &e.Version, &micros, &project, &subject, &actor, &e.Cause, &payload); err != nil {
		return err
	}
	e.Kind, e.Project, e.Time, e.Payload = Kind(kind), slipway.ProjectID(project), db.Time(micros), json.RawMessage(payload)
	var err error
	if e.Subject, err = slipway.ParseReference(subject); err != nil {
		return err
	}
	return json.Unmarshal([]byte(actor), &e.Actor)
}

// Get returns one event with its references.
func (l *Log) Get(ctx context.Context, id int64) (Event, error) {
	e, err := db.One(ctx, l.db, scanEvent, `SELECT `+eventColumns+` FROM events WHERE id = $1`, id)
	if db.IsNoRows(err) {
		return e, slipway.NotFound("there is no event %d", id)
	}
	if err != nil {
		return e, fmt.Errorf("get event %d: %w", id, err)
	}
	list := []Event{e}
	err = l.addReferences(ctx, list)
	return list[0], err
}

// Filter chooses events; zero fields choose all.
type Filter struct {
	Project   slipway.ProjectID
	Kind      Kind
	Reference slipway.Reference
	After     int64 // only ids above this, oldest first; 0 means newest first
	Before    int64 // only ids below this; 0 for no limit
	Limit     int   // at most 1000, which is also the default

	People       bool      // only what users did
	Since, Until time.Time // only from the one on, and before the other; zero is no bound
}

// List returns events with their references.
func (l *Log) List(ctx context.Context, f Filter) ([]Event, error) {
	if f.Limit <= 0 || f.Limit > 1000 {
		f.Limit = 1000
	}
	order := "DESC"
	if f.After > 0 {
		order = "ASC"
	}
	var since, until int64
	if !f.Since.IsZero() {
		since = db.Micros(f.Since)
	}
	if !f.Until.IsZero() {
		until = db.Micros(f.Until)
	}
	query := `
		SELECT ` + eventColumns + ` FROM events
		WHERE id > $1 AND ($2 = '' OR project = $2) AND ($3 = '' OR kind = $3)
		  AND ($4 = '' OR id IN (SELECT event_id FROM event_references WHERE reference_kind = $4 AND reference_id = $5))
		  AND (id < $7 OR $7 = 0)
		  AND (NOT $8 OR actor LIKE '%"kind":"user"%')
		  AND (time >= $9 OR $9 = 0) AND (time < $10 OR $10 = 0)
		ORDER BY id ` + order + ` LIMIT $6`
	list, err := db.List(ctx, l.db, scanEvent, query, f.After, string(f.Project), string(f.Kind),
		string(f.Reference.Kind), f.Reference.ID, f.Limit, f.Before,
		f.People, since, until)
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	return list, l.addReferences(ctx, list)
}

func (l *Log) addReferences(ctx context.Context, list []Event) error {
	for i := range list {
		refs, err := db.List(ctx, l.db, func(row interface{ Scan(...any) error }, r *slipway.Reference) error {
			return row.Scan((*string)(&r.Kind), &r.ID)
		}, `SELECT reference_kind, reference_id FROM event_references WHERE event_id = $1 ORDER BY reference_kind, reference_id`, list[i].ID)
		if err != nil {
			return fmt.Errorf("list references of event %d: %w", list[i].ID, err)
		}
		list[i].References = refs
	}
	return nil
}

func (l *Log) delivered(ctx context.Context, d delivery) (bool, error) {
	n, err := db.One(ctx, l.db, db.Value[int64], `SELECT count(*) FROM event_deliveries WHERE consumer = $1 AND event_id = $2`, d.Consumer, d.EventID)
	return n > 0, err
}

func (l *Log) remember(ctx context.Context, d delivery) error {
	const insert = `INSERT INTO event_deliveries (consumer, event_id, time) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`
	_, err := l.db.ExecContext(ctx, insert, d.Consumer, d.EventID, db.Micros(l.clock.Now()))
	return err
}
