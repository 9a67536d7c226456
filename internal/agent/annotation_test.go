package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/job"
)

// runVariables are of the run whose annotations the tests expect.
var runVariables = map[string]string{"Build.BuildNumber": "20260304.1", "Build.DefinitionName": "shop ci", "System.DefinitionId": "4", "System.CollectionUri": "https://slipway.test/",
	"System.TeamProject": "shop", "Build.BuildId": "77"}

// The annotations are pipelineAnnotations of kubernetesconstants.ts, whose quotes no shell takes away; scale.ts and patch.ts of
// KubernetesManifestV1 put them on what they change.
func TestKubernetesManifestAnnotates(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, runVariables)
	j.withConnections(job.Connection{Name: clusterOfTheTeam, Type: "kubernetes", URL: "https://k8s.example", Parameters: map[string]string{"apiToken": clusterToken}, Secret: []string{"apiToken"}})
	j.env["PATH"] = j.path + ":" + os.Getenv("PATH")
	j.work.Title = "Deploy"
	j.predefine()
	applied := filepath.Join(t.TempDir(), "applied.json")
	calls := j.recorder(filepath.Join(j.path, "kubectl"), "", `case $1 in apply) cp "$3" '`+applied+`'; chmod 644 '`+applied+`';; annotate) exit 1;; esac`)
	j.must("KubernetesManifest@1", map[string]string{"action": "scale", "kind": "deployment", "name": "web", "replicas": "2", "kubernetesServiceConnection": clusterOfTheTeam})
	wantCalls(t, calls, "kubectl [scale] [deployment/web] [--replicas=2] in SOURCES", "kubectl [rollout] [status] [deployment/web] in SOURCES",
		`kubectl [annotate] [deployment] [web] [azure-pipelines/jobName="Deploy"] [azure-pipelines/org=https://slipway.test/] [azure-pipelines/pipeline="shop ci"] `+
			`[azure-pipelines/pipelineId="4"] [azure-pipelines/project=shop] [azure-pipelines/run=20260304.1] `+
			`[azure-pipelines/runuri=https://slipway.test/shop/_build/results?buildId=77] [--overwrite] in SOURCES`)
	j.write("config.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n")
	j.must("KubernetesManifest@1", map[string]string{"manifests": "config.yaml", "kubernetesServiceConnection": clusterOfTheTeam})
	want := `{"apiVersion":"v1","items":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"annotations":{"azure-pipelines/jobName":"\"Deploy\"","azure-pipelines/org":"https://slipway.test/",` +
		`"azure-pipelines/pipeline":"\"shop ci\"","azure-pipelines/pipelineId":"\"4\"","azure-pipelines/project":"shop","azure-pipelines/run":"20260304.1",` +
		`"azure-pipelines/runuri":"https://slipway.test/shop/_build/results?buildId=77"},"name":"c"}}],"kind":"List"}`
	if diff := cmp.Diff(want, strings.TrimSpace(textOf(t, applied))); diff != "" {
		t.Errorf("applied (-want +got)\n%s", diff)
	}
}
