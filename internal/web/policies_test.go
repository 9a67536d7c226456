package web_test

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/pipelines"
	"slipway/internal/repos"
)

func TestPolicyPages(t *testing.T) {
	t.Parallel()
	w := newCodeWorld(t)
	w.commit("main", "hats.md")
	const page = "/tools/_git/My%20Shop/policies"
	form := url.Values{"do": {"save"}, "kind": {"minimumReviewers"}, "branch": {"main"}, "approvers": {"2"}, "blocking": {"on"}, "enabled": {"on"}}
	if status, _, _ := w.do(w.writer, "POST", page, form); status != http.StatusForbidden {
		t.Errorf("a contributor makes policies: %d", status)
	}
	if status, body, _ := w.do(w.administrator, "POST", page, form); status != http.StatusOK || !strings.Contains(body, "Minimum number of reviewers (2)") {
		t.Errorf("%d\n%s", status, body)
	}
	form = url.Values{"do": {"save"}, "kind": {"build"}, "branch": {"release/*"}, "pipeline": {"0"}, "enabled": {"on"}}
	if status, body, _ := w.do(w.administrator, "POST", page, form); status != http.StatusBadRequest || !strings.Contains(body, "the number of the pipeline") {
		t.Errorf("a build without a pipeline: %d", status)
	}
	form.Set("pipeline", "3")
	form.Set("paths", "/src/*\r\n!/src/docs/*")
	if _, body, _ := w.do(w.administrator, "POST", page, form); !strings.Contains(body, "release/*") || !strings.Contains(body, "!/src/docs/*") {
		t.Errorf("the build is not shown:\n%s", body)
	}
	all, err := w.repos.Policies(context.Background(), w.project)
	if err != nil || len(all) != 2 || all[1].Blocking || len(all[1].Settings.FilenamePatterns) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, reader := range []string{w.reader, w.writer} {
		if _, body, _ := w.do(reader, "GET", page, nil); !strings.Contains(body, "Minimum number of reviewers (2)") || strings.Contains(body, "Add a policy") {
			t.Errorf("others see\n%s", body)
		}
	}
	if status, body, _ := w.do(w.administrator, "POST", page, url.Values{"do": {"delete"}, "policy": {"2"}}); status != http.StatusOK || strings.Contains(body, "on release/*") {
		t.Errorf("deleted: %d\n%s", status, body)
	}
}

func TestPullRequestShowsPolicies(t *testing.T) {
	t.Parallel()
	w := newCodeWorld(t)
	w.commit("main", "README.md")
	w.commit("topic", "hats.md")
	p, err := w.repos.CreatePullRequest(context.Background(), repos.NewPullRequest{Repository: w.id, Source: "topic", Target: "main", Actor: slipway.System})
	if err != nil {
		t.Fatal(err)
	}
	admin := func(form url.Values) {
		t.Helper()
		if status, body, _ := w.do(w.administrator, "POST", "/tools/_git/My%20Shop/policies", form); status != http.StatusOK {
			t.Fatalf("%d\n%s", status, body)
		}
	}
	for _, kind := range []string{"comments", "build"} {
		form := url.Values{"do": {"save"}, "kind": {kind}, "blocking": {"on"}, "enabled": {"on"}}
		if kind == "build" {
			form["pipeline"], form["valid"] = []string{"3"}, []string{"ever"}
		}
		admin(form)
	}
	address := "/tools/_git/My%20Shop/pullrequest/" + p.ID.String()
	status, body, _ := w.do(w.writer, "GET", address, nil)
	for _, want := range []string{"Comment requirements", "Build of pipeline 3", "the build has not been queued yet", "Complete when policies hold"} {
		if status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%d: the page lacks %q", status, want)
		}
	}
	if _, body, _ = w.do(w.writer, "POST", address, url.Values{"do": {"auto"}, "strategy": {"squash"}}); !strings.Contains(body, "Ada asked that it is completed (squash: one commit)") {
		t.Errorf("auto-complete is not shown:\n%s", body)
	}
	all, err := w.repos.Evaluations(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	if _, body, _ = w.do(w.writer, "POST", address+"/validate", url.Values{"evaluation": {all[1].ID.String()}}); !strings.Contains(body, "run 9 is under way") {
		t.Errorf("the queued build is not shown:\n%s", body)
	}
	if _, body, _ = w.do(w.writer, "POST", address, url.Values{"do": {"auto-cancel"}}); strings.Contains(body, "asked that it is completed") {
		t.Errorf("auto-complete is still shown")
	}
}

// The keys are ssh-keygen's.
func TestSSHKeysOnTheProfile(t *testing.T) {
	t.Parallel()
	w := newCodeWorld(t)
	folder := t.TempDir()
	key := func(args ...string) string {
		path := filepath.Join(folder, strings.Join(args, ""))
		if out, err := exec.Command("ssh-keygen", append([]string{"-q", "-N", "", "-C", "laptop", "-f", path}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v\n%s", err, out)
		}
		text, err := os.ReadFile(path + ".pub")
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	good := key("-t", "ed25519")
	if status, body, _ := w.do(w.reader, "POST", "/profile/ssh-keys", url.Values{"key": {key("-t", "rsa", "-b", "1024")}}); status != http.StatusBadRequest ||
		!strings.Contains(body, "shorter than 3072 bits") {
		t.Errorf("a weak key: %d", status)
	}
	if status, body, _ := w.do(w.reader, "POST", "/profile/ssh-keys", url.Values{"key": {good}}); status != http.StatusOK || !strings.Contains(body, "<td>laptop</td>") {
		t.Errorf("%d\n%s", status, body)
	}
	if _, body, _ := w.do(w.writer, "GET", "/profile", nil); strings.Contains(body, "laptop") {
		t.Error("others see the key")
	}
	_, body, _ := w.do(w.reader, "GET", "/profile", nil)
	_, rest, _ := strings.Cut(body, `name="remove" value="`)
	id, _, _ := strings.Cut(rest, `"`)
	if status, _, _ := w.do(w.writer, "POST", "/profile/ssh-keys", url.Values{"remove": {id}}); status != http.StatusNotFound {
		t.Errorf("others remove the key: %d", status)
	}
	if _, body, _ := w.do(w.reader, "POST", "/profile/ssh-keys", url.Values{"remove": {id}}); !strings.Contains(body, "No keys yet") {
		t.Errorf("it is still there\n%s", body)
	}
}

func (w *codeWorld) commit(branch, path string) {
	w.t.Helper()
	_, err := w.repos.CommitFiles(context.Background(), repos.CommitRequest{Repository: w.id, Branch: branch, Changes: []repos.Change{{Path: path, Content: []byte("sell\n")}},
		Message: "add " + path, Author: repos.Signature{Name: "Ada", Email: "ada@example.org"}, Actor: slipway.System})
	if err != nil {
		w.t.Fatal(err)
	}
}

// fakePipelines are none.
type fakePipelines struct{}

func (fakePipelines) Definitions(context.Context, slipway.ProjectID) ([]pipelines.Definition, error) {
	return nil, nil
}

// fakeValidate queues run 9 for every build that is wanted.
func fakeValidate(r *repos.Service) func(context.Context, repos.WantedBuild, slipway.Actor) (slipway.RunID, error) {
	return func(ctx context.Context, w repos.WantedBuild, by slipway.Actor) (slipway.RunID, error) {
		return 9, r.BuildQueued(ctx, w, 9, w.PullRequest.MergeCommit, by)
	}
}
