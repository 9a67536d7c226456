package insights

import (
	"context"
	"fmt"
	"time"

	"slipway/internal/insights/store"
	"slipway/internal/insights/telemetry"
)

// LogPosition is how far a container's output was read: the time of the last line that is durable, in whole
// microseconds, and how many lines have that very time. The rows themselves are the position, so that no line is
// lost or doubled however the process ends.
type LogPosition struct {
	Time  time.Time // zero when there is no line
	Lines int64
}

// LogPosition finds how far a container's output was read.
func (s *Service) LogPosition(ctx context.Context, namespace, pod, container string) (LogPosition, error) {
	list, err := store.List(ctx, s.store, func(row interface{ Scan(...any) error }, p *LogPosition) error { return row.Scan(&p.Time, &p.Lines) },
		`SELECT "timestamp", count(*) FROM traces WHERE namespace = $1 AND pod = $2 AND container = $3 AND source = $4
		GROUP BY "timestamp" ORDER BY "timestamp" DESC LIMIT 1`, namespace, pod, container, telemetry.SourceContainer)
	if err != nil || len(list) == 0 {
		return LogPosition{}, err
	}
	return list[0], nil
}

// SeenClusterEvents says which of Kubernetes' events are kept already: how many times each had happened, by UID.
func (s *Service) SeenClusterEvents(ctx context.Context, since time.Time) (map[string]int64, error) {
	type seen struct {
		uid   string
		count int64
	}
	list, err := store.List(ctx, s.store, func(row interface{ Scan(...any) error }, e *seen) error { return row.Scan(&e.uid, &e.count) },
		fmt.Sprintf(`SELECT customDimensions->>'uid' AS uid, max(CAST(customDimensions->>'count' AS BIGINT)) FROM kubernetesEvents
		WHERE "timestamp" >= $1 GROUP BY uid HAVING uid IS NOT NULL LIMIT %d`, 100_000), since.UTC())
	if err != nil {
		return nil, err
	}
	m := map[string]int64{}
	for _, e := range list {
		m[e.uid] = e.count
	}
	return m, nil
}
