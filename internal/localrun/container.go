package localrun

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"slipway"
	"slipway/internal/agent"
	"slipway/internal/agent/engine"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// containers are what the jobs of a run in containers share. The zero value is ready: nothing is done before a job needs it.
type containers struct {
	once   sync.Once
	engine *engine.Engine
	server *http.Server
	err    error
}

func (c *containers) close() {
	if c.server != nil {
		c.server.Close()
	}
}

// doorFolder holds the socket at which agents in containers find this process, and settings of git.
func (e *execution) doorFolder() string {
	return filepath.Join(e.options.Folder, fmt.Sprintf("door-%d", e.count))
}

// engine is the one of this machine, looked for once. What killed runs have left at it is removed, and a door made for agents in
// containers: a socket, since a container does not reach this machine's loopback interface.
func (e *execution) engine(ctx context.Context) (*engine.Engine, error) {
	c := &e.containers
	c.once.Do(func() {
		if c.engine, c.err = engine.Find(ctx, e.options.Engine, "give --on-host to run the job on this machine itself"); c.err != nil {
			return
		}
		if err := c.engine.Sweep(ctx); err != nil {
			e.say("##[warning]What earlier runs have left cannot be removed: %v", err)
		}
		c.err = e.openSocket()
	})
	return c.engine, c.err
}

func (e *execution) openSocket() error {
	folder := e.doorFolder()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make a door for containers: %w", err)
	}
	// Whoever the container's user is, the sources are somebody else's: git asks to be told that this is right.
	settings := "[include]\n\tpath = /etc/gitconfig\n[safe]\n\tdirectory = *\n"
	if err := os.WriteFile(filepath.Join(folder, "gitconfig"), []byte(settings), 0o644); err != nil {
		return fmt.Errorf("make a door for containers: %w", err)
	}
	path := filepath.Join(folder, "door.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("make a door for containers: %w", err)
	}
	if err := errors.Join(os.Chmod(folder, 0o755), os.Chmod(path, 0o666)); err != nil { // every request shows the run's token
		return fmt.Errorf("make a door for containers: %w", err)
	}
	e.containers.server = &http.Server{Handler: e.door.handler(e.options.Logger), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = e.containers.server.Serve(listener) }() // ends with Close
	return nil
}

// containersOf are the job's container and services, as they are when the job starts.
func (e *execution) containersOf(j *plan.Job, variables variable.Set) (*plan.Container, []plan.Container) {
	var own *plan.Container
	if j.Container != nil {
		c := e.plan.ContainerOf(*j.Container, variables.Expand)
		own = &c
	}
	var services []plan.Container
	for _, s := range j.Services {
		c := e.plan.ContainerOf(s, variables.Expand)
		c.Alias = s.Alias
		services = append(services, c)
	}
	return own, services
}

// targetsOf are the containers beside the job's own in which steps of it run.
func (e *execution) targetsOf(i plan.Instance, variables variable.Set) []plan.Container {
	list := e.plan.Targets(i)
	for n, c := range list {
		if c.Image != "" {
			list[n] = e.plan.ContainerOf(c, variables.Expand)
		}
	}
	return list
}

// box is a job's container with its services.
type box struct {
	*execution
	engine.Box
	work *work
}

// runAgent runs the agent in the job's container until it ends. folder is for a job of which steps run on this machine.
func (b *box) runAgent(ctx context.Context, folder string, published []job.ServicePort) error {
	if err := b.checkAgent(); err != nil {
		return err
	}
	c := b.Container
	if err := b.Engine.Pull(ctx, c.Image, b.say); err != nil {
		return err
	}
	inside, workspace, end, err := b.makeWorkspace(ctx, folder)
	if err != nil {
		return err
	}
	defer end()
	if err := b.StartTargets(ctx, b.targetAgent(inside, workspace)); err != nil {
		return err
	}
	env := map[string]string{"SLIPWAY_URL": "unix://" + engine.Programs + "/door/door.sock", "SLIPWAY_JOB": b.work.assignment.Job.String(), "SLIPWAY_JOB_TOKEN": b.door.token,
		"SLIPWAY_WORKSPACE": inside, "SLIPWAY_REGISTRY": b.options.Registry, "GIT_CONFIG_SYSTEM": engine.Programs + "/door/gitconfig",
		"SLIPWAY_PUBLISHED_PORTS": job.FormatPorts(published)}
	for name, value := range c.Env {
		env[name] = value
	}
	err = b.Command(b.options.Kill, engine.Agent{Program: b.options.Agent, Folder: inside, Mounts: append(workspace, b.mounts()...), Env: env})()
	b.work.mu.Lock()
	begun := b.work.begun
	b.work.mu.Unlock()
	switch {
	case err == nil:
		return nil
	case b.options.Kill.Err() != nil:
		return errors.New("the run was stopped")
	case begun:
		return fmt.Errorf("its container ended early: %w", err)
	}
	return slipway.Unavailable("container %s does not start: %v", c.Image, err)
}

// makeWorkspace makes the job's folder: a volume, or folder, at the same path inside, if steps of the job run on this machine. end ends
// what starts programs of these.
func (b *box) makeWorkspace(ctx context.Context, folder string) (inside string, mount []string, end func(), err error) {
	if !b.HasHost() {
		mount, err = b.MakeWorkspace(ctx, b.options.Agent)
		return engine.Workspace, mount, func() {}, err
	}
	err = os.MkdirAll(folder, 0o755)
	if err == nil && b.Container.User != nil {
		err = os.Chmod(folder, 0o777|os.ModeSticky) // the file says who works there
	}
	if err != nil {
		return "", nil, nil, fmt.Errorf("make the job's folder: %w", err)
	}
	b.User = b.Engine.OwnUser()
	ctx, stop := context.WithCancel(b.options.Kill)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := agent.ServeTarget(ctx, folder, plan.TargetHost); err != nil {
			b.say("##[error]Steps of job %s cannot run on this machine: %v", title(b.work.instance), err)
		}
	}()
	return folder, []string{"--volume", folder + ":" + folder}, func() { stop(); <-done }, nil
}

// checkAgent says that the agent for containers is missing.
func (b *box) checkAgent() error {
	if _, err := os.Stat(b.options.Agent); b.options.Agent == "" || err != nil {
		return slipway.Unavailable("the program slipway-agent, which runs in containers, is not beside slipway: install it there, or give --on-host")
	}
	return nil
}

// targetAgent is the agent in containers in which steps run beside the job. mount mounts the job's folder.
func (b *box) targetAgent(folder string, mount []string) engine.Agent {
	return engine.Agent{Program: b.options.Agent, Folder: folder, Mounts: append(slices.Clone(mount), b.mounts()...), Env: map[string]string{"GIT_CONFIG_SYSTEM": engine.Programs + "/door/gitconfig"}}
}

// mounts are the way to this process, and the sources with the objects that they borrow.
func (b *box) mounts() []string {
	args := []string{"--volume", b.doorFolder() + ":" + engine.Programs + "/door:ro"}
	sources := []*source{b.source}
	for _, other := range b.others {
		sources = append(sources, other)
	}
	for _, s := range sources {
		args = append(args, "--volume", s.folder+":"+s.folder+":ro")
		if s.objects != "" {
			args = append(args, "--volume", s.objects+":"+s.objects+":ro")
		}
	}
	return args
}

// remove removes what the job has at the engine.
func (b *box) remove() {
	if err := b.Box.Remove(b.options.Kill); err != nil {
		b.say("##[warning]Not everything of job %s could be removed from %s: %v", title(b.work.instance), b.Engine.Program, err)
	}
}
