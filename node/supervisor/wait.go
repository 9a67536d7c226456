package supervisor

import (
	"context"
	"fmt"
	"net"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway/node/client"
	"slipway/node/objects"
)

// waitNode waits until the kubelet of this start has reported the node Ready. The report of an earlier one does not count.
func (s *Supervisor) waitNode(ctx context.Context) error {
	api, err := client.New(s.Config, "addons")
	if err != nil {
		return err
	}
	reason := "the kubelet has not reported yet"
	for {
		node, err := api.CoreV1().Nodes().Get(ctx, s.Config.NodeName(), metav1.GetOptions{})
		if err == nil {
			if reason = s.unready(node); reason == "" {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the node is not Ready: %s", reason)
		case <-time.After(s.Config.Patient(100 * time.Millisecond)): // cheaper than a watch for these few seconds
		}
	}
}

// waitAddons waits for what the first pod of a new cluster needs: the default service account, name resolution, volumes.
func (s *Supervisor) waitAddons(ctx context.Context) error {
	api, err := client.New(s.Config, "addons")
	if err != nil {
		return err
	}
	checks := map[string]func() error{
		"default service account": func() error {
			_, err := api.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
			return err
		},
		"storage class": func() error {
			_, err := api.StorageV1().StorageClasses().Get(ctx, objects.StorageClass, metav1.GetOptions{})
			return err
		},
		"DNS service": func() error {
			_, err := api.CoreV1().Services("kube-system").Get(ctx, "kube-dns", metav1.GetOptions{})
			return err
		},
		"DNS server": func() error {
			connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(s.Config.NodeAddress.String(), "53"))
			if err == nil {
				err = connection.Close()
			}
			return err
		},
	}
	for name, check := range checks {
		for {
			err := check()
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s is missing: %w", name, err)
			case <-time.After(s.Config.Patient(50 * time.Millisecond)): // see waitNode
			}
		}
	}
	return nil
}

// unready says why the node is not Ready, or nothing.
func (s *Supervisor) unready(node *corev1.Node) string {
	for _, c := range node.Status.Conditions {
		if c.Type != corev1.NodeReady {
			continue
		}
		if c.LastHeartbeatTime.Time.Before(s.started.Truncate(time.Second)) {
			return "the kubelet has not reported since the start"
		}
		if c.Status != corev1.ConditionTrue {
			return c.Message
		}
		return ""
	}
	return "the kubelet has not reported its condition"
}
