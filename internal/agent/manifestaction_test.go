package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/pipelines/job"
)

const clusterOfTheTeam = "k8s"

func newClusterJob(t *testing.T) *toolJob {
	t.Helper()
	j := newToolJob(t, nil)
	j.withConnections(job.Connection{Name: clusterOfTheTeam, Type: "kubernetes", URL: "https://k8s.example", Parameters: map[string]string{"apiToken": clusterToken}, Secret: []string{"apiToken"}})
	j.env["PATH"] = j.path + ":" + os.Getenv("PATH")
	return j
}

// The actions that change objects, by the calls of kubectl that Microsoft's task makes (src/actions of KubernetesManifestV1).
func TestKubernetesManifestChangesObjects(t *testing.T) {
	t.Parallel()
	j := newClusterJob(t)
	calls := j.recorder(filepath.Join(j.path, "kubectl"), "", `[ "$1" = patch ] && echo "deployment.apps/web patched" || true`)
	f := func(given map[string]string, want ...string) {
		t.Helper()
		given["kubernetesServiceConnection"], given["namespace"] = clusterOfTheTeam, "shop"
		j.must("KubernetesManifest@1", given)
		wantCalls(t, calls, want...)
	}
	f(map[string]string{"action": "delete", "arguments": `deployment web --ignore-not-found`}, "kubectl [delete] [-n] [shop] [deployment] [web] [--ignore-not-found] in SOURCES")
	f(map[string]string{"action": "scale", "kind": "Deployment", "name": "web", "replicas": "3", "rolloutStatusTimeout": "30"},
		"kubectl [scale] [deployment/web] [--replicas=3] [-n] [shop] in SOURCES", "kubectl [rollout] [status] [deployment/web] [-n] [shop] [--timeout=30s] in SOURCES")
	f(map[string]string{"action": "scale", "kind": "replicaset", "name": "web", "replicas": "0"}, "kubectl [scale] [replicaset/web] [--replicas=0] [-n] [shop] in SOURCES")
	f(map[string]string{"action": "patch", "resourceToPatch": "name", "kind": "deployment", "name": "web", "patch": `{"a": 1}`},
		`kubectl [patch] [deployment] [web] [--type] [strategic] [--patch] [{"a": 1}] [-n] [shop] in SOURCES`, "kubectl [rollout] [status] [deployment/web] [-n] [shop] in SOURCES")
	f(map[string]string{"action": "patch", "resourceFileToPatch": "web.yaml", "mergeStrategy": "json", "patch": "[]"},
		"kubectl [patch] [--filename] [SOURCES/web.yaml] [--type] [json] [--patch] [[]] [-n] [shop] in SOURCES", "kubectl [rollout] [status] [deployment/web] [-n] [shop] in SOURCES")
}

const deploymentManifest = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  template:
    spec:
      containers:
      - name: web
        image: registry.example/web:old
`

// kubectl itself renders a folder of Kustomize; helm is not at hand, so what it is called with is looked at.
func TestKubernetesManifestBakes(t *testing.T) {
	t.Parallel()
	j := newClusterJob(t)
	j.write("k8s/kustomization.yaml", "namePrefix: try-\nresources: [web.yaml]\n")
	j.write("k8s/web.yaml", deploymentManifest)
	j.must("KubernetesManifest@1", map[string]string{"action": "bake", "renderType": "kustomize", "kustomizationPath": "k8s", "containers": "registry.example/web:42"})
	if text := textOf(t, j.value("manifestsBundle")); !strings.Contains(text, "name: try-web") || !strings.Contains(text, "image: registry.example/web:42") {
		t.Errorf("rendered\n%s", text)
	}
	j.write("web.yaml", deploymentManifest)
	calls := j.recorder(filepath.Join(j.path, "helm"), "", `cat "`+filepath.Join(j.folders.sources, "web.yaml")+`"`)
	j.must("KubernetesManifest@0", map[string]string{"action": "bake", "helmChart": "chart", "releaseName": "shop", "namespace": "dev", "overrideFiles": "a.yaml\nb.yaml", "overrides": "image.tag:v1:2\nhosts:{a,b}"})
	wantCalls(t, calls, "helm [template] [shop] [SOURCES/chart] [--namespace] [dev] [--values] [SOURCES/a.yaml] [--values] [SOURCES/b.yaml] [--set] [image.tag=v1:2] [--set] [hosts={a,b}] in SOURCES")
	if text := textOf(t, j.value("manifestsBundle")); text != deploymentManifest {
		t.Errorf("without containers it is what helm wrote:\n%s", text)
	}
	if _, err := j.run("KubernetesManifest@1", map[string]string{"action": "bake", "renderType": "kustomize"}); err == nil || !strings.Contains(err.Error(), "needs the input kustomizationPath") {
		t.Errorf("without a folder: %v", err)
	}
}
