package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

type listOf[T any] struct {
	Value []T `json:"value"`
}

type build struct {
	ID            int64  `json:"id"`
	Status        string `json:"status"`
	Result        string `json:"result"`
	SourceVersion string `json:"sourceVersion"`
}

type approval struct {
	ID          int64  `json:"id"`
	Environment string `json:"environment"`
	Run         int64  `json:"run"`
}

// sample is the project that `slipway up --sample` makes.
const sample = "sample"

// TestLoop goes round the loop with the sample: the first commit by `slipway up`, production after an approval, a
// change by git, a server that is killed in the middle of a run, and a stop that leaves nothing.
func TestLoop(t *testing.T) {
	t.Parallel()
	i := newInstallation(t, loopAddresses)
	t.Logf("first start, with the base images and the sample's first round: %s", i.up(t, filepath.Join(i.top, "samples", "shop")))
	i.stopAtEnd(t)
	if t.Failed() {
		return
	}
	if !i.tell(t, []story{
		{"the sample runs in dev", runsInDev},
		{"every step was told", everyStepTold},
		{"kubectl sees the cluster", kubectlSees},
		{"images are pulled with crane", imagesPulled},
		{"everything hangs together", hangsTogether},
		{"production waits for an approval", productionWaits},
		{"a one-line change goes round by itself", changeGoesRound},
		{"a pull request goes round with its work item", pullRequestGoesRound},
		{"a killed server finishes its run", killedServerFinishes},
		{"a bad deployment fails and is rolled back", badDeploymentFails},
		{"bad telemetry opens a bug", badTelemetryOpensABug},
		{"a restart brings everything back", restartBringsBack},
		{"what runs leave is looked at in a browser", resultsAreLookedAt},
		{"what runs wait for is looked at in a browser", runsWait},
		{"the pages can be opened", pagesOpen},
		{"every page is reached, and every link leads somewhere", everyPageReached},
		{"the restart was no fault", restartIsNoFault},
	}) {
		return
	}
	if i.onHost(t) == "" {
		t.Error("a running installation shows nothing on the host: the check for leftovers is blind")
	}
	i.interrupt(t)
	if left := i.onHost(t); left != "" {
		t.Errorf("the stop left something on the host:\n%s", left)
	}
}

// story is a part of a test; each stands on those before.
type story struct {
	name string
	tell func(t *testing.T, i *installation)
}

// tell runs the stories until one fails.
func (i *installation) tell(t *testing.T, stories []story) bool {
	for _, s := range stories {
		if !t.Run(s.name, func(t *testing.T) { s.tell(t, i) }) {
			return false
		}
	}
	return true
}

// stopAtEnd makes sure that nothing is left when the test ends early.
func (i *installation) stopAtEnd(t testing.TB) {
	t.Cleanup(func() {
		if i.cmd.ProcessState == nil {
			i.interrupt(t)
		}
		_ = exec.Command(filepath.Join(i.top, "bin", "slipway"), "down", "--data", i.data).Run()
	})
}

// tempData is a short path: sockets below it have few bytes.
func tempData(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "slipway-story-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			os.RemoveAll(dir)
			return
		}
		for _, name := range []string{"slipway.log", "run/node.stderr", "run/builder.stderr"} {
			b, _ := os.ReadFile(filepath.Join(dir, name))
			fmt.Printf("%s ends with:\n%s\n", name, b[max(0, len(b)-8000):])
		}
	})
	return dir
}

// onHost lists what the installation's node could leave behind: its namespace, links, mounts, cgroups and processes.
func (i *installation) onHost(t testing.TB) string {
	t.Helper()
	script := strings.NewReplacer("NODE", i.node, "DATA", i.data).Replace(`ip netns list 2>/dev/null | grep -w slipway-NODE
ip -o link | grep -w -e sw-NODE -e sn-NODE
grep DATA/ /proc/mounts
find /sys/fs/cgroup -maxdepth 2 -type d -name 'slipway-NODE*'
pgrep -af 'bin/slipway-(node|builder) .*DATA/'
true`)
	out, err := exec.Command("bash", "-c", script).Output() // what ip says of others' namespaces that go is no matter
	if err != nil {
		t.Fatalf("look at the host: %v: %s", err, out)
	}
	return string(out)
}

func runsInDev(t *testing.T, i *installation) {
	eventually(t, time.Minute, func() string {
		status, body, err := i.get(t.Context(), "shop-dev.localhost", "/")
		if err != nil || status != http.StatusOK || !strings.Contains(body, "<html") {
			return fmt.Sprintf("GET shop-dev.localhost: %d, %v: %.200s", status, err, body)
		}
		return ""
	})
}

func everyStepTold(t *testing.T, i *installation) {
	eventually(t, 30*time.Second, func() string {
		for step := 1; step <= 10; step++ {
			if !regexp.MustCompile(fmt.Sprintf(`(?m)^ *[0-9.ms]+ +%d\. `, step)).MatchString(i.said()) {
				return fmt.Sprintf("step %d was not told", step)
			}
		}
		return ""
	})
}

func (i *installation) kubectl(t testing.TB, args ...string) string {
	t.Helper()
	return run(t, i.top, []string{"KUBECONFIG=" + filepath.Join(i.data, "node", "kubeconfig")}, filepath.Join(i.top, "bin", "slipway-node"),
		append([]string{"kubectl"}, args...)...)
}

func kubectlSees(t *testing.T, i *installation) {
	if out := i.kubectl(t, "get", "nodes"); !strings.Contains(out, " Ready ") {
		t.Errorf("no node is ready:\n%s", out)
	}
	out := i.kubectl(t, "-n", "sample-dev", "get", "deployment", "web", "-o",
		`jsonpath={.spec.template.metadata.labels} {.spec.template.spec.containers[0].image} {.spec.template.spec.containers[0].env[*].name}`)
	for _, want := range []string{"slipway.dev/deployment", i.server + "/sample/web@sha256:", "OTEL_EXPORTER_OTLP_ENDPOINT", "APPLICATIONINSIGHTS_CONNECTION_STRING"} {
		if !strings.Contains(out, want) {
			t.Errorf("the pod template lacks %s:\n%s", want, out)
		}
	}
}

func imagesPulled(t *testing.T, i *installation) {
	bin := t.TempDir()
	run(t, i.top, []string{"GOBIN=" + bin, "GOFLAGS=-mod=mod"}, "go", "install", "github.com/google/go-containerregistry/cmd/crane@v0.22.1")
	env := []string{"DOCKER_CONFIG=" + t.TempDir()}
	crane := filepath.Join(bin, "crane")
	run(t, i.top, env, crane, "auth", "login", i.server, "-u", "admin", "-p", i.Token)
	tags := strings.Fields(run(t, i.top, env, crane, "ls", i.server+"/sample/web"))
	if len(tags) == 0 {
		t.Fatal("sample/web has no tags")
	}
	run(t, i.top, env, crane, "validate", "--remote", i.server+"/sample/web:"+tags[0])
}

// hangsTogether walks from the commit to everything else.
func hangsTogether(t *testing.T, i *installation) {
	var runs listOf[build]
	i.api(t, http.MethodGet, "/sample/_apis/build/builds", nil, &runs)
	if len(runs.Value) == 0 {
		t.Fatal("there is no run")
	}
	i.awaitNodes(t, "commit:"+runs.Value[0].SourceVersion, "workitem", "commit", "run", "image", "deployment", "pod", "trace")
}

// awaitNodes waits until the thing's graph has all of the kinds.
func (i *installation) awaitNodes(t *testing.T, thing string, kinds ...string) {
	t.Helper()
	eventually(t, time.Minute, func() string {
		var traces listOf[struct {
			Nodes []struct{ Kind, ID string }
		}]
		i.api(t, http.MethodGet, "/sample/_apis/slipway/trace?thing="+thing, nil, &traces)
		found := map[string]bool{}
		for _, trace := range traces.Value {
			for _, n := range trace.Nodes {
				found[n.Kind] = true
			}
		}
		for _, kind := range kinds {
			if !found[kind] {
				return thing + " is not joined with a " + kind
			}
		}
		return ""
	})
}

func productionWaits(t *testing.T, i *installation) {
	var pending listOf[approval]
	eventually(t, 2*time.Minute, func() string {
		i.api(t, http.MethodGet, "/sample/_apis/pipelines/approvals", nil, &pending)
		if len(pending.Value) != 1 || pending.Value[0].Environment != "production" {
			return fmt.Sprintf("approvals %+v, want one for production", pending.Value)
		}
		return ""
	})
	out := i.slipway(t, sample, "approve", fmt.Sprint(pending.Value[0].ID))
	if !strings.Contains(out, "approved") {
		t.Errorf("slipway approve said %q", out)
	}
	i.awaitRun(t, pending.Value[0].Run, 5*time.Minute)
	eventually(t, time.Minute, func() string {
		status, _, err := i.get(t.Context(), "shop.localhost", "/")
		if err != nil || status != http.StatusOK {
			return fmt.Sprintf("GET shop.localhost: %d, %v", status, err)
		}
		return ""
	})
}

// awaitRun waits until the run has ended well.
func (i *installation) awaitRun(t testing.TB, id int64, within time.Duration) {
	t.Helper()
	eventually(t, within, func() string {
		var b build
		i.api(t, http.MethodGet, fmt.Sprintf("/sample/_apis/build/builds/%d", id), nil, &b)
		if b.Status != "completed" {
			return "run " + fmt.Sprint(id) + " is " + b.Status
		}
		if b.Result != "succeeded" {
			t.Fatalf("run %d: %s\n%s", id, b.Result, i.slipway(t, sample, "logs", fmt.Sprint(id)))
		}
		return ""
	})
}

// greet changes the shop's greeting, commits and pushes.
func greet(t *testing.T, dir, greeting string) {
	t.Helper()
	path := filepath.Join(dir, "web", "shop.go")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(greeting += +)"[^"]*"`)
	if !line.Match(b) {
		t.Fatal("web/shop.go has no greeting")
	}
	if err := os.WriteFile(path, line.ReplaceAll(b, []byte(`${1}"`+greeting+`"`)), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, dir, nil, "git", "commit", "-q", "-a", "-m", "web: greet with "+greeting+"\n\nfixes AB#3")
	run(t, dir, nil, "git", "push", "-q", "origin", "HEAD")
}

func (i *installation) newestRun(t testing.TB) build {
	t.Helper()
	var runs listOf[build]
	i.api(t, http.MethodGet, "/sample/_apis/build/builds", nil, &runs)
	if len(runs.Value) == 0 {
		t.Fatal("there is no run")
	}
	return runs.Value[0]
}

// awaitGreeting waits until dev serves the greeting.
func awaitGreeting(t *testing.T, i *installation, greeting string, within time.Duration) {
	t.Helper()
	eventually(t, within, func() string {
		_, body, err := i.get(t.Context(), "shop-dev.localhost", "/")
		if err != nil || !strings.Contains(body, greeting) {
			return fmt.Sprintf("dev does not greet with %q yet (%v)", greeting, err)
		}
		return ""
	})
}

func changeGoesRound(t *testing.T, i *installation) {
	dir := i.clone(t, sample)
	start := time.Now()
	greet(t, dir, "Ahoy")
	awaitGreeting(t, i, "Ahoy", 12*time.Minute)
	t.Logf("from git push to the new pod's answer: %s", time.Since(start))
	logTimes(t, i)
}

// pullRequest is one in the REST API.
type pullRequest struct {
	PullRequestID         int64     `json:"pullRequestId"`
	Status                string    `json:"status"`
	MergeStatus           string    `json:"mergeStatus"`
	LastMergeSourceCommit commitRef `json:"lastMergeSourceCommit"`
	LastMergeCommit       commitRef `json:"lastMergeCommit"`
}

type commitRef struct {
	CommitID string `json:"commitId"`
}

// pullRequestGoesRound has a work item named by nothing but a pull request's description. A second pull request stays open for the pages.
func pullRequestGoesRound(t *testing.T, i *installation) {
	const item = 2
	dir := i.clone(t, sample)
	const pulls = "/sample/_apis/git/repositories/sample/pullrequests"
	ask := func(branch, title, description string) pullRequest {
		var p pullRequest
		i.api(t, http.MethodPost, pulls+"?api-version=7.1", map[string]any{"sourceRefName": "refs/heads/" + branch, "targetRefName": "refs/heads/main",
			"title": title, "description": description}, &p)
		if p.Status != "active" || p.MergeStatus != "succeeded" {
			t.Fatalf("the pull request is %+v", p)
		}
		return p
	}
	run(t, dir, nil, "git", "switch", "-q", "-c", "later")
	if err := os.WriteFile(filepath.Join(dir, "NOTES.md"), []byte("# Notes\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, dir, nil, "git", "add", "NOTES.md")
	run(t, dir, nil, "git", "commit", "-q", "-m", "notes")
	run(t, dir, nil, "git", "push", "-q", "origin", "later")
	ask("later", "Keep notes", "Not now.")

	run(t, dir, nil, "git", "switch", "-q", "-c", "greeting", "origin/main")
	greet(t, dir, "Good day")
	p := ask("greeting", "Greet politely", fmt.Sprintf("fixes AB#%d", item))
	url := fmt.Sprintf("%s/%d", pulls, p.PullRequestID)
	eventually(t, time.Minute, func() string {
		var items listOf[struct {
			ID string `json:"id"`
		}]
		i.api(t, http.MethodGet, url+"/workitems", nil, &items)
		if len(items.Value) != 1 || items.Value[0].ID != fmt.Sprint(item) {
			return fmt.Sprintf("the pull request's work items are %+v", items.Value)
		}
		return ""
	})
	i.api(t, http.MethodPatch, url, map[string]any{"status": "completed", "lastMergeSourceCommit": p.LastMergeSourceCommit,
		"completionOptions": map[string]any{"mergeStrategy": "squash", "mergeCommitMessage": "web: greet politely", "deleteSourceBranch": true}}, &p)
	if p.Status != "completed" {
		t.Fatalf("the pull request is %+v", p)
	}
	if out := run(t, dir, nil, "git", "ls-remote", "--heads", "origin"); strings.Contains(out, "greeting") || !strings.Contains(out, p.LastMergeCommit.CommitID) {
		t.Errorf("the branches are now\n%s", out)
	}
	awaitGreeting(t, i, "Good day", 12*time.Minute)
	i.awaitNodes(t, fmt.Sprintf("workitem:%d", item), "pullrequest", "commit", "run", "image", "deployment", "pod")
}

// logTimes writes how long each part of the newest run took.
func logTimes(t *testing.T, i *installation) {
	t.Helper()
	t.Log("\n" + i.slipway(t, sample, "runs", fmt.Sprint(i.newestRun(t).ID)))
}

func killedServerFinishes(t *testing.T, i *installation) {
	dir := i.clone(t, sample)
	last := i.newestRun(t).ID
	greet(t, dir, "Land ho")
	eventually(t, time.Minute, func() string {
		if r := i.newestRun(t); r.ID == last || r.Status != "inProgress" {
			return "the run has not begun"
		}
		return ""
	})
	id := i.newestRun(t).ID
	i.kill(t)
	t.Logf("start beside a node that runs on: %s", i.up(t, ""))
	awaitGreeting(t, i, "Land ho", 12*time.Minute)
	var timeline struct {
		Records []struct {
			Type string `json:"type"`
			Log  *struct {
				URL string `json:"url"`
			} `json:"log"`
		} `json:"records"`
	}
	i.api(t, http.MethodGet, fmt.Sprintf("/sample/_apis/build/builds/%d/timeline", id), nil, &timeline)
	if len(timeline.Records) == 0 {
		b, _ := json.Marshal(timeline)
		t.Errorf("the run has no timeline: %s", b)
	}
}
