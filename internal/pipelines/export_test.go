package pipelines

import (
	"context"

	"slipway/internal/pipelines/job"
)

// StartOwed does once what Run repeats.
func (s *Service) StartOwed(ctx context.Context) error { return s.startOwed(ctx) }

// PollPackages does once what Run repeats.
func (s *Service) PollPackages(ctx context.Context) error { return s.pollPackages(ctx) }

// Reconcile does once what Run repeats.
func (s *Service) Reconcile(ctx context.Context) error { return s.reconcile(ctx) }

// TrimCaches does once what Run repeats.
func (s *Service) TrimCaches(ctx context.Context) error { return s.trimCaches(ctx) }

// BeginAgentless does once what Run repeats, and leaves the calls that it began under way.
func (s *Service) BeginAgentless(ctx context.Context) error { return s.goOnAgentless(ctx) }

// GoOnAgentless does once what Run repeats, and waits for the calls that it began.
func (s *Service) GoOnAgentless(ctx context.Context) error {
	err := s.goOnAgentless(ctx)
	s.calls.wait()
	return err
}

// OpenedForTest is a connection with its secrets.
func OpenedForTest(s *Service, id string) job.Connection {
	c, err := s.ConnectionByID(context.Background(), id)
	if err != nil {
		panic(err)
	}
	out, err := s.opened(context.Background(), s.db, &c)
	if err != nil {
		panic(err)
	}
	return out
}

// TrimRuns does once what Run repeats.
func (s *Service) TrimRuns(ctx context.Context) error { return s.trimRuns(ctx) }
