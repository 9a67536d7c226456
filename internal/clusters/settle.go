package clusters

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A container without a readiness probe is ready for Kubernetes in the moment in which it starts, also one that ends in the next. It has
// to run for settleTime before its workload counts as ready here. What has run for longAgo by the node's clock is not looked at.
const (
	settleTime = 3 * time.Second
	longAgo    = time.Minute
)

// settling is when each container was first seen to run, by its id.
type settling map[string]time.Time

// settled reports that every container of a workload's pods that has no readiness probe has run for a while. What is known of pods may
// lag behind what is known of the workload, and the other way round.
func (k settling) settled(s scene, workload *unstructured.Unstructured, now time.Time) bool {
	settled, pods := true, int64(0)
	owners := s.owners(workload)
	for _, p := range s.pods {
		if !mine(p, workload, owners) {
			continue
		}
		pods++
		for _, c := range unprobed(p) {
			if c.State.Running == nil {
				settled = false
				continue
			}
			since, known := k[c.ContainerID]
			if !known {
				since, k[c.ContainerID] = now, now
			}
			if now.Sub(c.State.Running.StartedAt.Time) < longAgo && now.Sub(since) < settleTime {
				settled = false
			}
		}
	}
	updated, _, _ := unstructured.NestedInt64(workload.Object, "status", "updatedReplicas")
	return settled && pods >= updated
}

// unprobed are the containers without a readiness probe, of a pod that is not meant to have ended.
func unprobed(p *corev1.Pod) []corev1.ContainerStatus {
	if p.Status.Phase == corev1.PodSucceeded {
		return nil
	}
	var list []corev1.ContainerStatus
	for _, status := range p.Status.ContainerStatuses {
		i := slices.IndexFunc(p.Spec.Containers, func(c corev1.Container) bool { return c.Name == status.Name })
		if i >= 0 && p.Spec.Containers[i].ReadinessProbe == nil {
			list = append(list, status)
		}
	}
	return list
}

// owners are the UIDs that a workload's pods of the present template have as controllers.
func (s scene) owners(workload *unstructured.Unstructured) []string {
	if rs := s.currentReplicaSet(workload); rs != nil {
		return []string{string(rs.UID)}
	}
	return []string{string(workload.GetUID())}
}

// mine reports a pod of a workload's present template that is not on its way out.
func mine(p *corev1.Pod, workload *unstructured.Unstructured, owners []string) bool {
	own := metav1.GetControllerOf(p)
	is := workload.GetKind() == "Pod" && p.UID == workload.GetUID() || own != nil && slices.Contains(owners, string(own.UID))
	return is && p.DeletionTimestamp == nil && !outdated(p, workload)
}

// settles are the kinds whose containers are meant to go on running.
func settles(kind string) bool {
	return slices.Contains([]string{"DaemonSet", "Deployment", "Pod", "ReplicaSet", "StatefulSet"}, kind)
}
