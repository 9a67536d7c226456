package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
)

// Folders in a job's container.
const (
	Programs  = "/slipway"   // of the agent
	Workspace = "/workspace" // of the job
)

// Box is a job's container with its services, their network and their volumes.
type Box struct {
	Engine    *Engine
	Name      string          // see Engine.Name
	Container *plan.Container // nil when only services are contained
	Services  []plan.Container
	Targets   []plan.Container // in which steps of the job run
	// User is who works in the job's container when the file names nobody: a number, or two as UID:GID. "" is the image's own.
	User string
	// Say takes lines for people.
	Say func(format string, args ...any)

	network bool
	started []string          // containers
	made    []string          // volumes
	volumes map[string]string // of the engine, by their names in the file
}

// Prepare makes the volumes that the containers share, and starts the services under their names in a network of their own.
func (b *Box) Prepare(ctx context.Context) error {
	if err := b.makeVolumes(ctx); err != nil {
		return err
	}
	return b.startServices(ctx)
}

// startServices makes the network, and starts the services in it under their names.
func (b *Box) startServices(ctx context.Context) error {
	if len(b.Services) == 0 {
		return nil
	}
	b.network = true
	if _, err := b.Engine.Do(ctx, "network", "create", "--label", label+"="+b.Engine.process, b.Name); err != nil {
		return err
	}
	for i := range b.Services {
		if err := b.startService(ctx, &b.Services[i], fmt.Sprintf("%s-service-%d", b.Name, i+1)); err != nil {
			return err
		}
	}
	for i := range b.Services {
		if err := b.waitHealthy(ctx, &b.Services[i], fmt.Sprintf("%s-service-%d", b.Name, i+1)); err != nil {
			return err
		}
	}
	return nil
}

func (b *Box) startService(ctx context.Context, s *plan.Container, name string) error {
	if err := b.Engine.Pull(ctx, s.Image, b.Say); err != nil {
		return err
	}
	b.started = append(b.started, name)
	args := []string{"run", "--detach", "--name", name, "--label", label + "=" + b.Engine.process, "--network", b.Name, "--network-alias", s.Alias}
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
	cmd := b.Engine.Command(ctx)
	args = append(append(args, environment(cmd, s.Env)...), s.Image)
	cmd.Args = append(cmd.Args, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return slipway.Unavailable("service %s (%s) does not start: %s", s.Alias, s.Image, lastLines(stderr.String()))
	}
	b.Say("##[section]Service %s (%s) has started", s.Alias, s.Image)
	return nil
}

// waitHealthy waits until a service's own check succeeds.
func (b *Box) waitHealthy(ctx context.Context, s *plan.Container, name string) error {
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
		_, err := b.Engine.Do(one, "exec", name, "/bin/sh", "-c", h.Command)
		end()
		if err == nil {
			b.Say("##[section]Service %s is healthy", s.Alias)
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

// Ports are the ports of the services with those of this machine that the engine has mapped them to, once they are started.
func (b *Box) Ports(ctx context.Context) ([]job.ServicePort, error) {
	var list []job.ServicePort
	for i := range b.Services {
		s := &b.Services[i]
		if len(s.Ports) == 0 {
			continue
		}
		out, err := b.Engine.Do(ctx, "port", fmt.Sprintf("%s-service-%d", b.Name, i+1))
		if err != nil {
			return nil, fmt.Errorf("ask for the ports of service %s: %w", s.Alias, err)
		}
		list = append(list, mappedPorts(s.Alias, out)...)
	}
	return list, nil
}

// mappedPorts reads what `docker port` and `podman port` print: 80/tcp -> 0.0.0.0:32768, a line for each address.
func mappedPorts(service, text string) []job.ServicePort {
	var list []job.ServicePort
	for line := range strings.Lines(text) {
		inner, outer, ok := strings.Cut(strings.TrimSpace(line), " -> ")
		port, protocol, _ := strings.Cut(inner, "/")
		at := strings.LastIndexByte(outer, ':')
		if !ok || at < 0 || protocol != "tcp" {
			continue
		}
		one := job.ServicePort{Service: service, Mapped: outer[at+1:], Port: port}
		if !slices.ContainsFunc(list, func(p job.ServicePort) bool { return p.Port == port }) {
			list = append(list, one)
		}
	}
	return list
}

// makeVolumes makes the volumes that the job's containers share.
func (b *Box) makeVolumes(ctx context.Context) error {
	b.volumes = map[string]string{}
	list := slices.Concat(b.Services, b.Targets)
	if b.Container != nil {
		list = append(list, *b.Container)
	}
	for i := range list {
		for _, v := range list[i].Volumes {
			if v.Name == "" || b.volumes[v.Name] != "" {
				continue
			}
			name := fmt.Sprintf("%s-volume-%d", b.Name, len(b.volumes)+1)
			b.volumes[v.Name] = name
			if err := b.makeVolume(ctx, name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *Box) makeVolume(ctx context.Context, name string) error {
	b.made = append(b.made, name)
	_, err := b.Engine.Do(ctx, "volume", "create", "--label", label+"="+b.Engine.process, name)
	return err
}

// MakeWorkspace makes a volume for the job's folder, which the image's user may write to, and gives what mounts it. agent is the
// static agent.
func (b *Box) MakeWorkspace(ctx context.Context, agent string) (mount []string, err error) {
	if err := b.makeVolume(ctx, b.Name); err != nil {
		return nil, err
	}
	mount = []string{"--volume", b.Name + ":" + Workspace}
	user, err := b.jobUser(ctx)
	if err != nil {
		return nil, err
	}
	if user == "" || user == "0" || user == "root" {
		return mount, nil
	}
	args := []string{"run", "--rm", "--user", "0", "--label", label + "=" + b.Engine.process, "--name", b.Name + "-share", "--security-opt", "label=disable",
		"--volume", agent + ":" + Programs + "/slipway-agent:ro", "--entrypoint", Programs + "/slipway-agent"}
	_, err = b.Engine.Do(ctx, append(append(args, mount...), b.Container.Image, "share", Workspace)...)
	return mount, err
}

// Agent says how the agent runs in the job's container.
type Agent struct {
	Program string   // path of the static agent on this machine
	Folder  string   // of the job, in the container
	Mounts  []string // words for the engine, the workspace among them
	Env     map[string]string
}

// Command runs the agent in the job's container, whose image must be there. ctx ends it at once.
func (b *Box) Command(ctx context.Context, a Agent) (run func() error) {
	c := b.Container
	b.started = append(b.started, b.Name)
	cmd := b.Engine.Command(ctx)
	args := []string{"run", "--name", b.Name, "--label", label + "=" + b.Engine.process, "--workdir", a.Folder, "--security-opt", "label=disable",
		"--volume", a.Program + ":" + Programs + "/slipway-agent:ro"}
	if b.network {
		args = append(args, "--network", b.Name)
	}
	if c.User == nil && b.User != "" {
		args = append(args, "--user", b.User)
	}
	args = append(append(args, flags(c, b.volumes)...), a.Mounts...)
	for _, p := range c.Ports {
		args = append(args, "--publish", p)
	}
	args = append(append(args, environment(cmd, a.Env)...), "--entrypoint", Programs+"/slipway-agent", c.Image)
	cmd.Args = append(cmd.Args, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	return func() error {
		if err := cmd.Run(); err != nil {
			return errors.New(lastLines(stderr.String()))
		}
		return nil
	}
}

// RunUntil is Command for an agent that is asked to stop when ctx ends, and ended at once when it has not after the patience.
func (b *Box) RunUntil(ctx context.Context, a Agent, patience time.Duration) error {
	kill, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := context.AfterFunc(ctx, func() {
		limited, cancel := context.WithTimeout(kill, patience)
		defer cancel()
		_, _ = b.Engine.Do(limited, "kill", "--signal", "TERM", b.Name) // one that has ended is no mistake
		<-limited.Done()
		stop()
	})
	defer ended()
	return b.Command(kill, a)()
}

// removeTimeout bounds the removal of what a job has at the engine, which goes on when the run is stopped.
const removeTimeout = time.Minute

// Remove removes everything that the job has at the engine.
func (b *Box) Remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	var errs []error
	do := func(args ...string) {
		if _, err := b.Engine.Do(ctx, args...); err != nil {
			errs = append(errs, err)
		}
	}
	for _, name := range b.started {
		b.Engine.kill(ctx, name)
		do("rm", "--force", "--volumes", name)
	}
	for _, name := range b.made {
		do("volume", "rm", "--force", name)
	}
	if b.network {
		do("network", "rm", b.Name)
	}
	return errors.Join(errs...)
}
