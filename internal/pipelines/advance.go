package pipelines

import (
	"context"
	"fmt"

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

// advance records what schedule.Next decides until there is nothing more to decide. Effects outside are Run's, woken
// after the commit.
func (s *Service) advance(ctx context.Context, tx *db.Tx, sit *situation) error {
	tx.AfterCommit(func() { s.Wake(); s.changed(sit.run.ID) })
	for range maxRounds {
		if err := s.refresh(ctx, tx, sit); err != nil {
			return err
		}
		if sit.run.Result != "" {
			return nil
		}
		actions := schedule.Next(sit.plan, sit.facts)
		if len(actions) == 0 {
			return nil
		}
		for _, a := range actions {
			if err := s.record(ctx, tx, sit, a); err != nil {
				return fmt.Errorf("%s %s of run %d: %w", a.Kind, a.Stage+a.Instance, sit.run.ID, err)
			}
		}
	}
	return fmt.Errorf("run %d: the scheduler does not come to rest", sit.run.ID)
}

// record does one action: rows and events.
func (s *Service) record(ctx context.Context, tx *db.Tx, sit *situation, a schedule.Action) error {
	switch a.Kind {
	case schedule.ActionStartChecks, schedule.ActionStartStage, schedule.ActionSkipStage, schedule.ActionCompleteStage:
		return s.recordStage(ctx, tx, sit, a)
	case schedule.ActionCancelJob:
		j := sit.jobs[a.Instance]
		if j == nil {
			return fmt.Errorf("no job %s to cancel", a.Instance)
		}
		j.CancelRequested = s.clock.Now()
		return updateJob(ctx, tx, j)
	case schedule.ActionCompleteRun:
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
		st.State, st.Result, st.Finished = schedule.Completed, a.Result, now
		if a.Reason != "" {
			st.Reason = a.Reason
		}
	}
	return putStage(ctx, tx, sit.run.ID, st)
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
	if old := sit.jobs[instance]; old != nil {
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
		if !sit.plan.Agentless(instance) {
			return s.putJob(ctx, tx, j, &a.Variables)
		}
		j.pod = podServer
		if err := s.putJob(ctx, tx, j, &a.Variables); err != nil {
			return err
		}
		return insertAgentless(ctx, tx, j.ID)
	case schedule.ActionExpandJob:
		j.Legs = a.Legs
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
		if a.Kind == schedule.ActionSkipJob {
			return nil
		}
		return s.announceJob(ctx, tx, &sit.run, j, EventJobCompleted)
	}
	return fmt.Errorf("action %q is not known", a.Kind)
}
