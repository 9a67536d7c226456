package collect

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"slipway/internal/clock"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/insights"
	"slipway/internal/insights/store"
	"slipway/internal/insights/telemetry"
)

const project = "11111111-2222-4333-8444-555555555555"

func newInsights(t *testing.T) *insights.Service {
	t.Helper()
	ctx := context.Background()
	logger := slog.New(slog.DiscardHandler)
	d := dbtest.SQLite(t)
	log, err := events.Open(ctx, d, clock.System{}, logger)
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(ctx, store.Options{Folder: t.TempDir(), MemoryLimit: "512MB", BatchWait: 2 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	s, err := insights.Open(ctx, insights.Options{DB: d, Log: log, Clock: clock.System{}, Store: st, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func shopPod() corev1.Pod {
	yes := true
	return corev1.Pod{
		TypeMeta: metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"},
		ObjectMeta: metav1.ObjectMeta{Name: "shop-1", Namespace: "ns", UID: "u", ResourceVersion: "1",
			Labels: map[string]string{LabelProject: project, LabelEnvironment: "3", LabelDeployment: "7", LabelRun: "9",
				"pod-template-hash": "abc"},
			Annotations:     map[string]string{AnnotationCommit: "c0ffee", AnnotationEnvironment: "dev"},
			OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "shop-abc", Controller: &yes}}},
		Spec: corev1.PodSpec{NodeName: "node-1", Containers: []corev1.Container{{Name: "main", Resources: corev1.ResourceRequirements{
			Limits: corev1.ResourceList{"cpu": resource.MustParse("250m"), "memory": resource.MustParse("64Mi")}}}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{Name: "main", Ready: true, RestartCount: 2,
			ContainerID: "containerd://1", ImageID: "registry/shop@sha256:" + strings.Repeat("ab", 32), State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}},
	}
}

// run runs a collector until the returned function is called.
func run(t *testing.T, c *fakeCluster, s *insights.Service) (stop func()) {
	t.Helper()
	collector, err := New(c.config(), s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- collector.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// eventually asks until the answer is the one that is wanted.
func eventually[T any](t *testing.T, what string, want T, ask func() (T, error)) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		got, err := ask()
		if err != nil {
			t.Fatal(err)
		}
		diff := cmp.Diff(want, got)
		if diff == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s (-want +got):\n%s", what, diff)
		}
		time.Sleep(5 * time.Millisecond) // the collector has no signal to wait for: rows appear
	}
}

func messages(s *insights.Service) func() ([]string, error) {
	return func() ([]string, error) {
		list, err := s.Logs(context.Background(), insights.LogQuery{Filter: insights.Filter{Project: project, Deployment: 7}})
		got := []string{}
		for i := len(list) - 1; i >= 0; i-- {
			got = append(got, fmt.Sprint(list[i].Severity, " ", list[i].Message))
		}
		return got, err
	}
}

func TestOutputIsReadOnceOverRestarts(t *testing.T) {
	t.Parallel()
	c, s := newFakeCluster(t), newInsights(t)
	begin := time.Now().UTC().Truncate(time.Second).Add(-time.Minute)
	line := func(after time.Duration, text string) string {
		return begin.Add(after).Format(time.RFC3339Nano) + " " + text
	}
	c.pods = []corev1.Pod{shopPod()}
	same := 1500 * time.Millisecond // several lines of one moment
	c.output = []string{line(0, "starting"), line(time.Second, `{"level":"ERROR","msg":"no db","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","n":1}`),
		line(same, "a"), line(same, "b")}
	stop := run(t, c, s)
	eventually(t, "first lines", []string{"Information starting", "Error no db", "Information a", "Information b"}, messages(s))
	stop()
	c.change(func() {
		c.output = append(c.output, line(same, "c"), line(same+time.Microsecond, ""), line(2*time.Second, "WARN d"))
	})
	stop = run(t, c, s)
	all := []string{"Information starting", "Error no db", "Information a", "Information b", "Information c", "Warning WARN d"}
	eventually(t, "after a restart", all, messages(s))
	c.change(func() { c.output = append(c.output, line(3*time.Second, "live")) })
	all = append(all, "Information live")
	eventually(t, "live", all, messages(s))
	stop()
	run(t, c, s)
	c.change(func() { c.output = append(c.output, line(4*time.Second, "end")) })
	eventually(t, "after another restart", append(all, "Information end"), messages(s))
	list, err := s.Operation(context.Background(), project, "4bf92f3577b34da6a3ce929d0e0e4736", time.Time{}, time.Time{})
	if err != nil || len(list) != 1 {
		t.Fatalf("rows of the trace: %+v, %v", list, err)
	}
	want := telemetry.Resource{Project: project, Environment: 3, EnvironmentName: "dev", Deployment: 7, Run: 9, Commit: "c0ffee", Service: "shop", Instance: "shop-1",
		Namespace: "ns", Pod: "shop-1", Container: "main", Node: "node-1", Image: list[0].Resource.Image}
	if diff := cmp.Diff(want, list[0].Resource); diff != "" || list[0].Resource.Image.Hex() != strings.Repeat("ab", 32) {
		t.Errorf("resource (-want +got):\n%s", diff)
	}
	if list[0].ParentID != "00f067aa0ba902b7" || list[0].Dimensions != `{"n":1}` {
		t.Errorf("row %+v", list[0])
	}
}

func TestTheOutputOfTheNextInstanceIsReadToo(t *testing.T) {
	t.Parallel()
	c, s := newFakeCluster(t), newInsights(t)
	begin := time.Now().UTC().Add(-time.Minute)
	c.pods = []corev1.Pod{shopPod()}
	c.output = []string{begin.Format(time.RFC3339Nano) + " panic: nil"}
	c.closed = true // the container has ended
	c.pods[0].Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 2}}
	run(t, c, s)
	eventually(t, "first instance", []string{"Critical panic: nil"}, messages(s))
	c.change(func() {
		c.closed = false
		c.output = []string{begin.Add(time.Second).Format(time.RFC3339Nano) + " started again"}
		p := shopPod()
		p.ResourceVersion = "2"
		p.Status.ContainerStatuses[0].ContainerID = "containerd://2"
		c.pods = []corev1.Pod{p}
	})
	eventually(t, "second instance", []string{"Critical panic: nil", "Information started again"}, messages(s))
}

func TestContainersAreSampled(t *testing.T) {
	t.Parallel()
	c, s := newFakeCluster(t), newInsights(t)
	p := shopPod()
	p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "new"})
	p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: "new",
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}}})
	gone := shopPod()
	gone.Name, gone.UID, gone.DeletionTimestamp = "gone", "g", &metav1.Time{Time: time.Now()}
	c.pods = []corev1.Pod{p, gone}
	c.closed = true
	run(t, c, s)
	eventually(t, "pods", []insights.Pod{{Namespace: "ns", Name: "shop-1", Service: "shop", Deployment: 7, Environment: 3, Commit: "c0ffee", Node: "node-1",
		Reason: "ImagePullBackOff", Restarts: 2, CPU: 0.125, Memory: 1 << 20, CPULimit: 0.25, MemoryLimit: 64 << 20}}, func() ([]insights.Pod, error) {
		list, err := s.Pods(context.Background(), insights.Filter{Project: project})
		for i := range list {
			list[i].Seen, list[i].Image = time.Time{}, ""
		}
		return list, err
	})
}

func TestEventsOfDeploymentsAreKeptOnce(t *testing.T) {
	t.Parallel()
	c, s := newFakeCluster(t), newInsights(t)
	now := metav1.Now()
	event := func(name, kind, object, reason string) corev1.Event {
		return corev1.Event{TypeMeta: metav1.TypeMeta{Kind: "Event", APIVersion: "v1"},
			ObjectMeta:     metav1.ObjectMeta{Name: name, Namespace: "ns", UID: types.UID("uid-" + name), ResourceVersion: "1"},
			InvolvedObject: corev1.ObjectReference{Kind: kind, Name: object, Namespace: "ns"}, Reason: reason, Message: reason + " happened",
			Type: "Warning", Count: 1, LastTimestamp: now}
	}
	c.pods = []corev1.Pod{shopPod()}
	c.closed = true
	c.events = []corev1.Event{event("a", "Pod", "shop-1", "BackOff"), event("b", "Deployment", "shop", "Scaled"), event("c", "Pod", "somebody", "Killing")}
	kept := func() ([]string, error) {
		list, err := s.ClusterEvents(context.Background(), insights.Filter{Project: project, Deployment: 7}, 0)
		counts := map[string]int{}
		for _, e := range list {
			counts[e.Kind+" "+e.Name+" "+e.Reason]++
		}
		got := []string{}
		for k, n := range counts {
			got = append(got, fmt.Sprint(k, " ", n))
		}
		slices.Sort(got)
		return got, err
	}
	stop := run(t, c, s)
	eventually(t, "events", []string{"Deployment shop Scaled 1", "Pod shop-1 BackOff 1"}, kept)
	stop()
	c.change(func() { c.events[0].Count, c.events[0].ResourceVersion = 4, "2" })
	run(t, c, s)
	eventually(t, "after a restart", []string{"Deployment shop Scaled 1", "Pod shop-1 BackOff 2"}, kept)
}
