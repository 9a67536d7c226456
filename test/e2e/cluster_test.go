package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The foreign cluster: a node of another name and on other addresses than those of the rest.
const (
	foreignName    = "ext"
	foreignHost    = "10.213.40.1"
	foreignNode    = "10.213.40.2"
	foreignServer  = foreignHost + ":18180"
	foreignPod     = "10.224.0.0/16"
	foreignService = "10.225.0.0/16"
)

// foreignCluster is a cluster that somebody else runs. Its administrator has told its container runtime that
// Slipway's registry speaks plain HTTP, and nothing else.
type foreignCluster struct {
	top        string
	kubeconfig string
}

func startForeignCluster(t *testing.T, top string) *foreignCluster {
	t.Helper()
	dir := tempData(t)
	config := filepath.Join(dir, "node.json")
	text := fmt.Sprintf(`{"state": %q, "name": %q, "hostAddress": %q, "nodeAddress": %q, "podCIDR": %q, "serviceCIDR": %q,
		"registries": [{"host": %q, "endpoint": %q}]}`, filepath.Join(dir, "node"), foreignName, foreignHost, foreignNode, foreignPod, foreignService,
		foreignServer, "http://"+foreignServer)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(top, "bin", "slipway-node"), "run", "--config", config)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the foreign cluster ended badly: %v: %s", err, stderr.String())
		}
	})
	node := &installation{addresses: addresses{node: foreignName}, lines: make(chan string, 1000)}
	go node.read(out, node.lines)
	node.expect(t, `"phase":"node","state":"ready"`, 2*time.Minute)
	return &foreignCluster{top: top, kubeconfig: filepath.Join(dir, "node", "kubeconfig")}
}

func (c *foreignCluster) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, c.top, []string{"KUBECONFIG=" + c.kubeconfig}, filepath.Join(c.top, "bin", "slipway-node"), append([]string{"kubectl"}, args...)...)
}

// account makes a service account and a kubeconfig with a token of it.
func (c *foreignCluster) account(t *testing.T) (kubeconfig string) {
	t.Helper()
	c.kubectl(t, "create", "serviceaccount", "slipway")
	return c.withToken(t, strings.TrimSpace(c.kubectl(t, "create", "token", "slipway")))
}

// expired is a kubeconfig with a token that the cluster does not know.
func (c *foreignCluster) expired(t *testing.T) (kubeconfig string) {
	t.Helper()
	return c.withToken(t, "expired")
}

func (c *foreignCluster) withToken(t *testing.T, token string) (kubeconfig string) {
	t.Helper()
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	text, err := os.ReadFile(c.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kubeconfig, text, 0o600); err != nil {
		t.Fatal(err)
	}
	mine := func(args ...string) {
		run(t, c.top, nil, filepath.Join(c.top, "bin", "slipway-node"), append([]string{"kubectl", "--kubeconfig", kubeconfig, "config"}, args...)...)
	}
	mine("set-credentials", "account", "--token", token)
	mine("set-context", "--current", "--user", "account")
	return kubeconfig
}

// grant applies the ClusterRole of docs/cluster.md, exactly, and binds it to the account.
func (c *foreignCluster) grant(t *testing.T) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(c.top, "docs", "cluster.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	role, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("docs/cluster.md has no ClusterRole")
	}
	file := filepath.Join(t.TempDir(), "role.yaml")
	if err := os.WriteFile(file, []byte(role), 0o600); err != nil {
		t.Fatal(err)
	}
	c.kubectl(t, "apply", "-f", file)
	c.kubectl(t, "create", "clusterrolebinding", "slipway", "--clusterrole", "slipway", "--serviceaccount", "default:slipway")
}

const pagePath = "/api/v1/namespaces/page-test/services/web:80/proxy/"

// page is what the deployed service answers, asked through the API server.
func (c *foreignCluster) page(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(c.kubectl(t, "get", "--raw", pagePath))
}

// awaitPage waits until the deployed service answers that: its endpoints hear of a pod a moment after it is ready.
func (c *foreignCluster) awaitPage(t *testing.T, want string) {
	t.Helper()
	eventually(t, 30*time.Second, func() string {
		kubectl := exec.CommandContext(t.Context(), filepath.Join(c.top, "bin", "slipway-node"), "kubectl", "get", "--raw", pagePath)
		kubectl.Env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig)
		out, err := kubectl.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			return fmt.Sprintf("the page says %q, %v, want %q", got, err, want)
		}
		return ""
	})
}

// TestExistingCluster uses a cluster that is not Slipway's, with the rights that docs/cluster.md asks for and no more:
// a push is built by a builder in that cluster, in a job in that cluster, and deployed there; when the server is gone
// what was deployed runs on.
func TestExistingCluster(t *testing.T) {
	t.Parallel()
	top := projectFolder(t)
	foreign := startForeignCluster(t, top)
	account := foreign.account(t)
	i := &installation{addresses: addresses{server: foreignServer, node: "cluster"}, top: top, data: tempData(t), flags: []string{
		"--kubeconfig", account, "--cluster-url", "http://" + foreignServer, "--listen", foreignServer, "--otlp-listen", ""}}
	keepBaseImages(t, i.data)

	if refused := upRefused(t, i, "--kubeconfig", foreign.expired(t)); !strings.Contains(refused, "refuses the credentials of the kubeconfig") {
		t.Errorf("with credentials that nobody issued slipway up says %q", refused)
	}
	refused := upRefused(t, i)
	for _, want := range []string{`"system:serviceaccount:default:slipway"`, "get, create pods/portforward", "patch, delete, update secrets", "deployments.apps", "docs/cluster.md"} {
		if !strings.Contains(refused, want) {
			t.Errorf("without rights slipway up says %q, which lacks %q", refused, want)
		}
	}
	foreign.grant(t)
	t.Logf("start with an existing cluster: %s", i.up(t, ""))
	t.Cleanup(func() {
		if i.cmd.ProcessState == nil {
			i.interrupt(t)
		}
	})
	for _, step := range []struct {
		name  string
		story func(t *testing.T)
	}{
		{"a push is built and deployed there", func(t *testing.T) { pushPage(t, i, foreign) }},
		{"its images come from the registry, with credentials", func(t *testing.T) { pulledFromRegistry(t, foreign) }},
		{"no pod reaches the builder", func(t *testing.T) { builderClosed(t, foreign) }},
		{"the cluster goes on without the server", func(t *testing.T) { goesOn(t, i, foreign) }},
		{"a later start finds everything", func(t *testing.T) { startedAgain(t, i, foreign) }},
	} {
		if !t.Run(step.name, step.story) {
			t.Log(foreign.kubectl(t, "get", "pods,events", "-A"))
			return
		}
	}
}

// keepBaseImages lets the installation use the layers of base images that an earlier one made: making them anew takes
// minutes and is another story.
func keepBaseImages(t testing.TB, data string) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	images := filepath.Join(cache, "slipway-e2e", "images")
	if err := os.MkdirAll(images, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(images, filepath.Join(data, "images")); err != nil {
		t.Fatal(err)
	}
}

// upRefused starts `slipway up`, which must refuse, and returns what it says.
func upRefused(t *testing.T, i *installation, more ...string) string {
	t.Helper()
	args := slices.Concat([]string{"up", "--data", i.data}, i.flags, more)
	out, err := exec.CommandContext(t.Context(), filepath.Join(i.top, "bin", "slipway"), args...).CombinedOutput()
	if err == nil {
		t.Fatalf("slipway up started without rights:\n%s", out)
	}
	return string(out)
}

const pageProject = "page"

// pushPage makes a project of testdata/page and waits until what it deploys answers.
func pushPage(t *testing.T, i *installation, foreign *foreignCluster) {
	i.createProject(t, pageProject)
	work := i.clone(t, pageProject)
	if err := os.CopyFS(work, os.DirFS("testdata/page")); err != nil {
		t.Fatal(err)
	}
	run(t, work, nil, "git", "add", "-A")
	commit := commitAndPush(t, work)
	awaitPageRun(t, i, 1)
	foreign.awaitPage(t, "run 1 of "+commit)
}

func commitAndPush(t testing.TB, work string) (commit string) {
	t.Helper()
	run(t, work, nil, "git", "commit", "-q", "--allow-empty", "-m", "show a page")
	run(t, work, nil, "git", "push", "-q", "origin", "main")
	return strings.TrimSpace(run(t, work, nil, "git", "rev-parse", "HEAD"))
}

func awaitPageRun(t *testing.T, i *installation, id int64) {
	t.Helper()
	eventually(t, 2*time.Minute, func() string {
		var list listOf[build]
		i.api(t, http.MethodGet, "/"+pageProject+"/_apis/build/builds", nil, &list)
		for _, b := range list.Value {
			if b.ID == id && b.Status == "completed" {
				if b.Result != "succeeded" {
					t.Fatalf("run %d: %s\n%s", id, b.Result, i.slipway(t, pageProject, "logs", fmt.Sprint(id)))
				}
				return ""
			}
		}
		return fmt.Sprintf("run %d is not over: %+v", id, list.Value)
	})
}

// pulledFromRegistry looks at what the pods pull by, and that the registry gives it to nobody without credentials.
func pulledFromRegistry(t *testing.T, foreign *foreignCluster) {
	pod := foreign.kubectl(t, "-n", "page-test", "get", "pods", "-l", "app=web", "-o", `jsonpath={.items[0].spec.containers[0].image} {.items[0].spec.imagePullSecrets[*].name}`)
	if !strings.HasPrefix(pod, foreignServer+"/page/web@sha256:") || !strings.HasSuffix(pod, " slipway-registry") {
		t.Errorf("the pod pulls %q", pod)
	}
	answer, err := http.Get("http://" + foreignServer + "/v2/page/web/manifests/1")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("a pull without credentials: %s, want 401", answer.Status)
	}
}

// builderClosed knocks at the builder's port from a pod: nothing listens on the address that other pods see.
func builderClosed(t *testing.T, foreign *foreignCluster) {
	address := foreign.kubectl(t, "-n", "slipway-system", "get", "pods", "-l", "app.kubernetes.io/name=slipway-builder", "-o", "jsonpath={.items[0].status.podIP}")
	knock := func(host, port string) string {
		return foreign.kubectl(t, "-n", "page-test", "exec", "deploy/web", "--", "sh", "-c", "if nc -w 3 "+host+" "+port+" </dev/null >/dev/null 2>&1; then echo open; else echo closed; fi")
	}
	if got := strings.TrimSpace(knock("web", "80")); got != "open" { // so that closed means something
		t.Fatalf("the page's own service is %s", got)
	}
	if got := strings.TrimSpace(knock(address, "8372")); got != "closed" {
		t.Errorf("the builder at %s is %s to a pod", address, got)
	}
}

// goesOn stops the server: what it deployed is the cluster's.
func goesOn(t *testing.T, i *installation, foreign *foreignCluster) {
	pods := func() string {
		return foreign.kubectl(t, "-n", "page-test", "get", "pods", "-o", "jsonpath={.items[*].metadata.uid} {.items[*].status.containerStatuses[*].restartCount}")
	}
	before, page := pods(), foreign.page(t)
	i.interrupt(t)
	if after := pods(); after != before {
		t.Errorf("pods %q before the stop, %q after it", before, after)
	}
	if got := foreign.page(t); got != page {
		t.Errorf("the page says %q without the server, %q before", got, page)
	}
	eventually(t, 30*time.Second, func() string {
		if left := foreign.kubectl(t, "-n", "slipway-system", "get", "pods", "-o", "name"); left != "" {
			return "the builder is still there: " + left
		}
		return ""
	})
}

// startedAgain pushes once more to a server that was started again.
func startedAgain(t *testing.T, i *installation, foreign *foreignCluster) {
	t.Logf("second start: %s", i.up(t, ""))
	commit := commitAndPush(t, i.clone(t, pageProject))
	awaitPageRun(t, i, 2)
	foreign.awaitPage(t, "run 2 of "+commit)
	i.interrupt(t)
}
