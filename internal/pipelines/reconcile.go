package pipelines

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/identity"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

const (
	reconcileInterval = 2 * time.Second
	// heardResolution is how exactly the last word of an agent is recorded.
	heardResolution = 15 * time.Second
	// startPatience is how long a job waits for its pod to be created and its agent to call, once it is its turn.
	startPatience = 30 * time.Minute
	// goneGrace is how long a job may look lost before it is: its last report may be on its way.
	goneGrace = 5 * time.Second
	// stopGrace is what a job may take beyond its time limits before its pod is ended.
	stopGrace = 2 * time.Minute
)

// Run reconciles jobs with pods, goes on with agentless jobs, starts the runs that are owed to schedules and to pushes that
// waited, and deletes caches that nothing uses and runs whose time is over, until ctx ends.
// One process runs it at a time for each installation; with several, the names of pods and the rows of runs keep it harmless.
func (s *Service) Run(ctx context.Context) error {
	var group sync.WaitGroup
	group.Go(func() { s.repeat(ctx, reconcileInterval, s.wakeRuns, "start runs", s.startOwed) })
	group.Go(func() { s.repeat(ctx, reconcileInterval, s.wake, "reconcile jobs with pods", s.reconcile) })
	group.Go(func() { s.repeat(ctx, packageTick, nil, "look for new versions of packages", s.pollPackages) })
	group.Go(func() { s.repeat(ctx, cacheInterval, nil, "trim caches", s.trimCaches) })
	group.Go(func() { s.repeat(ctx, retentionInterval, s.wakeTrim, "delete runs", s.trimRuns) })
	group.Go(func() {
		s.repeat(ctx, reconcileInterval, s.wakeAgentless, "go on with agentless jobs", s.goOnAgentless)
		s.calls.wait()
	})
	group.Wait()
	return nil
}

// repeat does something again and again, at once when it is woken.
func (s *Service) repeat(ctx context.Context, interval time.Duration, wake <-chan struct{}, what string, do func(context.Context) error) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			s.Logger.Error("pipelines could not "+what, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-wake:
		}
	}
}

// startOwed starts the runs that nobody asks for: what runs or time made due.
func (s *Service) startOwed(ctx context.Context) error {
	return errors.Join(s.readBranches(ctx), s.startBatches(ctx), s.startScheduled(ctx), s.startCalled(ctx))
}

// reconcile looks at every job whose pod is not settled. One job's trouble does not hold up the others.
func (s *Service) reconcile(ctx context.Context) error {
	jobs, err := db.List(ctx, s.db, scanJob, `SELECT `+jobColumns+` FROM pipeline_jobs WHERE pod IN (2, 3) ORDER BY id LIMIT 10000`)
	if err != nil {
		return fmt.Errorf("list jobs with pods: %w", err)
	}
	canceled, err := db.List(ctx, s.db, scanJob, `SELECT `+jobColumns+` FROM pipeline_jobs WHERE pod = 1 AND cancel_requested <> 0 ORDER BY id LIMIT 1000`)
	if err != nil {
		return fmt.Errorf("list canceled jobs: %w", err)
	}
	for i := range canceled {
		s.look(ctx, &canceled[i], func(ctx context.Context, j *Job) error {
			return s.finish(ctx, j, job.Completion{Result: schedule.Canceled, Reason: "canceled before it started"})
		})
	}
	for i := range jobs {
		switch j := &jobs[i]; j.pod {
		case podStarted:
			s.look(ctx, j, s.inspect)
		case podUnwanted:
			s.look(ctx, j, s.remove)
		}
	}
	return errors.Join(s.admit(ctx), s.reconcileMachines(ctx), s.reconcileWarm(ctx))
}

// look does something about one job's pod. What goes wrong is tried again with the next look.
func (s *Service) look(ctx context.Context, j *Job, do func(ctx context.Context, j *Job) error) {
	if err := do(ctx, j); err != nil && ctx.Err() == nil {
		s.Logger.Warn("a job's pod needs another look", "run", j.Run, "job", j.ID, "pod", j.PodName(), "error", err)
	}
}

// setPod records how far a job's pod is, unless the job has gone on meanwhile.
func (s *Service) setPod(ctx context.Context, j *Job, to podState, note string) error {
	// A job that has begun meanwhile waits for nothing any more.
	const update = `UPDATE pipeline_jobs SET pod = $1, pod_note = CASE WHEN state = $5 THEN '' ELSE $2 END WHERE id = $3 AND pod = $4`
	if _, err := s.db.ExecContext(ctx, update, int(to), note, int64(j.ID), int(j.pod), string(schedule.Running)); err != nil {
		return fmt.Errorf("record pod of job %d: %w", j.ID, err)
	}
	if note != j.PodNote || to != j.pod {
		s.changed(j.Run)
	}
	return nil
}

// start gives the job a warm pod, or a token and a pod of its own.
func (s *Service) start(ctx context.Context, j *Job) error {
	if j.Heard.IsZero() {
		j.Heard = s.clock.Now()
		if _, err := s.db.ExecContext(ctx, `UPDATE pipeline_jobs SET heard = $1 WHERE id = $2 AND heard = 0`, db.Micros(j.Heard), int64(j.ID)); err != nil {
			return fmt.Errorf("record pod of job %d: %w", j.ID, err)
		}
	}
	wanted, err := s.pod(ctx, j)
	if err == nil && wanted.pool.Machines {
		return s.finish(ctx, j, job.Completion{Result: schedule.Failed, Reason: "the pool " + wanted.pool.Name + " has become one of machines since the job was queued: run it again"})
	}
	if err == nil && wanted.mayBeWarm() {
		if taken, takeErr := s.takeWarm(ctx, j, s.likeness(&wanted.common)); takeErr != nil || taken {
			return errors.Join(takeErr, s.usedPool(ctx, wanted.pool, &wanted.common))
		}
	}
	if err == nil {
		wanted.Token, err = s.jobToken(ctx, wanted.run, wanted.instance, j.ID, wanted.Deadline)
	}
	if err == nil {
		err = s.Executor.Start(ctx, wanted.Pod)
	}
	switch code := slipway.CodeOf(err); {
	case err == nil:
		if wanted.mayBeWarm() {
			err = s.usedPool(ctx, wanted.pool, &wanted.common)
		}
		return errors.Join(err, s.setPod(ctx, j, podStarted, ""))
	case code == slipway.CodeInvalid || code == slipway.CodeUnsupported || code == slipway.CodeNotFound:
		return s.finish(ctx, j, job.Completion{Result: schedule.Failed, Reason: err.Error()})
	case s.clock.Now().Sub(j.Heard) > startPatience:
		return s.finish(ctx, j, job.Completion{Result: schedule.Failed, Reason: fmt.Sprintf("no pod could be started within %v: %v", startPatience, err)})
	}
	if noteErr := s.setPod(ctx, j, podWanted, "waiting for the cluster"); noteErr != nil {
		return noteErr
	}
	return fmt.Errorf("start pod: %w", err)
}

// wantedPod is the pod that a job needs, still without its token.
type wantedPod struct {
	Pod
	common   Pod // what a warm pod in its place is like
	pool     *Pool
	run      *Run
	instance *plan.Instance
}

// mayBeWarm reports a job that asks for nothing that a warm pod has not.
func (w *wantedPod) mayBeWarm() bool {
	return !w.Fork && w.instance.Job.Container == nil && len(w.Services) == 0 && len(w.Targets) == 0 && w.Deadline+warmAge <= warmLife
}

// deadlineOf bounds the life of a job's pod.
func deadlineOf(j *plan.Job) time.Duration {
	return time.Duration(timeoutOf(j)+max(j.CancelTimeoutInMinutes, 1))*time.Minute + startPatience + stopGrace
}

// pod makes the pod of a job.
func (s *Service) pod(ctx context.Context, j *Job) (*wantedPod, error) {
	run, _, err := plainRun(ctx, s.db, j.Run)
	if err != nil {
		return nil, err
	}
	p, err := s.plan(ctx, s.db, j.Run)
	if err != nil {
		return nil, err
	}
	i, err := s.instanceOf(ctx, p, j)
	if err != nil {
		return nil, err
	}
	vars, err := s.jobVariables(ctx, &run, j)
	if err != nil {
		return nil, err
	}
	pool, err := s.poolOf(ctx, i.Pool(), vars)
	if err != nil {
		return nil, err
	}
	image, err := s.image(p, &i, pool, vars)
	if err != nil {
		return nil, err
	}
	common := s.commonPod(run.Project, image, pool)
	pod := common
	pod.Fork = run.Fork != nil
	pod.Env = maps.Clone(common.Env)
	pod.Name, pod.Run, pod.Job, pod.Title, pod.Deadline = j.PodName(), run.ID, j.ID, i.Title(), deadlineOf(i.Job)
	logins := imageLogins{s, ctx, &run, j.ID, vars, &pod}
	if i.Job.Container != nil {
		c := p.ContainerOf(*i.Job.Container, vars.Expand)
		if pod.Image, err = logins.image(&c); err != nil {
			return nil, err
		}
		pod.User, pod.Volumes, pod.Options = c.User, c.Volumes, c.Options
		own := maps.Clone(c.Env)
		maps.Copy(own, pod.Env)
		pod.Env = own
	}
	var ports []job.ServicePort
	for _, c := range i.Job.Services {
		c = p.ContainerOf(c, vars.Expand)
		ports = append(ports, job.ServicePorts(c.Alias, c.Ports)...)
		if c.Image, err = logins.image(&c); err != nil {
			return nil, err
		}
		pod.Services = append(pod.Services, PodService{Name: c.Alias, Image: c.Image, Env: c.Env, User: c.User, Volumes: c.Volumes, Options: c.Options})
	}
	if err := s.addTargets(&pod, p, &i, pool, logins); err != nil {
		return nil, err
	}
	stop, err := s.stops(ctx, j)
	if err == nil {
		err = s.untouched(ctx, j)
	}
	if err != nil {
		return nil, err
	}
	pod.Deadline += time.Duration(stop) * time.Minute
	pod.Env["SLIPWAY_JOB"] = j.ID.String()
	if len(ports) > 0 {
		pod.Env["SLIPWAY_PORTS"] = job.FormatPorts(ports)
	}
	return &wantedPod{Pod: pod, common: common, pool: pool, run: &run, instance: &i}, nil
}

// jobBinding is to what a job's token is bound.
func jobBinding(run *Run, id slipway.JobID) identity.Binding {
	b := identity.Binding{Run: run.ID, Job: id, Commit: run.Commit, Pipeline: run.Pipeline, Ref: run.Ref}
	if run.Fork != nil && !run.Fork.FullToken {
		b.Scope = identity.ScopeRead
		b.PullRequest, _ = run.PullRequest()
	}
	return b
}

// jobToken issues the token of one attempt of a job.
func (s *Service) jobToken(ctx context.Context, run *Run, i *plan.Instance, id slipway.JobID, life time.Duration) (string, error) {
	token, err := s.Tokens.IssueToken(ctx, identity.TokenRequest{
		Kind: identity.TokenJob, Project: run.Project, Life: life,
		Actor:   slipway.Actor{Kind: slipway.ActorJob, ID: id.String(), Name: run.PipelineName + " " + run.Number + ", " + i.Title()},
		Binding: jobBinding(run, id),
	})
	if err != nil {
		return "", fmt.Errorf("issue the job's token: %w", err)
	}
	return token, nil
}

// image chooses the image of a job: its container, else what its pool maps to.
func (s *Service) image(p *plan.Plan, i *plan.Instance, own *Pool, vars variable.Set) (string, error) {
	if c := i.Job.Container; c != nil {
		return p.ContainerOf(*c, vars.Expand).Image, nil
	}
	return s.poolImage(i, own, vars)
}

// poolImage is what the pool of a job maps to.
func (s *Service) poolImage(i *plan.Instance, own *Pool, vars variable.Set) (string, error) {
	if own.Image != "" {
		return own.Image, nil
	}
	pool := i.Pool()
	name := strings.ToLower(vars.Expand(pool.Image))
	if name == "" {
		name = strings.ToLower(vars.Expand(pool.Name))
	}
	if image, ok := s.Images[name]; ok {
		return image, nil
	}
	if own.Name != DefaultPool {
		return s.Registry + "/slipway/job:latest", nil // somebody has made a pool of that name
	}
	if strings.HasPrefix(name, "windows") || strings.HasPrefix(name, "macos") || strings.HasPrefix(name, "vs20") {
		return "", slipway.Unsupported("no pool of this installation runs %q: jobs run on Linux; use an ubuntu image or a container", name)
	}
	return s.Registry + "/slipway/job:latest", nil
}

// inspect compares a job that should have a pod with the pod.
func (s *Service) inspect(ctx context.Context, j *Job) error {
	if over, reason := s.overdue(ctx, j); over {
		return s.finish(ctx, j, reason)
	}
	status, err := s.Executor.Inspect(ctx, j.PodName())
	if err != nil {
		return fmt.Errorf("inspect pod: %w", err)
	}
	switch status.Phase {
	case PodStarting:
		return s.setPod(ctx, j, podStarted, status.Note)
	case PodRunning:
		return nil
	case PodBroken:
		return s.lose(ctx, j, status)
	}
	// Absent or ended: its agent's last report may have arrived since the row was read, or be on its way.
	fresh, err := s.Job(ctx, j.ID)
	if err != nil || fresh.State == schedule.Completed {
		return err
	}
	if since := s.goneSince(j); s.clock.Now().Sub(since) < goneGrace {
		return nil
	}
	if status.Note == "" {
		status.Note = "its pod ended before the agent had reported the end of the job"
	}
	if status.Phase == PodAbsent {
		status.Note, status.Lost = "its pod is gone: it was deleted, or its node was lost", true
	}
	return s.lose(ctx, j, status)
}

// goneSince is the first time in this process that the job's pod was not there.
func (s *Service) goneSince(j *Job) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone == nil {
		s.gone = map[slipway.JobID]time.Time{}
	}
	if _, ok := s.gone[j.ID]; !ok {
		s.gone[j.ID] = s.clock.Now()
	}
	return s.gone[j.ID]
}

// overdue ends jobs that neither their agents nor their cancellation ended in time.
func (s *Service) overdue(ctx context.Context, j *Job) (bool, job.Completion) {
	now := s.clock.Now()
	if j.State == schedule.Queued {
		if !j.CancelRequested.IsZero() {
			return true, job.Completion{Result: schedule.Canceled, Reason: "canceled before it started"}
		}
		if !j.Heard.IsZero() && now.Sub(j.Heard) > startPatience { // Heard is when its pod was asked for
			note := j.PodNote
			if note == "" {
				note = "its agent never called"
			}
			return true, job.Completion{Result: schedule.Failed, Reason: fmt.Sprintf("the job did not start within %v: %s", startPatience, note)}
		}
		return false, job.Completion{}
	}
	timeout, cancelTimeout := maxTimeout, 5
	if p, err := s.plan(ctx, s.db, j.Run); err == nil {
		if i, err := s.instanceOf(ctx, p, j); err == nil {
			timeout, cancelTimeout = timeoutOf(i.Job), max(i.Job.CancelTimeoutInMinutes, 1)
		}
	}
	cancel := time.Duration(cancelTimeout) * time.Minute
	if !j.CancelRequested.IsZero() && now.Sub(j.CancelRequested) > cancel+stopGrace {
		return true, job.Completion{Result: schedule.Canceled, Reason: fmt.Sprintf("the job did not stop within %d minutes of its cancellation", cancelTimeout)}
	}
	stop, err := s.stops(ctx, j)
	if err == nil && now.Sub(j.Started) > time.Duration(timeout+stop)*time.Minute+cancel+stopGrace {
		return true, job.Completion{Result: schedule.Failed, Reason: fmt.Sprintf("the job ran longer than its limit of %d minutes", timeout)}
	}
	return false, job.Completion{}
}

// remove ends the pod of a job that is over.
func (s *Service) remove(ctx context.Context, j *Job) error {
	status, err := s.Executor.Inspect(ctx, j.PodName())
	if err != nil {
		return fmt.Errorf("inspect pod: %w", err)
	}
	// The agent ends by itself once its last report is answered.
	if status.Phase == PodRunning && s.clock.Now().Sub(j.Finished) < goneGrace {
		return nil
	}
	if err := s.Executor.Stop(ctx, j.PodName()); err != nil {
		return fmt.Errorf("stop pod: %w", err)
	}
	s.mu.Lock()
	delete(s.gone, j.ID)
	s.mu.Unlock()
	return s.setPod(ctx, j, podRemoved, "")
}
