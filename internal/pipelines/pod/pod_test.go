package pod

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"slipway/internal/pipelines"
)

func example() pipelines.Pod {
	return pipelines.Pod{Name: "run-1-job-2", Project: "p", Run: 1, Job: 2, Title: "Unit tests", Image: "registry.test/slipway/job:latest",
		Env: map[string]string{"SLIPWAY_URL": "http://server", "TEXT": "a $(b)"}, Token: "the-token", Deadline: 90 * time.Minute,
		Services: []pipelines.PodService{{Name: "db", Image: "postgres:17", Env: map[string]string{"POSTGRES_PASSWORD": "x"}}}}
}

func TestSpec(t *testing.T) {
	t.Parallel()
	e, err := NewForClient(fake.NewClientset(), Options{AgentImage: "registry.test/slipway/agent:latest"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.options.spec(example())
	if err != nil {
		t.Fatal(err)
	}
	s := p.Spec
	if p.Namespace != "slipway-jobs" || s.RestartPolicy != corev1.RestartPolicyNever || s.AutomountServiceAccountToken == nil || *s.AutomountServiceAccountToken {
		t.Errorf("pod %+v", s)
	}
	if s.ActiveDeadlineSeconds == nil || *s.ActiveDeadlineSeconds != 5400 {
		t.Errorf("deadline %v", s.ActiveDeadlineSeconds)
	}
	if p.Labels[LabelRun] != "1" || p.Labels[LabelJob] != "2" || p.Labels[LabelProject] != "p" {
		t.Errorf("labels %v", p.Labels)
	}
	// The agent is installed first; the service is a sidecar, so that the pod ends with the job.
	if len(s.InitContainers) != 2 || s.InitContainers[0].Image != "registry.test/slipway/agent:latest" || s.InitContainers[0].RestartPolicy != nil {
		t.Fatalf("init containers %+v", s.InitContainers)
	}
	if service := s.InitContainers[1]; service.Image != "postgres:17" || service.RestartPolicy == nil || *service.RestartPolicy != corev1.ContainerRestartPolicyAlways {
		t.Errorf("service %+v", service)
	}
	if len(s.HostAliases) != 1 || s.HostAliases[0].Hostnames[0] != "db" || s.HostAliases[0].IP != "127.0.0.1" {
		t.Errorf("host aliases %+v", s.HostAliases)
	}
	job := s.Containers[0]
	if job.Image != "registry.test/slipway/job:latest" || job.Command[0] != "/slipway/slipway-agent" || job.ImagePullPolicy != "" { // Kubernetes then looks for a newer :latest, and for nothing else
		t.Errorf("job %+v", job)
	}
	env := map[string]corev1.EnvVar{}
	for _, v := range job.Env {
		env[v.Name] = v
	}
	token := env["SLIPWAY_JOB_TOKEN"]
	if token.Value != "" || token.ValueFrom == nil || token.ValueFrom.SecretKeyRef.Name != "run-1-job-2" {
		t.Errorf("the token must come from the Secret: %+v", token)
	}
	if env["TEXT"].Value != "a $$(b)" {
		t.Errorf("Kubernetes would expand %q", env["TEXT"].Value)
	}
}

func TestUsersOfContainers(t *testing.T) {
	t.Parallel()
	e, err := NewForClient(fake.NewClientset(), Options{AgentImage: "registry.test/slipway/agent:latest"})
	if err != nil {
		t.Fatal(err)
	}
	root, other := int64(0), int64(999)
	p := example()
	p.User, p.Services[0].User = &root, &other
	made, err := e.options.spec(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		container corev1.Container
		want      int64
	}{{made.Spec.Containers[0], root}, {made.Spec.InitContainers[1], other}} {
		if s := c.container.SecurityContext; s == nil || s.RunAsUser == nil || *s.RunAsUser != c.want {
			t.Errorf("%s runs with %+v, want user %d", c.container.Name, s, c.want)
		}
	}
	made, err = e.options.spec(example())
	if err != nil || made.Spec.Containers[0].SecurityContext != nil {
		t.Errorf("a job without a user: %+v, %v", made.Spec.Containers[0].SecurityContext, err)
	}
}

func TestStartTwiceAndStop(t *testing.T) {
	t.Parallel()
	ctx, client := context.Background(), fake.NewClientset()
	e, err := NewForClient(client, Options{AgentImage: "agent"})
	if err != nil {
		t.Fatal(err)
	}
	first := example()
	if err := e.Start(ctx, first); err != nil {
		t.Fatal(err)
	}
	again := example()
	again.Token = "another"
	if err := e.Start(ctx, again); err != nil {
		t.Fatalf("start again: %v", err)
	}
	pods, err := client.CoreV1().Pods("slipway-jobs").List(ctx, metav1.ListOptions{})
	if err != nil || len(pods.Items) != 1 {
		t.Fatalf("%d pods, %v", len(pods.Items), err)
	}
	secret, err := client.CoreV1().Secrets("slipway-jobs").Get(ctx, "run-1-job-2", metav1.GetOptions{})
	if err != nil || secret.StringData["token"] != "the-token" || len(secret.OwnerReferences) != 1 || secret.OwnerReferences[0].Kind != "Pod" {
		t.Errorf("secret %+v, %v", secret, err)
	}
	for range 2 {
		if err := e.Stop(ctx, "run-1-job-2"); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := e.Inspect(ctx, "run-1-job-2"); err != nil || s.Phase != pipelines.PodAbsent {
		t.Errorf("after the stop: %+v, %v", s, err)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	waiting := func(reason, message string) corev1.PodStatus {
		return corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{Name: "job", Image: "shop/web:1",
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}}}
	}
	terminated := func(code int32, reason string) corev1.PodStatus {
		return corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: []corev1.ContainerStatus{{Name: "job",
			State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason}}}}}
	}
	for _, c := range []struct {
		name   string
		age    time.Duration
		status corev1.PodStatus
		phase  pipelines.PodPhase
		note   string // part of it
	}{
		{"new", 0, corev1.PodStatus{Phase: corev1.PodPending}, pipelines.PodStarting, "waiting for a node"},
		{"no room", 0, corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
			Reason: "Unschedulable", Message: "0/1 nodes are available: 1 Insufficient memory."}}}, pipelines.PodStarting, "no node has room for the job: 0/1 nodes"},
		{"image not there", 0, waiting("ErrImagePull", `failed to resolve reference "shop/web:1": shop/web:1: not found`), pipelines.PodBroken, "shop/web:1 cannot be pulled: the registry does not have it"},
		{"registry away", time.Minute, waiting("ImagePullBackOff", "dial tcp: connection refused"), pipelines.PodStarting, "could not be pulled yet"},
		{"registry away for long", 4 * time.Minute, waiting("ImagePullBackOff", "dial tcp: connection refused"), pipelines.PodBroken, "connection refused"},
		{"bad image name", 0, waiting("InvalidImageName", "x"), pipelines.PodBroken, "malformed"},
		{"program missing", 0, waiting("RunContainerError", "exec: no such file"), pipelines.PodBroken, "no such file"},
		{"running", 0, corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{Name: "job", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}}, pipelines.PodRunning, ""},
		{"well ended", 0, terminated(0, "Completed"), pipelines.PodEnded, ""},
		{"out of memory", 0, terminated(137, "OOMKilled"), pipelines.PodEnded, "more memory than its limit of 4Gi"},
		{"killed", 0, terminated(137, "Error"), pipelines.PodEnded, "the agent was killed"},
		{"evicted", 0, corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "The node was low on resource: ephemeral-storage."}, pipelines.PodBroken, "evicted the pod: The node was low"},
		{"agent image broken", 0, corev1.PodStatus{Phase: corev1.PodFailed, InitContainerStatuses: []corev1.ContainerStatus{{Name: "agent",
			State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 2}}}}}, pipelines.PodBroken, "could not be put into the pod"},
	} {
		o := Options{AgentImage: "agent", CPU: "1", Memory: "1Gi", MemoryLimit: "4Gi"}
		p, err := o.spec(example())
		if err != nil {
			t.Fatal(err)
		}
		p.CreationTimestamp, p.Status = metav1.NewTime(now.Add(-c.age)), c.status
		got := status(p, now)
		if got.Phase != c.phase || !strings.Contains(got.Note, c.note) || c.note == "" && got.Note != "" {
			t.Errorf("%s: %+v, want phase %s and a note with %q", c.name, got, c.phase, c.note)
		}
	}
}
