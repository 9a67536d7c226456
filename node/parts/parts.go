// Package parts runs a choice of the cluster's components in this process: Kubernetes' own and the add-ons. It is the inside of
// the node's network namespace; the supervisor outside decides which process runs which parts.
package parts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"

	"slipway/node/client"
	"slipway/node/config"
	"slipway/node/containers"
	"slipway/node/dns"
	"slipway/node/ingress"
	"slipway/node/kube"
	"slipway/node/metrics"
	"slipway/node/objects"
	"slipway/node/volumes"
)

// Set is everything that the parts share.
type Set struct {
	Config *config.Config
	// Ingress is the listener on the host, made by the supervisor; nil without ingress.
	Ingress net.Listener
}

// part is one thing to run. Run returns when ctx ends or the part fails.
type part struct {
	name string
	run  func(ctx context.Context) error
	// server makes a part wait for the API server.
	server bool
}

// all lists the parts in the order of dependence.
func (s Set) all() []part {
	var all []part
	for _, c := range kube.Components() {
		all = append(all, part{name: c.Name, server: c.NeedsServer, run: func(ctx context.Context) error {
			if c.Name == "kubelet" {
				if err := s.beforeKubelet(ctx); err != nil {
					return err
				}
			}
			return c.Run(ctx, s.Config)
		}})
	}
	all = append(all,
		part{name: "objects", server: true, run: func(ctx context.Context) error {
			if err := objects.Apply(ctx, s.Config); err != nil {
				return err
			}
			<-ctx.Done() // its work is done, but a part that ends counts as failed
			return nil
		}},
		part{name: "dns", server: true, run: func(ctx context.Context) error { return dns.Run(ctx, s.Config) }},
		part{name: "volumes", server: true, run: func(ctx context.Context) error { return volumes.Run(ctx, s.Config) }},
		part{name: "metrics", server: true, run: func(ctx context.Context) error { return metrics.Run(ctx, s.Config) }},
	)
	if s.Ingress != nil {
		all = append(all, part{name: "ingress", server: true, run: func(ctx context.Context) error { return ingress.Run(ctx, s.Config, s.Ingress) }})
	}
	return all
}

// beforeKubelet waits for what the kubelet must not come before.
func (s Set) beforeKubelet(ctx context.Context) error {
	// A pod that starts before the pause image is there fails, and waits ten seconds for its next turn.
	if err := containers.WaitImage(ctx, s.Config.ContainerdSocket(), containers.PauseImage); err != nil {
		return err
	}
	// The volume plugin for CSI keeps the node's name and the drivers in variables of the process, and both the controllers and the
	// kubelet set them, the controllers to no name: whoever comes last wins, and a kubelet without a name never becomes ready.
	return client.WaitControllers(ctx, s.Config)
}

// Groups spreads the parts over processes: one for all of them, or one for each Kubernetes component and one for the add-ons.
func Groups(c *config.Config) [][]string {
	var kubernetes [][]string
	for _, k := range kube.Components() {
		kubernetes = append(kubernetes, []string{k.Name})
	}
	addons := []string{"objects", "dns", "volumes", "metrics"}
	if c.Ingress.Listen != "" {
		addons = append(addons, "ingress")
	}
	if c.Processes == config.Separate {
		return append(kubernetes, addons)
	}
	return [][]string{slices.Concat(append(kubernetes, addons)...)}
}

// Run runs the named parts until ctx ends or one of them fails. A part that ends by itself has failed.
func (s Set) Run(ctx context.Context, names []string) error {
	asked := ctx
	group, ctx := errgroup.WithContext(ctx)
	// One part asks for all: each question costs the API server a look at etcd, while it is busy starting.
	ready := sync.OnceValue(func() error { return client.WaitReady(ctx, s.Config) })
	started := 0
	for _, p := range s.all() {
		if slices.Contains(names, p.name) {
			started++
			group.Go(func() error { return s.run(ctx, p, ready) })
		}
	}
	if started != len(names) {
		return fmt.Errorf("unknown part among %q", names)
	}
	done := make(chan error, 1)
	go func() { done <- group.Wait() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		if asked.Err() != nil {
			return nil
		}
		return context.Cause(ctx)
	}
}

// patience is how long the parts may take to end. The API server waits far longer for its watchers, and etcd for the API server;
// both are made to survive a crash, and this process ends right after.
const patience = time.Second

func (s Set) run(ctx context.Context, p part, ready func() error) error {
	if p.server {
		if err := ready(); err != nil {
			return err
		}
	}
	klog.Infof("slipway: starting %s", p.name)
	err := p.run(ctx)
	klog.Infof("slipway: ended %s", p.name)
	if ctx.Err() != nil {
		return nil
	}
	if err == nil {
		err = errors.New("ended without a reason")
	}
	return fmt.Errorf("%s: %w", p.name, err)
}
