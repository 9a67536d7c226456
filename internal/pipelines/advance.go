package pipelines

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
)

// maxRounds bounds the rounds of decisions after one fact.
const maxRounds = 1000

// change runs f on a run's situation in a transaction and then lets the scheduler decide what follows. f records facts.
func (s *Service) change(ctx context.Context, id slipway.RunID, f func(tx *db.Tx, sit *situation) error) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		sit, err := s.load(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := f(tx, sit); err != nil {
			return err
		}
		return s.advance(ctx, tx, sit)
	})
}

// advance records what schedule.After decides until there is nothing more to decide. Effects outside are Run's, woken
// after the commit.
func (s *Service) advance(ctx context.Context, tx *db.Tx, sit *situation) error {
	tx.AfterCommit(func() { s.Wake(); s.changed(sit.run.ID) })
	for range maxRounds {
		changed := sit.changed
		sit.changed = schedule.Changed{}
		actions := schedule.After(sit.plan, sit.facts, changed, &sit.memory)
		if err := s.journal(ctx, tx, sit, changed, actions); err != nil {
			return err
		}
		if len(actions) == 0 {
			return s.remember(ctx, tx, sit)
		}
		for _, a := range actions {
			if err := s.record(ctx, tx, sit, a); err != nil {
				return fmt.Errorf("%s %s of run %d: %w", a.Kind, a.Stage+a.Instance, sit.run.ID, err)
			}
		}
	}
	return fmt.Errorf("run %d: the scheduler does not come to rest", sit.run.ID)
}

// journal keeps what changed and what was decided then, to be replayed.
func (s *Service) journal(ctx context.Context, tx *db.Tx, sit *situation, changed schedule.Changed, actions []schedule.Action) error {
	e := schedule.Entry{Facts: schedule.Delta{All: changed.All, Canceled: sit.facts.Canceled, Result: sit.facts.Result,
		Stages: map[string]schedule.StageFacts{}, Jobs: map[string]schedule.JobFacts{}}}
	for _, name := range changed.Stages {
		e.Facts.Stages[name] = sit.facts.Stages[name]
	}
	for _, id := range changed.Jobs {
		f := sit.facts.Jobs[id]
		f.HasLegs = len(f.Legs) > 0
		f.Outputs, f.Legs = nil, nil
		e.Facts.Jobs[id] = f
	}
	for _, a := range actions {
		e.Actions = append(e.Actions, a.Recorded())
	}
	if len(e.Facts.Stages)+len(e.Facts.Jobs)+len(actions) == 0 {
		return nil
	}
	text, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode decisions of run %d: %w", sit.run.ID, err)
	}
	const insert = `INSERT INTO pipeline_decisions (run, number, time, entry) VALUES ($1, $2, $3, $4)`
	if _, err := tx.ExecContext(ctx, insert, int64(sit.run.ID), sit.number, db.Micros(s.clock.Now()), strings.ReplaceAll(string(text), `\u0000`, "")); err != nil {
		return fmt.Errorf("record decisions of run %d: %w", sit.run.ID, err)
	}
	sit.number++
	return nil
}

// record does one action: rows and events.
func (s *Service) record(ctx context.Context, tx *db.Tx, sit *situation, a schedule.Action) error {
	switch a.Kind {
	case schedule.ActionStartChecks, schedule.ActionStartStage, schedule.ActionSkipStage, schedule.ActionCompleteStage:
		return s.recordStage(ctx, tx, sit, a)
	case schedule.ActionCancelJob:
		return sit.cancelJob(ctx, tx, a.Instance, s.clock.Now())
	case schedule.ActionCompleteRun:
		sit.facts.Result = a.Result
		return s.completeRun(ctx, tx, &sit.run, a.Result)
	}
	return s.recordJob(ctx, tx, sit, a)
}

func (s *Service) recordStage(ctx context.Context, tx *db.Tx, sit *situation, a schedule.Action) error {
	st, now := sit.stage(a.Stage), s.clock.Now()
	switch a.Kind {
	case schedule.ActionStartChecks:
		st.State, st.Checks = schedule.Checking, schedule.ChecksPending
		if len(a.Environments) == 0 {
			st.Checks = schedule.ChecksApproved
			break
		}
		payload := StagePayload{Run: sit.run.ID, Stage: a.Stage, Title: a.Stage, Attempt: st.Attempt, Groups: a.Groups}
		if ps := sit.plan.Stage(a.Stage); ps != nil {
			payload.Title = ps.Title()
			payload.LockBehavior = cmp.Or(ps.LockBehavior, sit.plan.LockBehavior, "runLatest")
		}
		for _, e := range a.Environments {
			payload.Environments = append(payload.Environments, e.Name)
		}
		if err := s.announce(ctx, tx, &sit.run, EventStageWaiting, slipway.System, payload); err != nil {
			return err
		}
	case schedule.ActionStartStage:
		st.State, st.Started, st.AfterCancel = schedule.Running, now, a.AfterCancel
		if err := s.startRun(ctx, tx, &sit.run); err != nil {
			return err
		}
	default:
		asked := st.Checks != ""
		st.State, st.Result, st.Finished = schedule.Completed, a.Result, now
		if a.Reason != "" {
			st.Reason = a.Reason
		}
		if ps := sit.plan.Stage(a.Stage); asked && ps != nil && ps.Deploys() {
			over := StagePayload{Run: sit.run.ID, Stage: a.Stage, Title: ps.Title(), Attempt: st.Attempt}
			if err := s.announce(ctx, tx, &sit.run, EventStageOver, slipway.System, over); err != nil {
				return err
			}
		}
	}
	return sit.putStage(ctx, tx, st)
}

// startRun records that the run runs.
func (s *Service) startRun(ctx context.Context, tx *db.Tx, r *Run) error {
	if r.State != RunQueued {
		return nil
	}
	r.State, r.Started = RunRunning, s.clock.Now()
	if _, err := tx.ExecContext(ctx, `UPDATE pipeline_runs SET state = $1, started = $2 WHERE id = $3`, string(r.State), db.Micros(r.Started), int64(r.ID)); err != nil {
		return fmt.Errorf("start run %d: %w", r.ID, err)
	}
	return s.announce(ctx, tx, r, EventRunStarted, r.Actor, r.payload())
}

func (s *Service) completeRun(ctx context.Context, tx *db.Tx, r *Run, result schedule.Result) error {
	r.State, r.Result, r.Finished = RunCompleted, result, s.clock.Now()
	tx.AfterCommit(s.Wake) // pushes may wait for its end
	if _, err := tx.ExecContext(ctx, `UPDATE pipeline_runs SET state = $1, result = $2, finished = $3 WHERE id = $4`,
		string(r.State), string(r.Result), db.Micros(r.Finished), int64(r.ID)); err != nil {
		return fmt.Errorf("complete run %d: %w", r.ID, err)
	}
	return s.announce(ctx, tx, r, EventRunCompleted, r.Actor, r.payload())
}

func (s *Service) recordJob(ctx context.Context, tx *db.Tx, sit *situation, a schedule.Action) error {
	instance := a.Instance
	if instance == "" {
		instance = plan.InstanceID(a.Stage, a.Job, "")
	}
	now := s.clock.Now()
	j := &Job{Run: sit.run.ID, Instance: instance, Attempt: 1}
	if old := sit.known[instance]; old != nil {
		j = old
	}
	j.Stage, j.Name, j.StageAttempt = a.Stage, a.Job, sit.stage(a.Stage).Attempt
	if j.Name == "" {
		_, j.Name, _ = plan.SplitInstanceID(instance)
	}
	if a.Attempt > j.Attempt {
		*j = Job{Run: j.Run, Instance: j.Instance, Stage: j.Stage, Name: j.Name, StageAttempt: j.StageAttempt, Attempt: a.Attempt}
	}
	switch a.Kind {
	case schedule.ActionStartJob:
		j.State, j.Environment, j.Queued, j.pod = schedule.Queued, a.Environment, now, podWanted
		j.pool = poolOf(sit.plan, instance, a.Variables)
		if sit.plan.Agentless(instance) {
			j.pod = podServer
		}
		wish, err := s.machineWish(ctx, tx, sit, j, &a)
		if err != nil {
			return err
		}
		if wish != nil {
			j.pod = podMachineWanted
		}
		if err := s.putJob(ctx, tx, j, &a.Variables); err != nil {
			return err
		}
		sit.jobChanged(j)
		if wish != nil {
			return wish.insert(ctx, tx, j.ID)
		}
		if j.pod != podServer {
			return nil
		}
		return insertAgentless(ctx, tx, j.ID)
	case schedule.ActionChooseMachines:
		return s.recordMachines(ctx, tx, sit, j, a.Environment)
	case schedule.ActionExpandJob:
		j.Legs = a.Legs
		sit.jobChanged(j)
		return s.putJob(ctx, tx, j, nil)
	case schedule.ActionSkipJob, schedule.ActionFailJob:
		j.State, j.Result, j.Reason, j.Finished = schedule.Completed, a.Result, a.Reason, now
		if a.Kind == schedule.ActionFailJob {
			j.Result = schedule.Failed
		} else if j.Result == "" {
			j.Result = schedule.Skipped
		}
		if err := s.putJob(ctx, tx, j, nil); err != nil {
			return err
		}
		sit.jobChanged(j)
		if a.Kind == schedule.ActionSkipJob {
			return nil
		}
		return s.announceJob(ctx, tx, &sit.run, j, EventJobCompleted)
	}
	return fmt.Errorf("action %q is not known", a.Kind)
}
