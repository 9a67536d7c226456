package insights

import (
	"fmt"
	"strings"
	"time"

	"slipway"
)

// Filter chooses rows; zero fields choose all, but for Project, which is always one.
type Filter struct {
	Project     slipway.ProjectID
	Environment slipway.EnvironmentID
	Deployment  slipway.DeploymentID
	Service     string
	From, To    time.Time // From inclusive, To exclusive; the last hour when both are zero
}

func (s *Service) defaults(f Filter) Filter {
	if f.To.IsZero() {
		f.To = s.clock.Now().Add(time.Minute) // senders' clocks may run ahead
	}
	if f.From.IsZero() {
		f.From = f.To.Add(-time.Hour - time.Minute)
	}
	return f
}

// conditions are a query's WHERE clause with its arguments.
type conditions struct {
	parts []string
	args  []any
}

// where begins a clause with the filter's conditions.
func where(f Filter) *conditions {
	c := &conditions{}
	c.add(`project = ?`, string(f.Project))
	c.add(`"timestamp" >= ?`, f.From.UTC())
	c.add(`"timestamp" < ?`, f.To.UTC())
	if f.Environment != 0 {
		c.add(`environment = ?`, int64(f.Environment))
	}
	if f.Deployment != 0 {
		c.add(`deployment = ?`, int64(f.Deployment))
	}
	if f.Service != "" {
		c.add(`cloud_RoleName = ?`, f.Service)
	}
	return c
}

// add adds a condition; its question marks become numbered parameters.
func (c *conditions) add(condition string, args ...any) {
	for _, a := range args {
		condition = strings.Replace(condition, "?", c.arg(a), 1)
	}
	c.parts = append(c.parts, condition)
}

// arg adds an argument and returns its parameter.
func (c *conditions) arg(a any) string {
	c.args = append(c.args, a)
	return fmt.Sprintf("$%d", len(c.args))
}

func (c *conditions) String() string { return strings.Join(c.parts, " AND ") }

// limit bounds how many rows a caller may ask for.
func limit(n, preset, most int) int {
	if n <= 0 {
		return preset
	}
	return min(n, most)
}

type scanner interface{ Scan(dest ...any) error }

func milliseconds(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
