package clusters

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway"
)

// Node is a machine of a cluster as it is now.
type Node struct {
	Name       string
	Ready      bool
	Reason     string // why it is not ready
	Version    string // the kubelet's
	System     string
	CPU        string // that pods can have
	Memory     int64  // likewise, in bytes
	Pods       int
	MaxPods    int
	Created    time.Time
	Conditions []string // what it suffers from: MemoryPressure, DiskPressure
}

// Pod is a pod as it is now.
type Pod struct {
	Cluster     string
	Namespace   string
	Name        string
	Environment slipway.EnvironmentID // 0 for pods that are none of Slipway's
	Deployment  slipway.DeploymentID
	Run         slipway.RunID
	Commit      slipway.CommitID
	Workload    string // Deployment web
	Phase       string // as kubectl shows it: Running, CrashLoopBackOff, Terminating
	Ready       bool
	Restarts    int
	Created     time.Time
	Node        string
	Containers  []Container
	Cause       string // why it is not ready, in plain words
}

// Container is one container of a pod, init containers left out.
type Container struct {
	Name   string
	Image  string
	Digest slipway.Digest // of what runs, empty while unknown
}

const maxListed = int64(5000)

// Nodes lists a cluster's machines.
func (s *Service) Nodes(ctx context.Context, name string) ([]Node, error) {
	c, err := s.cluster(name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	nodes, err := c.typed.CoreV1().Nodes().List(ctx, metav1.ListOptions{Limit: maxListed})
	if err != nil {
		return nil, c.unreachable(fmt.Errorf("list nodes of cluster %s: %w", name, err))
	}
	pods, err := c.typed.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{Limit: maxListed})
	if err != nil {
		return nil, c.unreachable(fmt.Errorf("list pods of cluster %s: %w", name, err))
	}
	count := map[string]int{}
	for _, p := range pods.Items {
		count[p.Spec.NodeName]++
	}
	list := make([]Node, 0, len(nodes.Items))
	for _, n := range nodes.Items {
		list = append(list, toNode(&n, count[n.Name]))
	}
	return list, nil
}

func toNode(n *corev1.Node, pods int) Node {
	node := Node{Name: n.Name, Version: n.Status.NodeInfo.KubeletVersion, System: n.Status.NodeInfo.OSImage, Pods: pods,
		CPU: n.Status.Allocatable.Cpu().String(), Memory: n.Status.Allocatable.Memory().Value(),
		MaxPods: int(n.Status.Allocatable.Pods().Value()), Created: n.CreationTimestamp.UTC()}
	for _, c := range n.Status.Conditions {
		switch {
		case c.Type == corev1.NodeReady:
			node.Ready = c.Status == corev1.ConditionTrue
			if !node.Ready {
				node.Reason = firstOf(c.Message, c.Reason)
			}
		case c.Status == corev1.ConditionTrue:
			node.Conditions = append(node.Conditions, string(c.Type))
		}
	}
	return node
}

// Pods lists the pods in a namespace of a cluster, or in all when it is empty, by name.
func (s *Service) Pods(ctx context.Context, name, namespace string) ([]Pod, error) {
	c, err := s.cluster(name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	pods, err := c.typed.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{Limit: maxListed})
	if err != nil {
		return nil, c.unreachable(fmt.Errorf("list pods of cluster %s: %w", name, err))
	}
	var about scene
	if namespace != "" { // what happened lately says why pods are not ready
		events, err := c.typed.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{Limit: maxListed})
		if err != nil {
			return nil, c.unreachable(fmt.Errorf("list events of cluster %s: %w", name, err))
		}
		for i := range events.Items {
			about.events = append(about.events, &events.Items[i])
		}
	}
	list := make([]Pod, 0, len(pods.Items))
	for i := range pods.Items {
		p := toPod(name, &pods.Items[i])
		if !p.Ready && p.Phase != "Succeeded" && p.Phase != "Completed" {
			p.Cause = about.podCause(&pods.Items[i]).Message
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b Pod) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	return list, nil
}

func toPod(cluster string, p *corev1.Pod) Pod {
	pod := Pod{Cluster: cluster, Namespace: p.Namespace, Name: p.Name, Workload: workloadOf(p), Phase: phaseOf(p),
		Created: p.CreationTimestamp.UTC(), Node: p.Spec.NodeName, Commit: slipway.CommitID(p.Annotations[annotationCommit]),
		Environment: slipway.EnvironmentID(number(p.Labels[labelEnvironment])),
		Deployment:  slipway.DeploymentID(number(p.Labels[labelDeployment])), Run: slipway.RunID(number(p.Labels[labelRun]))}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			pod.Ready = c.Status == corev1.ConditionTrue
		}
	}
	for _, c := range p.Spec.Containers {
		container := Container{Name: c.Name, Image: c.Image}
		for _, status := range p.Status.ContainerStatuses {
			if status.Name == c.Name {
				container.Digest = digestOf(status.ImageID)
				pod.Restarts += int(status.RestartCount)
			}
		}
		pod.Containers = append(pod.Containers, container)
	}
	return pod
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// digestOf reads status.imageID: NAME@DIGEST of what was pulled. A bare digest is that of the image's configuration,
// which names nothing in a registry.
func digestOf(imageID string) slipway.Digest {
	_, text, ok := strings.Cut(imageID, "@")
	if !ok {
		return ""
	}
	d, err := slipway.ParseDigest(text)
	if err != nil {
		return ""
	}
	return d
}

// workloadOf names what a pod belongs to; a Deployment's ReplicaSet is called after it, with a hash at the end.
func workloadOf(p *corev1.Pod) string {
	own := metav1.GetControllerOf(p)
	if own == nil {
		return "Pod " + p.Name
	}
	if hash := p.Labels["pod-template-hash"]; own.Kind == "ReplicaSet" && hash != "" {
		return "Deployment " + strings.TrimSuffix(own.Name, "-"+hash)
	}
	return own.Kind + " " + own.Name
}

// phaseOf is the word that kubectl shows for a pod.
func phaseOf(p *corev1.Pod) string {
	if p.DeletionTimestamp != nil {
		return "Terminating"
	}
	word := string(p.Status.Phase)
	if p.Status.Reason != "" {
		word = p.Status.Reason
	}
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		switch {
		case c.State.Waiting != nil && c.State.Waiting.Reason != "" && c.State.Waiting.Reason != "PodInitializing":
			return c.State.Waiting.Reason
		case c.State.Terminated != nil && c.State.Terminated.ExitCode != 0:
			return firstOf(c.State.Terminated.Reason, "Error")
		}
	}
	return word
}

// LogOptions say which part of a pod's log is wanted.
type LogOptions struct {
	Container string // the first when empty
	Follow    bool
	Previous  bool  // of the container before the last restart
	Lines     int64 // the last ones; 0 means 1000
}

const defaultLogLines = 1000

// PodLog streams a container's log. The caller closes the stream; a followed one ends with the container or with ctx.
func (s *Service) PodLog(ctx context.Context, cluster, namespace, pod string, o LogOptions) (io.ReadCloser, error) {
	c, err := s.cluster(cluster)
	if err != nil {
		return nil, err
	}
	if o.Lines <= 0 {
		o.Lines = defaultLogLines
	}
	stream, err := c.typed.CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{
		Container: o.Container, Follow: o.Follow, Previous: o.Previous, TailLines: &o.Lines}).Stream(ctx)
	if err != nil {
		return nil, c.logProblem(err, namespace, pod)
	}
	return stream, nil
}
