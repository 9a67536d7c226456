package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// DeliveryState is how far a delivery has come.
type DeliveryState string

// The states.
const (
	Pending   DeliveryState = "pending" // not sent yet, or to be tried again
	Succeeded DeliveryState = "succeeded"
	Failed    DeliveryState = "failed" // and not tried again
)

// Delivery is what a subscription was told of an event.
type Delivery struct {
	ID           int64
	Subscription string
	Event        int64 // 0 of a test
	Kind         string
	Body         string
	State        DeliveryState
	Attempts     int
	Created      time.Time
	Attempted    time.Time     // last; zero for not yet
	Took         time.Duration // of the last attempt
	Request      string        // head of the last request, secrets masked
	Status       int           // of the last answer; 0 for none
	Answer       string        // its head and the beginning of its body
	Error        string        // why the last attempt failed; empty when it did not
}

const deliveryColumns = `id, subscription_id, event_id, kind, body, state, attempts, created, attempted, micros, request, status, answer, error`

func scanDelivery(row interface{ Scan(...any) error }, d *Delivery) error {
	var created, attempted, micros int64
	err := row.Scan(&d.ID, &d.Subscription, &d.Event, &d.Kind, &d.Body, (*string)(&d.State), &d.Attempts, &created, &attempted, &micros, &d.Request, &d.Status, &d.Answer, &d.Error)
	d.Created, d.Attempted, d.Took = db.Time(created), db.Time(attempted), time.Duration(micros)*time.Microsecond
	return err
}

// Deliveries lists up to limit (at most 1000) deliveries of a subscription, the newest first; those in a state when that is not empty.
func (s *Service) Deliveries(ctx context.Context, n Subscription, state DeliveryState, limit int) ([]Delivery, error) {
	if limit <= 0 || limit > 1000 {
		limit = 1000
	}
	const query = `SELECT ` + deliveryColumns + ` FROM hook_deliveries WHERE subscription_id = $1 AND ($2 = '' OR state = $2) ORDER BY id DESC LIMIT $3`
	list, err := db.List(ctx, s.db, scanDelivery, query, n.ID, string(state), limit)
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	return list, nil
}

// Delivery returns one of a subscription.
func (s *Service) Delivery(ctx context.Context, n Subscription, id int64) (Delivery, error) {
	d, err := db.One(ctx, s.db, scanDelivery, `SELECT `+deliveryColumns+` FROM hook_deliveries WHERE id = $1 AND subscription_id = $2`, id, n.ID)
	if db.IsNoRows(err) {
		return d, slipway.NotFound("the subscription has no delivery %d; those of more than 30 days ago are forgotten", id)
	}
	if err != nil {
		return d, fmt.Errorf("get delivery: %w", err)
	}
	return d, nil
}

// match makes a delivery for each subscription that the event matches.
func (s *Service) match(ctx context.Context, e events.Event) error {
	for _, n := range s.matching(e) {
		body, err := s.body(n, e)
		if err != nil {
			return err
		}
		if _, err := s.queue(ctx, n, e, fmt.Sprintf("%s/event/%d", n.ID, e.ID), string(body)); err != nil {
			return err
		}
	}
	return nil
}

// Test sends the subscription an event of kind hooks.test.
func (s *Service) Test(ctx context.Context, n Subscription, by slipway.Actor) (Delivery, error) {
	e := events.Event{Kind: kindTest, Version: 1, Time: s.clock.Now(), Project: n.Project, Subject: slipway.Ref(slipway.RefProject, n.Project), Actor: by,
		Payload: json.RawMessage(`{"message":"a test of this subscription"}`)}
	body, err := s.body(n, e)
	if err != nil {
		return Delivery{}, err
	}
	return s.queue(ctx, n, e, n.ID+"/test/"+uuid.NewString(), string(body))
}

// Redeliver sends what was sent before once more, as a delivery of its own.
func (s *Service) Redeliver(ctx context.Context, n Subscription, d Delivery) (Delivery, error) {
	return s.queue(ctx, n, events.Event{ID: d.Event, Kind: events.Kind(d.Kind)}, n.ID+"/again/"+uuid.NewString(), d.Body)
}

// queue stores a delivery and has it sent after the transaction. One of the same origin is not made twice.
func (s *Service) queue(ctx context.Context, n Subscription, e events.Event, origin, body string) (d Delivery, err error) {
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		const insert = `
			INSERT INTO hook_deliveries (subscription_id, origin, event_id, kind, body, state, attempts, created, attempted, micros, request, status, answer, error)
			VALUES ($1, $2, $3, $4, $5, $6, 0, $7, 0, 0, '', 0, '', '') ON CONFLICT (origin) DO NOTHING RETURNING ` + deliveryColumns
		d, err = db.One(ctx, tx, scanDelivery, insert, n.ID, origin, e.ID, string(e.Kind), body, string(Pending), db.Micros(s.clock.Now()))
		if db.IsNoRows(err) {
			return nil // it is there
		}
		if err != nil {
			return fmt.Errorf("queue delivery: %w", err)
		}
		return s.log.QueueTask(ctx, tx, taskName, d.ID)
	})
	return d, err
}

// deliver sends a delivery, and says when to try again.
func (s *Service) deliver(ctx context.Context, id int64) error {
	d, err := db.One(ctx, s.db, scanDelivery, `SELECT `+deliveryColumns+` FROM hook_deliveries WHERE id = $1`, id)
	if db.IsNoRows(err) || err == nil && d.State != Pending {
		return nil
	}
	if err != nil {
		return fmt.Errorf("get delivery %d: %w", id, err)
	}
	n, err := s.Subscription(ctx, d.Subscription)
	if err != nil {
		return err
	}
	target, err := s.Target(n)
	if err != nil {
		return err
	}
	var again time.Duration
	if n.State != Enabled && d.Kind != string(kindTest) {
		d.State, d.Error = Failed, "the subscription is disabled"
	} else {
		again = s.attempt(ctx, n, target, &d)
		if ctx.Err() != nil && d.Status == 0 { // the server stops: that attempt was none
			return slipway.Retry(time.Second, ctx.Err())
		}
	}
	if err := s.finish(context.WithoutCancel(ctx), n, d, again < 0); err != nil {
		return err
	}
	if d.State == Pending {
		return slipway.Retry(again, errors.New(d.Error))
	}
	return nil
}

// finish stores how an attempt went, and disables a subscription that fails too often, or whose target says that it is gone.
func (s *Service) finish(ctx context.Context, n Subscription, d Delivery, gone bool) error {
	disabled := false
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		const update = `
			UPDATE hook_deliveries SET state = $2, attempts = $3, attempted = $4, micros = $5, request = $6, status = $7, answer = $8, error = $9 WHERE id = $1`
		if _, err := tx.ExecContext(ctx, update, d.ID, string(d.State), d.Attempts, db.Micros(d.Attempted), d.Took.Microseconds(), d.Request, d.Status, d.Answer, d.Error); err != nil {
			return fmt.Errorf("record delivery %d: %w", d.ID, err)
		}
		var err error
		switch {
		case d.State == Succeeded:
			_, err = tx.ExecContext(ctx, `UPDATE hook_subscriptions SET failures = 0 WHERE id = $1 AND failures > 0`, n.ID)
		case d.State == Failed && d.Attempts > 0 && d.Kind != string(kindTest):
			_, err = tx.ExecContext(ctx, `UPDATE hook_subscriptions SET failures = failures + 1 WHERE id = $1`, n.ID)
			if err == nil && (gone || n.Failures+1 >= maxFailures) {
				disabled = true
				_, err = tx.ExecContext(ctx, `UPDATE hook_subscriptions SET state = $2 WHERE id = $1 AND state = $3`, n.ID, string(DisabledBySystem), string(Enabled))
			}
		}
		if err != nil {
			return fmt.Errorf("record delivery %d: %w", d.ID, err)
		}
		return nil
	})
	if err != nil || !disabled {
		return err
	}
	s.logger.Warn("service hook disabled", "subscription", n.ID, "failures", n.Failures+1)
	return s.refresh(ctx)
}
