// Package lineage owns the graph of what led to what:
//
//	work item -> pull request -> commit -> run -> image -> deployment -> pod -> trace -> alert -> work item
//
// It is made from events alone (Edges) and can be made anew from the log at any time; recording an event again, or
// events out of their order, changes nothing. It knows no other domain: things are references, and whoever shows them
// asks their domain for their names.
package lineage

import (
	"context"
	"embed"
	"fmt"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// Migrations holds this package's table.
//
//go:embed migrations
var Migrations embed.FS

// Service keeps the graph. It is safe for concurrent use.
type Service struct{ db *db.DB }

// Open migrates the table and returns the service.
func Open(ctx context.Context, d *db.DB) (*Service, error) {
	if err := d.Migrate(ctx, "lineage", Migrations); err != nil {
		return nil, err
	}
	return &Service{db: d}, nil
}

// Events are the kinds of events that tell of edges: what Record is to be subscribed to.
func Events() []events.Kind {
	return []events.Kind{
		"repos.pull_request_created", "repos.pull_request_updated", "repos.pull_request_completed",
		"pipelines.run_queued", "pipelines.run_started", "pipelines.run_completed",
		"registry.pushed",
		"environments.deployment_started", "environments.deployment_completed",
		"clusters.applied", "clusters.pod_started", "clusters.pod_failed",
		"insights.telemetry_seen", "insights.alert_fired",
		"boards.item_linked",
	}
}

// Record adds an event's edges to the graph. It is an events.Handler.
func (s *Service) Record(ctx context.Context, e events.Event) error {
	edges := Edges(e)
	if len(edges) == 0 {
		return nil
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		for _, edge := range edges {
			const upsert = `
				INSERT INTO lineage_edges (project, from_kind, from_id, to_kind, to_id, event_id, time) VALUES ($1, $2, $3, $4, $5, $6, $7)
				ON CONFLICT (from_kind, from_id, to_kind, to_id, project)
				DO UPDATE SET event_id = excluded.event_id, time = excluded.time WHERE excluded.event_id > lineage_edges.event_id`
			if _, err := tx.ExecContext(ctx, upsert, string(e.Project), string(edge.From.Kind), edge.From.ID, string(edge.To.Kind), edge.To.ID,
				edge.Event, db.Micros(edge.Time)); err != nil {
				return fmt.Errorf("record edge %s -> %s: %w", edge.From, edge.To, err)
			}
		}
		return nil
	})
}

// Trace walks from a thing to all that led to it and all that it led to, within one project; an empty project means
// all of them, for callers who may see all. A thing that nothing is known of is a graph of itself alone.
func (s *Service) Trace(ctx context.Context, project slipway.ProjectID, r slipway.Reference) (Graph, error) {
	if !Knows(r.Kind) {
		return Graph{}, slipway.Invalid("a %s has no lineage: ask for a work item, pull request, commit, run, image, deployment, pod, trace or alert", r.Kind)
	}
	g, err := walk(ctx, r, func(ctx context.Context, r slipway.Reference, kind slipway.ReferenceKind, backwards bool, limit int) ([]Edge, error) {
		return s.neighbours(ctx, project, r, kind, backwards, limit)
	})
	if err != nil {
		return g, fmt.Errorf("trace %s: %w", r, err)
	}
	return g, nil
}

func scanEdge(row interface{ Scan(...any) error }, e *Edge) error {
	var micros int64
	err := row.Scan((*string)(&e.From.Kind), &e.From.ID, (*string)(&e.To.Kind), &e.To.ID, &e.Event, &micros)
	e.Time = db.Time(micros)
	return err
}

func (s *Service) neighbours(ctx context.Context, project slipway.ProjectID, r slipway.Reference, kind slipway.ReferenceKind, backwards bool, limit int) ([]Edge, error) {
	const columns = `SELECT from_kind, from_id, to_kind, to_id, event_id, time FROM lineage_edges `
	query := columns + `WHERE from_kind = $1 AND from_id = $2 AND to_kind = $3 AND ($4 = '' OR project = $4) ORDER BY time DESC, to_id LIMIT $5`
	if backwards {
		query = columns + `WHERE to_kind = $1 AND to_id = $2 AND from_kind = $3 AND ($4 = '' OR project = $4) ORDER BY time DESC, from_id LIMIT $5`
	}
	return db.List(ctx, s.db, scanEdge, query, string(r.Kind), r.ID, string(kind), string(project), limit+1)
}
