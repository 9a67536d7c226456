package pipelines

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
)

// Explanation says why a stage, a job or a step runs, waits or does not run.
type Explanation struct {
	schedule.Explanation
	Step string // its name for people; "" for a stage or job
}

// Explain says of everything in a run, in the order of the plan, why it is as it is.
func (s *Service) Explain(ctx context.Context, id slipway.RunID) ([]Explanation, error) {
	t, err := s.Timeline(ctx, id)
	if err != nil {
		return nil, err
	}
	if len(t.Stages) == 0 {
		return nil, nil // a broken file: Run.Problems says why
	}
	sit := &situation{}
	if err := s.read(ctx, s.db, sit, t.Run); err != nil {
		return nil, err
	}
	sit.facts.Canceled, sit.facts.Result = t.Run.Canceled, t.Run.Result
	if sit.facts.Groups, err = s.groupsOf(ctx, s.db, &t.Run, sit.groups); err != nil {
		return nil, err
	}
	jobs, stages := map[string]*TimelineJob{}, map[string]*TimelineStage{}
	for i := range t.Stages {
		stages[t.Stages[i].Name] = &t.Stages[i]
		for k := range t.Stages[i].Jobs {
			jobs[t.Stages[i].Jobs[k].Instance] = &t.Stages[i].Jobs[k]
		}
	}
	var list []Explanation
	for _, e := range schedule.Explain(sit.plan, sit.facts) {
		switch j := jobs[e.Instance]; {
		case e.Job == "" && e.State == schedule.Checking:
			e.Reason = cmp.Or(stages[e.Stage].Reason, e.Reason)
		case j != nil && e.State == schedule.Queued:
			if e.Reason = cmp.Or(j.PodNote, e.Reason); j.PodNote != "" && j.Retried != "" {
				e.Reason += "; " + j.Retried
			}
		}
		list = append(list, Explanation{Explanation: e})
		if j := jobs[e.Instance]; j != nil {
			list = append(list, explainSteps(sit.plan, e, j)...)
		}
	}
	return list, nil
}

// explainSteps says of the steps that an agent told of why they ran or not.
func explainSteps(p *plan.Plan, of schedule.Explanation, j *TimelineJob) []Explanation {
	in, err := j.instance(p, j.Legs)
	conditions := map[int]string{}
	if err == nil {
		for _, st := range in.Steps() {
			conditions[st.ID] = st.Condition
		}
	}
	var list []Explanation
	for _, st := range j.Steps {
		one := Explanation{Explanation: schedule.Explanation{Stage: of.Stage, Job: of.Job, Instance: of.Instance, Title: st.DisplayName, State: st.State, Result: st.Result,
			Condition: cmp.Or(conditions[st.ID], "succeeded()")}, Step: st.DisplayName}
		switch {
		case st.State == schedule.Completed && st.Result == schedule.Skipped:
			one.Reason = "was skipped: " + cmp.Or(st.Reason, "the job ended before it")
		case st.State == schedule.Completed:
			one.Reason = cmp.Or(st.Reason, "ran, since its condition held")
		case st.State == schedule.Running:
			one.Reason = "runs, since its condition held"
		default:
			one.Reason = "waits for the steps before it"
		}
		list = append(list, one)
	}
	return list
}

// Decision is one moment of a run: what changed, what was decided, and whether it would be today.
type Decision struct {
	Number int
	Time   time.Time
	schedule.Replayed
}

// maxDecisions bounds what is replayed of one run.
const maxDecisions = 100_000

// Replay decides again over everything that was recorded of a run.
func (s *Service) Replay(ctx context.Context, id slipway.RunID) ([]Decision, error) {
	run, err := s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	sit := &situation{}
	if err := s.read(ctx, s.db, sit, run); err != nil {
		return nil, err
	}
	start := schedule.Facts{Variables: sit.facts.Variables}
	if start.Groups, err = s.groupsOf(ctx, s.db, &run, sit.groups); err != nil {
		return nil, err
	}
	var entries []schedule.Entry
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, d *Decision) error {
		var at int64
		var text string
		if err := row.Scan(&d.Number, &at, &text); err != nil {
			return err
		}
		d.Time = db.Time(at)
		entries = append(entries, schedule.Entry{})
		return decodeColumns(column{text, &entries[len(entries)-1]})
	}, `SELECT number, time, entry FROM pipeline_decisions WHERE run = $1 ORDER BY number LIMIT $2`, int64(id), maxDecisions)
	if err != nil {
		return nil, fmt.Errorf("read decisions of run %d: %w", id, err)
	}
	if err := s.addRecorded(ctx, id, entries); err != nil {
		return nil, err
	}
	i := 0
	for r := range schedule.Replay(sit.plan, start, entries) {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("decide again in run %d: %w", id, err)
		}
		list[i].Replayed = r
		i++
	}
	return list, nil
}

// addRecorded fills in the outputs and legs of jobs, which are in the rows of their attempts.
func (s *Service) addRecorded(ctx context.Context, id slipway.RunID, entries []schedule.Entry) error {
	jobs, err := jobsOf(ctx, s.db, id)
	if err != nil {
		return err
	}
	type attempt struct {
		instance string
		number   int
	}
	rows := map[attempt]*Job{}
	for i := range jobs {
		rows[attempt{jobs[i].Instance, jobs[i].Attempt}] = &jobs[i]
	}
	for _, e := range entries {
		for instance, f := range e.Facts.Jobs {
			row := rows[attempt{instance, max(f.Attempt, 1)}]
			if row == nil {
				continue
			}
			if f.State == schedule.Completed {
				f.Outputs = row.Outputs
			}
			if f.HasLegs {
				f.Legs = row.Legs
			}
			e.Facts.Jobs[instance] = f
		}
	}
	return nil
}
