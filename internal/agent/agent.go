package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"slipway"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// Config says where the work comes from and where to do it.
type Config struct {
	URL   string // of the server, without a slash at its end; unix:///PATH is a socket
	Job   slipway.JobID
	Token string
	// Folder is the agent's own: workspace, temporary files and logs lie below it. It is made if it is not there.
	Folder string
	// Cache is a folder that outlives the job, for the caches of tools; empty for none.
	Cache string
	// Patience is how long the server may be away, 0 for 15 minutes.
	Patience time.Duration
	// PlainLogs sends logs as they are: packing them is wasted where the server is this process.
	PlainLogs bool
	// Machine is the one that the agent lives on; the zero value is a job's own pod.
	Machine MachineName
	// InPod says that the agent ends with its pod: see ErrPodEnds.
	InPod bool
	// KillAtOnce says that the end of the context kills what steps run, which is asked to end first without it.
	KillAtOnce bool
	// Registry is the host of the image registry as the job's programs reach it.
	Registry string
	// Ports are those of the services beside the job in its pod.
	Ports []job.ServicePort
	// Published are those of services that a container engine has mapped to ports of this machine.
	Published []job.ServicePort
	Logger    *slog.Logger
}

// MachineName is the machine of an agent that does one job after the other.
type MachineName struct {
	ID   int64
	Name string
}

// ErrPodEnds is the end of an agent whose pod was deleted or whose node goes away. The job has no result: the server sees that the pod is gone, and
// decides whether the job is started again.
var ErrPodEnds = errors.New("the pod ends before the job")

// Why a job is stopped.
var (
	errCanceled     = errors.New("the run was canceled")
	errTimeout      = errors.New("the job ran longer than its limit")
	errOver         = errors.New("the server has ended the job")
	errStop         = errors.New("the agent was told to stop")
	errCancelLimit  = errors.New("the time after the cancellation is over")
	errServerIsAway = errors.New("the server takes no more reports")
)

// Run does the job from beginning to end and reports its result. It returns an error only if the result could not be
// reported. The end of ctx stops the job at once.
func Run(ctx context.Context, c Config) error {
	if c.Patience <= 0 {
		c.Patience = 15 * time.Minute
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	client := newClient(c)
	work, err := client.start(ctx)
	if err != nil {
		return fmt.Errorf("ask for job %d: %w", c.Job, err)
	}
	if work.Version != job.Version {
		return client.complete(ctx, job.Completion{Result: schedule.Failed,
			Reason: fmt.Sprintf("the server speaks version %d of the agent's protocol, this agent version %d: use the agent image of the server's release", work.Version, job.Version)})
	}
	reachServer(&work, c.URL)
	hard, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	defer context.AfterFunc(ctx, func() { stop(errStop) })()
	logs := filepath.Join(c.Folder, "logs")
	err = nil
	if c.Machine.ID != 0 {
		err = os.RemoveAll(logs) // those of the job before
	}
	if err = errors.Join(err, os.MkdirAll(logs, 0o700)); err != nil {
		return client.complete(ctx, job.Completion{Result: schedule.Failed, Reason: "the agent cannot write its folder: " + err.Error()})
	}
	// Reports go on after the job is stopped, so they have a context of their own.
	reporting, endReporting := context.WithCancel(context.WithoutCancel(ctx))
	defer endReporting()
	reports := newReporter(client, logs, func(err error) {
		if code := slipway.CodeOf(err); code == slipway.CodeConflict || code == slipway.CodeUnauthenticated || code == slipway.CodeForbidden || code == slipway.CodeNotFound {
			stop(errOver)
			return
		}
		c.Logger.Error("reports cannot be sent", "error", err)
		stop(errServerIsAway)
	})
	sending := make(chan struct{})
	go func() { defer close(sending); reports.run(reporting) }()
	r := newRunner(c, client, reports, work, hard, stop)
	if c.Cache != "" {
		if r.cache, err = openCache(c.Cache); err != nil {
			c.Logger.Warn("the job has no caches", "error", err) // it is slower, no more
		}
		defer r.cache.close(ctx, c.Logger)
	}
	watching := make(chan struct{})
	watch, endWatch := context.WithCancel(hard)
	go func() { defer close(watching); r.watch(watch) }()
	end := r.run()
	endWatch()
	<-watching
	err = r.finish(context.WithoutCancel(ctx), end)
	endReporting()
	<-sending
	return errors.Join(err, reports.close())
}

// finish sends what is left and the result.
func (r *runner) finish(ctx context.Context, end job.Completion) error {
	cause := context.Cause(r.hard)
	if errors.Is(cause, errOver) {
		return nil // nobody waits for a result
	}
	ctx, cancel := context.WithTimeout(ctx, r.config.Patience+time.Minute)
	defer cancel()
	if !errors.Is(cause, errServerIsAway) {
		if err := r.reports.drain(ctx); err != nil {
			return fmt.Errorf("send the last reports: %w", err)
		}
	}
	if errors.Is(cause, errStop) && r.config.InPod {
		return ErrPodEnds
	}
	if err := r.client.complete(ctx, end); err != nil {
		return fmt.Errorf("report the end of the job: %w", err)
	}
	return nil
}

// watch asks the server again and again whether the job is to stop.
func (r *runner) watch(ctx context.Context) {
	wait := 100 * time.Millisecond
	for ctx.Err() == nil {
		news, err := r.client.control(ctx)
		if err != nil {
			if slipway.CodeOf(err) == slipway.CodeUnauthenticated || slipway.CodeOf(err) == slipway.CodeNotFound {
				r.stop(errOver)
			}
			pause(ctx, wait) // the reporter decides when the server has been away too long
			wait = min(wait*2, 5*time.Second)
			continue
		}
		wait = 100 * time.Millisecond
		if news.Over {
			r.stop(errOver)
			return
		}
		if news.Cancel {
			r.cancel(errCanceled)
			return
		}
	}
}
