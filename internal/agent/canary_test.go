package agent

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const canaryManifest = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 6
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: registry.example/web:new}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
`

// stableWorkload is what the cluster has: applied by a deployment of Slipway, whose inventory must not take the copy for its own.
const stableWorkload = `{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "uid": "1", "resourceVersion": "7", "generation": 2,
 "labels": {"app": "web", "applyset.kubernetes.io/part-of": "applyset-x-v1", "app.kubernetes.io/managed-by": "slipway"},
 "annotations": {"team": "shop", "slipway.dev/deployment": "4", "deployment.kubernetes.io/revision": "3", "kubectl.kubernetes.io/last-applied-configuration": "{}"}},
 "spec": {"replicas": 4, "selector": {"matchLabels": {"app": "web"}},
  "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "registry.example/web:old"}]}}}, "status": {"readyReplicas": 4}}`

// workload is a Deployment as the strategy canary applies it.
func workload(version, image string, replicas float64, annotations map[string]any) map[string]any {
	annotations["azure-pipelines/version"] = version
	labels := func() map[string]any {
		return map[string]any{"app": "web", "azure-pipelines/version": version}
	}
	return map[string]any{"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": "web-" + version, "labels": labels(), "annotations": annotations},
		"spec": map[string]any{"replicas": replicas, "selector": map[string]any{"matchLabels": labels()},
			"template": map[string]any{"metadata": map[string]any{"labels": labels()},
				"spec": map[string]any{"containers": []any{map[string]any{"name": "web", "image": "registry.example/web:" + image}}}}}}
}

// The objects are those that Microsoft's task makes (PodCanaryDeploymentHelper.ts and CanaryDeploymentHelper.ts of KubernetesManifestV1): the canary has its
// share of the manifest's replicas, the baseline as many, and other objects stay as they are.
func TestKubernetesManifestCanary(t *testing.T) {
	t.Parallel()
	j := newClusterJob(t)
	j.write("web.yaml", canaryManifest)
	stable := filepath.Join(t.TempDir(), "stable.json")
	applied := filepath.Join(t.TempDir(), "applied.json")
	fakeKubectl := j.recorder(filepath.Join(j.path, "kubectl"), "", `case $1 in
get) cat '`+stable+`' 2>/dev/null || true;;
apply) cp "$3" '`+applied+`'; chmod 644 '`+applied+`';;
esac`)
	calls := func() string {
		var list []string
		for _, call := range fakeKubectl() {
			call, _, _ = strings.Cut(call, " in SOURCES")
			if strings.HasPrefix(call, "kubectl [apply]") {
				call = "kubectl [apply]"
			}
			list = append(list, call)
		}
		return strings.Join(list, "\n")
	}
	run := func(given map[string]string) {
		t.Helper()
		given["kubernetesServiceConnection"], given["namespace"], given["manifests"], given["strategy"] = clusterOfTheTeam, "shop", "web.yaml", "canary"
		j.must("KubernetesManifest@1", given)
	}
	objects := func() []map[string]any {
		t.Helper()
		var list struct{ Items []map[string]any }
		if err := json.Unmarshal([]byte(textOf(t, applied)), &list); err != nil {
			t.Fatal(err)
		}
		return list.Items
	}
	service := map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": "web"},
		"spec": map[string]any{"selector": map[string]any{"app": "web"}, "ports": []any{map[string]any{"port": 80.0}}}}

	run(map[string]string{"percentage": "25", "rolloutStatusTimeout": "30"})
	if diff := cmp.Diff([]map[string]any{workload("canary", "new", 2, map[string]any{}), service}, objects()); diff != "" {
		t.Errorf("without a stable version (-want +got)\n%s", diff)
	}
	const query = "kubectl [get] [deployment] [web] [--ignore-not-found] [--output] [json] [-n] [shop]\n"
	const wait = "kubectl [rollout] [status] [deployment/web-canary] [-n] [shop] [--timeout=30s]"
	if diff := cmp.Diff(query+"kubectl [apply]\n"+wait, calls()); diff != "" {
		t.Errorf("calls (-want +got)\n%s", diff)
	}

	if err := os.WriteFile(stable, []byte(stableWorkload), 0o644); err != nil {
		t.Fatal(err)
	}
	run(map[string]string{"percentage": "50", "rolloutStatusTimeout": "30"})
	want := []map[string]any{workload("canary", "new", 3, map[string]any{}), workload("baseline", "old", 3, map[string]any{"team": "shop"}), service}
	if diff := cmp.Diff(want, objects()); diff != "" {
		t.Errorf("beside a stable version (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(query+"kubectl [apply]\n"+wait+"\n"+strings.Replace(wait, "canary", "baseline", 1), calls()); diff != "" {
		t.Errorf("calls (-want +got)\n%s", diff)
	}

	const remove = "kubectl [delete] [deployment] [web-canary] [web-baseline] [--ignore-not-found] [-n] [shop]"
	run(map[string]string{"action": "promote", "containers": "registry.example/web:newest"})
	if got := objects(); len(got) != 2 || !strings.Contains(textOf(t, applied), "registry.example/web:newest") || strings.Contains(textOf(t, applied), "azure-pipelines/version") {
		t.Errorf("promoted %v", got)
	}
	if diff := cmp.Diff("kubectl [apply]\nkubectl [rollout] [status] [deployment/web] [--namespace] [shop]\n"+remove, calls()); diff != "" {
		t.Errorf("calls of promote (-want +got)\n%s", diff)
	}
	run(map[string]string{"action": "reject", "arguments": "--wait=false"})
	if diff := cmp.Diff(remove+" [--wait=false]", calls()); diff != "" {
		t.Errorf("calls of reject (-want +got)\n%s", diff)
	}
}

// promote.ts of KubernetesManifestV1 warns of a canary that cannot be removed, and reject.ts fails; manifests without a workload have none.
func TestKubernetesManifestCanaryThatStays(t *testing.T) {
	t.Parallel()
	j := newClusterJob(t)
	j.write("web.yaml", canaryManifest)
	j.write("config.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n")
	calls := j.recorder(filepath.Join(j.path, "kubectl"), "", `[ "$1" != delete ]`)
	given := map[string]string{"kubernetesServiceConnection": clusterOfTheTeam, "strategy": "canary", "manifests": "web.yaml", "action": "promote"}
	j.must("KubernetesManifest@1", given)
	given["action"] = "reject"
	if _, err := j.run("KubernetesManifest@1", given); err == nil || err.Error() != "kubectl exited with code 1" {
		t.Errorf("reject: %v", err)
	}
	calls()
	given["manifests"] = "config.yaml"
	j.must("KubernetesManifest@1", given)
	wantCalls(t, calls)
}

func TestKubernetesManifestCanaryRefuses(t *testing.T) {
	t.Parallel()
	j := newClusterJob(t)
	j.write("web.yaml", canaryManifest)
	j.recorder(filepath.Join(j.path, "kubectl"), "", "")
	for name, test := range map[string]struct {
		given map[string]string
		want  string
	}{
		"a percentage that is none":  {map[string]string{"strategy": "canary", "percentage": "101"}, `from 0 to 100, not "101"`},
		"an end without a beginning": {map[string]string{"action": "promote"}, "write strategy: canary"},
		"the other end without one":  {map[string]string{"action": "reject", "strategy": "none"}, "write strategy: canary"},
		"a time that is none":        {map[string]string{"rolloutStatusTimeout": "5m"}, `rolloutStatusTimeout is a number of seconds, not "5m"`},
	} {
		test.given["kubernetesServiceConnection"] = clusterOfTheTeam
		if test.given["manifests"] == "" {
			test.given["manifests"] = "web.yaml"
		}
		if _, err := j.run("KubernetesManifest@1", test.given); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
