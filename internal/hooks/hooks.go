// Package hooks tells other systems what happens, by HTTP: outgoing service hooks. A subscription chooses events by their kind and by
// fields of their payload; each event that matches becomes a delivery, which is posted, signed, and tried again for some hours. What was
// sent and what was answered is kept for a while, and can be sent again.
//
// It is a consumer of the event log like others and knows no domain: kinds and payloads are texts to it. Who may subscribe, the doors ask
// identity.
package hooks

import (
	"context"
	"embed"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/httpx"
	"slipway/internal/secret"
)

// Migrations holds this package's tables.
//
//go:embed migrations
var Migrations embed.FS

const (
	consumerName = "hooks.match"
	taskName     = "hooks.deliver"

	refreshInterval = 10 * time.Second // after which another server's changes to subscriptions are known here
	keepDeliveries  = 30 * 24 * time.Hour
	answerTimeout   = 20 * time.Second
	maxAnswer       = 16 << 10 // bytes of an answer that are kept
)

// Options are what hooks need to know of the installation.
type Options struct {
	// Networks may be called besides public addresses.
	Networks []netip.Prefix
	// URL is the server's, for addresses in what is sent.
	URL string
}

// Service sends what subscriptions ask for. It is safe for concurrent use.
type Service struct {
	db      *db.DB
	log     *events.Log
	box     *secret.Box
	clock   clock.Clock
	logger  *slog.Logger
	options Options
	client  *http.Client
	active  atomic.Pointer[[]Subscription] // those that are enabled, as of the last look
}

// Open migrates the tables, subscribes to the log and returns the service. It comes before the log runs.
func Open(ctx context.Context, d *db.DB, log *events.Log, box *secret.Box, c clock.Clock, logger *slog.Logger, o Options) (*Service, error) {
	if err := d.Migrate(ctx, "hooks", Migrations); err != nil {
		return nil, err
	}
	s := &Service{db: d, log: log, box: box, clock: c, logger: logger, options: o, client: httpx.Outbound(o.Networks)}
	// A redirect could send what is meant for one place to another, and browsers' rules make a GET of it.
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if err := s.refresh(ctx); err != nil {
		return nil, err
	}
	log.SubscribeWhere(consumerName, s.match, func(e events.Event) bool { return len(s.matching(e)) > 0 })
	log.HandleTasks(taskName, s.deliver)
	return s, nil
}

// Run keeps up with subscriptions that other servers change, and forgets old deliveries, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	refresh, purge := time.NewTicker(refreshInterval), time.NewTicker(time.Hour)
	defer refresh.Stop()
	defer purge.Stop()
	work := func(what string, f func(context.Context) error) {
		if err := f(ctx); err != nil && ctx.Err() == nil {
			s.logger.Error("hooks: "+what+" failed", "error", err)
		}
	}
	work("removal of old deliveries", s.purge)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-refresh.C:
			work("look at subscriptions", s.refresh)
		case <-purge.C:
			work("removal of old deliveries", s.purge)
		}
	}
}

// refresh remembers the subscriptions that are enabled, so that appending an event asks no database.
func (s *Service) refresh(ctx context.Context) error {
	list, err := db.List(ctx, s.db, scanSubscription, `SELECT `+subscriptionColumns+` FROM hook_subscriptions WHERE state = $1`, string(Enabled))
	if err != nil {
		return fmt.Errorf("list subscriptions: %w", err)
	}
	s.active.Store(&list)
	return nil
}

func (s *Service) matching(e events.Event) []Subscription {
	var list []Subscription
	for _, one := range *s.active.Load() {
		if one.Matches(e) {
			list = append(list, one)
		}
	}
	return list
}

func (s *Service) purge(ctx context.Context) error {
	before := s.clock.Now().Add(-keepDeliveries)
	if _, err := s.db.ExecContext(ctx, `DELETE FROM hook_deliveries WHERE created < $1 AND state <> $2`, db.Micros(before), string(Pending)); err != nil {
		return fmt.Errorf("remove old deliveries: %w", err)
	}
	return nil
}
