package localrun

import (
	"bytes"
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
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// containers are what the jobs of a run in containers share. The zero value is ready: nothing is done before a job needs it.
type containers struct {
	once   sync.Once
	engine *engine
	server *http.Server
	err    error
}

func (c *containers) close() {
	if c.server != nil {
		c.server.Close()
	}
}

// Folders and files in a job's container.
const (
	programs  = "/slipway"
	workspace = "/workspace"
)

// doorFolder holds the socket at which agents in containers find this process, and settings of git.
func (e *execution) doorFolder() string {
	return filepath.Join(e.options.Folder, fmt.Sprintf("door-%d", e.count))
}

// engine is the one of this machine, looked for once. What killed runs have left at it is removed, and a door made for agents in
// containers: a socket, since a container does not reach this machine's loopback interface.
func (e *execution) engine(ctx context.Context) (*engine, error) {
	c := &e.containers
	c.once.Do(func() {
		if c.engine, c.err = findEngine(ctx, e.options.Engine); c.err != nil {
			return
		}
		if err := c.engine.sweep(ctx); err != nil {
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

// box is a job's container with its services and their network.
type box struct {
	*execution
	engine  *engine
	work    *work
	name    string
	network bool
	volume  bool
	started []string          // containers
	volumes map[string]string // of the engine, by their names in the file
}

// startServices makes the network, and starts the services in it under their names.
func (b *box) startServices(ctx context.Context) error {
	if len(b.work.services) == 0 {
		return nil
	}
	b.network = true
	if _, err := b.engine.do(ctx, "network", "create", "--label", label+"="+b.engine.process, b.name); err != nil {
		return err
	}
	for i := range b.work.services {
		s := &b.work.services[i]
		if err := b.engine.pull(ctx, s.Image, b.say); err != nil {
			return err
		}
		name := fmt.Sprintf("%s-service-%d", b.name, i+1)
		b.started = append(b.started, name)
		args := []string{"run", "--detach", "--name", name, "--label", label + "=" + b.engine.process, "--network", b.name, "--network-alias", s.Alias}
		args = append(args, flags(s, b.volumes)...)
		if s.Options.Entrypoint != "" {
			args = append(args, "--entrypoint", s.Options.Entrypoint)
		}
		if s.Options.WorkingDirectory != "" {
			args = append(args, "--workdir", s.Options.WorkingDirectory)
		}
		for _, p := range s.Ports {
			args = append(args, "--publish", p)
		}
		cmd := b.engine.command(ctx)
		args = append(append(args, environment(cmd, s.Env)...), s.Image)
		cmd.Args = append(cmd.Args, args...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err != nil {
			return slipway.Unavailable("service %s (%s) does not start: %s", s.Alias, s.Image, lastLines(stderr.String()))
		}
		b.say("##[section]Service %s (%s) has started", s.Alias, s.Image)
	}
	for i := range b.work.services {
		if err := b.waitHealthy(ctx, &b.work.services[i], fmt.Sprintf("%s-service-%d", b.name, i+1)); err != nil {
			return err
		}
	}
	return nil
}

// waitHealthy waits until a service's own check succeeds.
func (b *box) waitHealthy(ctx context.Context, s *plan.Container, name string) error {
	h := s.Options.Health
	if h == nil {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, time.Duration(h.Patience())*time.Second)
	defer cancel()
	ticker := time.NewTicker(time.Duration(min(h.Interval, 2)) * time.Second)
	defer ticker.Stop()
	var last error
	for {
		one, end := context.WithTimeout(limited, time.Duration(h.Timeout)*time.Second)
		_, err := b.engine.do(one, "exec", name, "/bin/sh", "-c", h.Command)
		end()
		if err == nil {
			b.say("##[section]Service %s is healthy", s.Alias)
			return nil
		}
		if limited.Err() == nil {
			last = err
		}
		select {
		case <-ticker.C:
		case <-limited.Done():
			return slipway.Unavailable("service %s (%s) is not healthy: its check %q did not succeed in %d seconds: %v", s.Alias, s.Image, h.Command, h.Patience(), last)
		}
	}
}

// makeVolumes makes the volumes that the job's containers share.
func (b *box) makeVolumes(ctx context.Context) error {
	b.volumes = map[string]string{}
	list := slices.Clone(b.work.services)
	if b.work.container != nil {
		list = append(list, *b.work.container)
	}
	for i := range list {
		for _, v := range list[i].Volumes {
			if v.Name == "" || b.volumes[v.Name] != "" {
				continue
			}
			name := fmt.Sprintf("%s-volume-%d", b.name, len(b.volumes)+1)
			b.volumes[v.Name] = name
			if _, err := b.engine.do(ctx, "volume", "create", "--label", label+"="+b.engine.process, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// runAgent runs the agent in the job's container until it ends.
func (b *box) runAgent(ctx context.Context) error {
	c := b.work.container
	if _, err := os.Stat(b.options.Agent); b.options.Agent == "" || err != nil {
		return slipway.Unavailable("the program slipway-agent, which runs in containers, is not beside slipway: install it there, or give --on-host")
	}
	if err := b.engine.pull(ctx, c.Image, b.say); err != nil {
		return err
	}
	b.volume = true
	if _, err := b.engine.do(ctx, "volume", "create", "--label", label+"="+b.engine.process, b.name); err != nil {
		return err
	}
	if err := b.shareVolume(ctx); err != nil {
		return err
	}
	b.started = append(b.started, b.name)
	cmd := b.engine.command(b.options.Kill)
	args := []string{"run", "--name", b.name, "--label", label + "=" + b.engine.process, "--workdir", workspace}
	if b.network {
		args = append(args, "--network", b.name)
	}
	args = append(append(args, flags(c, b.volumes)...), b.mounts()...)
	for _, p := range c.Ports {
		args = append(args, "--publish", p)
	}
	env := map[string]string{"SLIPWAY_URL": "unix://" + programs + "/door/door.sock", "SLIPWAY_JOB": b.work.assignment.Job.String(), "SLIPWAY_JOB_TOKEN": b.door.token,
		"SLIPWAY_WORKSPACE": workspace, "SLIPWAY_REGISTRY": b.options.Registry, "GIT_CONFIG_SYSTEM": programs + "/door/gitconfig"}
	for name, value := range c.Env {
		env[name] = value
	}
	args = append(append(args, environment(cmd, env)...), "--entrypoint", programs+"/slipway-agent", c.Image)
	cmd.Args = append(cmd.Args, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	b.work.mu.Lock()
	begun := b.work.begun
	b.work.mu.Unlock()
	switch {
	case err == nil:
		return nil
	case b.options.Kill.Err() != nil:
		return errors.New("the run was stopped")
	case begun:
		return fmt.Errorf("its container ended early: %s", lastLines(stderr.String()))
	}
	return slipway.Unavailable("container %s does not start: %s", c.Image, lastLines(stderr.String()))
}

// mounts are the agent, the way to this process, the sources with the objects that they borrow, and the job's own folder.
func (b *box) mounts() []string {
	args := []string{"--security-opt", "label=disable", "--volume", b.name + ":" + workspace, "--volume", b.options.Agent + ":" + programs + "/slipway-agent:ro", "--volume", b.doorFolder() + ":" + programs + "/door:ro"}
	sources := []*source{b.source}
	for _, other := range b.others {
		sources = append(sources, other)
	}
	for _, s := range sources {
		args = append(args, "--volume", s.folder+":"+s.folder+":ro", "--volume", s.objects+":"+s.objects+":ro")
	}
	return args
}

// shareVolume lets the image's user write to the job's folder, if it is not root.
func (b *box) shareVolume(ctx context.Context) error {
	user, err := b.engine.do(ctx, "image", "inspect", "--format", "{{.Config.User}}", b.work.container.Image)
	if err != nil {
		return err
	}
	if u := b.work.container.User; u != nil {
		user = fmt.Sprint(*u)
	}
	if user == "" || user == "0" || user == "root" {
		return nil
	}
	_, err = b.engine.do(ctx, "run", "--rm", "--user", "0", "--label", label+"="+b.engine.process, "--name", b.name+"-share", "--security-opt", "label=disable",
		"--volume", b.name+":"+workspace, "--volume", b.options.Agent+":"+programs+"/slipway-agent:ro", "--entrypoint", programs+"/slipway-agent", b.work.container.Image, "share", workspace)
	return err
}

// removeTimeout bounds the removal of what a job has at the engine, which goes on when the run is stopped.
const removeTimeout = time.Minute

func (b *box) remove() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.options.Kill), removeTimeout)
	defer cancel()
	var errs []error
	do := func(args ...string) {
		if _, err := b.engine.do(ctx, args...); err != nil {
			errs = append(errs, err)
		}
	}
	for _, name := range b.started {
		b.engine.kill(ctx, name)
		do("rm", "--force", "--volumes", name)
	}
	if b.volume {
		do("volume", "rm", "--force", b.name)
	}
	for _, name := range b.volumes {
		do("volume", "rm", "--force", name)
	}
	if b.network {
		do("network", "rm", b.name)
	}
	if err := errors.Join(errs...); err != nil {
		b.say("##[warning]Not everything of job %s could be removed from %s: %v", title(b.work.instance), b.engine.program, err)
	}
}
