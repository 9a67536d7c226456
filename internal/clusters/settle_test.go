package clusters

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestSettled(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	workload := &unstructured.Unstructured{Object: map[string]any{"kind": "Pod", "metadata": map[string]any{"name": "web", "uid": "p1"}}}
	of := func(id string, started time.Time, probe *corev1.Probe) scene {
		return scene{pods: []*corev1.Pod{{ObjectMeta: metav1.ObjectMeta{UID: "p1"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", ReadinessProbe: probe}}},
			Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "web", ContainerID: id,
				State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(started)}}}}}}}}
	}
	k := settling{}
	for i, step := range []struct {
		s    scene
		at   time.Duration
		want bool
	}{
		{of("a", start, nil), 0, false},
		{of("a", start, nil), 2 * time.Second, false},
		{of("b", start.Add(2*time.Second), nil), 4 * time.Second, false}, // started again
		{of("b", start.Add(2*time.Second), nil), 6 * time.Second, false},
		{of("b", start.Add(2*time.Second), nil), 7 * time.Second, true},
		{of("c", start, &corev1.Probe{}), 8 * time.Second, true},
		{of("d", start.Add(-time.Hour), nil), 9 * time.Second, true},
		{of("e", start.Add(time.Hour), nil), 10 * time.Second, false}, // the node's clock is ahead
		{of("e", start.Add(time.Hour), nil), 13 * time.Second, true},
	} {
		if got := k.settled(step.s, workload, start.Add(step.at)); got != step.want {
			t.Errorf("step %d: settled %t, want %t", i, got, step.want)
		}
	}
	ended := of("e", start, nil)
	ended.pods[0].Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 3}}
	if k.settled(ended, workload, start.Add(time.Hour)) {
		t.Error("a container that has ended is settled")
	}
	workload.Object["status"] = map[string]any{"updatedReplicas": int64(2)}
	if k.settled(of("e", start, nil), workload, start.Add(time.Hour)) {
		t.Error("a pod that is not seen yet is settled")
	}
	if !settles("Deployment") || settles("Job") {
		t.Error("a Job's containers are meant to end")
	}
}
