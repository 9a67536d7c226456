// Package events keeps the event log, the spine of Slipway: every change of state appends an event in the
// transaction that makes the change, and each consumer of its kind gets a durable job in that same transaction.
//
// Delivery is at least once and unordered between events; consumers are idempotent, and the log helps them by
// remembering which deliveries were done. The package knows no domain: domains declare their own kinds.
package events

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
)

// Migrations holds the tables of this package; River's own come from River.
//
//go:embed migrations
var Migrations embed.FS

// Kind names a type of event as `domain.what_happened`: `repos.pushed`.
type Kind string

// Event is one thing that happened. It carries references, not bodies: whoever wants more asks the domain.
type Event struct {
	ID         int64
	Kind       Kind
	Version    int // of Payload's shape, from 1
	Time       time.Time
	Project    slipway.ProjectID // empty when it belongs to no project
	Subject    slipway.Reference // what changed
	Actor      slipway.Actor     // who did it
	Cause      int64             // the event that led to this one, 0 for none
	References []slipway.Reference
	Payload    json.RawMessage // small, of the kind's own shape, without secrets
}

// maxPayload bounds an event's payload in bytes: events carry references, not bodies.
const maxPayload = 64 << 10

// Decode reads the payload into v.
func (e Event) Decode(v any) error {
	if err := json.Unmarshal(e.Payload, v); err != nil {
		return fmt.Errorf("decode payload of event %d (%s): %w", e.ID, e.Kind, err)
	}
	return nil
}

// Reference returns the id of the event's first reference of that kind, its subject included.
func (e Event) Reference(kind slipway.ReferenceKind) (string, bool) {
	for _, r := range append([]slipway.Reference{e.Subject}, e.References...) {
		if r.Kind == kind {
			return r.ID, true
		}
	}
	return "", false
}

// Append writes the event in the caller's transaction, queues its deliveries, and after the commit wakes those
// who watch. It fills in ID, Time (when zero), Cause (from ctx, when zero) and an empty Payload. payload may be nil.
func (l *Log) Append(ctx context.Context, tx *db.Tx, e *Event, payload any) error {
	if payload != nil {
		b, err := json.Marshal(payload)
		if err != nil {
			return fmt.Errorf("encode payload of %s: %w", e.Kind, err)
		}
		e.Payload = b
	}
	if len(e.Payload) == 0 {
		e.Payload = json.RawMessage("{}")
	}
	if len(e.Payload) > maxPayload {
		return fmt.Errorf("payload of %s has %d bytes, more than %d", e.Kind, len(e.Payload), maxPayload)
	}
	if e.Time.IsZero() {
		e.Time = l.clock.Now()
	}
	if e.Version == 0 {
		e.Version = 1
	}
	if e.Cause == 0 {
		e.Cause = causeFrom(ctx)
	}
	if e.Actor.Kind == "" {
		e.Actor = slipway.System
	}
	actor, err := json.Marshal(e.Actor)
	if err != nil {
		return fmt.Errorf("encode actor of %s: %w", e.Kind, err)
	}
	const insert = `
		INSERT INTO events (kind, version, time, project, subject, actor, cause, payload)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id`
	err = tx.QueryRowContext(ctx, insert, string(e.Kind), e.Version, db.Micros(e.Time), string(e.Project), e.Subject.String(),
		string(actor), e.Cause, string(e.Payload)).Scan(&e.ID)
	if err != nil {
		return fmt.Errorf("append event %s: %w", e.Kind, err)
	}
	for _, r := range e.allReferences() {
		const insert = `INSERT INTO event_references (event_id, reference_kind, reference_id) VALUES ($1, $2, $3)`
		if _, err := tx.ExecContext(ctx, insert, e.ID, string(r.Kind), r.ID); err != nil {
			return fmt.Errorf("append references of event %s: %w", e.Kind, err)
		}
	}
	if err := l.enqueue(ctx, tx, *e); err != nil {
		return fmt.Errorf("queue deliveries of event %s: %w", e.Kind, err)
	}
	done := *e
	tx.AfterCommit(func() { l.watchers.announce(done) })
	return nil
}

// allReferences is every thing that the event touches, once each.
func (e Event) allReferences() []slipway.Reference {
	seen := map[slipway.Reference]bool{}
	var list []slipway.Reference
	for _, r := range append([]slipway.Reference{e.Subject}, e.References...) {
		if r.ID != "" && !seen[r] {
			seen[r] = true
			list = append(list, r)
		}
	}
	return list
}

type causeKey struct{}

// WithCause returns a context in which appended events name the event id as their cause.
func WithCause(ctx context.Context, id int64) context.Context {
	return context.WithValue(ctx, causeKey{}, id)
}

func causeFrom(ctx context.Context) int64 {
	id, _ := ctx.Value(causeKey{}).(int64)
	return id
}
