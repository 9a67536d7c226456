package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// reviews is the project whose branch main changes by pull requests.
const reviews = "reviews"

// validated is a pipeline that nothing but a build policy starts.
const validated = `
trigger: none
pr: none
steps:
  - bash: grep -q felt hats.txt && echo "valid with $(System.PullRequest.TargetBranch)"
    displayName: Validate
`

// hats gives the repository a file that branches change differently, and returns a clone.
func hats(t *testing.T, i *installation) string {
	t.Helper()
	i.createProject(t, reviews)
	work := i.clone(t, reviews)
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("azure-pipelines.yml", validated)
	write("hats.txt", "wool\n")
	run(t, work, nil, "git", "add", "-A")
	run(t, work, nil, "git", "commit", "-q", "-m", "hats")
	run(t, work, nil, "git", "push", "-q", "origin", "main")
	run(t, work, nil, "git", "switch", "-q", "-c", "straw")
	write("hats.txt", "straw\n")
	run(t, work, nil, "git", "commit", "-q", "-a", "-m", "straw hats")
	run(t, work, nil, "git", "push", "-q", "origin", "straw")
	run(t, work, nil, "git", "switch", "-q", "main")
	write("hats.txt", "felt\n")
	run(t, work, nil, "git", "commit", "-q", "-a", "-m", "felt hats")
	run(t, work, nil, "git", "push", "-q", "origin", "main")
	return work
}

// reviewedInBrowser has two people bring a pull request with a conflict through policies in Chromium.
func reviewedInBrowser(t *testing.T, i *installation) {
	hats(t, i)
	shots := filepath.Join(os.TempDir(), "slipway-screenshots-review")
	t.Log(browse(t, i, "review.mjs", shots))
	t.Log("screenshots are in " + shots)
}

// manyFiles is how many files the large pull request has.
const manyFiles = 200

// readInBrowser has a large pull request read in Chromium, where the lines of most files come as the reader gets to them.
func readInBrowser(t *testing.T, i *installation) {
	work := i.clone(t, reviews)
	run(t, work, nil, "git", "switch", "-q", "-c", "many")
	for n := range manyFiles {
		name := filepath.Join(work, fmt.Sprintf("many/%02d/%03d.txt", n/20, n))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(strings.Repeat(fmt.Sprintf("a line of %03d\n", n), 40)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run(t, work, nil, "git", "add", "-A")
	run(t, work, nil, "git", "commit", "-q", "-m", "many files")
	out := run(t, work, nil, "git", "push", "-o", "pullrequest.create", "origin", "many")
	address := regexp.MustCompile(`http://\S+/pullrequest/\d+`).FindString(out)
	if address == "" {
		t.Fatalf("git names no pull request:\n%s", out)
	}
	shots := filepath.Join(os.TempDir(), "slipway-screenshots-changes")
	t.Log(browse(t, i, "changes.mjs", shots, address, fmt.Sprint(manyFiles)))
	t.Log("screenshots are in " + shots)
}

// reviewedByGit brings one through policies with git alone: the push opens the pull request and says what it waits for, the conflict is resolved by
// a merge, and the branch is completed by itself once the build of the merge result succeeded.
func reviewedByGit(t *testing.T, i *installation) {
	work := i.clone(t, reviews)
	item := i.requireWorkItem(t)
	commit := func(text, message string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(work, "hats.txt"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		run(t, work, nil, "git", "commit", "-q", "-a", "-m", message)
	}
	said := func(out string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("git says no %q:\n%s", want, out)
			}
		}
	}
	commit("felt, twice\n", "more felt")
	refused, err := exec.CommandContext(t.Context(), "git", "-C", work, "push", "origin", "main").CombinedOutput()
	if err == nil {
		t.Fatal("main takes a push")
	}
	said(string(refused), "Branch main changes by pull requests alone", "Build", "Work item linking")
	run(t, work, nil, "git", "switch", "-q", "-c", "silk", "main~2")
	commit("felt, or silk\n", "silk hats")
	out := run(t, work, nil, "git", "push", "-o", "pullrequest.create", "-o", "pullrequest.title=Silk hats", "-o", "pullrequest.description=fixes AB#"+item,
		"-o", "pullrequest.auto-complete=squash", "-o", "pullrequest.delete-source", "origin", "silk")
	said(out, "Pull request ", " into main: "+i.url()+"/reviews/_git/reviews/pullrequest/", "It conflicts with main in hats.txt")
	run(t, work, nil, "git", "fetch", "-q", "origin")
	if err := exec.CommandContext(t.Context(), "git", "-C", work, "merge", "-q", "origin/main").Run(); err == nil {
		t.Fatal("git merges what conflicts")
	}
	commit("felt, or straw, or silk\n", "Merge main")
	out = run(t, work, nil, "git", "push", "origin", "silk")
	said(out, "It waits for: Build", "It completes itself as soon as its policies hold")
	eventually(t, 3*time.Minute, func() string {
		run(t, work, nil, "git", "fetch", "-q", "--prune", "origin")
		if text := run(t, work, nil, "git", "show", "origin/main:hats.txt"); text != "felt, or straw, or silk\n" {
			return fmt.Sprintf("main has %q", text)
		}
		return ""
	})
	said(run(t, work, nil, "git", "log", "-1", "--format=%s", "origin/main"), ": Silk hats")
	if left := run(t, work, nil, "git", "ls-remote", "--heads", "origin", "silk"); left != "" {
		t.Errorf("the source branch is still there: %s", left)
	}
}

// requireWorkItem makes a work item, and a policy that changes of main are linked to one; nobody has to approve. It returns the item's number.
func (i *installation) requireWorkItem(t *testing.T) string {
	t.Helper()
	const policies = "/reviews/_apis/policy/configurations"
	var list listOf[struct {
		ID   int64
		Type struct{ ID, DisplayName string }
	}]
	i.api(t, http.MethodGet, policies, nil, &list)
	for _, p := range list.Value {
		if p.Type.DisplayName != "Build" {
			i.api(t, http.MethodDelete, fmt.Sprintf("%s/%d", policies, p.ID), nil, nil)
		}
	}
	var repository struct{ ID string }
	i.api(t, http.MethodGet, "/reviews/_apis/git/repositories/reviews", nil, &repository)
	const workItemLinking = "40e92b44-2fe1-4dd6-b3d8-74a9c21d0c6e" // Azure DevOps' policy type
	i.api(t, http.MethodPost, policies, map[string]any{"isEnabled": true, "isBlocking": true, "type": map[string]any{"id": workItemLinking},
		"settings": map[string]any{"scope": []any{map[string]any{"repositoryId": repository.ID, "refName": "refs/heads/main", "matchKind": "Exact"}}}}, nil)
	i.form(t, "/reviews/_workitems/new", url.Values{"title": {"Sell silk hats"}, "type": {"Task"}})
	m := regexp.MustCompile(`_workitems/edit/(\d+)`).FindStringSubmatch(i.page(t, "/reviews/_workitems"))
	if m == nil {
		t.Fatal("the work item is not listed")
	}
	return m[1]
}
