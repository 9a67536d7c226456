package pipelines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/trigger"
	"slipway/internal/pipelines/variable"
)

// errOvertaken says that somebody else decided in between, so that the rows must be read again.
var errOvertaken = errors.New("decided by somebody else in between")

// keepPushes is how long a batched push is remembered after its run began, so that it may be told of again.
const keepPushes = 30 * 24 * time.Hour

// waitingPush is a push to a branch that is batched and no run has taken yet.
type waitingPush struct {
	event   int64
	commit  slipway.CommitID
	actor   slipway.Actor
	waiting trigger.Waiting
}

func scanWaiting(row interface{ Scan(...any) error }, w *waitingPush) error {
	var actor, paths, section string
	e := &w.waiting.Event
	if err := row.Scan(&w.event, &e.Ref, (*string)(&w.commit), &e.Message, &actor, &paths, &e.PathsUnknown, &section); err != nil {
		return err
	}
	return decodeColumns(column{actor, &w.actor}, column{paths, &e.Paths}, column{section, &w.waiting.Trigger})
}

// batch keeps a push to a branch whose file says trigger.batch, and starts the branch's next run if none is under way. The
// run that took the push is returned when there is one.
func (s *Service) batch(ctx context.Context, d Definition, p Push, section plan.Push) (Run, bool, error) {
	texts := [3]string{}
	for i, v := range []any{p.Actor, p.Paths, section} {
		b, err := json.Marshal(v)
		if err != nil {
			return Run{}, false, err
		}
		texts[i] = string(b)
	}
	const insert = `
		INSERT INTO pipeline_pushes (pipeline, event, ref, commit_id, message, actor, paths, paths_unknown, section, received, run)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
			(SELECT COALESCE(MAX(run), 0) FROM pipeline_pushes WHERE pipeline = $1 AND ref = $3 AND event > $2 AND run > 0))
		ON CONFLICT (pipeline, event) DO NOTHING`
	_, err := s.db.ExecContext(ctx, insert, int64(d.ID), p.Event, p.Ref, string(p.After), p.Message, texts[0], texts[1], p.PathsUnknown, texts[2],
		db.Micros(s.clock.Now()))
	if err != nil {
		return Run{}, false, fmt.Errorf("keep push %d: %w", p.Event, err)
	}
	if err := s.startBatch(ctx, d, p.Ref); err != nil {
		return Run{}, false, err
	}
	id, err := db.One(ctx, s.db, db.Value[int64], `SELECT run FROM pipeline_pushes WHERE pipeline = $1 AND event = $2`, int64(d.ID), p.Event)
	if err != nil || id <= 0 {
		return Run{}, false, err
	}
	run, err := s.Get(ctx, slipway.RunID(id))
	return run, err == nil, err
}

// startBatch does what trigger.NextBatch decides for a branch. It may be called at any time.
func (s *Service) startBatch(ctx context.Context, d Definition, ref string) error {
	for { // each round another server, or another push, was faster
		list, decision, err := s.nextBatch(ctx, s.db, d.ID, ref)
		if err != nil || decision == trigger.BatchWaits {
			return err
		}
		newest := list[len(list)-1]
		if decision == trigger.BatchEnds {
			return takePushes(ctx, s.db, d.ID, ref, newest.event, -1)
		}
		req := QueueRequest{Pipeline: d.ID, Actor: newest.actor, Ref: ref, Commit: newest.commit, message: newest.waiting.Event.Message,
			reason: variable.ReasonBatchedCI, cause: pushCause(newest.event, d.ID)}
		req.claim = func(ctx context.Context, tx *db.Tx) error { return s.claimBatch(ctx, tx, d.ID, ref, newest.event) }
		req.claimed = func(ctx context.Context, tx *db.Tx, run slipway.RunID) error {
			return errors.Join(takePushes(ctx, tx, d.ID, ref, newest.event, run), s.forgetPushes(ctx, tx, d.ID))
		}
		_, err = s.queue(ctx, d, req)
		if errors.Is(err, errOvertaken) {
			continue
		}
		if slipway.CodeOf(err) == slipway.CodeNotFound { // the commit is gone, after a forced push and git's tidying up
			s.Logger.Warn("a push that waited cannot be built any more", "pipeline", d.Name, "ref", ref, "commit", newest.commit, "error", err)
			return takePushes(ctx, s.db, d.ID, ref, newest.event, -1)
		}
		return err
	}
}

// nextBatch reads what waits for a branch, oldest first, and decides.
func (s *Service) nextBatch(ctx context.Context, q db.Querier, pipeline slipway.PipelineID, ref string) ([]waitingPush, trigger.Batch, error) {
	const query = `SELECT event, ref, commit_id, message, actor, paths, paths_unknown, section FROM pipeline_pushes
		WHERE run = 0 AND pipeline = $1 AND ref = $2 ORDER BY event LIMIT 1000`
	list, err := db.List(ctx, q, scanWaiting, query, int64(pipeline), ref)
	if err != nil {
		return nil, 0, fmt.Errorf("list pushes that wait: %w", err)
	}
	const count = `SELECT COUNT(*) FROM pipeline_runs
		WHERE pipeline = $1 AND ref = $2 AND state <> 'completed' AND reason IN ('IndividualCI', 'BatchedCI')`
	n, err := db.One(ctx, q, db.Value[int], count, int64(pipeline), ref)
	if err != nil {
		return nil, 0, fmt.Errorf("count runs under way: %w", err)
	}
	waiting := make([]trigger.Waiting, len(list))
	for i := range list {
		waiting[i] = list[i].waiting
	}
	return list, trigger.NextBatch(n > 0, waiting), nil
}

// WaitingPushes counts the pushes that wait for the run under way of their branch, by its full name (trigger.batch).
func (s *Service) WaitingPushes(ctx context.Context, pipeline slipway.PipelineID) (map[string]int, error) {
	counts := map[string]int{}
	_, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, _ *struct{}) error {
		var ref string
		var n int
		err := row.Scan(&ref, &n)
		counts[ref] = n
		return err
	}, `SELECT ref, COUNT(*) FROM pipeline_pushes WHERE run = 0 AND pipeline = $1 GROUP BY ref ORDER BY ref LIMIT 1000`, int64(pipeline))
	if err != nil {
		return nil, fmt.Errorf("count pushes that wait: %w", err)
	}
	return counts, nil
}

// claimBatch makes sure in the transaction that creates a run that it is still the one to create. Transactions that do so
// for one pipeline come one after the other.
func (s *Service) claimBatch(ctx context.Context, tx *db.Tx, pipeline slipway.PipelineID, ref string, event int64) error {
	if tx.Engine() == db.Postgres {
		if _, err := tx.ExecContext(ctx, `SELECT id FROM pipeline_definitions WHERE id = $1 FOR NO KEY UPDATE`, int64(pipeline)); err != nil {
			return fmt.Errorf("lock pipeline %d: %w", pipeline, err)
		}
	}
	list, decision, err := s.nextBatch(ctx, tx, pipeline, ref)
	if err == nil && (decision != trigger.BatchStarts || list[len(list)-1].event != event) {
		err = errOvertaken
	}
	return err
}

// takePushes records what became of the pushes that wait for a branch, up to one: the run that builds them, or -1.
func takePushes(ctx context.Context, q db.Querier, pipeline slipway.PipelineID, ref string, event int64, run slipway.RunID) error {
	const update = `UPDATE pipeline_pushes SET run = $1 WHERE run = 0 AND pipeline = $2 AND ref = $3 AND event <= $4`
	if _, err := q.ExecContext(ctx, update, int64(run), int64(pipeline), ref, event); err != nil {
		return fmt.Errorf("take pushes: %w", err)
	}
	return nil
}

// startBatches looks at every branch for which pushes wait.
func (s *Service) startBatches(ctx context.Context) error {
	type branch struct {
		pipeline slipway.PipelineID
		ref      string
	}
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, b *branch) error {
		return row.Scan((*int64)(&b.pipeline), &b.ref)
	},
		`SELECT DISTINCT pipeline, ref FROM pipeline_pushes WHERE run = 0 ORDER BY pipeline, ref LIMIT 1000`)
	if err != nil {
		return fmt.Errorf("list branches for which pushes wait: %w", err)
	}
	var errs []error
	for _, b := range list {
		d, err := s.Definition(ctx, b.pipeline)
		if err == nil {
			err = s.startBatch(ctx, d, b.ref)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("pipeline %d, %s: %w", b.pipeline, b.ref, err))
		}
	}
	return errors.Join(errs...)
}

// forgetPushes drops the pushes of a pipeline that were taken long ago.
func (s *Service) forgetPushes(ctx context.Context, tx *db.Tx, pipeline slipway.PipelineID) error {
	const remove = `DELETE FROM pipeline_pushes WHERE pipeline = $1 AND run <> 0 AND received < $2`
	if _, err := tx.ExecContext(ctx, remove, int64(pipeline), db.Micros(s.clock.Now().Add(-keepPushes))); err != nil {
		return fmt.Errorf("forget old pushes: %w", err)
	}
	return nil
}

func pushCause(event int64, pipeline slipway.PipelineID) string {
	return fmt.Sprintf("push/%d/%d", event, pipeline)
}
