package agent

import (
	"path/filepath"
	"testing"
)

// kubernetescommand.ts of KubernetesV0 asks for a format only if the output is kept, that of KubernetesV1 always.
func TestKubernetesOutputFormat(t *testing.T) {
	t.Parallel()
	j := newClusterJob(t)
	calls := j.recorder(filepath.Join(j.path, "kubectl"), "", "echo $1")
	for _, tt := range []struct {
		task  string
		given map[string]string
		want  string
	}{
		{"Kubernetes@0", map[string]string{}, "kubectl [get] [pods] in SOURCES"},
		{"Kubernetes@0", map[string]string{"kubectlOutput": "seen"}, "kubectl [get] [pods] [-o] [json] in SOURCES"},
		{"Kubernetes@1", map[string]string{"connectionType": "Kubernetes Service Connection"}, "kubectl [get] [pods] [-o] [json] in SOURCES"},
	} {
		tt.given["kubernetesServiceEndpoint"], tt.given["command"], tt.given["arguments"] = clusterOfTheTeam, "get", "pods"
		j.must(tt.task, tt.given)
		wantCalls(t, calls, tt.want)
	}
	if j.value("seen") != "get\n" || j.value("KubectlOutput") != "get\n" {
		t.Errorf("outputs %q and %q", j.value("seen"), j.value("KubectlOutput"))
	}
}

// kubernetes.ts of KubernetesV1 sets the variable whether the command has worked or not.
func TestKubernetesOutputOfAFailure(t *testing.T) {
	t.Parallel()
	j := newClusterJob(t)
	j.recorder(filepath.Join(j.path, "kubectl"), "", "echo drift; exit 1")
	_, err := j.run("Kubernetes@1", map[string]string{"connectionType": "Kubernetes Service Connection", "kubernetesServiceEndpoint": clusterOfTheTeam, "command": "diff"})
	if err == nil || j.value("KubectlOutput") != "drift\n" {
		t.Errorf("%v, output %q", err, j.value("KubectlOutput"))
	}
}
