package collect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"slipway/internal/insights/telemetry"
)

const (
	maxStats     = 32 << 20 // bytes of one node's statistics
	statsTimeout = 10 * time.Second
)

// sample writes what every container of a deployed pod does, every SampleEvery, until ctx ends.
func (c *Collector) sample(ctx context.Context) error {
	t := time.NewTicker(SampleEvery)
	defer t.Stop()
	for {
		if err := c.sampleOnce(ctx); err != nil && ctx.Err() == nil {
			c.logger.Warn("sample containers", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// sampleOnce takes one sample of all pods. A node that does not answer leaves CPU and memory unmeasured, the rest
// of the sample is from the API server.
func (c *Collector) sampleOnce(ctx context.Context) error {
	now := c.insights.Now()
	pods := []*corev1.Pod{}
	nodes := map[string]map[containerKey]usage{}
	for _, o := range c.pods.List() {
		p, ok := o.(*corev1.Pod)
		if !ok || p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodSucceeded {
			continue // going or done: it is not to be up
		}
		pods = append(pods, p)
		if p.Spec.NodeName != "" {
			nodes[p.Spec.NodeName] = nil
		}
	}
	var failed error
	for node := range nodes {
		u, err := c.nodeUsage(ctx, node)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		nodes[node] = u
	}
	b := &telemetry.Batch{}
	for _, p := range pods {
		for i := range p.Spec.Containers {
			b.Add(containerRow(p, &p.Spec.Containers[i], nodes[p.Spec.NodeName], now))
		}
	}
	return errors.Join(failed, c.insights.Ingest(ctx, b))
}

func containerRow(p *corev1.Pod, spec *corev1.Container, used map[containerKey]usage, now time.Time) *telemetry.Container {
	r := containerResource(p, spec.Name)
	row := &telemetry.Container{Item: telemetry.Item{Resource: &r, Time: now}, CPULimit: cores(spec.Resources.Limits, corev1.ResourceCPU),
		MemoryLimit: memoryOf(spec.Resources.Limits, corev1.ResourceMemory), State: "waiting"}
	if u, ok := used[containerKey{p.Namespace, p.Name, spec.Name}]; ok {
		row.CPU, row.Memory, row.Measured = u.cpu, u.memory, true
	}
	if p.Status.Reason != "" { // Evicted, NodeLost
		row.Reason = p.Status.Reason
	}
	for _, condition := range p.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			row.Reason = condition.Reason // Unschedulable
		}
		if condition.Type == corev1.PodReadyToStartContainers && condition.Status == corev1.ConditionTrue {
			row.Sandbox = condition.LastTransitionTime.Time
		}
	}
	for _, s := range p.Status.ContainerStatuses {
		if s.Name != spec.Name {
			continue
		}
		row.Ready, row.Restarts = s.Ready, int64(s.RestartCount)
		switch {
		case s.State.Running != nil:
			row.State = "running"
			if !s.Ready {
				row.Reason = "NotReady"
			}
		case s.State.Terminated != nil:
			row.State, row.Reason = "terminated", s.State.Terminated.Reason
		case s.State.Waiting != nil:
			row.Reason = s.State.Waiting.Reason
		}
	}
	return row
}

func cores(l corev1.ResourceList, name corev1.ResourceName) float64 {
	q := quantity(l, name)
	return q.AsApproximateFloat64()
}

func memoryOf(l corev1.ResourceList, name corev1.ResourceName) int64 {
	q := quantity(l, name)
	return q.Value()
}

func quantity(l corev1.ResourceList, name corev1.ResourceName) resource.Quantity { return l[name] }

type containerKey struct{ namespace, pod, container string }

type usage struct {
	cpu    float64 // cores
	memory int64   // bytes, working set
}

// summary is the part that is needed of the kubelet's /stats/summary.
type summary struct {
	Pods []struct {
		PodRef struct {
			Name      string `json:"name"`
			Namespace string `json:"namespace"`
		} `json:"podRef"`
		Containers []struct {
			Name string `json:"name"`
			CPU  *struct {
				UsageNanoCores *uint64 `json:"usageNanoCores"`
			} `json:"cpu"`
			Memory *struct {
				WorkingSetBytes *uint64 `json:"workingSetBytes"`
			} `json:"memory"`
		} `json:"containers"`
	} `json:"pods"`
}

// nodeUsage asks a node's kubelet through the API server.
func (c *Collector) nodeUsage(ctx context.Context, node string) (map[containerKey]usage, error) {
	ctx, cancel := context.WithTimeout(ctx, statsTimeout)
	defer cancel()
	stream, err := c.client.CoreV1().RESTClient().Get().Resource("nodes").Name(node).SubResource("proxy").Suffix("stats/summary").Stream(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask node %s for its statistics: %w", node, err)
	}
	defer stream.Close()
	var s summary
	if err := json.NewDecoder(io.LimitReader(stream, maxStats)).Decode(&s); err != nil {
		return nil, fmt.Errorf("read the statistics of node %s: %w", node, err)
	}
	m := map[containerKey]usage{}
	for _, p := range s.Pods {
		for _, k := range p.Containers {
			if k.CPU == nil || k.CPU.UsageNanoCores == nil || k.Memory == nil || k.Memory.WorkingSetBytes == nil {
				continue // it has just started
			}
			m[containerKey{p.PodRef.Namespace, p.PodRef.Name, k.Name}] = usage{float64(*k.CPU.UsageNanoCores) / 1e9, int64(*k.Memory.WorkingSetBytes)}
		}
	}
	return m, nil
}
