// Package kube runs the Kubernetes components and etcd inside this process, each as a function that ends with its context.
// It goes past the components' commands, which take the process's signals for themselves, and calls what they call. It must
// not know how the components are spread over processes.
package kube

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

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

// REST returns the client configuration of one of the kubeconfigs in the PKI folder.
func REST(c *config.Config, name string) (*rest.Config, error) {
	r, err := clientcmd.BuildConfigFromFlags("", c.PKI(name+".kubeconfig"))
	if err != nil {
		return nil, fmt.Errorf("kubeconfig of %s: %w", name, err)
	}
	r.UserAgent = "slipway-node/" + name
	return r, nil
}

// Client returns a client for one of the kubeconfigs in the PKI folder.
func Client(c *config.Config, name string) (*kubernetes.Clientset, error) {
	r, err := REST(c, name)
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(r)
}

// WaitReady waits until the API server answers /readyz with success.
func WaitReady(ctx context.Context, c *config.Config) error {
	r, err := REST(c, "addons")
	if err != nil {
		return err
	}
	client, err := rest.HTTPClientFor(r)
	if err != nil {
		return err
	}
	client.Timeout = 5 * time.Second
	last := "no answer"
	for {
		if last = ask(ctx, client, c.Server()+"/readyz"); last == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the API server: %s", last)
		case <-time.After(50 * time.Millisecond): // it offers no signal but this
		}
	}
}

// ask returns "" when the URL answers with success, or what it said instead.
func ask(ctx context.Context, client *http.Client, url string) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	response, err := client.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		return ""
	}
	body, _ := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	return fmt.Sprintf("%s: %s", response.Status, body)
}
