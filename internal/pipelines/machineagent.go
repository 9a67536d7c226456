package pipelines

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
)

// machineNews is the watched thing that changes when jobs are given to machines; no run has its number.
const machineNews slipway.RunID = -1

// machineHeard is how exactly the last word of a machine's agent is recorded.
const machineHeard = 10 * time.Second

// WatchMachines is Watch for waiting agents of machines.
func (s *Service) WatchMachines() (<-chan struct{}, func()) { return s.Watch(machineNews) }

// HearMachine records that a machine's agent is there, with what it says of the machine. A machine that was removed is
// slipway.CodeNotFound, an agent of another version slipway.CodeInvalid.
func (s *Service) HearMachine(ctx context.Context, id int64, ask job.MachineAsk) error {
	if err := checkVersion(ask.Version); err != nil {
		return err
	}
	if ask.Capabilities != nil {
		if err := checkCapabilities(ask.Capabilities); err != nil {
			return err
		}
		text, err := json.Marshal(ask.Capabilities)
		if err != nil {
			return fmt.Errorf("encode capabilities: %w", err)
		}
		if _, err := s.db.ExecContext(ctx, `UPDATE pipeline_machines SET capabilities = $1 WHERE id = $2`, string(text), id); err != nil {
			return fmt.Errorf("record capabilities of machine %d: %w", id, err)
		}
	}
	m, err := s.Machine(ctx, id)
	if err != nil {
		return err
	}
	now := s.clock.Now()
	if ask.Leaving {
		now = now.Add(-machineAway)
	} else if now.Sub(m.Heard) < machineHeard {
		return nil
	}
	if _, err := s.db.ExecContext(ctx, `UPDATE pipeline_machines SET heard = $1 WHERE id = $2`, db.Micros(now), id); err != nil {
		return fmt.Errorf("hear of machine %d: %w", id, err)
	}
	if !m.Online || ask.Leaving {
		s.Wake() // jobs may have waited for it, or wait for another now
	}
	return nil
}

// MachineIdle says that the agent of a machine has nothing to do: a job that the machine was given and that runs is lost, since the
// agent was started again in the middle of it.
func (s *Service) MachineIdle(ctx context.Context, id int64) error {
	m, err := s.Machine(ctx, id)
	if err != nil || m.Job == 0 {
		return err
	}
	j, err := s.Job(ctx, m.Job)
	if err != nil || j.State != schedule.Running {
		return err
	}
	return s.loseMachineJob(ctx, j.ID, fmt.Sprintf("machine %s was lost in the middle of the job: its agent, or what ran the job, was ended and started again", m.Name))
}

// AwaitMachineJob returns the job that a machine was given and has not begun; ok is false while there is none.
func (s *Service) AwaitMachineJob(ctx context.Context, id int64) (work job.MachineJob, ok bool, err error) {
	m, err := s.Machine(ctx, id)
	if err != nil || m.Job == 0 {
		return work, false, err
	}
	j, err := s.Job(ctx, m.Job)
	if err != nil || j.State != schedule.Queued || !j.CancelRequested.IsZero() {
		return work, false, err
	}
	work, err = s.machineWork(ctx, &j)
	switch slipway.CodeOf(err) {
	case slipway.CodeInvalid, slipway.CodeUnsupported, slipway.CodeForbidden:
		return job.MachineJob{}, false, s.finish(ctx, &j, job.Completion{Result: schedule.Failed, Reason: err.Error()})
	}
	return work, err == nil, err
}

// machineWork is what a machine needs to begin a job: its token, and containers with the credentials of their images.
func (s *Service) machineWork(ctx context.Context, j *Job) (work job.MachineJob, err error) {
	run, err := s.Get(ctx, j.Run)
	if err != nil {
		return work, err
	}
	p, err := s.plan(ctx, s.db, j.Run)
	if err != nil {
		return work, err
	}
	i, err := s.instanceOf(ctx, p, j)
	if err != nil {
		return work, err
	}
	vars, err := s.jobVariables(ctx, &run, j)
	if err != nil {
		return work, err
	}
	var pod Pod
	logins := imageLogins{s, ctx, &run, j.ID, vars, &pod}
	container := func(c *plan.Container) (plan.Container, error) {
		one := p.ContainerOf(*c, vars.Expand)
		image, err := logins.image(&one)
		one.Image = image
		return one, err
	}
	if c := i.Job.Container; c != nil {
		one, err := container(c)
		if err != nil {
			return work, err
		}
		work.Container = &one
	}
	for k := range i.Job.Services {
		one, err := container(&i.Job.Services[k])
		if err != nil {
			return work, err
		}
		one.Alias = i.Job.Services[k].Alias
		work.Services = append(work.Services, one)
	}
	for _, t := range p.Targets(i) {
		if t.Image != "" {
			if t, err = container(&t); err != nil {
				return work, err
			}
		}
		work.Targets = append(work.Targets, t)
	}
	for _, l := range pod.Registries {
		work.Logins = append(work.Logins, job.RegistryLogin{Host: l.Host, User: l.User, Password: l.Password})
	}
	stop, err := s.stops(ctx, j)
	if err != nil {
		return work, err
	}
	work.Job = j.ID
	work.Token, err = s.jobToken(ctx, &run, &i, j.ID, deadlineOf(i.Job)+time.Duration(stop)*time.Minute)
	return work, err
}

// MachineWork is what of a machine's jobs its page shows.
type MachineWork struct {
	Job      Job
	Pipeline string // its name
	Number   string // of the run
	Commit   slipway.CommitID
}

// LastJobs are the last jobs of machines by their numbers: with deployed, the last deploy hook that succeeded.
func (s *Service) LastJobs(ctx context.Context, machines []Machine, deployed bool) (map[int64]MachineWork, error) {
	condition := ``
	if deployed {
		condition = ` AND result IN ('Succeeded', 'SucceededWithIssues') AND instance LIKE '%.deploy.%'`
	}
	out := map[int64]MachineWork{}
	for _, m := range machines {
		list, err := db.List(ctx, s.db, scanJob, `SELECT `+jobColumns+` FROM pipeline_jobs WHERE machine = $1 AND machine <> 0`+condition+` ORDER BY id DESC LIMIT 1`, m.ID)
		if err != nil {
			return nil, fmt.Errorf("list jobs of machine %d: %w", m.ID, err)
		}
		for _, j := range list {
			run, err := s.Get(ctx, j.Run)
			if err != nil {
				return nil, err
			}
			out[m.ID] = MachineWork{Job: j, Pipeline: run.PipelineName, Number: run.Number, Commit: run.Commit}
		}
	}
	return out, nil
}

// JobOutcome is what the whole job of an attempt came to, with all of its hooks and machines; the state says whether it is over. An
// attempt that is not the latest is over.
func (s *Service) JobOutcome(ctx context.Context, id slipway.JobID) (schedule.State, schedule.Result, error) {
	j, err := s.Job(ctx, id)
	if err != nil {
		return "", "", err
	}
	run, err := s.Get(ctx, j.Run)
	if err != nil {
		return "", "", err
	}
	sit := &situation{}
	if err := s.read(ctx, s.db, sit, run); err != nil {
		return "", "", err
	}
	if latest := sit.known[j.Instance]; latest == nil || latest.Attempt > j.Attempt {
		return j.State, j.Result, nil
	}
	stage := sit.plan.Stage(j.Stage)
	state, result := sit.facts.Outcome(stage, stage.Job(j.Name))
	return state, result, nil
}
