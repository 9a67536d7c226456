package events

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/db"
)

// Handler acts on one event. It may be called again for the same event after a failure or a crash. An error is
// tried again with growing waits; slipway.Retry chooses the wait, slipway.NeedsHuman ends the tries.
type Handler func(ctx context.Context, e Event) error

// Log is the event log of one installation.
type Log struct {
	db        *db.DB
	clock     clock.Clock
	logger    *slog.Logger
	watchers  watchers
	consumers map[string]consumer
	tasks     map[string]TaskHandler
	insert    *river.Client[*sql.Tx]

	mu      sync.Mutex
	started bool
}

type consumer struct {
	wants   func(Event) bool
	handler Handler
}

// Open migrates the log's tables and River's, and returns the log. Consumers subscribe before Run.
func Open(ctx context.Context, d *db.DB, c clock.Clock, logger *slog.Logger) (*Log, error) {
	if err := d.Migrate(ctx, "events", Migrations); err != nil {
		return nil, err
	}
	l := &Log{db: d, clock: c, logger: logger, consumers: map[string]consumer{}, tasks: map[string]TaskHandler{}}
	var err error
	if d.Engine() == db.Postgres {
		err = migrateRiver(ctx, riverpgxv5.New(d.Pool()), logger)
		if err == nil {
			l.insert, err = river.NewClient(riverdatabasesql.New(nil), &river.Config{Logger: queueLogger(logger)})
		}
	} else {
		err = migrateRiver(ctx, riversqlite.New(d.QueueDB()), logger)
		if err == nil {
			l.insert, err = river.NewClient(riversqlite.New(nil), &river.Config{Logger: queueLogger(logger)})
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open job queue: %w", err)
	}
	return l, nil
}

// queueLogger passes on what the job queue warns of; what else it says, every few seconds, tells an operator nothing.
func queueLogger(logger *slog.Logger) *slog.Logger { return slog.New(warnings{logger.Handler()}) }

type warnings struct{ slog.Handler }

func (w warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && w.Handler.Enabled(ctx, level)
}

func (w warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{w.Handler.WithAttrs(attrs)}
}

func (w warnings) WithGroup(name string) slog.Handler { return warnings{w.Handler.WithGroup(name)} }

func migrateRiver[T any](ctx context.Context, driver riverdriver.Driver[T], logger *slog.Logger) error {
	m, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	result, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil)
	if err == nil && len(result.Versions) > 0 {
		logger.Info("job queue migrated", "versions", len(result.Versions))
	}
	return err
}

// Subscribe registers a consumer under a name that stays the same for ever: deliveries are remembered under it.
// It panics after Run has begun or on a name used twice, both being faults of the wiring.
func (l *Log) Subscribe(name string, handler Handler, kinds ...Kind) {
	l.SubscribeWhere(name, handler, func(e Event) bool { return slices.Contains(kinds, e.Kind) })
}

// SubscribeWhere is Subscribe for a consumer that says for each event whether it wants it, in the transaction that appends it: wants is
// quick, asks no database, and may be called from many goroutines.
func (l *Log) SubscribeWhere(name string, handler Handler, wants func(Event) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, taken := l.consumers[name]; taken || l.started {
		panic("events: consumer " + name + " subscribed twice or too late")
	}
	l.consumers[name] = consumer{wants: wants, handler: handler}
}

// delivery is the River job that hands one event to one consumer.
type delivery struct {
	Consumer string `json:"consumer"`
	EventID  int64  `json:"event_id"`
}

// Kind implements river.JobArgs.
func (delivery) Kind() string { return "event_delivery" }

func (l *Log) enqueue(ctx context.Context, tx *db.Tx, e Event) error {
	var jobs []river.InsertManyParams
	for name, c := range l.consumers {
		if c.wants(e) {
			jobs = append(jobs, river.InsertManyParams{Args: delivery{Consumer: name, EventID: e.ID}})
		}
	}
	if len(jobs) == 0 {
		return nil
	}
	_, err := l.insert.InsertManyTx(ctx, tx.Tx, jobs)
	return err
}

// Run delivers events until ctx ends, then waits for the deliveries under way, at most ten seconds.
func (l *Log) Run(ctx context.Context) error {
	l.mu.Lock()
	l.started = true
	l.mu.Unlock()
	if l.db.Engine() == db.Postgres {
		return work[pgx.Tx](ctx, l, riverpgxv5.New(l.db.Pool()))
	}
	return work[*sql.Tx](ctx, l, riversqlite.New(l.db.QueueDB()))
}

const (
	concurrentDeliveries = 16
	deliveryTimeout      = 5 * time.Minute
	pollInterval         = 100 * time.Millisecond
)

func work[T any](ctx context.Context, l *Log, driver riverdriver.Driver[T]) error {
	workers := river.NewWorkers()
	river.AddWorker(workers, &deliverer{log: l})
	river.AddWorker(workers, &tasker{log: l})
	client, err := river.NewClient(driver, &river.Config{
		Logger:            queueLogger(l.logger),
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: concurrentDeliveries}, taskQueue: {MaxWorkers: concurrentTasks}},
		Workers:           workers,
		FetchCooldown:     10 * time.Millisecond,
		FetchPollInterval: pollInterval,
		JobTimeout:        deliveryTimeout,
	})
	if err != nil {
		return fmt.Errorf("start job queue: %w", err)
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("start job queue: %w", err)
	}
	<-ctx.Done()
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := client.Stop(stopping); err != nil {
		return client.StopAndCancel(context.WithoutCancel(ctx))
	}
	return nil
}

type deliverer struct {
	river.WorkerDefaults[delivery]
	log *Log
}

// Work hands the event to its consumer and remembers that it did.
func (d *deliverer) Work(ctx context.Context, job *river.Job[delivery]) error {
	c, ok := d.log.consumers[job.Args.Consumer]
	if !ok {
		return river.JobCancel(fmt.Errorf("no consumer %q any more", job.Args.Consumer))
	}
	done, err := d.log.delivered(ctx, job.Args)
	if err != nil || done {
		return err
	}
	e, err := d.log.Get(ctx, job.Args.EventID)
	if err != nil {
		return err
	}
	if err := c.handler(WithCause(ctx, e.ID), e); err != nil {
		return d.log.failed(job, e, err)
	}
	return d.log.remember(ctx, job.Args)
}

func (l *Log) failed(job *river.Job[delivery], e Event, err error) error {
	l.logger.Warn("event delivery failed", "consumer", job.Args.Consumer, "event", e.ID, "kind", e.Kind,
		"attempt", job.Attempt, "error", err)
	return answer(err)
}

// answer tells River what comes next.
func answer(err error) error {
	var human *slipway.NeedsHumanError
	if errors.As(err, &human) {
		return river.JobCancel(err)
	}
	var retry *slipway.RetryError
	if errors.As(err, &retry) {
		return river.JobSnooze(retry.After)
	}
	return err
}

// NextRetry tries soon at first: half a second, doubling up to five minutes.
func (d *deliverer) NextRetry(job *river.Job[delivery]) time.Time {
	return nextRetry(d.log.clock, len(job.Errors))
}

func nextRetry(c clock.Clock, failures int) time.Time {
	wait := 500 * time.Millisecond << min(failures, 10)
	return c.Now().Add(min(wait, 5*time.Minute))
}

var _ rivertype.JobArgs = delivery{}
