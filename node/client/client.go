// Package client opens the API server for this module's own parts, as one of the users whose kubeconfigs are in the PKI folder.
package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

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
	r, err := REST(c, "addons")
	if err != nil {
		return err
	}
	client, err := rest.HTTPClientFor(r)
	if err != nil {
		return err
	}
	client.Timeout = c.Patient(5 * time.Second)
	last := "no answer"
	for {
		if last = ask(ctx, client, c.Server()+"/readyz"); last == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the API server: %s", last)
		case <-time.After(c.Patient(50 * time.Millisecond)): // it offers no signal but this
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
