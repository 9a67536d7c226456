package insights

import (
	"context"
	"fmt"
	"time"

	"slipway/internal/insights/store"
)

// MetricRow is one data point or aggregate of a custom metric.
type MetricRow struct {
	Time                  time.Time
	Name, Namespace, Unit string
	Type, Temporality     string
	Service               string
	Value                 float64
	Count                 int64
	Min, Max              float64
	Dimensions            string // JSON
}

// Metrics lists data points, of one metric when name is not empty, the newest of each name first.
func (s *Service) Metrics(ctx context.Context, f Filter, name string, rows int) ([]MetricRow, error) {
	c := where(s.defaults(f))
	if name != "" {
		c.add(`name = ?`, name)
	}
	query := fmt.Sprintf(`SELECT "timestamp", name, metricNamespace, unit, type, temporality, cloud_RoleName, value, valueCount, valueMin, valueMax,
			customDimensions
		FROM customMetrics WHERE %s ORDER BY name, "timestamp" DESC LIMIT %d`, c, limit(rows, 200, 2000))
	return store.List(ctx, s.store, func(row interface{ Scan(...any) error }, m *MetricRow) error {
		return row.Scan(&m.Time, &m.Name, &m.Namespace, &m.Unit, &m.Type, &m.Temporality, &m.Service, &m.Value, &m.Count, &m.Min, &m.Max, &m.Dimensions)
	}, query, c.args...)
}
