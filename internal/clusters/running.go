package clusters

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway"
)

// RunningImage is one that a pod of a cluster runs or is about to.
type RunningImage struct {
	Cluster, Namespace, Pod string
	Host, Path, Tag         string         // as the pod names it; host and tag may be empty
	Digest                  slipway.Digest // of what runs, else of what the pod names; empty when neither is known
}

// RunningImages lists the images of all pods of a cluster that have not ended, those of nobody in Slipway too. One that it cannot ask is
// an error: what is not known is not unused.
func (s *Service) RunningImages(ctx context.Context, name string) ([]RunningImage, error) {
	c, err := s.cluster(name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 6*answerTimeout)
	defer cancel()
	var list []RunningImage
	for next := ""; ; {
		pods, err := c.typed.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{Limit: maxListed, Continue: next})
		if err != nil {
			return nil, c.unreachable(fmt.Errorf("list pods of cluster %s: %w", name, err))
		}
		for i := range pods.Items {
			list = append(list, runningImages(name, &pods.Items[i])...)
		}
		if next = pods.Continue; next == "" {
			return list, nil
		}
	}
}

func runningImages(cluster string, p *corev1.Pod) []RunningImage {
	if p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
		return nil
	}
	pulled := map[string]slipway.Digest{}
	for _, statuses := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses, p.Status.EphemeralContainerStatuses} {
		for _, s := range statuses {
			pulled[s.Name] = digestOf(s.ImageID)
		}
	}
	var list []RunningImage
	add := func(container, image string) {
		r := RunningImage{Cluster: cluster, Namespace: p.Namespace, Pod: p.Name, Digest: pulled[container]}
		if n, err := parseImage(image); err == nil {
			r.Host, r.Path, r.Tag = n.host, n.path, n.tag
			if r.Digest == "" {
				r.Digest = n.digest
			}
			if n.digest != "" && n.digest != r.Digest { // what was pulled is a part of what is named
				list = append(list, RunningImage{Cluster: cluster, Namespace: p.Namespace, Pod: p.Name, Host: n.host, Path: n.path, Digest: n.digest})
			}
		}
		list = append(list, r)
	}
	for _, c := range p.Spec.InitContainers {
		add(c.Name, c.Image)
	}
	for _, c := range p.Spec.Containers {
		add(c.Name, c.Image)
	}
	for _, c := range p.Spec.EphemeralContainers {
		add(c.Name, c.Image)
	}
	return list
}
