package clusters

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// The scenes in testdata/causes are YAML documents in the form that kubectl prints: a workload, then what there is
// of it, and in the first line, as a comment, the words that the cause must say.
func readScene(t *testing.T, path string) (want string, workload *unstructured.Unstructured, s scene) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	for _, d := range split(File{Name: path, Content: text}) {
		if _, empty := d.first(); empty {
			continue
		}
		raw := map[string]any{}
		if err := yaml.Unmarshal(d.text, &raw); err != nil {
			t.Fatal(err)
		}
		into := func(v any) {
			if err := yaml.UnmarshalStrict(d.text, v); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
		}
		switch raw["kind"] {
		case "Pod":
			p := &corev1.Pod{}
			into(p)
			s.pods = append(s.pods, p)
		case "ReplicaSet":
			rs := &appsv1.ReplicaSet{}
			into(rs)
			s.replicaSets = append(s.replicaSets, rs)
		case "Event":
			e := &corev1.Event{}
			into(e)
			s.events = append(s.events, e)
		case "PersistentVolumeClaim":
			c := &corev1.PersistentVolumeClaim{}
			into(c)
			s.claims = append(s.claims, c)
		default:
			whole(raw)
			workload = &unstructured.Unstructured{Object: raw}
		}
	}
	return strings.TrimSpace(strings.TrimPrefix(first, "#")), workload, s
}

func TestDiagnose(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/causes/*.yaml")
	if err != nil || len(files) < 9 {
		t.Fatalf("%d scenes, %v", len(files), err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			t.Parallel()
			want, workload, s := readScene(t, path)
			if got := s.diagnose(workload).Message; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestHowFar(t *testing.T) {
	t.Parallel()
	for want, text := range map[string]string{
		"1 of 2 replicas are available": "kind: Deployment\nspec: {replicas: 2}\nstatus: {availableReplicas: 1, updatedReplicas: 2}",
		"0 of 2 replicas are available": "kind: Deployment\nspec: {replicas: 2}\nstatus: {availableReplicas: 2, updatedReplicas: 0}",
		"1 of 1 replica is available":   "kind: StatefulSet\nstatus: {readyReplicas: 1, updatedReplicas: 1}",
		"0 of 1 replica is available":   "kind: Deployment\nmetadata: {generation: 2}\nstatus: {observedGeneration: 1, availableReplicas: 1, updatedReplicas: 1}",
		"no idea":                       "kind: Other",
	} {
		u := &unstructured.Unstructured{Object: map[string]any{}}
		if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
			t.Fatal(err)
		}
		whole(u.Object)
		if got := howFar(u, "no idea"); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
