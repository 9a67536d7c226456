package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/internal/commandline"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

const deployingFile = `pool: x
jobs:
- deployment: web
  environment: production
  strategy:
    runOnce:
      deploy:
        steps:
        - checkout: self
        - task: KubernetesManifest@1
          inputs: {action: deploy, manifests: web.yaml}
`

const deployedManifests = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: web, image: "slipway.local/pause:1"}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: colours}
data: {sky: blue}
`

// A run on this machine deploys to the real cluster that is named, twice, and the second time removes what is no longer there.
func TestRunDeploysToANamedCluster(t *testing.T) {
	t.Parallel()
	kubeconfig := os.Getenv("SLIPWAY_TEST_KUBECONFIG")
	if kubeconfig == "" && os.Getenv("CI") == "" {
		t.Skip("SLIPWAY_TEST_KUBECONFIG is not set: name a cluster's kubeconfig to test on it")
	}
	ctx := context.Background()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	namespace := fmt.Sprintf("localrun-test-%x", time.Now().UnixNano())
	t.Cleanup(func() { _ = client.CoreV1().Namespaces().Delete(ctx, namespace, metav1.DeleteOptions{}) })
	folder := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("azure-pipelines.yml", deployingFile)
	write("web.yaml", deployedManifests)
	for _, args := range [][]string{{"init", "--quiet"}, {"add", "."}, {"-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "--quiet", "-m", "first"}} {
		if out, err := exec.Command("git", append([]string{"-C", folder}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	file := filepath.Join(folder, "azure-pipelines.yml")
	shown, err := run("run", file, "--kubeconfig", kubeconfig, "--namespace", namespace)
	if err != nil || !strings.Contains(shown, "deploys to environment production; its checks are not asked for") || !strings.Contains(shown, "2 objects are applied to namespace "+namespace) {
		t.Fatalf("%v\n%s", err, shown)
	}
	web, err := client.AppsV1().Deployments(namespace).Get(ctx, "web", metav1.GetOptions{})
	if err != nil || web.Status.ReadyReplicas != 1 {
		t.Errorf("deployment web: %+v, %v", web.Status, err)
	}
	first, _, _ := strings.Cut(deployedManifests, "---\n")
	write("web.yaml", first)
	if shown, err := run("run", file, "--kubeconfig", kubeconfig, "--namespace", namespace); err != nil {
		t.Fatalf("%v\n%s", err, shown)
	}
	if _, err := client.CoreV1().ConfigMaps(namespace).Get(ctx, "colours", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("what the manifests no longer name is there: %v", err)
	}
	// Without a cluster it is skipped, and a file that is no kubeconfig is told.
	if shown, err := run("run", file); err != nil || !strings.Contains(shown, "name a cluster with --kubeconfig to run it") {
		t.Errorf("%v\n%s", err, shown)
	}
	var exit *commandline.ExitError
	if _, err := run("run", file, "--kubeconfig", file); err == nil || errors.As(err, &exit) || !strings.Contains(err.Error(), "--kubeconfig") {
		t.Errorf("a kubeconfig that is none: %v", err)
	}
}

// What jobs' kubectl and helm get is the chosen context alone, with the namespace.
func TestLocalClusterAccess(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := filepath.Join(folder, "config")
	text := `apiVersion: v1
kind: Config
current-context: one
clusters:
- {name: a, cluster: {server: "https://a.example:6443"}}
- {name: b, cluster: {server: "https://b.example:6443", certificate-authority: ca.crt}}
users:
- {name: u, user: {token: first}}
- {name: v, user: {token: second}}
contexts:
- {name: one, context: {cluster: a, user: u}}
- {name: two, context: {cluster: b, user: v, namespace: theirs}}
`
	for name, text := range map[string]string{"config": text, "ca.crt": "a certificate"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct{ context, namespace, wantServer, wantNamespace, wantToken string }{
		"current": {"", "mine", "https://a.example:6443", "mine", "first"},
		"chosen":  {"two", "", "https://b.example:6443", "theirs", "second"},
	} {
		l, err := openLocalCluster(file, c.context, c.namespace)
		if err != nil {
			t.Fatal(err)
		}
		a, err := l.Access(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		back, err := clientcmd.Load([]byte(a.Kubeconfig))
		if err != nil {
			t.Fatal(err)
		}
		if a.Server != c.wantServer || a.Namespace != c.wantNamespace || a.Token != c.wantToken || len(back.Clusters) != 1 || len(back.AuthInfos) != 1 ||
			back.Contexts[back.CurrentContext].Namespace != c.wantNamespace {
			t.Errorf("%s: %+v", name, a)
		}
	}
}
