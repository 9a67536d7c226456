package agent

import (
	"path/filepath"
	"testing"
)

// checkManifestStability of kubernetes-common looks at every workload though one fails, describes that one, and asks nothing of a workload
// whose strategy is not RollingUpdate.
func TestKubernetesManifestWaitsForAll(t *testing.T) {
	t.Parallel()
	j := newClusterJob(t)
	calls := j.recorder(filepath.Join(j.path, "kubectl"), "", `[ "$3" != deployment/a ]`)
	j.write("all.yaml", "kind: Deployment\nmetadata: {name: a}\n---\nkind: StatefulSet\nmetadata: {name: s}\nspec: {updateStrategy: {type: OnDelete}}\n---\nkind: DaemonSet\nmetadata: {name: d}\n")
	_, err := j.run("KubernetesManifest@1", map[string]string{"manifests": "all.yaml", "kubernetesServiceConnection": clusterOfTheTeam, "namespace": "shop"})
	if err == nil || err.Error() != "deployment a is not rolled out: kubectl exited with code 1" {
		t.Errorf("%v", err)
	}
	wantCalls(t, func() []string { return calls()[1:] }, "kubectl [rollout] [status] [deployment/a] [--namespace] [shop] in SOURCES",
		"kubectl [describe] [deployment] [a] [--namespace] [shop] in SOURCES", "kubectl [rollout] [status] [daemonset/d] [--namespace] [shop] in SOURCES")
}
