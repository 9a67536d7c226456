package pod

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"slipway"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/plan"
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

// Steps run in containers beside the job's, which see its files, have an agent that starts programs, and end with the pod.
func TestTargets(t *testing.T) {
	t.Parallel()
	e, err := NewForClient(fake.NewClientset(), Options{AgentImage: "registry.test/slipway/agent:latest", CacheStorageClass: "fast"})
	if err != nil {
		t.Fatal(err)
	}
	root := int64(0)
	p := example()
	p.Targets = []pipelines.PodService{{Name: "Node", Image: "node:24", User: &root, Env: map[string]string{"A": "b"},
		Volumes: []plan.Volume{{Path: "/own"}}, Options: plan.ContainerOptions{Memory: 100 << 20}}}
	p.Services[0].Volumes = []plan.Volume{{Path: "/data"}}
	made, err := e.options.spec(p)
	if err != nil {
		t.Fatal(err)
	}
	if len(made.Spec.InitContainers) != 3 {
		t.Fatalf("init containers %+v", made.Spec.InitContainers)
	}
	target, service := made.Spec.InitContainers[1], made.Spec.InitContainers[2]
	if diff := cmp.Diff([]string{"/slipway/slipway-agent", "target", "/workspace", "Node"}, target.Command); diff != "" {
		t.Error(diff)
	}
	if target.Image != "node:24" || target.RestartPolicy == nil || *target.RestartPolicy != corev1.ContainerRestartPolicyAlways || *target.SecurityContext.RunAsUser != 0 {
		t.Errorf("target %+v", target)
	}
	if diff := cmp.Diff([]corev1.EnvVar{{Name: "A", Value: "b"}}, target.Env); diff != "" {
		t.Errorf("the token of the job is not the target's: %s", diff)
	}
	at := map[string]string{}
	for _, m := range target.VolumeMounts {
		at[m.MountPath] = fmt.Sprint(m.ReadOnly)
	}
	if diff := cmp.Diff(map[string]string{"/slipway": "true", "/workspace": "false", "/cache": "false", "/own": "false"}, at); diff != "" {
		t.Error(diff)
	}
	if r := target.Resources; r.Limits.Memory().Value() != 100<<20 || !r.Requests.Memory().IsZero() || len(r.Requests) == 0 {
		t.Errorf("resources %+v", r)
	}
	if len(service.VolumeMounts) != 1 || service.VolumeMounts[0].MountPath != "/data" || made.Spec.Containers[0].VolumeMounts[0].MountPath != "/slipway" {
		t.Errorf("service %+v", service)
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

func TestContainerOptions(t *testing.T) {
	t.Parallel()
	e, err := NewForClient(fake.NewClientset(), Options{AgentImage: "agent"})
	if err != nil {
		t.Fatal(err)
	}
	p := example()
	p.Volumes = []plan.Volume{{Name: "data", Path: "/data", ReadOnly: true}, {Path: "/own"}}
	p.Options = plan.ContainerOptions{Memory: 100 << 20, MilliCPU: 500, SharedMemory: 64 << 20, Tmpfs: []string{"/fast"}, Hosts: []plan.Host{{Name: "six", Address: "::1"}}}
	p.Services[0].Volumes = []plan.Volume{{Name: "data", Path: "/var/data"}}
	p.Services[0].Options = plan.ContainerOptions{Entrypoint: "/bin/x", WorkingDirectory: "/srv", Memory: 1 << 30,
		Health: &plan.HealthCheck{Command: "pg_isready", Interval: 10, Timeout: 5, Retries: 5, Start: 10}}
	made, err := e.options.spec(p)
	if err != nil {
		t.Fatal(err)
	}
	mounts := func(c *corev1.Container) map[string]string {
		at := map[string]string{}
		for _, m := range c.VolumeMounts {
			at[m.MountPath] = fmt.Sprint(m.Name, " ", m.ReadOnly)
		}
		return at
	}
	job, service := &made.Spec.Containers[0], &made.Spec.InitContainers[1]
	if diff := cmp.Diff(map[string]string{"/slipway": "agent true", "/workspace": "workspace false", "/data": "volume-2 true", "/own": "volume-3 false", "/fast": "volume-4 false",
		"/dev/shm": "volume-5 false"}, mounts(job)); diff != "" {
		t.Errorf("the job's volumes (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"/var/data": "volume-2 false"}, mounts(service)); diff != "" {
		t.Errorf("the service's volumes (-want +got)\n%s", diff)
	}
	if shm := made.Spec.Volumes[5].EmptyDir; shm.Medium != corev1.StorageMediumMemory || shm.SizeLimit.String() != "64Mi" {
		t.Errorf("/dev/shm is %+v", shm)
	}
	// The job asks for less than its pool gives, and for no more than it may have.
	if r := job.Resources; r.Limits.Memory().String() != "100Mi" || r.Requests.Memory().String() != "100Mi" || r.Limits.Cpu().String() != "500m" || r.Requests.Cpu().String() != "250m" {
		t.Errorf("the job's resources: %+v", r)
	}
	if service.Command[0] != "/bin/x" || service.WorkingDir != "/srv" || service.Resources.Limits.Memory().String() != "1Gi" {
		t.Errorf("the service: %+v", service)
	}
	if s := service.StartupProbe; s.Exec.Command[2] != "pg_isready" || s.PeriodSeconds != 2 || s.TimeoutSeconds != 5 || s.FailureThreshold != 30 {
		t.Errorf("the service's check: %+v", s)
	}
	if aliases := made.Spec.HostAliases; len(aliases) != 2 || aliases[1].IP != "::1" {
		t.Errorf("host aliases %+v", aliases)
	}
	made.Status = corev1.PodStatus{Phase: corev1.PodPending, InitContainerStatuses: []corev1.ContainerStatus{{Name: "service-1", RestartCount: 1}}}
	at := metav1.Now()
	made.Status.InitContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 3, StartedAt: at, FinishedAt: metav1.NewTime(at.Add(time.Second))}
	if s := status(made, time.Now()); s.Phase != pipelines.PodBroken || s.Note != `the service postgres:17 ended with code 3 before its check "pg_isready" succeeded: its program must go on running` {
		t.Errorf("a service that ends: %+v", s)
	}
	made.Status.InitContainerStatuses[0].LastTerminationState.Terminated.FinishedAt = metav1.NewTime(at.Add(time.Minute))
	if s := status(made, time.Now()); s.Phase != pipelines.PodBroken || s.Note != `the service postgres:17 is not healthy: its check "pg_isready" did not succeed in 60 seconds` {
		t.Errorf("an ill service: %+v", s)
	}
	p.Volumes = append(p.Volumes, plan.Volume{Name: "other", Path: "/data"})
	if _, err := e.options.spec(p); slipway.CodeOf(err) != slipway.CodeInvalid {
		t.Errorf("two volumes at one place: %v", err)
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

// What the images' registries need lies in a Secret of the kind that the kubelet reads, which goes with the pod.
func TestPullSecret(t *testing.T) {
	t.Parallel()
	ctx, client := context.Background(), fake.NewClientset()
	e, err := NewForClient(client, Options{AgentImage: "agent", PullSecrets: []string{"everybody"}})
	if err != nil {
		t.Fatal(err)
	}
	p := example()
	p.Registries = []pipelines.RegistryLogin{{Host: "hub.example:5000", User: "ada", Password: "hunter2"}, {Host: "docker.io", User: "bob", Password: "x"}}
	if err := e.Start(ctx, p); err != nil {
		t.Fatal(err)
	}
	made, err := client.CoreV1().Pods("slipway-jobs").Get(ctx, p.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := made.Spec.ImagePullSecrets; len(got) != 2 || got[0].Name != "everybody" || got[1].Name != "run-1-job-2-images" {
		t.Errorf("pull secrets %+v", got)
	}
	secret, err := client.CoreV1().Secrets("slipway-jobs").Get(ctx, "run-1-job-2-images", metav1.GetOptions{})
	if err != nil || secret.Type != corev1.SecretTypeDockerConfigJson || len(secret.OwnerReferences) != 1 || secret.OwnerReferences[0].UID != made.UID {
		t.Fatalf("secret %+v, %v", secret, err)
	}
	const want = `{"auths":{"https://index.docker.io/v1/":{"auth":"Ym9iOng=","password":"x","username":"bob"},"hub.example:5000":{"auth":"YWRhOmh1bnRlcjI=","password":"hunter2","username":"ada"}}}`
	if got := secret.StringData[".dockerconfigjson"]; got != want {
		t.Errorf("config %s", got)
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
		{"node crashed", 0, terminated(255, "Unknown"), pipelines.PodEnded, "was lost: it went down with the job's container"},
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
		if lost := strings.Contains("killed evicted node crashed", c.name); got.Lost != lost {
			t.Errorf("%s: lost by no fault of its job: %v, want %v", c.name, got.Lost, lost)
		}
		if got.Phase != c.phase || !strings.Contains(got.Note, c.note) || c.note == "" && got.Note != "" {
			t.Errorf("%s: %+v, want phase %s and a note with %q", c.name, got, c.phase, c.note)
		}
	}
}

// A pod whose node does not answer lingers after its deletion; then it is lost.
func TestStatusOfLostNode(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for age, want := range map[time.Duration]pipelines.PodStatus{
		time.Minute:     {Phase: pipelines.PodRunning},
		3 * time.Minute: {Phase: pipelines.PodBroken, Lost: true, Note: "the node n1 was lost: it does not answer, and the pod was given up"},
	} {
		deleted := metav1.NewTime(now.Add(-age))
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &deleted}, Spec: corev1.PodSpec{NodeName: "n1"},
			Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{Name: "job", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}}}
		if diff := cmp.Diff(want, status(p, now)); diff != "" {
			t.Errorf("%s after its deletion: -want +got\n%s", age, diff)
		}
	}
}

// What a pool says of nodes and resources is in the pod; what it does not say is as the options say.
func TestSpecOfPool(t *testing.T) {
	t.Parallel()
	o := Options{AgentImage: "agent", CPU: "250m", Memory: "256Mi", MemoryLimit: "4Gi"}
	for name, tt := range map[string]struct {
		pool                                    pipelines.PoolSettings
		cpu, memory, cpuLimit, memoryLimit, bad string
	}{
		"nothing":              {pipelines.PoolSettings{}, "250m", "256Mi", "0", "4Gi", ""},
		"all":                  {pipelines.PoolSettings{CPU: "2", Memory: "1Gi", CPULimit: "3", MemoryLimit: "2Gi"}, "2", "1Gi", "3", "2Gi", ""},
		"less than usual":      {pipelines.PoolSettings{CPULimit: "100m", MemoryLimit: "128Mi"}, "100m", "128Mi", "100m", "128Mi", ""},
		"more than usual":      {pipelines.PoolSettings{Memory: "8Gi"}, "250m", "8Gi", "0", "8Gi", ""},
		"more than it may use": {pipelines.PoolSettings{CPU: "2", CPULimit: "1"}, "", "", "", "", "above its limit of 1"},
	} {
		p := example()
		p.Pool = tt.pool
		p.Pool.NodeSelector = map[string]string{"disk": "ssd"}
		p.Pool.Tolerations = []pipelines.Toleration{{Key: "gpu", Operator: "Exists", Effect: "NoSchedule"}}
		made, err := o.spec(p)
		if tt.bad != "" {
			if err == nil || !strings.Contains(err.Error(), tt.bad) {
				t.Errorf("%s: %v, want %q", name, err, tt.bad)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		r := made.Spec.Containers[0].Resources
		got := []string{r.Requests.Cpu().String(), r.Requests.Memory().String(), r.Limits.Cpu().String(), r.Limits.Memory().String()}
		if diff := cmp.Diff([]string{tt.cpu, tt.memory, tt.cpuLimit, tt.memoryLimit}, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
		if diff := cmp.Diff([]corev1.Toleration{{Key: "gpu", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}}, made.Spec.Tolerations); diff != "" || made.Spec.NodeSelector["disk"] != "ssd" {
			t.Errorf("%s: nodes %v, -want +got\n%s", name, made.Spec.NodeSelector, diff)
		}
	}
}

func TestLabelsOfWarmPod(t *testing.T) {
	t.Parallel()
	want := map[string]string{"app.kubernetes.io/managed-by": "slipway", LabelWarm: "7", LabelProject: "p"}
	if diff := cmp.Diff(want, labels(pipelines.Pod{Name: "warm-7", Project: "p", Warm: 7})); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
