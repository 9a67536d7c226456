package pipelines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

// A job of a pool of machines, or of a deployment to machines, has no pod:
//
//	waits for a machine (podMachineWanted) -> given to one (podMachineGiven) -> over
//
// It waits again when the machine falls silent before its agent has taken the job. A machine has one job at a time: the agent asks
// for the next when it is idle, so an agent that asks while its job runs has lost it.

// machineWish is what a job wants of the machines.
type machineWish struct {
	schedule.MachineJob
	fork bool // it is of a pull request from a fork
}

// machineWish is what the job that starts wants, nil for one that runs elsewhere.
func (s *Service) machineWish(ctx context.Context, tx *db.Tx, sit *situation, j *Job, a *schedule.Action) (*machineWish, error) {
	fork := strings.EqualFold(a.Variables.Text(variable.SystemPullRequestIsFork), "true")
	if d := sit.plan.Stage(j.Stage).Job(j.Name).Deployment; d != nil && d.Machines() {
		id, err := strconv.ParseInt(a.Variables.Text(plan.MachineVariable), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("job %s has no machine: %w", j.Instance, err)
		}
		return &machineWish{schedule.MachineJob{Machine: id}, fork}, nil
	}
	pool := sit.plan.PoolOf(j.Instance)
	if !pool.Managed && !strings.Contains(pool.Name, "$(") {
		return nil, nil
	}
	for _, name := range []string{a.Variables.Expand(pool.Name), a.Variables.Expand(pool.Image)} {
		p, err := findPool(ctx, tx, name)
		if slipway.CodeOf(err) == slipway.CodeNotFound {
			continue
		}
		if err != nil || !p.Machines {
			return nil, err
		}
		wish := &machineWish{schedule.MachineJob{Pool: strings.ToLower(p.Name)}, fork && !p.Forks}
		for _, demand := range pool.Demands {
			wish.Demands = append(wish.Demands, a.Variables.Expand(demand))
		}
		return wish, nil
	}
	return nil, nil
}

func (w *machineWish) insert(ctx context.Context, tx *db.Tx, id slipway.JobID) error {
	demands, err := json.Marshal(w.Demands)
	if err != nil {
		return fmt.Errorf("encode demands: %w", err)
	}
	const insert = `INSERT INTO pipeline_machine_jobs (job, pool, machine, demands, fork) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (job) DO NOTHING`
	if _, err := tx.ExecContext(ctx, insert, int64(id), w.Pool, w.Machine, string(demands), w.fork); err != nil {
		return fmt.Errorf("record what job %d wants of machines: %w", id, err)
	}
	return nil
}

// chooseMachines are the enabled machines of an environment that a deployment means, as legs; slipway.CodeNotFound for none.
func (s *Service) chooseMachines(ctx context.Context, tx *db.Tx, run *Run, e *plan.EnvironmentReference) ([]plan.Leg, error) {
	list, err := s.machines(ctx, tx, MachineTarget{Project: run.Project, Environment: e.Name})
	if err != nil {
		return nil, err
	}
	some := len(list) > 0
	list = slices.DeleteFunc(list, func(m Machine) bool {
		return e.Resource != "" && !strings.EqualFold(e.Resource, m.Name) || e.ResourceID != "" && e.ResourceID != strconv.FormatInt(m.ID, 10) || !m.hasTags(e.Tags)
	})
	which := ""
	if e.Resource != "" {
		which += " named " + e.Resource
	}
	if e.ResourceID != "" {
		which += " of the number " + e.ResourceID
	}
	if len(e.Tags) > 0 {
		which += " with the tags " + strings.Join(e.Tags, ", ")
	}
	enabled := slices.DeleteFunc(slices.Clone(list), func(m Machine) bool { return !m.Enabled })
	switch {
	case len(enabled) > 0:
	case len(list) > 0:
		return nil, slipway.NotFound("all virtual machines%s of environment %s are disabled: enable one on its page", which, e.Name)
	case some:
		return nil, slipway.NotFound("environment %s has no virtual machine%s", e.Name, which)
	default:
		return nil, slipway.NotFound("environment %s has no virtual machines: make a registration token on its page and start slipway-agent machine on one", e.Name)
	}
	legs := make([]plan.Leg, len(enabled))
	names := make([]string, len(enabled))
	for i := range enabled {
		names[i] = enabled[i].Name
	}
	for i, name := range plan.LegNames(names) {
		legs[i] = plan.Leg{Name: name, Variables: map[string]string{plan.MachineVariable: strconv.FormatInt(enabled[i].ID, 10)}}
		if name != names[i] {
			legs[i].Title = names[i]
		}
	}
	return legs, nil
}

// recordMachines records the machines of a deployment that begins, or that it fails for want of them.
func (s *Service) recordMachines(ctx context.Context, tx *db.Tx, sit *situation, j *Job, e *plan.EnvironmentReference) error {
	legs, err := s.chooseMachines(ctx, tx, &sit.run, e)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		j.State, j.Result, j.Reason, j.Finished = schedule.Completed, schedule.Failed, err.Error(), s.clock.Now()
		if err := s.putJob(ctx, tx, j, nil); err != nil {
			return err
		}
		sit.jobChanged(j)
		return s.announceJob(ctx, tx, &sit.run, j, EventJobCompleted)
	}
	if err != nil {
		return err
	}
	j.Legs = legs
	sit.jobChanged(j)
	return s.putJob(ctx, tx, j, nil)
}

// waitingMachineJob is a job without a pod with what it wants.
type waitingMachineJob struct {
	Job
	wish machineWish
}

func (s *Service) machineJobs(ctx context.Context) ([]waitingMachineJob, error) {
	jobs, err := db.List(ctx, s.db, scanJob, `SELECT `+jobColumns+` FROM pipeline_jobs WHERE pod IN (6, 7) ORDER BY queued, id LIMIT 10000`)
	if err != nil {
		return nil, fmt.Errorf("list jobs of machines: %w", err)
	}
	if len(jobs) == 0 {
		return nil, nil
	}
	wishes := map[slipway.JobID]machineWish{}
	_, err = db.List(ctx, s.db, func(row interface{ Scan(...any) error }, _ *struct{}) error {
		var w machineWish
		var demands string
		if err := row.Scan((*int64)(&w.ID), &w.Pool, &w.Machine, &demands, &w.fork); err != nil {
			return err
		}
		err := decodeColumns(column{demands, &w.Demands})
		wishes[w.ID] = w
		return err
	}, `SELECT job, pool, machine, demands, fork FROM pipeline_machine_jobs ORDER BY job LIMIT 20000`)
	if err != nil {
		return nil, fmt.Errorf("list what jobs want of machines: %w", err)
	}
	list := make([]waitingMachineJob, len(jobs))
	for i := range jobs {
		list[i] = waitingMachineJob{jobs[i], wishes[jobs[i].ID]}
	}
	return list, nil
}

// reconcileMachines gives machines to the jobs that wait for one, and ends those whose machine is lost.
func (s *Service) reconcileMachines(ctx context.Context) error {
	jobs, err := s.machineJobs(ctx)
	if err != nil || len(jobs) == 0 {
		return err
	}
	all, err := s.allMachines(ctx)
	if err != nil {
		return err
	}
	machines := map[int64]*Machine{}
	var free []schedule.Machine
	for i := range all {
		m := &all[i]
		machines[m.ID] = m
		free = append(free, schedule.Machine{ID: m.ID, Name: m.Name, Pool: m.Pool, Enabled: m.Enabled, Online: m.Online, Busy: m.Job != 0, Capabilities: m.Capabilities})
	}
	var waiting []schedule.MachineJob
	for i := range jobs {
		j := &jobs[i]
		switch {
		case j.pod == podMachineGiven:
			s.look(ctx, &j.Job, func(ctx context.Context, one *Job) error { return s.inspectMachineJob(ctx, one, machines[one.Machine]) })
		case s.refuseMachineJob(ctx, j, machines):
		default:
			waiting = append(waiting, j.wish.MachineJob)
		}
	}
	given, waits := schedule.Place(waiting, free)
	for i := range jobs {
		j := &jobs[i].Job
		if id, ok := given[j.ID]; ok {
			s.look(ctx, j, func(ctx context.Context, j *Job) error { return s.giveMachine(ctx, j, machines[id]) })
		} else if note := waits[j.ID]; note != "" && note != j.PodNote {
			s.look(ctx, j, func(ctx context.Context, j *Job) error { return s.setPod(ctx, j, podMachineWanted, note) })
		}
	}
	return nil
}

// refuseMachineJob ends a job that no machine takes any more; true says that it has.
func (s *Service) refuseMachineJob(ctx context.Context, j *waitingMachineJob, machines map[int64]*Machine) bool {
	end := job.Completion{Result: schedule.Failed}
	m := machines[j.wish.Machine]
	switch {
	case !j.CancelRequested.IsZero():
		end = job.Completion{Result: schedule.Canceled, Reason: "canceled before it started"}
	case j.wish.fork && j.wish.Machine != 0:
		end.Reason = "pull requests from forks are not deployed to machines"
	case j.wish.fork:
		end.Reason = fmt.Sprintf("pull requests from forks do not run on the machines of pool %s: an administrator can let the pool take them", j.wish.Pool)
	case j.wish.Machine != 0 && m == nil:
		end.Reason = "its machine was removed from the environment"
	case m != nil && !m.Online && m.Job == 0 && s.silent(m.Heard, j.Queued) > machinePatience:
		end.Reason = fmt.Sprintf("machine %s is offline and did not come back within %v", m.Name, machinePatience)
	default:
		if err := s.untouched(ctx, &j.Job); err == nil {
			return false
		} else if slipway.CodeOf(err) != slipway.CodeUnsupported {
			s.Logger.Warn("a job's machine needs another look", "run", j.Run, "job", j.ID, "error", err)
			return true
		} else {
			end.Reason = err.Error()
		}
	}
	s.look(ctx, &j.Job, func(ctx context.Context, one *Job) error { return s.finish(ctx, one, end) })
	return true
}

// silent is for how long nothing was heard: since the last of these times, or since there has been a server to speak to.
func (s *Service) silent(heard ...time.Time) time.Duration {
	last := s.began
	for _, t := range heard {
		if t.After(last) {
			last = t
		}
	}
	return s.clock.Now().Sub(last)
}

// giveMachine gives a job to a machine that is free.
func (s *Service) giveMachine(ctx context.Context, j *Job, m *Machine) error {
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE pipeline_machines SET job = $1 WHERE id = $2 AND job = 0`, int64(j.ID), m.ID)
		if err != nil {
			return fmt.Errorf("give job %d a machine: %w", j.ID, err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, errJobHasGoneOn)
		}
		const take = `UPDATE pipeline_jobs SET pod = $1, machine = $2, pod_note = $3, heard = $4 WHERE id = $5 AND pod = $6`
		result, err = tx.ExecContext(ctx, take, int(podMachineGiven), m.ID, "given to machine "+m.Name, db.Micros(s.clock.Now()), int64(j.ID), int(podMachineWanted))
		if err != nil {
			return fmt.Errorf("give job %d a machine: %w", j.ID, err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, errJobHasGoneOn)
		}
		tx.AfterCommit(func() { s.changed(machineNews); s.changed(j.Run) })
		return nil
	})
	if errors.Is(err, errJobHasGoneOn) {
		return nil // the next look sees how
	}
	return err
}

// inspectMachineJob ends the job of a machine that is gone, and one that ran out of time. A job that its machine has not taken is
// given to another.
func (s *Service) inspectMachineJob(ctx context.Context, j *Job, m *Machine) error {
	if m == nil {
		return s.loseMachineJob(ctx, j.ID, "its machine was removed")
	}
	if j.State == schedule.Queued {
		if !j.CancelRequested.IsZero() {
			return s.finish(ctx, j, job.Completion{Result: schedule.Canceled, Reason: "canceled before it started"})
		}
		if s.silent(m.Heard, j.Heard) < machineAway {
			return nil
		}
		return s.takeBack(ctx, j, m)
	}
	if over, end := s.overdue(ctx, j); over {
		return s.finish(ctx, j, end)
	}
	if s.silent(m.Heard, j.Heard) < machineLost {
		return nil
	}
	return s.loseMachineJob(ctx, j.ID, fmt.Sprintf("machine %s was lost: its agent has not been heard of for %v", m.Name, machineLost))
}

// takeBack lets a job wait again whose machine has fallen silent before it took the job.
func (s *Service) takeBack(ctx context.Context, j *Job, m *Machine) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		const again = `UPDATE pipeline_jobs SET pod = $1, machine = 0, heard = 0, pod_note = $2 WHERE id = $3 AND pod = $4 AND state = $5`
		result, err := tx.ExecContext(ctx, again, int(podMachineWanted), "waits again: machine "+m.Name+" has gone offline", int64(j.ID), int(podMachineGiven), string(schedule.Queued))
		if err != nil {
			return fmt.Errorf("take job %d back: %w", j.ID, err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return err
		}
		tx.AfterCommit(func() { s.Wake(); s.changed(j.Run) })
		return s.clearMachine(ctx, tx, m.ID, j.ID)
	})
}

func (s *Service) clearMachine(ctx context.Context, tx *db.Tx, id int64, of slipway.JobID) error {
	if _, err := tx.ExecContext(ctx, `UPDATE pipeline_machines SET job = 0 WHERE id = $1 AND job = $2`, id, int64(of)); err != nil {
		return fmt.Errorf("free machine %d: %w", id, err)
	}
	return nil
}

// freeMachine lets the machine of a job that is over take another.
func (s *Service) freeMachine(ctx context.Context, tx *db.Tx, j *Job) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM pipeline_machine_jobs WHERE job = $1`, int64(j.ID)); err != nil {
		return fmt.Errorf("forget what job %d wants of machines: %w", j.ID, err)
	}
	tx.AfterCommit(s.Wake)
	return s.clearMachine(ctx, tx, j.Machine, j.ID)
}
