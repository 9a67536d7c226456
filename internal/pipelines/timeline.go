package pipelines

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
)

// Step is a step of a job's attempt as its agent reported it.
type Step struct {
	job.StepRecord
	LogSize int64
}

// stepsOf lists the steps of a job's attempt in order.
func stepsOf(ctx context.Context, q db.Querier, id slipway.JobID) ([]Step, error) {
	list, err := db.List(ctx, q, func(row interface{ Scan(...any) error }, st *Step) error {
		var record string
		if err := row.Scan(&st.ID, &record, &st.LogSize); err != nil {
			return err
		}
		number := st.ID
		err := decodeColumns(column{record, &st.StepRecord})
		st.ID = number
		return err
	}, `SELECT step, record, log_size FROM pipeline_steps WHERE job = $1 ORDER BY step LIMIT 5000`, int64(id))
	if err != nil {
		return nil, fmt.Errorf("list steps of job %d: %w", id, err)
	}
	slices.SortStableFunc(list, func(a, b Step) int { return cmp.Compare(a.Place(), b.Place()) })
	return list, nil
}

// Timeline is a run from its stages down to its steps, in the order of the plan.
type Timeline struct {
	Run    Run
	Stages []TimelineStage
	// Warnings are those of the file: what it says and most likely does not mean, or what has no effect.
	Warnings []plan.Warning
}

// TimelineStage is the latest attempt of a stage.
type TimelineStage struct {
	Stage
	Title     string
	DependsOn []string
	// Waits says that the stage starts when a person starts it, once what it depends on is over.
	Waits bool
	Jobs  []TimelineJob
}

// TimelineJob is the latest attempt of a job's instance. A job that has not been decided about has no ID.
type TimelineJob struct {
	Job
	Title string
	Steps []Step
	// Earlier are the attempts before, oldest first.
	Earlier []TimelineJob
}

// Timeline returns a run with all that has happened in it.
func (s *Service) Timeline(ctx context.Context, id slipway.RunID) (*Timeline, error) {
	run, err := s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	t := &Timeline{Run: run}
	p, err := s.plan(ctx, s.db, id)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return t, nil // a broken file: Run.Problems says why
	}
	if err != nil {
		return nil, err
	}
	t.Warnings = p.Warnings
	stages, err := stagesOf(ctx, s.db, id)
	if err != nil {
		return nil, err
	}
	jobs, err := jobsOf(ctx, s.db, id)
	if err != nil {
		return nil, err
	}
	latest := map[string]Stage{}
	for _, st := range stages {
		latest[st.Name] = st
	}
	if err := s.addWaits(ctx, id, latest); err != nil {
		return nil, err
	}
	attempts := map[string][]Job{}
	for _, j := range jobs {
		attempts[j.Instance] = append(attempts[j.Instance], j)
	}
	for i := range p.Stages {
		ps := &p.Stages[i]
		ts := TimelineStage{Stage: latest[ps.Name], Title: ps.Title(), DependsOn: ps.DependsOn, Waits: ps.Manual && !latest[ps.Name].Manual}
		ts.Name = ps.Name
		for k := range ps.Jobs {
			list, err := s.timelineJobs(ctx, ps, &ps.Jobs[k], attempts)
			if err != nil {
				return nil, err
			}
			ts.Jobs = append(ts.Jobs, list...)
		}
		if ts.State == schedule.Completed {
			for k := range ts.Jobs {
				if j := &ts.Jobs[k]; j.ID == 0 { // the stage ended before it
					j.State, j.Result = schedule.Completed, schedule.Skipped
				}
			}
		}
		t.Stages = append(t.Stages, ts)
	}
	return t, s.addPlaces(ctx, &t.Run, t.Stages)
}

// addWaits says of stages whose checks are pending what they wait for.
func (s *Service) addWaits(ctx context.Context, run slipway.RunID, latest map[string]Stage) error {
	checks := func(st Stage) bool { return st.State == schedule.Checking && st.Checks == schedule.ChecksPending }
	if !slices.ContainsFunc(slices.Collect(maps.Values(latest)), checks) {
		return nil
	}
	waits, err := s.Environments.Waits(ctx, run)
	if err != nil {
		return err
	}
	for name, st := range latest {
		if checks(st) {
			st.Reason = cmp.Or(waits[name], "waits for the checks of its environments")
			latest[name] = st
		}
	}
	return nil
}

// timelineJobs are the instances of one job, or the job itself when it was decided about as a whole.
func (s *Service) timelineJobs(ctx context.Context, ps *plan.Stage, pj *plan.Job, attempts map[string][]Job) ([]TimelineJob, error) {
	own := plan.InstanceID(ps.Name, pj.Name, "")
	var legs []plan.Leg
	if a := attempts[own]; len(a) > 0 {
		legs = a[len(a)-1].Legs
		if last := a[len(a)-1]; last.State == schedule.Completed && (pj.Strategy != nil || pj.Deployment != nil) {
			earlier, err := s.earlier(ctx, pj.Title(), a[:len(a)-1])
			return []TimelineJob{{Job: last, Title: pj.Title(), Earlier: earlier}}, err
		}
	}
	var list []TimelineJob
	for _, i := range plan.Instances(ps, pj, legs) {
		tj := TimelineJob{Job: Job{Instance: i.ID, Stage: ps.Name, Name: pj.Name}, Title: i.Title()}
		if a := attempts[i.ID]; len(a) > 0 {
			tj.Job = a[len(a)-1]
			var err error
			if tj.Steps, err = stepsOf(ctx, s.db, tj.ID); err != nil {
				return nil, err
			}
			if tj.Earlier, err = s.earlier(ctx, tj.Title, a[:len(a)-1]); err != nil {
				return nil, err
			}
		}
		list = append(list, tj)
	}
	if len(list) == 0 { // a matrix that is not known yet
		list = append(list, TimelineJob{Job: Job{Instance: own, Stage: ps.Name, Name: pj.Name}, Title: pj.Title()})
	}
	return list, nil
}

// earlier are attempts before the latest one, with their steps.
func (s *Service) earlier(ctx context.Context, title string, attempts []Job) ([]TimelineJob, error) {
	var list []TimelineJob
	for _, j := range attempts {
		steps, err := stepsOf(ctx, s.db, j.ID)
		if err != nil {
			return nil, err
		}
		list = append(list, TimelineJob{Job: j, Title: title, Steps: steps})
	}
	return list, nil
}

// Steps lists the steps of one attempt of a job.
func (s *Service) Steps(ctx context.Context, id slipway.JobID) ([]Step, error) {
	return stepsOf(ctx, s.db, id)
}
