package pipelines

import "context"

// StartOwed does once what Run repeats.
func (s *Service) StartOwed(ctx context.Context) error { return s.startOwed(ctx) }
