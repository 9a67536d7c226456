package supervisor

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway/node/kube"
)

// waitNode waits until the kubelet of this start has reported the node Ready. The report of an earlier one does not count.
func (s *Supervisor) waitNode(ctx context.Context) error {
	client, err := kube.Client(s.Config, "addons")
	if err != nil {
		return err
	}
	reason := "the kubelet has not reported yet"
	for {
		node, err := client.CoreV1().Nodes().Get(ctx, s.Config.NodeName(), metav1.GetOptions{})
		if err == nil {
			if reason = s.unready(node); reason == "" {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the node is not Ready: %s", reason)
		case <-time.After(100 * time.Millisecond): // cheaper than a watch for these few seconds
		}
	}
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
