package localrun

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"slipway/internal/agent"
	"slipway/internal/agent/engine"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// work runs a job's agent when there is a place for it.
func (e *execution) work(w *work) {
	select {
	case e.places <- struct{}{}:
		defer func() { <-e.places }()
	case <-w.canceled:
		e.ended <- ended{w.instance, job.Completion{Result: schedule.Canceled, Reason: "canceled before it started"}}
		return
	}
	err := e.runAgent(w)
	end := job.Completion{Result: schedule.Failed, Reason: "its agent ended without a result"}
	select {
	case end = <-w.end:
	default:
		if err != nil {
			end.Reason = err.Error()
		}
		select {
		case <-w.canceled:
			end = job.Completion{Result: schedule.Canceled, Reason: "canceled before it started"}
		default:
		}
		e.say("##[section]Job %s: %s, %s", title(w.instance), end.Result, end.Reason)
	}
	e.ended <- ended{w.instance, end}
}

// runAgent runs a job's agent, here or in the job's container, with the job's services beside it.
func (e *execution) runAgent(w *work) error {
	folder := filepath.Join(e.options.Folder, fmt.Sprintf("run-%d-job-%d", e.count, w.assignment.Job))
	if w.container == nil && len(w.services) == 0 && len(w.targets) == 0 {
		return agent.Run(e.options.Kill, agent.Config{URL: e.url, Job: w.assignment.Job, Token: e.door.token, Registry: e.options.Registry, Folder: folder, Logger: e.options.Logger, PlainLogs: true, KillAtOnce: true})
	}
	ctx, stop := e.whileWanted(w)
	defer stop()
	found, err := e.engine(ctx)
	if err != nil {
		return err
	}
	b := &box{execution: e, work: w, Box: engine.Box{Engine: found, Name: found.Name(w.assignment.Job), Container: w.container, Services: w.services, Targets: w.targets, Say: e.say}}
	defer b.remove()
	if err := b.Prepare(ctx); err != nil {
		return err
	}
	published, err := b.Ports(ctx)
	if err != nil {
		return err
	}
	if w.container == nil {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return fmt.Errorf("make the job's folder: %w", err)
		}
		if len(w.targets) > 0 {
			if err := b.checkAgent(); err != nil {
				return err
			}
		}
		if err := b.StartTargets(ctx, b.targetAgent(folder, []string{"--volume", folder + ":" + folder})); err != nil {
			return err
		}
		return agent.Run(e.options.Kill, agent.Config{URL: e.url, Job: w.assignment.Job, Token: e.door.token, Registry: e.options.Registry, Folder: folder, Published: published, Logger: e.options.Logger, PlainLogs: true, KillAtOnce: true})
	}
	return b.runAgent(ctx, folder, published)
}

// whileWanted is a context that ends when the job is canceled before its agent has begun, or everything is stopped.
func (e *execution) whileWanted(w *work) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(e.options.Kill)
	go func() {
		select {
		case <-ctx.Done():
			return
		case <-w.canceled:
		}
		w.mu.Lock()
		begun := w.begun
		w.mu.Unlock()
		if !begun {
			stop()
		}
	}()
	return ctx, stop
}
