package insights

import (
	"context"
	"slices"
	"strings"
	"time"

	"slipway"
)

// Side is one side of a comparison.
type Side struct {
	Deployment Deployment
	From, To   time.Time
	Requests   Latency
	Exceptions int64
}

// OperationChange is one operation on both sides.
type OperationChange struct {
	Name, Service string
	Now, Before   Latency
}

// Comparison sets a deployment against the one before it in its environment.
type Comparison struct {
	Now, Before Side
	Operations  []OperationChange // the most frequent now first
}

// Compare sets the requests that a deployment served since it completed, at most for window, against those of the
// same length that the deployment before it served last. NotFound when one of the two is not known.
func (s *Service) Compare(ctx context.Context, id slipway.DeploymentID, window time.Duration) (Comparison, error) {
	now, err := s.Deployment(ctx, id)
	if err != nil {
		return Comparison{}, err
	}
	before, err := s.Before(ctx, now)
	if err != nil {
		return Comparison{}, err
	}
	from := now.Started
	if !now.Completed.IsZero() {
		from = now.Completed
	}
	to := earlier(from.Add(window), s.clock.Now().Add(time.Second))
	c := Comparison{
		Now:    Side{Deployment: now, From: from, To: to},
		Before: Side{Deployment: before, From: from.Add(-window), To: from},
	}
	operations := map[[2]string]*OperationChange{}
	change := func(o OperationLatency) *OperationChange {
		key := [2]string{o.Service, o.Name}
		if operations[key] == nil {
			operations[key] = &OperationChange{Name: o.Name, Service: o.Service}
		}
		return operations[key]
	}
	list, err := s.side(ctx, &c.Now)
	if err != nil {
		return c, err
	}
	for _, o := range list {
		change(o).Now = o.Latency
	}
	if list, err = s.side(ctx, &c.Before); err != nil {
		return c, err
	}
	for _, o := range list {
		change(o).Before = o.Latency
	}
	for _, o := range operations {
		c.Operations = append(c.Operations, *o)
	}
	slices.SortFunc(c.Operations, func(a, b OperationChange) int {
		if a.Now.Count != b.Now.Count {
			return int(b.Now.Count - a.Now.Count)
		}
		return strings.Compare(a.Service+" "+a.Name, b.Service+" "+b.Name)
	})
	return c, nil
}

func (s *Service) side(ctx context.Context, side *Side) ([]OperationLatency, error) {
	f := Filter{Project: side.Deployment.Project, Deployment: side.Deployment.ID, From: side.From, To: side.To}
	h, err := s.Health(ctx, f)
	if err != nil {
		return nil, err
	}
	side.Requests, side.Exceptions = h.Requests, h.Exceptions
	return s.Operations(ctx, f, 200)
}
