package clusters

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
)

func names(objects []object) []string {
	var list []string
	for _, o := range objects {
		list = append(list, o.describe())
	}
	return list
}

func TestParse(t *testing.T) {
	t.Parallel()
	files := []File{{Name: "deploy/all.yaml", Content: []byte("# a comment\n---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\n---\n---\n# nothing\n---\n" +
		"apiVersion: v1\nkind: List\nitems:\n- apiVersion: apps/v1\n  kind: Deployment\n  metadata: {name: web}\n  spec: {replicas: 2}\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: settings}}\n")},
		{Name: "namespace.json", Content: []byte(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"dev"}}`)}}
	objects, err := parse(files)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Service web", "Deployment web", "ConfigMap settings", "Namespace dev"}, names(objects)); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	if objects[0].place.String() != "deploy/all.yaml:3:1" || objects[1].place.Line != 10 {
		t.Errorf("places: %s and %s", objects[0].place, objects[1].place)
	}
	if replicas := objects[1].Object["spec"].(map[string]any)["replicas"]; replicas != int64(2) {
		t.Errorf("replicas is %T %v, want a whole number", replicas, replicas)
	}
	sortForApply(objects)
	if diff := cmp.Diff([]string{"Namespace dev", "ConfigMap settings", "Service web", "Deployment web"}, names(objects)); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestParseSaysWhere(t *testing.T) {
	t.Parallel()
	good := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
	for name, c := range map[string]struct{ text, want string }{
		"a tab":                  {good + "---\nkind: x\n\tname: y\n", "f.yaml:6:1: this is not YAML"},
		"a key twice":            {good + "---\nkind: x\nkind: y\n", "f.yaml:6:1: "},
		"no kind":                {good + "---\n\nmetadata: {name: b}\n", "f.yaml:6:1: apiVersion or kind is missing"},
		"no name":                {"apiVersion: v1\nkind: Secret\n", "f.yaml:1:1: the Secret has no metadata.name"},
		"a generated name":       {"apiVersion: v1\nkind: Pod\nmetadata: {generateName: a}\n", "f.yaml:1:1: Pod with generateName"},
		"a bad name":             {"apiVersion: v1\nkind: Pod\nmetadata: {name: A_b}\n", "f.yaml:1:1: Pod A_b: the name is not allowed"},
		"a list":                 {"- a\n", "f.yaml:1:1: a manifest is a mapping"},
		"the same object twice":  {good + "---\n" + good, "f.yaml:5:1: ConfigMap a stands here a second time; the first is at f.yaml:1:1"},
		"a file without objects": {"# only words\n", "the manifests hold no object"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parse([]File{{Name: "f.yaml", Content: []byte(c.text)}})
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got %v, want %s ...", err, c.want)
			}
			if code := slipway.CodeOf(err); code != slipway.CodeInvalid && code != slipway.CodeUnsupported {
				t.Errorf("code %q", code)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\nkind: List\nitems: [1]\n"))
	f.Add([]byte("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{image: 5}, null]}}}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		objects, err := parse([]File{{Name: "f", Content: text}})
		if err != nil {
			return
		}
		for _, o := range objects {
			if o.GetName() == "" || o.GetKind() == "" {
				t.Errorf("an object without name or kind came through: %v", o.Object)
			}
			if spec := podSpec(o.Unstructured); spec != nil {
				containers(spec)
			}
		}
	})
}
