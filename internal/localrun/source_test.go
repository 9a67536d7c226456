package localrun_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/localrun"
)

// What is checked out is the working tree with its history, also without a commit, with a detached head and packed references.
func TestKindsOfRepositories(t *testing.T) {
	t.Parallel()
	const pipeline = `
steps:
- {checkout: self, fetchDepth: 0, path: whole}
- bash: cat file; git rev-list --count HEAD; echo $(Build.SourceBranch)
  workingDirectory: $(Pipeline.Workspace)/whole
- {checkout: self, path: last}
- bash: |
    set -e
    echo "last: $(cat file), $(git rev-list --count HEAD) commit, of the remote $(git rev-list --count origin/slipway)"
    git status --porcelain
    git fsck --no-dangling
    git gc --quiet
    git fetch --quiet --unshallow origin "+$(git rev-parse HEAD):refs/remotes/origin/slipway"
    echo "then: $(git rev-list --count HEAD) commits"
  workingDirectory: $(Pipeline.Workspace)/last
`
	for name, tt := range map[string]struct {
		make func(w *world)
		want []string
	}{
		"one commit":       {func(*world) {}, []string{"text", "2", "refs/heads/main", "last: text, 1 commit, of the remote 1", "then: 2 commits"}},
		"committed":        {func(w *world) { w.git("add", "-A"); w.git("commit", "-qm", "second") }, []string{"text", "2", "refs/heads/main"}},
		"detached, packed": {func(w *world) { w.git("checkout", "-q", "--detach"); w.git("pack-refs", "--all") }, []string{"text", "2", "refs/heads/HEAD", "last: text, 1 commit, of the remote 1", "then: 2 commits"}},
		"no repository": {func(w *world) {
			if err := os.RemoveAll(filepath.Join(w.top, ".git")); err != nil {
				w.t.Fatal(err)
			}
			w.write(".gitignore", "left-out\n")
			w.write("left-out", "text\n")
			w.write("file", "of a folder\n")
		}, []string{"of a folder", "1", "refs/heads/HEAD", "last: of a folder, 1 commit, of the remote 1", "then: 1 commits"}},
		"without a commit": {func(w *world) { w.git("update-ref", "-d", "HEAD") }, []string{"text", "1", "refs/heads/main", "last: text, 1 commit, of the remote 1", "then: 1 commits"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, pipeline)
			w.write("file", "text\n")
			tt.make(w)
			if report := w.run(t.Context()); !report.Succeeded() {
				t.Errorf("the run is %s\n%s", report.Result, w.out.String())
			}
			w.said(tt.want...)
		})
	}
}

// Another repository is a folder, which may be named from where the program is.
func TestOtherRepositoryByARelativePath(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
resources:
  repositories:
  - {repository: tools, type: git, name: tools}
steps:
- checkout: tools
- bash: cat data
`)
	other := newWorld(t, "steps: [{checkout: none}]")
	other.write("data", "of the other\n")
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(here, other.top)
	if err != nil {
		t.Fatal(err)
	}
	w.options.Repositories = map[string]string{"tools": relative}
	if report := w.run(t.Context()); !report.Succeeded() {
		t.Errorf("the run is %s\n%s", report.Result, w.out.String())
	}
	w.said("of the other")
}

// A repository that a checkout names in place has its folder by that name.
func TestInlineRepository(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "steps:\n- checkout: git://Shared/Tools@refs/tags/v1\n- bash: cat data\n")
	if report := w.run(t.Context()); report.Succeeded() {
		t.Error("a repository that is not here is checked out")
	}
	w.said("##[error]Repository git://Shared/Tools@refs/tags/v1 is not here: give its folder with --repository git://Shared/Tools@refs/tags/v1=FOLDER.")
	other := newWorld(t, "steps: [{checkout: none}]")
	other.write("data", "of the other\n")
	w.options.Folder, w.options.Repositories = t.TempDir(), map[string]string{"git://shared/tools@refs/tags/v1": other.top}
	if report := w.run(t.Context()); !report.Succeeded() {
		t.Errorf("the run is %s\n%s", report.Result, w.out.String())
	}
	w.said("of the other")
}

// A clone whose history has an end is checked out with that end, and is whole.
func TestShallowClone(t *testing.T) {
	t.Parallel()
	for _, depth := range []string{"0", "1", "5"} {
		w := newWorld(t, "steps:\n- checkout: self\n  fetchDepth: "+depth+"\n- bash: |\n    set -e\n    echo \"has $(git log --oneline | wc -l) commits\"\n    git fsck --connectivity-only\n    git gc --quiet\n")
		w.write("data", "second\n")
		w.git("add", "-A")
		w.git("commit", "-q", "-m", "second")
		clone := t.TempDir()
		w.git("clone", "-q", "--depth", "1", "file://"+w.top, clone)
		w.options.Top = clone
		if report := w.run(t.Context()); !report.Succeeded() {
			t.Errorf("at depth %s the run is %s\n%s", depth, report.Result, w.out.String())
		}
		w.said("has 1 commits")
	}
}

// A clone that lacks files gets them from its remote, and says so when that is away.
func TestPartialClone(t *testing.T) {
	t.Parallel()
	for _, depth := range []string{"0", "1"} {
		w := newWorld(t, "steps:\n- checkout: self\n  fetchDepth: "+depth+"\n- bash: cat wanted/file left/file\n")
		w.write("wanted/file", "wanted\n")
		w.write("left/file", "left out\n")
		w.git("add", "-A")
		w.git("commit", "-q", "-m", "second")
		w.git("config", "uploadpack.allowFilter", "true")
		w.git("config", "uploadpack.allowAnySHA1InWant", "true")
		remote, clone := w.top, t.TempDir()
		w.git("clone", "-q", "--filter=blob:none", "--no-checkout", "file://"+remote, clone)
		w.git("-C", clone, "sparse-checkout", "set", "wanted")
		w.git("-C", clone, "checkout", "-q")
		w.options.Top = clone
		away := remote + "-away"
		if err := os.Rename(remote, away); err != nil {
			t.Fatal(err)
		}
		if r, err := localrun.NewRunner(t.Context(), w.options); err != nil {
			t.Error(err)
		} else if _, err = r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "is a partial clone, and the files that it lacks cannot be fetched from its remote origin") {
			t.Errorf("without the remote: %v", err)
		}
		if err := os.Rename(away, remote); err != nil {
			t.Fatal(err)
		}
		if report := w.run(t.Context()); !report.Succeeded() {
			t.Errorf("at depth %s the run is %s\n%s", depth, report.Result, w.out.String())
		}
		w.said("wanted", "left out")
		if _, err := os.Stat(filepath.Join(clone, "left")); err == nil {
			t.Error("the user's working tree has changed")
		}
	}
}

// A repository that a run cannot borrow from is refused with what would do.
func TestOtherNamesOfObjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "steps: [{checkout: none}]")
	w.options.Top = t.TempDir()
	w.git("init", "-q", "--object-format=sha256", w.options.Top)
	if _, err := localrun.NewRunner(t.Context(), w.options); err == nil || !strings.Contains(err.Error(), "takes one with sha1") {
		t.Errorf("the error is %v", err)
	}
}

// Logs of jobs side by side come out whole and in order, in whatever pieces they were sent.
func TestLogsAreWhole(t *testing.T) {
	t.Parallel()
	const lines = 40_000
	w := newWorld(t, fmt.Sprintf(`
jobs:
- job: a
  steps: [{checkout: none}, {bash: seq -f 'number %%0100.0f' %[1]d}]
- job: b
  steps: [{checkout: none}, {bash: seq -f 'number %%0100.0f' %[1]d}]
`, lines))
	w.run(t.Context())
	seen := map[string]int{}
	for line := range strings.Lines(w.out.String()) {
		job, text, _ := strings.Cut(line, " | ")
		if text, ok := strings.CutPrefix(text, "number "); ok {
			if seen[job]++; strings.TrimLeft(text, "0") != fmt.Sprintln(seen[job]) {
				t.Fatalf("job %s: line %d is %q", job, seen[job], text)
			}
		}
	}
	if seen["a"] != lines || seen["b"] != lines {
		t.Errorf("%v lines came out, want %d of each", seen, lines)
	}
}
