// Package supervisor starts a node, watches it, and takes it down again. It lives outside of the node's network namespace and
// owns its life on the host: namespace, cgroup, child processes, progress. What the parts do is not its business.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"slipway/node/client"
	"slipway/node/config"
	"slipway/node/containers"
	"slipway/node/egress"
	"slipway/node/host"
	"slipway/node/pki"
	"slipway/node/process"
)

// All but politeness, which is the containers' and no measure of the machine, are multiplied by the configuration's patience.
const (
	// readyLimit is how long a start may take, the import of images not counted.
	readyLimit = 3 * time.Minute
	// containerdLimit is how long containerd may take until it answers.
	containerdLimit = time.Minute
	// politeness is how long containers may take to end.
	politeness = 5 * time.Second
	// partLimit is how long a child process may take to end before it is killed, and containerd to answer during a stop.
	partLimit = 5 * time.Second
	// addressLimit is how long the processes of a killed node may take to let go of its address.
	addressLimit = 15 * time.Second
	// stopLimit bounds the polite part of a stop, before everything left is killed.
	stopLimit = 25 * time.Second
	// removeLimit bounds the removal of everything left.
	removeLimit = 20 * time.Second
)

// Supervisor runs one node.
type Supervisor struct {
	Config   *config.Config
	File     string // the configuration's path, for the children
	Program  string // this program's path
	Progress *Progress

	starter    *process.Starter
	containerd *process.Process
	parts      []*process.Process
	ingress    *os.File
	egress     *egress.Egress // nil without
	started    time.Time
}

// Run starts the node, reports when it is ready, and keeps it running until ctx ends; then it stops it and leaves nothing on the
// host. The error, if any, is one sentence for people.
func (s *Supervisor) Run(ctx context.Context) error {
	s.started = time.Now()
	if err := preflight(s.Config, s.programs()); err != nil {
		return err
	}
	held, err := lock(s.Config)
	if err != nil {
		return err
	}
	defer held.Close()
	if err := takePlace(ctx, s.Config); err != nil {
		return err
	}
	// Before anything is made: an error of it must not end the pods that a killed predecessor has left running.
	if err := s.listen(ctx); err != nil {
		return err
	}
	// The starter's thread must live until all children are gone.
	threads, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	err = s.start(ctx, threads)
	if err == nil {
		s.Progress.Say("node", Ready, fmt.Sprintf("node %s is ready; kubeconfig %s", s.Config.NodeName(), s.Config.Kubeconfig()))
		err = s.watch(ctx)
	}
	if ctx.Err() != nil {
		err = nil // asked to stop, perhaps during the start
	}
	s.Progress.Say("node", Stopping, "stopping pods and components")
	return errors.Join(err, s.stop(context.WithoutCancel(ctx)))
}

func (s *Supervisor) programs() string { return filepath.Dir(s.Program) }

func (s *Supervisor) start(ctx, threads context.Context) error {
	p, c := s.Progress, s.Config
	if err := p.phase("prepare", "namespace, cgroup, certificates", func() error { return s.prepare(threads) }); err != nil {
		return err
	}
	if err := p.phase("containerd", "container runtime", func() error { return s.startContainerd(ctx) }); err != nil {
		return err
	}
	if err := s.startParts(ctx); err != nil {
		return &PhaseError{Phase: "control-plane", Err: err}
	}
	if err := p.phase("images", "import images", func() error { return s.importImages(ctx) }); err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, c.Patient(readyLimit))
	defer cancel()
	wait = s.failWith(wait)
	if err := p.phase("control-plane", "etcd, API server, controllers, scheduler", func() error { return s.alive(wait, client.WaitReady(wait, c)) }); err != nil {
		return err
	}
	if err := p.phase("kubelet", "node is Ready", func() error { return s.alive(wait, s.waitNode(wait)) }); err != nil {
		return err
	}
	return p.phase("addons", "DNS, volumes, metrics, ingress", func() error { return s.alive(wait, s.waitAddons(wait)) })
}

// failWith ends the wait when a child ends.
func (s *Supervisor) failWith(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	for _, child := range append([]*process.Process{s.containerd}, s.parts...) {
		go func() {
			select {
			case <-ctx.Done():
			case <-child.Done():
				cancel(child.Err())
			}
		}()
	}
	return ctx
}

// alive prefers the end of a child as the reason why a wait failed.
func (s *Supervisor) alive(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return fmt.Errorf("%w; see %s", cause, s.Config.Logs())
	}
	return err
}

// prepare makes what the children live in.
func (s *Supervisor) prepare(threads context.Context) error {
	c := s.Config
	for _, dir := range []string{c.Run(), c.Logs(), c.Logs("pods"), c.Path("images")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
	}
	cluster := pki.Cluster{Dir: c.PKI(), NodeName: c.NodeName(), Node: net.IP(c.NodeAddress.AsSlice()), Service: net.IP(c.KubernetesService().AsSlice()),
		Server: c.Server(), Admin: c.Kubeconfig(), Now: time.Now()}
	if err := cluster.Ensure(); err != nil {
		return err
	}
	if err := host.EnsureCgroup(c.Cgroup()); err != nil {
		return err
	}
	ns, err := node(c).Ensure()
	if err != nil {
		return err
	}
	defer ns.Close()
	if c.Egress {
		options := egress.Options{Network: c.EgressNetwork(), Refuse: []netip.Prefix{c.PodCIDR, c.ServiceCIDR}}
		if s.egress, err = egress.Start(threads, node(c).Path(), options); err != nil {
			return err
		}
	}
	s.starter, err = process.NewStarter(threads, ns)
	return err
}

func (s *Supervisor) startContainerd(ctx context.Context) error {
	file, err := containers.Configure(s.Config, s.programs())
	if err != nil {
		return err
	}
	s.containerd, err = s.child(ctx, "containerd", []string{"containerd", "--config", file}, nil)
	return err
}

// startParts starts the control plane and the kubelet: all in one process, or each in its own.
func (s *Supervisor) startParts(ctx context.Context) error {
	for _, group := range s.groups() {
		var files []*os.File
		if s.ingress != nil {
			files = append(files, s.ingress)
		}
		args := append([]string{"parts", "--config", s.File}, group.parts...)
		p, err := s.child(ctx, group.name, args, files)
		if err != nil {
			return err
		}
		s.parts = append(s.parts, p)
	}
	return nil
}

func (s *Supervisor) child(ctx context.Context, name string, args []string, files []*os.File) (*process.Process, error) {
	log, err := process.OpenLog(s.Config.Logs(name + ".log"))
	if err != nil {
		return nil, err
	}
	return s.starter.Start(ctx, process.Command{Name: name, Path: s.Program, Args: args, Files: files, Log: log,
		// The shim looks for runc there when containerd asks it for its features.
		Env: []string{"PATH=" + filepath.Dir(s.Config.RunC) + ":" + os.Getenv("PATH")}})
}

// importImages imports the pause image first: the kubelet waits for it.
func (s *Supervisor) importImages(ctx context.Context) error {
	c := s.Config
	pause, err := containers.PauseArchive(filepath.Join(s.programs(), "pause"), c.Path("images"))
	if err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, c.Patient(containerdLimit))
	defer cancel()
	wait = s.failWith(wait)
	client, err := containers.Connect(wait, c.ContainerdSocket())
	if err != nil {
		return s.alive(wait, err)
	}
	defer client.Close()
	ledger := containers.OpenLedger(c.Path("images", "imported.json"))
	for _, file := range append([]string{pause}, c.Images...) {
		begin := time.Now()
		done, err := ledger.Import(ctx, client, file)
		if err != nil {
			return err
		}
		if done {
			s.Progress.Say("images", Starting, fmt.Sprintf("imported %s in %d ms", filepath.Base(file), time.Since(begin).Milliseconds()))
		}
	}
	return nil
}

// watch returns when ctx ends or a child does.
func (s *Supervisor) watch(ctx context.Context) error {
	ctx = s.failWith(ctx)
	<-ctx.Done()
	return s.alive(ctx, ctx.Err())
}
