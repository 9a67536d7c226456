// Package client opens the API server for this module's own parts, as one of the users whose kubeconfigs are in the PKI folder.
package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/kubernetes/cmd/kube-controller-manager/names"

	"slipway/node/config"
)

// REST returns the client configuration of one of the kubeconfigs in the PKI folder.
func REST(c *config.Config, name string) (*rest.Config, error) {
	r, err := clientcmd.BuildConfigFromFlags("", c.PKI(name+".kubeconfig"))
	if err != nil {
		return nil, fmt.Errorf("kubeconfig of %s: %w", name, err)
	}
	r.UserAgent = "slipway-node/" + name
	return r, nil
}

// New returns a client for one of the kubeconfigs in the PKI folder.
func New(c *config.Config, name string) (*kubernetes.Clientset, error) {
	r, err := REST(c, name)
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(r)
}

// WaitReady waits until the API server answers /readyz with success.
func WaitReady(ctx context.Context, c *config.Config) error {
	return wait(ctx, c, "the API server", c.Server()+"/readyz", func(status int, _ string) bool { return status == http.StatusOK })
}

// WaitControllers waits until the controller manager has built its controllers: its health names them from then on. It is to be
// asked inside the node's network namespace.
func WaitControllers(ctx context.Context, c *config.Config) error {
	built := "]" + names.PersistentVolumeAttachDetachController + " "
	url := fmt.Sprintf("https://127.0.0.1:%d/healthz?verbose", config.ControllersPort)
	return wait(ctx, c, "the controllers", url, func(_ int, body string) bool { return strings.Contains(body, built) })
}

// wait asks a URL until its answer is the one that is waited for.
func wait(ctx context.Context, c *config.Config, what, url string, done func(status int, body string) bool) error {
	r, err := REST(c, "addons")
	if err != nil {
		return err
	}
	client, err := rest.HTTPClientFor(r)
	if err != nil {
		return err
	}
	client.Timeout = c.Patient(5 * time.Second)
	for {
		status, body, err := get(ctx, client, url)
		if err == nil && done(status, body) {
			return nil
		}
		select {
		case <-ctx.Done():
			if err != nil {
				return fmt.Errorf("wait for %s: %w", what, err)
			}
			return fmt.Errorf("wait for %s: %s: %d %s", what, url, status, body)
		case <-time.After(c.Patient(50 * time.Millisecond)): // it offers no signal but this
		}
	}
}

func get(ctx context.Context, client *http.Client, url string) (status int, body string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	return response.StatusCode, string(b), err
}
