package pipelines

import "context"

// StartOwed does once what Run repeats.
func (s *Service) StartOwed(ctx context.Context) error { return s.startOwed(ctx) }

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
