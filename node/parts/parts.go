// Package parts runs a choice of the cluster's components in this process: Kubernetes' own and the add-ons. It is the inside of
// the node's network namespace; the supervisor outside decides which process runs which parts.
package parts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"

	"slipway/node/config"
	"slipway/node/containers"
	"slipway/node/kube"
)

// Set is everything that the parts share.
type Set struct {
	Config *config.Config
	// Ingress is the listener on the host, made by the supervisor; nil without ingress.
	Ingress net.Listener
}

// Names lists all parts in the order of dependence.
func Names() []string {
	var names []string
	for _, c := range kube.Components() {
		names = append(names, c.Name)
	}
	return names
}

// Run runs the named parts until ctx ends or one of them fails. A part that ends by itself has failed.
func (s Set) Run(ctx context.Context, names []string) error {
	for _, name := range names {
		if !slices.Contains(Names(), name) {
			return fmt.Errorf("unknown part %q", name)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, c := range kube.Components() {
		if slices.Contains(names, c.Name) {
			group.Go(func() error { return s.run(ctx, c) })
		}
	}
	return group.Wait()
}

func (s Set) run(ctx context.Context, c kube.Component) error {
	if c.NeedsServer {
		if err := kube.WaitReady(ctx, s.Config); err != nil {
			return err
		}
	}
	if c.Name == "kubelet" {
		// A pod that starts before the pause image is there fails, and waits ten seconds for its next turn.
		if err := containers.WaitImage(ctx, s.Config.ContainerdSocket(), containers.PauseImage); err != nil {
			return err
		}
	}
	klog.Infof("slipway: starting %s", c.Name)
	err := c.Run(ctx, s.Config)
	if ctx.Err() != nil {
		return nil
	}
	if err == nil {
		err = errors.New("ended without a reason")
	}
	return fmt.Errorf("%s: %w", c.Name, err)
}
