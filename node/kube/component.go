// Package kube runs the Kubernetes components and etcd inside this process, each as a function that ends with its context.
// It goes past the components' commands, which take the process's signals for themselves, and calls what they call. It must
// not know how the components are spread over processes.
package kube

import (
	"context"
	"fmt"
	"sync"

	"github.com/spf13/pflag"

	"slipway/node/config"
)

// Component is one part of the control plane or of the node. Run returns when ctx ends or the component fails.
type Component struct {
	Name string
	// NeedsServer makes a component wait for the API server.
	NeedsServer bool
	Run         func(ctx context.Context, c *config.Config) error
}

// Components are all Kubernetes components, in the order of dependence.
func Components() []Component {
	return []Component{
		{Name: "etcd", Run: RunEtcd},
		{Name: "apiserver", Run: RunAPIServer},
		{Name: "controller-manager", NeedsServer: true, Run: RunControllerManager},
		{Name: "scheduler", NeedsServer: true, Run: RunScheduler},
		{Name: "kubelet", NeedsServer: true, Run: RunKubelet},
		{Name: "proxy", NeedsServer: true, Run: RunProxy},
	}
}

// options serializes the set-up of components that share a process: their options share feature gates.
var options sync.Mutex

// parse parses a component's arguments with its own flags.
func parse(name string, args []string, sets ...*pflag.FlagSet) error {
	flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
	for _, s := range sets {
		flags.AddFlagSet(s)
	}
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
