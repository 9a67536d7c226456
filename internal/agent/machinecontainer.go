package agent

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"slipway/internal/agent/engine"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
)

// insteadOfContainers is what a job can do on a machine that runs no containers.
const insteadOfContainers = "leave container and services out of jobs that run on it"

// runContained runs a job in its container, with its services and those in which steps run beside it.
func (m *machineAgent) runContained(ctx context.Context, given job.MachineJob) error {
	found, err := engine.Find(ctx, m.Engine, insteadOfContainers)
	if err != nil {
		return m.fail(ctx, given, err)
	}
	say := func(format string, args ...any) { m.Logger.Info(fmt.Sprintf(format, args...), "job", given.Job) }
	if err := found.Sweep(ctx); err != nil {
		m.Logger.Warn("what an agent that was killed has left at the engine cannot be removed", "error", err)
	}
	forget, err := m.logIn(found, given)
	if err != nil {
		return m.fail(ctx, given, err)
	}
	defer forget()
	b := &engine.Box{Engine: found, Name: found.Name(given.Job), Container: given.Container, Services: given.Services, Targets: given.Targets, Say: say}
	defer func() {
		if err := b.Remove(ctx); err != nil {
			m.Logger.Warn("not everything of a job could be removed from the engine", "job", given.Job, "error", err)
		}
	}()
	if err := b.Prepare(ctx); err != nil {
		return m.fail(ctx, given, err)
	}
	published, err := b.Ports(ctx)
	if err != nil {
		return m.fail(ctx, given, err)
	}
	if given.Container == nil {
		if err := b.StartTargets(ctx, engine.Agent{Program: m.Program, Folder: m.work(), Mounts: []string{"--volume", m.work() + ":" + m.work()}}); err != nil {
			return m.fail(ctx, given, err)
		}
		return m.worker(ctx, given, published)
	}
	if err := found.Pull(ctx, given.Container.Image, say); err != nil {
		return m.fail(ctx, given, err)
	}
	folder := engine.Workspace
	if b.HasHost() {
		folder = m.work()
		defer m.serveHost(ctx, given)()
	}
	env := m.environment(given, published)
	env["SLIPWAY_WORKSPACE"] = folder
	for name, value := range given.Container.Env {
		if !strings.HasPrefix(name, "SLIPWAY_") {
			env[name] = value
		}
	}
	b.User = found.OwnUser() // what the job writes is to be the agent's own
	mounts := []string{"--volume", m.work() + ":" + folder}
	if err := b.StartTargets(ctx, engine.Agent{Program: m.Program, Folder: folder, Mounts: mounts}); err != nil {
		return m.fail(ctx, given, err)
	}
	if len(given.Services) == 0 {
		mounts = append(mounts, "--network", "host") // the server may be on this machine
	}
	if given.Container.User == nil && env["HOME"] == "" && !strings.HasPrefix(b.User, "0") {
		env["HOME"] = folder // the image knows no such user
	}
	return b.RunUntil(ctx, engine.Agent{Program: m.Program, Folder: folder, Mounts: mounts, Env: env}, stopPatience)
}

// serveHost starts programs of steps whose target is this machine, for the agent in the job's container, until end.
func (m *machineAgent) serveHost(ctx context.Context, given job.MachineJob) (end func()) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx)) // an agent that is told to stop has steps to run still
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := ServeTarget(ctx, m.work(), plan.TargetHost); err != nil {
			m.Logger.Error("steps of a job cannot run on this machine", "job", given.Job, "error", err)
		}
	}()
	return func() { stop(); <-done }
}

// logIn lets the engine pull the job's images, until forget.
func (m *machineAgent) logIn(e *engine.Engine, given job.MachineJob) (forget func(), err error) {
	if len(given.Logins) == 0 {
		return func() {}, nil
	}
	folder, err := os.MkdirTemp(m.Folder, "logins-") // which nobody else reads
	if err != nil {
		return nil, fmt.Errorf("keep the credentials of images: %w", err)
	}
	type login struct {
		Auth string `json:"auth"`
	}
	logins := map[string]login{}
	for _, l := range given.Logins {
		logins[l.Host] = login{base64.StdEncoding.EncodeToString([]byte(l.User + ":" + l.Password))}
	}
	if hub, ok := logins["docker.io"]; ok {
		logins["https://index.docker.io/v1/"] = hub
	}
	text, err := json.Marshal(map[string]any{"auths": logins})
	file := filepath.Join(folder, "config.json")
	if err = errors.Join(err, os.WriteFile(file, text, 0o600)); err != nil {
		return nil, errors.Join(fmt.Errorf("keep the credentials of images: %w", err), os.RemoveAll(folder))
	}
	e.Env = append(e.Env, "DOCKER_CONFIG="+folder, "REGISTRY_AUTH_FILE="+file)
	return func() { _ = os.RemoveAll(folder) }, nil
}
