package agent

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"

	"slipway"
	"slipway/internal/pipelines/job"
)

// withConnections lets the job's server have connections, whoever names them.
func (j *toolJob) withConnections(list ...job.Connection) {
	j.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, c := range list {
			if strings.HasSuffix(r.URL.Path, "/connections") && strings.EqualFold(c.Name, r.URL.Query().Get("name")) {
				_ = json.NewEncoder(w).Encode(c)
				return
			}
		}
		w.WriteHeader(http.StatusNotFound)
		_ = json.NewEncoder(w).Encode(map[string]any{"code": slipway.CodeNotFound, "message": "there is no service connection " + r.URL.Query().Get("name")})
	}))
	j.t.Cleanup(server.Close)
	j.client.base = server.URL + "/_slipway/jobs/1"
}

func textOf(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const clusterToken = "eyJhbGciOi.token-of-a-service-account"

// kubeconfig is what kubectl and helm would be given, as Kubernetes' own library reads it.
func kubeconfig(t *testing.T, w *task, c job.Connection, namespace string) (server, token, inNamespace string, authority []byte, insecure bool) {
	t.Helper()
	path, end, err := w.writeKubeconfig(&c, namespace)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	config, err := clientcmd.LoadFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rest, err := clientcmd.NewDefaultClientConfig(*config, nil).ClientConfig()
	if err != nil {
		t.Fatal(err)
	}
	return rest.Host, rest.BearerToken, config.Contexts[config.CurrentContext].Namespace, rest.CAData, rest.Insecure
}

func TestKubeconfigOfAConnection(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, nil)
	const own = `
apiVersion: v1
kind: Config
current-context: dev
clusters:
- {name: a, cluster: {server: "https://a.example:6443"}}
- {name: b, cluster: {server: "https://b.example:6443", insecure-skip-tls-verify: true}}
users:
- {name: u, user: {token: token-of-the-user}}
contexts:
- {name: dev, context: {cluster: a, user: u}}
- {name: prod, context: {cluster: b, user: u, namespace: web}}
`
	certificate := "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	f := func(c job.Connection, namespace, server, token, where, authority string, insecure bool) {
		t.Helper()
		gotServer, gotToken, gotWhere, gotAuthority, gotInsecure := kubeconfig(t, w.task, c, namespace)
		if gotServer != server || gotToken != token || gotWhere != where || string(gotAuthority) != authority || gotInsecure != insecure {
			t.Errorf("%+v: %s, %s, %s, %s, %t", c, gotServer, gotToken, gotWhere, gotAuthority, gotInsecure)
		}
		if shown := w.mask.Mask(token); shown != "***" {
			t.Errorf("the token is shown as %s", shown)
		}
	}
	f(job.Connection{Parameters: map[string]string{"kubeconfig": own}}, "", "https://a.example:6443", "token-of-the-user", "", "", false)
	f(job.Connection{Parameters: map[string]string{"Kubeconfig": own, "clusterContext": "prod"}}, "", "https://b.example:6443", "token-of-the-user", "web", "", true)
	f(job.Connection{Parameters: map[string]string{"kubeconfig": own, "clusterContext": "prod"}}, "shop", "https://b.example:6443", "token-of-the-user", "shop", "", true)
	// As `kubectl get secret -o yaml` shows them, and as they are.
	f(job.Connection{URL: "https://c.example", Parameters: map[string]string{"apiToken": encode(clusterToken), "serviceAccountCertificate": encode(certificate)}, Data: map[string]string{"namespace": "own"}},
		"", "https://c.example", clusterToken, "own", certificate, false)
	f(job.Connection{URL: "https://c.example", Parameters: map[string]string{"apitoken": clusterToken}, Data: map[string]string{"acceptUntrustedCerts": "true"}}, "x", "https://c.example", clusterToken, "x", "", true)
	j := newToolJob(t, nil)
	j.withConnections(job.Connection{Name: "own", Type: "kubernetes", Parameters: map[string]string{"kubeconfig": own}, Secret: []string{"kubeconfig"}})
	j.recorder(filepath.Join(j.path, "kubectl"), "", `echo "apiVersion: v1"; echo "token-of-the-user"`)
	j.env["PATH"] = j.path + ":" + os.Getenv("PATH")
	if log := j.must("Kubernetes@0", map[string]string{"kubernetesServiceEndpoint": "own", "command": "get"}); !strings.Contains(log, "apiVersion: v1\n***\n") {
		t.Errorf("of a kubeconfig its credentials alone are masked:\n%s", log)
	}
	for text, want := range map[string]string{"": "neither a kubeconfig nor an apiToken", "[": "is no YAML map"} {
		if _, _, err := w.writeKubeconfig(&job.Connection{Name: "k", Parameters: map[string]string{"kubeconfig": text}}, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestClusterOfAConnection(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, nil)
	j.withConnections(job.Connection{Name: "k8s", Type: "kubernetes", URL: "https://k8s.example", Parameters: map[string]string{"apiToken": clusterToken}, Secret: []string{"apiToken"}},
		job.Connection{Name: "hub", Type: "dockerregistry", URL: job.DockerHub, Parameters: map[string]string{"username": "ada", "password": "hunter2hunter2"}, Secret: []string{"password"}})
	j.env["PATH"] = j.path + ":" + os.Getenv("PATH")
	calls := j.recorder(filepath.Join(j.path, "kubectl"), "", `sed -n 's/.*server: //p' "$KUBECONFIG" >&2
for a in "$@"; do case "$a" in --from-file=*) base64 -w0 < "${a#--from-file=}" > "$HOME/secret";; esac; done
previous=; for a in "$@"; do [ "$previous" = --filename ] && cp "$a" "$HOME/applied.json"; previous="$a"; done`)
	log := j.must("Kubernetes@1", map[string]string{"connectionType": "Kubernetes Service Connection", "kubernetesServiceEndpoint": "K8S", "namespace": "web", "command": "get", "arguments": "pods",
		"secretName": "pull", "containerRegistryType": "Container Registry", "dockerRegistryEndpoint": "hub"})
	if !strings.Contains(log, "https://k8s.example") || strings.Contains(log, "hunter2") || strings.Contains(log, clusterToken) {
		t.Errorf("log\n%s", log)
	}
	got := calls()
	if len(got) != 3 || !strings.HasPrefix(got[0], "kubectl [-n] [web] [delete] [secret] [pull]") ||
		!strings.HasPrefix(got[1], "kubectl [-n] [web] [create] [secret] [generic] [pull] [--type=kubernetes.io/dockerconfigjson] [--from-file=") ||
		!strings.HasPrefix(got[2], "kubectl [get] [-n] [web] [pods] [-o] [json]") {
		t.Errorf("calls %q", got)
	}
	encoded, err := os.ReadFile(filepath.Join(j.env["HOME"], "secret"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := base64.StdEncoding.DecodeString(string(encoded))
	if err != nil {
		t.Fatal(err)
	}
	// The form is that of Docker's config.json, which the kubelet reads: Docker Hub by its old URL.
	var pull struct {
		Auths map[string]struct{ Auth, Username, Password string }
	}
	if err := json.Unmarshal(config, &pull); err != nil {
		t.Fatal(err)
	}
	if a := pull.Auths["https://index.docker.io/v1/"]; a.Username != "ada" || a.Password != "hunter2hunter2" || a.Auth != "YWRhOmh1bnRlcjJodW50ZXIy" {
		t.Errorf("%s", config)
	}

	j.must("KubernetesManifest@0", map[string]string{"action": "createSecret", "kubernetesServiceConnection": "k8s", "secretName": "pull2", "dockerRegistryEndpoint": "hub"})
	j.must("KubernetesManifest@1", map[string]string{"action": "createSecret", "kubernetesServiceConnection": "k8s", "secretName": "own", "secretType": "generic", "secretArguments": "--from-literal=a=b"})
	if got := calls(); len(got) != 4 || !strings.HasPrefix(got[1], "kubectl [create] [secret] [generic] [pull2] [--type=kubernetes.io/dockerconfigjson]") ||
		!strings.HasPrefix(got[3], "kubectl [create] [secret] [generic] [own] [--from-literal=a=b]") {
		t.Errorf("calls %q", got)
	}

	j.write("web.yml", `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      initContainers: [{name: i, image: hub.example/tools}]
      containers: [{name: web, image: "hub.example:5000/web:old"}, {name: other, image: "hub.example/other:1"}]
---
# nothing
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data: {containers: "x", n: "1"}
`)
	j.must("KubernetesManifest@1", map[string]string{"kubernetesServiceConnection": "k8s", "namespace": "web", "manifests": "web.yml", "containers": "hub.example:5000/web:new\nhub.example/tools:2",
		"imagePullSecrets": "pull", "rolloutStatusTimeout": "30"})
	got = calls()
	if len(got) != 2 || !strings.Contains(got[0], "[apply] [--filename]") || !strings.Contains(got[0], "[--namespace] [web]") ||
		!strings.HasPrefix(got[1], "kubectl [rollout] [status] [deployment/web] [--namespace] [web] [--timeout=30s]") {
		t.Errorf("calls %q", got)
	}
	text, err := os.ReadFile(filepath.Join(j.env["HOME"], "applied.json"))
	if err != nil {
		t.Fatal(err)
	}
	var applied, want any
	if err := json.Unmarshal(text, &applied); err != nil {
		t.Fatal(err)
	}
	const expected = `{"apiVersion": "v1", "kind": "List", "items": [
		{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": {"spec": {"imagePullSecrets": [{"name": "pull"}],
			"initContainers": [{"name": "i", "image": "hub.example/tools:2"}],
			"containers": [{"name": "web", "image": "hub.example:5000/web:new"}, {"name": "other", "image": "hub.example/other:1"}]}}}},
		{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"containers": "x", "n": "1"}}]}`
	if err := json.Unmarshal([]byte(expected), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, applied); diff != "" {
		t.Errorf("applied (-want +got)\n%s", diff)
	}
}

func TestPackageConnections(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, nil)
	byPassword := map[string]string{"username": "ada", "password": "hunter2 & co"}
	secret := []string{"password", "apitoken"}
	j.withConnections(
		job.Connection{Name: "npm", URL: "https://npm.example/shop", Parameters: byPassword, Secret: secret},
		job.Connection{Name: "away", URL: "https://away.example/", Parameters: map[string]string{"apitoken": "token-of-away"}, Secret: secret},
		job.Connection{Name: "pypi", URL: "https://pypi.example/simple", Parameters: map[string]string{"apitoken": "token-of-pypi"}, Secret: secret},
		job.Connection{Name: "twine", URL: "https://pypi.example/upload", Parameters: byPassword, Secret: secret, Data: map[string]string{"EndpointName": "shop"}},
		job.Connection{Name: "nuget", URL: "https://nuget.example/v3/index.json", Parameters: map[string]string{"apitoken": "token-of-nuget"}, Secret: secret},
		job.Connection{Name: "maven", URL: "https://maven.example/", Parameters: byPassword, Secret: secret, Data: map[string]string{"RepositoryId": "shop"}},
	)
	j.write(".npmrc", "registry=https://registry.example/\n@shop:registry=https://npm.example/shop/")
	log := j.must("npmAuthenticate@0", map[string]string{"workingFile": ".npmrc", "customEndpoint": "npm, away"})
	// The password in base64, as npm has it: https://docs.npmjs.com/cli/v10/configuring-npm/npmrc
	want := "registry=https://registry.example/\n@shop:registry=https://npm.example/shop/\n//npm.example/shop/:username=ada\n//npm.example/shop/:_password=aHVudGVyMiAmIGNv\n//npm.example/shop/:email=ada\n"
	if text := textOf(t, filepath.Join(j.folders.sources, ".npmrc")); text != want {
		t.Errorf(".npmrc\n%s", text)
	}
	if !strings.Contains(log, "##[warning]The registry https://away.example/ of service connection away is not named in the .npmrc file") {
		t.Errorf("log\n%s", log)
	}

	j.must("PipAuthenticate@1", map[string]string{"pythonDownloadServiceConnections": "pypi,away"})
	if got := j.setEnv["PIP_INDEX_URL"] + " " + j.setEnv["PIP_EXTRA_INDEX_URL"]; got != "https://build:token-of-pypi@pypi.example/simple https://build:token-of-away@away.example/" {
		t.Errorf("pip %s", got)
	}
	j.must("TwineAuthenticate@1", map[string]string{"pythonUploadServiceConnection": "twine"})
	path := j.vars.Text("PYPIRC_PATH")
	if b, err := os.ReadFile(path); err != nil || string(b) != "[distutils]\nindex-servers=shop\n\n[shop]\nrepository=https://pypi.example/upload\nusername=ada\npassword=hunter2 & co\n" {
		t.Errorf("%s: %s, %v", path, b, err)
	}

	j.write("src/nuget.config", "\ufeff<?xml version=\"1.0\"?>\n<configuration><packageSources><clear/><add key=\"Shop\" value=\"https://nuget.example/v3/index.json\"/></packageSources></configuration>")
	log = j.must("NuGetAuthenticate@1", map[string]string{"nuGetServiceConnections": "nuget,away"})
	// https://learn.microsoft.com/nuget/consume-packages/consuming-packages-authenticated-feeds#credentials-in-environment-variables
	if got := j.setEnv["NuGetPackageSourceCredentials_Shop"]; got != "Username=build;Password=token-of-nuget" || !strings.Contains(log, "so service connection away adds nothing") {
		t.Errorf("NuGet %s\n%s", got, log)
	}

	j.must("MavenAuthenticate@0", map[string]string{"mavenServiceConnections": "maven"})
	settings := filepath.Join(j.env["HOME"], ".m2", "settings.xml")
	b, err := os.ReadFile(settings)
	if err != nil || string(b) != "<settings>\n<servers>\n<server><id>shop</id><username>ada</username><password>hunter2 &amp; co</password></server>\n</servers>\n</settings>\n" {
		t.Errorf("settings %s, %v", b, err)
	}
	if _, err := j.run("npmAuthenticate@0", map[string]string{"workingFile": ".npmrc", "customEndpoint": "nowhere"}); err == nil || err.Error() != "there is no service connection nowhere" {
		t.Errorf("%v", err)
	}
	for _, text := range []string{"hunter2 & co", "aHVudGVyMiAmIGNv", "token-of-pypi", "YWRhOmh1bnRlcjIgJiBjbw"} {
		if masked := j.mask.Mask("x " + text); masked != "x ***" {
			t.Errorf("%s is shown as %s", text, masked)
		}
	}
	j.runPosts()
	if text := textOf(t, filepath.Join(j.folders.sources, ".npmrc")); text != "registry=https://registry.example/\n@shop:registry=https://npm.example/shop/" {
		t.Errorf("after the job .npmrc is\n%s", text)
	}
	for _, file := range []string{path, settings} {
		if _, err := os.Stat(file); !os.IsNotExist(err) {
			t.Errorf("%s outlives the job: %v", file, err)
		}
	}
}

// The variables are those of Terraform's providers: registry.terraform.io/providers/hashicorp/azurerm, and aws.
func TestTerraformConnections(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, nil)
	j.path += ":" + sysPath
	calls := j.recorder(filepath.Join(strings.Split(j.path, ":")[0], "terraform"), "ARM_CLIENT_ID ARM_CLIENT_SECRET ARM_TENANT_ID ARM_SUBSCRIPTION_ID AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY", `echo "$ARM_CLIENT_SECRET"`)
	principal := map[string]string{"serviceprincipalid": "app", "serviceprincipalkey": "hunter2hunter2", "tenantid": "tenant"}
	j.withConnections(job.Connection{Name: "azure", Type: "azurerm", Parameters: principal, Data: map[string]string{"subscriptionId": "sub"}, Secret: []string{"serviceprincipalkey"}},
		job.Connection{Name: "aws", Type: "awsserviceendpoint", Parameters: map[string]string{"username": "AKIA", "password": "swordfish"}, Secret: []string{"password"}},
		job.Connection{Name: "federated", Type: "azurerm", Scheme: "WorkloadIdentityFederation", Parameters: map[string]string{"serviceprincipalid": "app"}})
	log := j.must("TerraformTaskV4@4", map[string]string{"command": "init", "backendServiceArm": "azure", "backendAzureRmResourceGroupName": "rg", "backendAzureRmStorageAccountName": "account",
		"backendAzureRmContainerName": "state", "backendAzureRmKey": "prod.tfstate", "commandOptions": "-upgrade"})
	if !strings.Contains(log, "***\n") || strings.Contains(log, "hunter2") {
		t.Errorf("log\n%s", log)
	}
	j.must("TerraformTask@5", map[string]string{"command": "apply", "provider": "aws", "environmentServiceNameAWS": "aws"})
	wantCalls(t, calls, "terraform [init] [-backend-config=resource_group_name=rg] [-backend-config=storage_account_name=account] [-backend-config=container_name=state] [-backend-config=key=prod.tfstate] [-upgrade]"+
		" ARM_CLIENT_ID=app ARM_CLIENT_SECRET=hunter2hunter2 ARM_TENANT_ID=tenant ARM_SUBSCRIPTION_ID=sub AWS_ACCESS_KEY_ID= AWS_SECRET_ACCESS_KEY= in SOURCES",
		"terraform [apply] [-auto-approve] ARM_CLIENT_ID= ARM_CLIENT_SECRET= ARM_TENANT_ID= ARM_SUBSCRIPTION_ID= AWS_ACCESS_KEY_ID=AKIA AWS_SECRET_ACCESS_KEY=swordfish in SOURCES")
	if _, err := j.run("TerraformTaskV4@4", map[string]string{"command": "plan", "environmentServiceNameAzureRM": "federated"}); err == nil || !strings.Contains(err.Error(), "has no serviceprincipalkey") {
		t.Errorf("%v", err)
	}
}
