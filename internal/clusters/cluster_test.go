package clusters_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/clusters"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/secret"
)

// These tests run against a real cluster, named by SLIPWAY_TEST_KUBECONFIG. The image that SLIPWAY_TEST_IMAGE names
// must be there or be pullable, and run until it is stopped without opening a port; by default it is the pause
// image of Slipway's own node.
const (
	kubeconfigVariable = "SLIPWAY_TEST_KUBECONFIG"
	imageVariable      = "SLIPWAY_TEST_IMAGE"
	nodesPauseImage    = "slipway.local/pause:1"
)

type world struct {
	*clusters.Service
	log       *events.Log
	client    kubernetes.Interface
	namespace string
	image     string
	id        slipway.EnvironmentID
}

func setup(t *testing.T) world {
	t.Helper()
	return setupOn(t, clusterConfig(t))
}

func clusterConfig(t *testing.T) *rest.Config {
	t.Helper()
	path := os.Getenv(kubeconfigVariable)
	if path == "" {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not set: CI must test on a real cluster", kubeconfigVariable)
		}
		t.Skipf("%s is not set: name a cluster's kubeconfig to test on it", kubeconfigVariable)
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func setupOn(t *testing.T, config *rest.Config) world {
	t.Helper()
	ctx, quiet := context.Background(), slog.New(slog.DiscardHandler)
	d := dbtest.SQLite(t)
	log, err := events.Open(ctx, d, clock.System{}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	box, err := secret.NewBox(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	s, err := clusters.Open(ctx, d, log, box, clock.System{}, nil, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Add("local", config, clusters.PullCredentials{}); err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UnixNano()
	w := world{Service: s, log: log, client: client, namespace: fmt.Sprintf("clusters-test-%x", now), image: os.Getenv(imageVariable), id: slipway.EnvironmentID(now)}
	if w.image == "" {
		w.image = nodesPauseImage
	}
	t.Cleanup(func() {
		if err := s.Delete(context.Background(), "local", w.namespace, w.id); err != nil {
			t.Errorf("delete namespace: %v", err)
		}
	})
	return w
}

func (w world) target(deployment slipway.DeploymentID) clusters.Target {
	return clusters.Target{Namespace: w.namespace, Project: "5f1c9bb0-0000-4000-8000-000000000001", ProjectName: "Shop", Environment: w.id,
		EnvironmentName: "test", Deployment: deployment, Run: 7, Commit: "c0ffee0000000000000000000000000000000000"}
}

func (w world) apply(t *testing.T, deployment slipway.DeploymentID, o clusters.Options, manifests ...string) (clusters.Result, []string, error) {
	t.Helper()
	var lines []string
	var files []clusters.File
	for i, m := range manifests {
		files = append(files, clusters.File{Name: fmt.Sprintf("%d.yaml", i), Content: []byte(strings.ReplaceAll(m, "IMAGE", w.image))})
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Minute
	}
	o.Telemetry = clusters.Telemetry{Endpoint: "http://10.213.7.1:8080", Token: "token", InstrumentationKey: "00000000-0000-0000-0000-00000000000a"}
	result, err := w.Apply(context.Background(), w.target(deployment), files, o, func(p clusters.Progress) { lines = append(lines, p.Message) })
	return result, lines, err
}

const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {color: blue}\n"

const secretManifest = "apiVersion: v1\nkind: Secret\nmetadata: {name: database}\nstringData: {PASSWORD: hunter2}\n"

func deploymentManifest(name, extra string) string {
	return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: " + name + "}\nspec:\n  selector: {matchLabels: {app: " + name + "}}\n" +
		"  template:\n    metadata: {labels: {app: " + name + "}}\n    spec:\n      terminationGracePeriodSeconds: 0\n      containers: [{name: main, image: IMAGE" + extra + "}]\n"
}

func TestApplyPruneAndRollBack(t *testing.T) {
	t.Parallel()
	ctx, w := context.Background(), setup(t)
	watching, stop := context.WithCancel(ctx)
	watched := make(chan error, 1)
	go func() { watched <- w.Watch(watching, "local") }()
	defer func() {
		stop()
		if err := <-watched; err != nil {
			t.Errorf("watch: %v", err)
		}
	}()
	// The watch sees the whole cluster, the pods of the tests beside this one too.
	started, end := w.log.Watch(func(e events.Event) bool {
		return e.Kind == clusters.PodStarted && strings.HasPrefix(e.Subject.ID, w.namespace+"/")
	})
	defer end()
	first, lines, err := w.apply(t, 101, clusters.Options{}, configMap, secretManifest, deploymentManifest("web", ""), deploymentManifest("extra", ""))
	if err != nil {
		t.Fatalf("first apply: %v\n%s", err, strings.Join(lines, "\n"))
	}
	if !slices.Contains(lines, "Deployment web: 1 of 1 replica is available") {
		t.Errorf("progress does not tell how far web is:\n%s", strings.Join(lines, "\n"))
	}
	if want := []string{"Deployment web", "Deployment extra"}; !slices.Equal(first.Changed, want) {
		t.Errorf("changed %v, want %v", first.Changed, want)
	}
	for range 2 {
		select {
		case e := <-started:
			if id, _ := e.Reference(slipway.RefDeployment); id != "101" {
				t.Errorf("pod of deployment %q, want 101", id)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("nobody heard of the pods")
		}
	}
	pods, err := w.Pods(ctx, "local", w.namespace)
	if err != nil || len(pods) != 2 || !pods[0].Ready || pods[0].Deployment != 101 || pods[0].Environment != w.id {
		t.Errorf("pods: %+v, %v", pods, err)
	}
	second, _, err := w.apply(t, 102, clusters.Options{}, secretManifest, deploymentManifest("web", ", env: [{name: A, value: b}]"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(second.Pruned)
	if want := []string{"ConfigMap settings", "Deployment extra"}; !slices.Equal(second.Pruned, want) {
		t.Errorf("pruned %v, want %v", second.Pruned, want)
	}
	if _, err := w.client.CoreV1().ConfigMaps(w.namespace).Get(ctx, "settings", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the pruned ConfigMap: %v, want not found", err)
	}
	third, _, err := w.apply(t, 103, clusters.Options{Annotations: map[string]string{"azure-pipelines/run": "7"}}, secretManifest, deploymentManifest("web", ", env: [{name: A, value: b}]"))
	if err != nil || len(third.Changed) != 0 {
		t.Errorf("the same manifests again changed %v, %v", third.Changed, err)
	}
	if marked, err := w.client.AppsV1().Deployments(w.namespace).Get(ctx, "web", metav1.GetOptions{}); err != nil || marked.Annotations["azure-pipelines/run"] != "7" {
		t.Errorf("annotations %v, %v", marked.Annotations, err)
	}
	back, err := w.Rollback(ctx, w.target(104), 101, clusters.Options{Timeout: time.Minute}, nil)
	if err != nil {
		t.Fatalf("roll back: %v", err)
	}
	if back.ManifestsHash != first.ManifestsHash || back.ManifestsHash == second.ManifestsHash {
		t.Errorf("rolled back to %s, want %s", back.ManifestsHash, first.ManifestsHash)
	}
	live, err := w.client.AppsV1().Deployments(w.namespace).Get(ctx, "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range live.Spec.Template.Spec.Containers[0].Env {
		if v.Name == "A" {
			t.Error("the variable of the second deployment is still there")
		}
	}
	got, err := w.client.CoreV1().Secrets(w.namespace).Get(ctx, "database", metav1.GetOptions{})
	if err != nil || string(got.Data["PASSWORD"]) != "hunter2" {
		t.Errorf("the secret after the rollback: %q, %v", got.Data["PASSWORD"], err)
	}
	kept, err := w.Manifests(ctx, 101)
	if err != nil || len(kept) != 1 || strings.Contains(kept[0].YAML, "hunter2") || !strings.Contains(kept[0].YAML, "color: blue") {
		t.Errorf("kept manifests: %+v, %v", kept, err)
	}
	list, err := w.log.List(ctx, events.Filter{Kind: clusters.Applied})
	if err != nil || len(list) != 4 {
		t.Errorf("%d applied events, %v; want 4", len(list), err)
	}
}

func TestWhatIsNotReadySaysWhy(t *testing.T) {
	t.Parallel()
	quota := "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: none}\nspec: {hard: {pods: 0}}\n"
	claim := "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec: {storageClassName: no-such-class, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}\n"
	for name, c := range map[string]struct {
		manifests []string
		want      []string
	}{
		"an image that is not there": {[]string{strings.ReplaceAll(deploymentManifest("web", ""), "IMAGE", "registry.invalid/shop/web:7")},
			[]string{"Deployment web is not ready", "image registry.invalid/shop/web:7 of container main cannot be pulled: the registry cannot be reached"}},
		"a program that is not there": {[]string{deploymentManifest("web", `, command: ["/nope"]`)},
			[]string{"container main cannot be started", "/nope", "no such file or directory"}},
		"a probe that fails": {[]string{deploymentManifest("web", ", readinessProbe: {tcpSocket: {port: 81}, periodSeconds: 1}")},
			[]string{"Deployment web is not ready after 20s", "the readiness probe of container main fails", "connection refused"}},
		"a quota": {[]string{quota, deploymentManifest("web", "")},
			[]string{"the namespace's quota is used up", "pods=0"}},
		"a pod that wants too much": {[]string{deploymentManifest("web", ", securityContext: {privileged: true}")},
			[]string{"the pod asks for more than the namespace allows", "privileged"}},
		"no room": {[]string{deploymentManifest("web", ", resources: {requests: {cpu: 900}}")},
			[]string{"no node can take pod web-", "Insufficient cpu"}},
		"a secret that is missing": {[]string{deploymentManifest("web", ", envFrom: [{secretRef: {name: nope}}]")},
			[]string{"container main cannot be created", `secret "nope" not found`}},
		"a volume that nobody provides": {[]string{claim, strings.Replace(deploymentManifest("web", ""), "      containers:", "      volumes: [{name: d, persistentVolumeClaim: {claimName: data}}]\n      containers:", 1)},
			[]string{"no volume for PersistentVolumeClaim data", "no-such-class"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			_, lines, err := w.apply(t, 1, clusters.Options{Timeout: 20 * time.Second}, c.manifests...)
			var unready *clusters.NotReadyError
			if !errors.As(err, &unready) {
				t.Fatalf("got %v, want a NotReadyError; progress:\n%s", err, strings.Join(lines, "\n"))
			}
			for _, words := range c.want {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("it does not say %q:\n%v", words, err)
				}
			}
			if slipway.CodeOf(err) != slipway.CodeUnavailable {
				t.Errorf("code %q", slipway.CodeOf(err))
			}
		})
	}
}

func TestMistakesSayWhere(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for name, c := range map[string]struct {
		manifest string
		code     slipway.Code
		want     string
	}{
		"an unknown kind":      {"apiVersion: v1\nkind: Nope\nmetadata: {name: a}", slipway.CodeInvalid, "0.yaml:1:1: cluster local knows no kind Nope"},
		"another namespace":    {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: kube-system}", slipway.CodeForbidden, "names the namespace kube-system"},
		"the whole cluster":    {"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: a}", slipway.CodeForbidden, "belongs to the whole cluster"},
		"a field that is none": {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nspec: {x: 1}", slipway.CodeInvalid, "0.yaml:1:1: ConfigMap a: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := w.apply(t, 1, clusters.Options{}, c.manifest)
			if slipway.CodeOf(err) != c.code || !strings.Contains(fmt.Sprint(err), c.want) {
				t.Errorf("got %v (%s), want %s: %s", err, slipway.CodeOf(err), c.code, c.want)
			}
		})
	}
}

func TestAFieldOfSomebodyElseIsExplained(t *testing.T) {
	t.Parallel()
	ctx, w := context.Background(), setup(t)
	if _, _, err := w.apply(t, 1, clusters.Options{}, configMap); err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(configMap, "color: blue", "color: red", 1)
	_, err := w.client.CoreV1().RESTClient().Patch("application/apply-patch+yaml").Namespace(w.namespace).Resource("configmaps").Name("settings").
		Param("fieldManager", "painter").Param("force", "true").Body([]byte(other)).DoRaw(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = w.apply(t, 2, clusters.Options{}, configMap)
	if slipway.CodeOf(err) != slipway.CodeConflict || !strings.Contains(err.Error(), `the field .data.color is managed by "painter"`) {
		t.Errorf("got %v, want a conflict that names the field and its manager", err)
	}
	if _, _, err := w.apply(t, 3, clusters.Options{Force: true}, configMap); err != nil {
		t.Errorf("with force: %v", err)
	}
}

func TestNodesAndAnUnreachableCluster(t *testing.T) {
	t.Parallel()
	ctx, w := context.Background(), setup(t)
	nodes, err := w.Nodes(ctx, "local")
	if err != nil || len(nodes) == 0 || !nodes[0].Ready || nodes[0].Version == "" {
		t.Errorf("nodes: %+v, %v", nodes, err)
	}
	if err := w.Add("gone", &rest.Config{Host: "https://127.0.0.1:1"}, clusters.PullCredentials{}); err != nil {
		t.Fatal(err)
	}
	_, err = w.Version(ctx, "gone")
	if slipway.CodeOf(err) != slipway.CodeUnavailable || !strings.Contains(err.Error(), "cluster gone does not answer") {
		t.Errorf("got %v, want that it does not answer", err)
	}
	if _, err := w.Nodes(ctx, "nowhere"); slipway.CodeOf(err) != slipway.CodeNotFound {
		t.Errorf("got %v, want not found", err)
	}
}
