package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

const (
	round  = "round"   // the project, which deploys to the namespace round-test
	byHand = "by-hand" // the namespace of what is done without Slipway
)

// BenchmarkRound measures what Slipway itself costs from a push to the new pod's answer, in a pipeline of two jobs that
// compile nothing: a round by Slipway, against the same by hand on the same node, which is a push to a folder, two pods
// of the jobs' shape one after the other, and the manifests applied. The difference is Slipway's own: own-s/op.
func BenchmarkRound(b *testing.B) {
	i := newInstallation(b, loopAddresses)
	i.up(b, "")
	i.stopAtEnd(b)
	i.createProject(b, round)
	work := i.clone(b, round)
	if err := os.CopyFS(work, os.DirFS("testdata/round")); err != nil {
		b.Fatal(err)
	}
	web := filepath.Join(work, "deploy", "web.yaml")
	if err := os.WriteFile(web, replaced(b, web, "REGISTRY", i.server), 0o644); err != nil {
		b.Fatal(err)
	}
	h := prepareHand(b, i, web)
	roundBySlipway(b, i, h, work, "warm up") // images are pulled, volumes made
	roundByHand(b, h, "warm up")

	var bySlipway, own time.Duration
	for n := 0; b.Loop(); n++ {
		slipway := roundBySlipway(b, i, h, work, fmt.Sprintf("round %d", n))
		bySlipway += slipway
		own += slipway - roundByHand(b, h, fmt.Sprintf("round %d", n))
	}
	b.ReportMetric(bySlipway.Seconds()/float64(b.N), "slipway-s/op")
	b.ReportMetric((bySlipway-own).Seconds()/float64(b.N), "by-hand-s/op")
	b.ReportMetric(own.Seconds()/float64(b.N), "own-s/op")
}

// roundBySlipway pushes a new greeting and waits until the pod that Slipway deploys answers with it.
func roundBySlipway(b *testing.B, i *installation, h hand, work, greeting string) time.Duration {
	b.Helper()
	commitGreeting(b, work, greeting)
	start := time.Now()
	run(b, work, nil, "git", "push", "-q", "origin", "main")
	h.awaitAnswer(b, round+"-test", greeting)
	took := time.Since(start)
	i.awaitEndOfRuns(b)
	return took
}

// awaitEndOfRuns keeps what a run still has to do out of the measurement that follows.
func (i *installation) awaitEndOfRuns(b *testing.B) {
	b.Helper()
	eventually(b, time.Minute, func() string {
		var list listOf[build]
		i.api(b, "GET", "/"+round+"/_apis/build/builds", nil, &list)
		for _, r := range list.Value {
			if r.Status != "completed" || r.Result != "succeeded" {
				return fmt.Sprintf("run %d is %s %s", r.ID, r.Status, r.Result)
			}
		}
		return ""
	})
}

// hand is what somebody without Slipway works with: a clone whose remote is a folder, and the node's API.
type hand struct {
	work   string
	web    string // the manifests of the service
	client *kubernetes.Clientset
	job    corev1.Pod
}

// The shape of a job's pod: a program put in by an init container, a workspace, a volume of caches.
const jobByHand = `
metadata: {generateName: job-}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  initContainers:
    - {name: agent, image: REGISTRY/library/busybox, command: [cp, /bin/busybox, /agent/true], volumeMounts: [{name: agent, mountPath: /agent}]}
  containers:
    - name: job
      image: REGISTRY/slipway/job
      command: [/agent/true]
      workingDir: /workspace
      volumeMounts: [{name: agent, mountPath: /agent, readOnly: true}, {name: workspace, mountPath: /workspace}, {name: cache, mountPath: /cache}]
  volumes:
    - {name: agent, emptyDir: {}}
    - {name: workspace, emptyDir: {}}
    - {name: cache, persistentVolumeClaim: {claimName: cache}}
`

const cacheByHand = `
metadata: {name: cache}
spec: {storageClassName: local-path, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
`

func prepareHand(b *testing.B, i *installation, web string) hand {
	b.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(i.data, "node", "kubeconfig"))
	if err != nil {
		b.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	h := hand{work: filepath.Join(dir, "work"), web: web, client: client}
	run(b, dir, nil, "git", "init", "-q", "--bare", "-b", "main", "remote")
	run(b, dir, nil, "git", "clone", "-q", filepath.Join(dir, "remote"), h.work)
	run(b, h.work, nil, "git", "symbolic-ref", "HEAD", "refs/heads/main")
	run(b, h.work, nil, "git", "config", "user.name", "Ada")
	run(b, h.work, nil, "git", "config", "user.email", "ada@example.com")
	if err := yaml.UnmarshalStrict([]byte(strings.ReplaceAll(jobByHand, "REGISTRY", i.server)), &h.job); err != nil {
		b.Fatal(err)
	}
	var cache corev1.PersistentVolumeClaim
	if err := yaml.UnmarshalStrict([]byte(cacheByHand), &cache); err != nil {
		b.Fatal(err)
	}
	if _, err := client.CoreV1().Namespaces().Create(b.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: byHand}}, metav1.CreateOptions{}); err != nil {
		b.Fatal(err)
	}
	if _, err := client.CoreV1().PersistentVolumeClaims(byHand).Create(b.Context(), &cache, metav1.CreateOptions{}); err != nil {
		b.Fatal(err)
	}
	return h
}

// roundByHand does by hand what the pipeline does.
func roundByHand(b *testing.B, h hand, greeting string) time.Duration {
	b.Helper()
	commitGreeting(b, h.work, greeting)
	manifests := bytes.Split(replaced(b, h.web, "GREETING", greeting), []byte("---\n"))
	start := time.Now()
	run(b, h.work, nil, "git", "push", "-q", "origin", "main")
	var jobs []string
	for range 2 {
		jobs = append(jobs, h.runJob(b))
	}
	h.apply(b, "apis/apps/v1", "deployments", manifests[0])
	h.apply(b, "api/v1", "services", manifests[1])
	h.awaitAnswer(b, byHand, greeting)
	took := time.Since(start)
	h.clear(b, jobs)
	return took
}

// runJob starts the pod of a job, waits for its end and returns its name.
func (h hand) runJob(b *testing.B) string {
	b.Helper()
	pods := h.client.CoreV1().Pods(byHand)
	created, err := pods.Create(b.Context(), h.job.DeepCopy(), metav1.CreateOptions{})
	if err != nil {
		b.Fatal(err)
	}
	w, err := pods.Watch(b.Context(), metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", created.Name).String(), ResourceVersion: created.ResourceVersion})
	if err != nil {
		b.Fatal(err)
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		pod, ok := e.Object.(*corev1.Pod)
		if !ok {
			b.Fatalf("watch the job: %v", e.Object)
		}
		switch pod.Status.Phase {
		case corev1.PodSucceeded:
			return created.Name
		case corev1.PodFailed:
			b.Fatalf("the job by hand failed: %+v", pod.Status)
		}
	}
	b.Fatal("the watch of the job ended before the job")
	return ""
}

// clear removes the jobs' pods, so that the next round begins with as little on the node as this one.
func (h hand) clear(b *testing.B, jobs []string) {
	b.Helper()
	pods := h.client.CoreV1().Pods(byHand)
	for _, name := range jobs {
		if err := pods.Delete(b.Context(), name, metav1.DeleteOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	eventually(b, time.Minute, func() string {
		list, err := pods.List(b.Context(), metav1.ListOptions{LabelSelector: "app!=web"})
		if err != nil || len(list.Items) > 0 {
			return fmt.Sprintf("the jobs' pods are still there (%v)", err)
		}
		return ""
	})
}

// apply applies one manifest as the API server does for kubectl apply --server-side.
func (h hand) apply(b *testing.B, group, resource string, manifest []byte) {
	b.Helper()
	err := h.client.CoreV1().RESTClient().Patch(types.ApplyYAMLPatchType).AbsPath(group, "namespaces", byHand, resource, "web").
		Param("fieldManager", byHand).Body(manifest).Do(b.Context()).Error()
	if err != nil {
		b.Fatal(err)
	}
}

// awaitAnswer waits until the service of a namespace answers with the greeting, asked through the API server.
func (h hand) awaitAnswer(b *testing.B, namespace, greeting string) {
	b.Helper()
	eventually(b, 3*time.Minute, func() string {
		got, err := h.client.CoreV1().Services(namespace).ProxyGet("http", "web", "80", "/", nil).DoRaw(b.Context())
		if err != nil || strings.TrimSpace(string(got)) != greeting {
			return fmt.Sprintf("%s answers %q, %v, want %q", namespace, got, err, greeting)
		}
		return ""
	})
}

func commitGreeting(b *testing.B, work, greeting string) {
	b.Helper()
	if err := os.WriteFile(filepath.Join(work, "greeting"), []byte(greeting+"\n"), 0o644); err != nil {
		b.Fatal(err)
	}
	run(b, work, nil, "git", "add", "-A")
	run(b, work, nil, "git", "commit", "-q", "-m", "greet with "+greeting)
}

// replaced is the file's text with a word replaced.
func replaced(b *testing.B, path, word, by string) []byte {
	b.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	return bytes.ReplaceAll(text, []byte(word), []byte(by))
}
