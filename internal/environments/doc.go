// Package environments owns where applications are deployed to: a project's environments, their variables and
// secrets, the checks that a stage must pass before it may touch them, and the history of deployments.
//
// It decides who may approve and what is current; it does not deploy. It knows no pipeline, no cluster and no
// registry: a run, a stage and a job are names to it, a namespace is a text that others use.
//
// A request for checks, one for each attempt of a stage, and each approval in it:
//
//	pending ──▶ approved     every approval of the request has its minimum of approvers
//	   │
//	   ├──▶ rejected         one approver said no
//	   ├──▶ timed_out        not enough said yes in time
//	   └──▶ cancelled        the run was cancelled meanwhile, or a later one overtook it at an exclusive lock
//
// A request whose approvals are there stays pending while it waits for the exclusive locks of its environments, in one
// queue: waiting ──▶ held ──▶ released, when its stage is over.
//
// A deployment:
//
//	running ──▶ succeeded | failed | cancelled
package environments

import (
	"context"
	"embed"
	"fmt"
	"log/slog"
	"time"

	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/secret"
)

// Migrations holds the tables of this package.
//
//go:embed migrations
var Migrations embed.FS

// Service keeps the environments of one installation. It is safe for concurrent use.
type Service struct {
	db     *db.DB
	events *events.Log
	box    *secret.Box
	clock  clock.Clock
	logger *slog.Logger
}

// Open migrates the tables and returns the service.
func Open(ctx context.Context, d *db.DB, l *events.Log, box *secret.Box, c clock.Clock, logger *slog.Logger) (*Service, error) {
	if err := d.Migrate(ctx, "environments", Migrations); err != nil {
		return nil, err
	}
	return &Service{db: d, events: l, box: box, clock: c, logger: logger}, nil
}

// expiryInterval is how often approvals are looked at for their timeout, whose unit is the minute.
const expiryInterval = 5 * time.Second

// Run ends approvals that have waited for too long, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(expiryInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if _, err := s.Expire(ctx); err != nil && ctx.Err() == nil {
				s.logger.Error("end approvals that timed out", "error", fmt.Errorf("expire approvals: %w", err))
			}
		}
	}
}
