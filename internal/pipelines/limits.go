package pipelines

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

// DefaultJobs is how many jobs run at once when nobody says so.
const DefaultJobs = 10

// defaultPool is the name of the pool of jobs that name none.
const defaultPool = "default"

// poolOf is the name by which limits know the pool of an instance: that of the pool or else its vmImage, in lower case.
func poolOf(p *plan.Plan, instance string, vars variable.Set) string {
	pool := p.PoolOf(instance)
	for _, text := range []string{pool.Name, pool.Image} {
		if name := strings.ToLower(strings.TrimSpace(vars.Expand(text))); name != "" {
			return name
		}
	}
	return defaultPool
}

// mostJobs bounds what a project may set.
const mostJobs = 10_000

// ProjectLimits are what a project sets for itself.
func (s *Service) ProjectLimits(ctx context.Context, project slipway.ProjectID) (schedule.ProjectLimits, error) {
	all, err := projectLimits(ctx, s.db)
	return all[project], err
}

func projectLimits(ctx context.Context, q db.Querier) (map[slipway.ProjectID]schedule.ProjectLimits, error) {
	limits := map[slipway.ProjectID]schedule.ProjectLimits{}
	_, err := db.List(ctx, q, func(row interface{ Scan(...any) error }, _ *struct{}) error {
		var project slipway.ProjectID
		var l schedule.ProjectLimits
		err := row.Scan((*string)(&project), &l.Jobs, &l.RunJobs)
		limits[project] = l
		return err
	}, `SELECT project, jobs, run_jobs FROM pipeline_limits ORDER BY project LIMIT 10000`)
	if err != nil {
		return nil, fmt.Errorf("read projects' limits: %w", err)
	}
	return limits, nil
}

// SetProjectLimits sets how many jobs of the project, and of each of its runs, run at once; 0 is no limit of its own.
func (s *Service) SetProjectLimits(ctx context.Context, project slipway.ProjectID, l schedule.ProjectLimits) error {
	for name, n := range map[string]int{"jobs": l.Jobs, "runJobs": l.RunJobs} {
		if n < 0 || n > mostJobs {
			return &slipway.Problem{Code: slipway.CodeInvalid, Field: name, Message: fmt.Sprintf("%s must be from 0, which is no limit, to %d", name, mostJobs)}
		}
	}
	const upsert = `INSERT INTO pipeline_limits (project, jobs, run_jobs) VALUES ($1, $2, $3)
		ON CONFLICT (project) DO UPDATE SET jobs = excluded.jobs, run_jobs = excluded.run_jobs`
	if _, err := s.db.ExecContext(ctx, upsert, string(project), l.Jobs, l.RunJobs); err != nil {
		return fmt.Errorf("set the limits of project %s: %w", project, err)
	}
	s.Wake()
	return nil
}

// limits are those of the installation with those of all projects.
func (s *Service) limits(ctx context.Context) (schedule.Limits, error) {
	l := s.Limits
	var err error
	l.Projects, err = projectLimits(ctx, s.db)
	return l, err
}

// Load is what of a project runs and waits.
type Load struct{ Running, Waiting int }

// Load counts the jobs of a project that have a pod or wait for one.
func (s *Service) Load(ctx context.Context, project slipway.ProjectID) (Load, error) {
	busy, err := s.busy(ctx)
	if err != nil {
		return Load{}, err
	}
	queue, err := s.queueOf(ctx, project)
	return Load{Running: busy.Projects[project], Waiting: len(queue)}, err
}

// busy counts the jobs that have a pod.
func (s *Service) busy(ctx context.Context) (schedule.Busy, error) {
	var b schedule.Busy
	const query = `SELECT r.project, j.run, j.pool, COUNT(*) FROM pipeline_jobs j JOIN pipeline_runs r ON r.id = j.run
		WHERE j.pod IN (2, 3) AND j.pod = 2 GROUP BY r.project, j.run, j.pool ORDER BY j.run LIMIT 100000`
	_, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, _ *struct{}) error {
		var lane schedule.Lane
		var n int
		if err := row.Scan((*string)(&lane.Project), (*int64)(&lane.Run), &lane.Pool, &n); err != nil {
			return err
		}
		b.Add(lane.Project, lane.Run, lane.Pool, n)
		return nil
	}, query)
	if err != nil {
		return b, fmt.Errorf("count jobs that run: %w", err)
	}
	return b, nil
}

// lanes are the runs, by pools, that have jobs waiting for a pod, without the jobs. The query jumps from one to the next in its
// index: however many jobs of a run wait, it reads one.
func (s *Service) lanes(ctx context.Context) ([]schedule.Lane, error) {
	const query = `
		WITH RECURSIVE
		runs (run) AS (
			SELECT MIN(run) FROM pipeline_jobs WHERE pod = 1
			UNION ALL SELECT (SELECT MIN(j.run) FROM pipeline_jobs j WHERE j.pod = 1 AND j.run > runs.run) FROM runs WHERE runs.run IS NOT NULL
		),
		lanes (run, pool) AS (
			SELECT run, (SELECT MIN(j.pool) FROM pipeline_jobs j WHERE j.pod = 1 AND j.run = runs.run) FROM runs WHERE run IS NOT NULL
			UNION ALL SELECT lanes.run, (SELECT MIN(j.pool) FROM pipeline_jobs j WHERE j.pod = 1 AND j.run = lanes.run AND j.pool > lanes.pool)
			FROM lanes WHERE lanes.pool IS NOT NULL
		)
		SELECT r.project, lanes.run, lanes.pool, (SELECT MIN(j.queued) FROM pipeline_jobs j WHERE j.pod = 1 AND j.run = lanes.run AND j.pool = lanes.pool)
		FROM lanes JOIN pipeline_runs r ON r.id = lanes.run WHERE lanes.pool IS NOT NULL ORDER BY 4, 2, 3 LIMIT 20000`
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, l *schedule.Lane) error {
		var queued int64
		err := row.Scan((*string)(&l.Project), (*int64)(&l.Run), &l.Pool, &queued)
		l.Queued = db.Time(queued)
		return err
	}, query)
	if err != nil {
		return nil, fmt.Errorf("list what waits for pods: %w", err)
	}
	return list, nil
}

// admit starts the jobs that schedule.Admit lets in.
func (s *Service) admit(ctx context.Context) error {
	limits, err := s.limits(ctx)
	if err != nil {
		return err
	}
	busy, err := s.busy(ctx)
	if err != nil {
		return err
	}
	free := limits.Jobs - busy.Total
	if free <= 0 {
		return nil
	}
	lanes, err := s.lanes(ctx)
	if err != nil {
		return err
	}
	seen := map[slipway.ProjectID]int{}
	lanes = slices.DeleteFunc(lanes, func(l schedule.Lane) bool {
		if limits.Full(busy, l) != "" {
			return true
		}
		seen[l.Project]++ // no more than this many of a project can start now
		return seen[l.Project] > free
	})
	for i := range lanes {
		l := &lanes[i]
		const heads = `SELECT id, queued FROM pipeline_jobs WHERE pod = 1 AND run = $1 AND pool = $2 ORDER BY queued, id LIMIT $3`
		l.Jobs, err = db.List(ctx, s.db, func(row interface{ Scan(...any) error }, j *schedule.WaitingJob) error {
			var queued int64
			err := row.Scan((*int64)(&j.ID), &queued)
			j.Queued = db.Time(queued)
			return err
		}, heads, int64(l.Run), l.Pool, free)
		if err != nil {
			return fmt.Errorf("list jobs of run %d that wait: %w", l.Run, err)
		}
	}
	var errs []error
	for _, id := range schedule.Admit(lanes, busy, limits) {
		j, err := s.Job(ctx, id)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if j.pod == podWanted {
			s.look(ctx, &j, s.start)
		}
	}
	return errors.Join(errs...)
}

// queueOf lists the jobs of a project that wait for a pod, in the order of the queue.
func (s *Service) queueOf(ctx context.Context, project slipway.ProjectID) ([]slipway.JobID, error) {
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, id *slipway.JobID) error { return row.Scan((*int64)(id)) },
		`SELECT j.id FROM pipeline_jobs j JOIN pipeline_runs r ON r.id = j.run WHERE j.pod = 1 AND r.project = $1 ORDER BY j.queued, j.id LIMIT 20000`, string(project))
	if err != nil {
		return nil, fmt.Errorf("list jobs that wait: %w", err)
	}
	return list, nil
}

// addPlaces says of jobs that wait for a pod why they do, and at which place.
func (s *Service) addPlaces(ctx context.Context, run *Run, stages []TimelineStage) error {
	var waiting []*Job
	for i := range stages {
		for k := range stages[i].Jobs {
			if j := &stages[i].Jobs[k].Job; j.State == schedule.Queued && j.pod == podWanted && j.CancelRequested.IsZero() {
				waiting = append(waiting, j)
			}
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	limits, err := s.limits(ctx)
	if err != nil {
		return err
	}
	busy, err := s.busy(ctx)
	if err != nil {
		return err
	}
	queue, err := s.queueOf(ctx, run.Project)
	if err != nil {
		return err
	}
	places := make(map[slipway.JobID]int, len(queue))
	for i, id := range queue {
		places[id] = i + 1
	}
	for _, j := range waiting {
		why := limits.Full(busy, schedule.Lane{Project: run.Project, Run: run.ID, Pool: j.pool})
		if why == "" || places[j.ID] == 0 {
			continue // it is about to start, or waits for the cluster, which its note says
		}
		j.PodNote = fmt.Sprintf("waits, since %s; place %d of the %d jobs of the project that wait", why, places[j.ID], len(queue))
	}
	return nil
}
