package clusters

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

var (
	testTarget = Target{Cluster: "local", Namespace: "shop-dev", Project: "5f1c", ProjectName: "My Shop", Environment: 3, EnvironmentName: "dev, one",
		Deployment: 12, Run: 7, Commit: "c0ffee00", Set: "default"}
	testTelemetry = Telemetry{Endpoint: "http://10.213.7.1:8080/", Token: "t0ken", InstrumentationKey: "00000000-0000-0000-0000-00000000000a"}
)

func deployment(t *testing.T, containers string) *unstructured.Unstructured {
	t.Helper()
	objects, err := parse([]File{{Name: "f", Content: []byte(
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {metadata: {labels: {app: web}}, spec: {containers: [" + containers + "]}}}")}})
	if err != nil {
		t.Fatal(err)
	}
	return objects[0].Unstructured
}

// env reads a container's environment as the kubelet would give it to a pod named web-1, in order.
func env(t *testing.T, u *unstructured.Unstructured, i int) map[string]string {
	t.Helper()
	fields := map[string]string{"metadata.name": "web-1", "metadata.namespace": "shop-dev", "spec.nodeName": "node"}
	all := map[string]string{}
	list, _ := containers(podSpec(u))[i]["env"].([]any)
	for _, v := range list {
		m := v.(map[string]any)
		value, _ := m["value"].(string)
		if from, ok := m["valueFrom"].(map[string]any); ok {
			if ref, ok := from["fieldRef"].(map[string]any); ok {
				value = fields[ref["fieldPath"].(string)]
			} else if ref, ok := from["secretKeyRef"].(map[string]any); ok {
				value = "secret:" + ref["name"].(string) + "/" + ref["key"].(string)
			} else {
				value = "elsewhere"
			}
		}
		for name, earlier := range all {
			value = strings.ReplaceAll(value, "$("+name+")", earlier)
		}
		if _, twice := all[m["name"].(string)]; twice {
			t.Errorf("%s is set twice", m["name"])
		}
		all[m["name"].(string)] = value
	}
	return all
}

func complete(t *testing.T, u *unstructured.Unstructured) {
	t.Helper()
	o := origin{deployment: testTarget.Deployment, run: testTarget.Run, commit: testTarget.Commit}
	inject(podTemplate(u), u.GetName(), testTarget, o, "hash", testTelemetry, []string{"pull"})
}

func TestInject(t *testing.T) {
	t.Parallel()
	u := deployment(t, `{name: main, image: "localhost:8080/shop/web@`+string(webDigest)+`", env: [{name: GREETING, value: hello}]}`)
	complete(t, u)
	want := map[string]string{
		"GREETING": "hello", "SLIPWAY_POD_NAME": "web-1", "SLIPWAY_POD_NAMESPACE": "shop-dev", "SLIPWAY_NODE_NAME": "node",
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://10.213.7.1:8080", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
		"OTEL_EXPORTER_OTLP_HEADERS":            "secret:slipway-telemetry/otlp-headers",
		"OTEL_SERVICE_NAME":                     "web",
		"APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=00000000-0000-0000-0000-00000000000a;IngestionEndpoint=http://10.213.7.1:8080/",
		"OTEL_RESOURCE_ATTRIBUTES": "slipway.project=5f1c,slipway.environment=3,deployment.environment.name=dev%2C%20one,slipway.deployment=12,slipway.run=7," +
			"vcs.ref.head.revision=c0ffee00,k8s.container.name=main,oci.manifest.digest=sha256%3A" + webDigest.Hex() +
			",k8s.pod.name=web-1,k8s.namespace.name=shop-dev,k8s.node.name=node",
	}
	if diff := cmp.Diff(want, env(t, u, 0)); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	template := &unstructured.Unstructured{Object: podTemplate(u)}
	wantLabels := map[string]string{"app": "web", labelProject: "5f1c", labelEnvironment: "3", labelDeployment: "12", labelRun: "7"}
	if diff := cmp.Diff(wantLabels, template.GetLabels()); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]any{map[string]any{"name": "pull"}}, podSpec(u)["imagePullSecrets"]); diff != "" {
		t.Errorf("pull secrets (-want +got):\n%s", diff)
	}
}

func TestInjectLeavesWhatTheManifestSays(t *testing.T) {
	t.Parallel()
	u := deployment(t, `{name: a, image: x, env: [{name: OTEL_EXPORTER_OTLP_ENDPOINT, value: "http://mine"}, {name: OTEL_RESOURCE_ATTRIBUTES, value: "service.name=mine,slipway.run=9,team=blue"}]},
		{name: b, image: x, env: [{name: OTEL_SERVICE_NAME, value: other}, {name: OTEL_RESOURCE_ATTRIBUTES, valueFrom: {configMapKeyRef: {name: c, key: k}}}]}`)
	complete(t, u)
	a, b := env(t, u, 0), env(t, u, 1)
	if a["OTEL_EXPORTER_OTLP_ENDPOINT"] != "http://mine" || a["OTEL_EXPORTER_OTLP_HEADERS"] != "" {
		t.Errorf("an endpoint of its own gets our credentials: %v", a)
	}
	if _, set := a["OTEL_SERVICE_NAME"]; set {
		t.Error("OTEL_SERVICE_NAME would win over the service.name that the manifest gives")
	}
	attributes := a["OTEL_RESOURCE_ATTRIBUTES"]
	if !strings.HasSuffix(attributes, ",service.name=mine,slipway.run=9,team=blue") || strings.Contains(attributes, "slipway.run=7") ||
		!strings.Contains(attributes, "slipway.deployment=12") {
		t.Errorf("merged attributes: %s", attributes)
	}
	if b["OTEL_SERVICE_NAME"] != "other" || b["OTEL_RESOURCE_ATTRIBUTES"] != "elsewhere" || !strings.Contains(b["SLIPWAY_RESOURCE_ATTRIBUTES"], "slipway.deployment=12") {
		t.Errorf("second container: %v", b)
	}
}

func TestAnUnchangedWorkloadKeepsItsOrigin(t *testing.T) {
	t.Parallel()
	hashOf := func(u *unstructured.Unstructured) string {
		hash, err := templateHash(podTemplate(u), testTarget, testTelemetry)
		if err != nil {
			t.Fatal(err)
		}
		return hash
	}
	before := deployment(t, `{name: a, image: x}`)
	hash := hashOf(before)
	inject(podTemplate(before), "web", testTarget, origin{deployment: 5, run: 2, commit: "abc"}, hash, testTelemetry, nil)
	got, same := liveOrigin(before, hashOf(deployment(t, `{name: a, image: x}`)))
	if want := (origin{deployment: 5, run: 2, commit: "abc"}); !same || got != want {
		t.Errorf("origin %+v, %t; want %+v", got, same, want)
	}
	if _, same := liveOrigin(before, hashOf(deployment(t, `{name: a, image: y}`))); same {
		t.Error("another image counts as the same workload")
	}
	if _, same := liveOrigin(nil, hash); same {
		t.Error("a workload that is not there has an origin")
	}
}

func TestApplySet(t *testing.T) {
	t.Parallel()
	// The id of the enhancement's own formula, computed with: printf 'slipway-default.shop-dev.Secret.' | sha256sum | xxd -r -p | basenc --base64url
	set := newApplySet("shop-dev", "default")
	if want := "applyset-8HlK_PXT9A7QM4FQgam8Y710EA5vbph2LZ9ETE_X7JQ-v1"; set.id() != want {
		t.Errorf("id %s, want %s", set.id(), want)
	}
	if a, b := newApplySet("n", "Dev.deploy"), newApplySet("n", "dev-deploy"); a.name == b.name {
		t.Error("two sets share the inventory", a.name)
	}
	objects, err := parse([]File{{Name: "f", Content: []byte(strings.Join([]string{object1("v1", "Service", "web"), object1("apps/v1", "Deployment", "web"),
		object1("apps/v1", "Deployment", "old"), object1("v1", "PersistentVolumeClaim", "data"), object1("v1", "ConfigMap", "earlier")}, "\n---\n"))}})
	if err != nil {
		t.Fatal(err)
	}
	kinds, _ := set.members(objects)
	if got, want := joinKinds(kinds), "ConfigMap,Deployment.apps,PersistentVolumeClaim,Service"; got != want {
		t.Errorf("kinds %s, want %s", got, want)
	}
	if diff := cmp.Diff(joinKinds(kinds), joinKinds(splitKinds(joinKinds(kinds)))); diff != "" {
		t.Error(diff)
	}
	var members []unstructured.Unstructured
	for _, o := range objects {
		mark(o.Unstructured, set, Target{Deployment: 11}, nil)
		members = append(members, *o.Unstructured)
	}
	mark(&members[4], set, testTarget, nil) // an earlier step of this deployment
	remove, kept := superfluous(members, objects[:2], testTarget.Deployment)
	if len(remove) != 1 || remove[0].GetName() != "old" || len(kept) != 1 || kept[0].GetName() != "data" {
		t.Errorf("remove %v, keep %v; want Deployment old, and the claim kept", remove, kept)
	}
}

// What a job says of itself on an object never replaces what the object says, nor what says who deployed it.
func TestMarkKeepsAnnotations(t *testing.T) {
	t.Parallel()
	u := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"annotations": map[string]any{"azure-pipelines/run": "own"}}}}
	mark(u, newApplySet("n", "dev"), Target{Deployment: 11, Commit: "c0ffee"}, map[string]string{"azure-pipelines/run": "7", "azure-pipelines/project": "shop", labelDeployment: "1"})
	want := map[string]string{"azure-pipelines/run": "own", "azure-pipelines/project": "shop", labelDeployment: "11", annotationCommit: "c0ffee"}
	if diff := cmp.Diff(want, u.GetAnnotations()); diff != "" {
		t.Error(diff)
	}
}

func object1(version, kind, name string) string {
	return "apiVersion: " + version + "\nkind: " + kind + "\nmetadata: {name: " + name + "}"
}

func TestSecretsAreHidden(t *testing.T) {
	t.Parallel()
	objects, err := parse([]File{{Name: "f", Content: []byte("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {PASSWORD: hunter2}\ndata: {KEY: aHVudGVyMg==}")}})
	if err != nil {
		t.Fatal(err)
	}
	clean := withoutSecrets(objects[0].Unstructured)
	if diff := cmp.Diff(map[string]any{"PASSWORD": hidden}, clean.Object["stringData"]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]any{"KEY": hidden}, clean.Object["data"]); diff != "" {
		t.Error(diff)
	}
	if objects[0].Object["stringData"].(map[string]any)["PASSWORD"] != "hunter2" {
		t.Error("what is applied was changed")
	}
	if got := masked("url: postgres://shop:hunter2@db", []string{"hunter2", "sh"}); got != "url: postgres://shop:(hidden)@db" {
		t.Error(got)
	}
}
