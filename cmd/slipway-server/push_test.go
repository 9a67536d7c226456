package main

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/blob"
	"slipway/internal/clock"
	"slipway/internal/gitserver"
	"slipway/internal/loop"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/diagnostic"
	"slipway/internal/secret"
)

// pushable is a server that takes pushes, and the address of a repository of it with a token of somebody who may push.
func pushable(t *testing.T) string {
	t.Helper()
	ctx := context.Background()
	shop, must := newShop(t)
	blobs, err := blob.OpenFiles(t.TempDir())
	must(err)
	box, err := secret.OpenKeyFile(filepath.Join(t.TempDir(), "key"))
	must(err)
	runs, err := pipelines.Open(ctx, pipelines.Deps{DB: shop.db, Log: shop.log, Blobs: blobs, Clock: clock.System{}, Secrets: box, Tokens: shop.people, Logger: shop.logger,
		Source: loop.Source{Repos: shop.code, Identity: shop.people}})
	must(err)
	_, err = runs.CreateDefinition(ctx, pipelines.Definition{Project: shop.project, Name: "shop", Repository: shop.repository, Path: pipelines.DefaultPath})
	must(err)
	s := &Server{logger: shop.logger, pipelines: runs, config: Config{URL: "http://slipway"}}
	server := httptest.NewServer(gitserver.New(shop.code, shop.people, shop.logger, gitserver.Options{OnPushed: s.tellPusher}))
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "://", "://any:"+shop.token+"@", 1) + "/shop/_git/shop"
}

// git runs the real client and gives what it says.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.org", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.org")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Whoever pushes a broken file reads what is wrong with it and its templates, and the push is taken in.
func TestPusherReadsMistakes(t *testing.T) {
	t.Parallel()
	dir, remote := t.TempDir(), pushable(t)
	git(t, dir, "init", "-q", "-b", "main")
	push := func(files map[string]string) []string {
		t.Helper()
		for path, text := range files {
			if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		git(t, dir, "add", ".")
		git(t, dir, "commit", "-q", "-m", "change")
		var lines []string
		for line := range strings.Lines(git(t, dir, "push", remote, "main")) {
			if said, ok := strings.CutPrefix(line, "remote: "); ok {
				lines = append(lines, strings.TrimSpace(said))
			}
		}
		return lines
	}
	got := push(map[string]string{"azure-pipelines.yml": "steps:\n- script: x\n  dispalyName: y\n- template: t.yml\n", "t.yml": "steps:\n- task: Dokcer@2\n"})
	want := []string{
		`azure-pipelines.yml:3:3: error: unknown key "dispalyName" of a script step, did you mean "displayName"?`,
		`t.yml:2:9: error: unknown task Dokcer@2, did you mean "Docker"?`,
		"The push is taken in, but no run can start until 2 mistakes in the pipeline's files are mended.",
		"Runs: http://slipway/Shop/_build",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if head := git(t, dir, "ls-remote", remote, "refs/heads/main"); !strings.HasPrefix(head, strings.TrimSpace(git(t, dir, "rev-parse", "HEAD"))) {
		t.Errorf("the push was not taken in: %s", head)
	}
	got = push(map[string]string{"azure-pipelines.yml": "steps:\n- script: x\n"})
	if diff := cmp.Diff(want[3:], got); diff != "" {
		t.Errorf("after it is mended (-want +got)\n%s", diff)
	}
}

// Whoever pushes what starts no run reads why.
func TestPusherReadsWhyNothingRuns(t *testing.T) {
	t.Parallel()
	dir, remote := t.TempDir(), pushable(t)
	git(t, dir, "init", "-q", "-b", "main")
	n := 0
	f := func(file, message, ref string, want ...string) {
		t.Helper()
		n++
		if err := os.WriteFile(filepath.Join(dir, "azure-pipelines.yml"), []byte(file), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "other.txt"), []byte{byte('a' + n)}, 0o644); err != nil {
			t.Fatal(err)
		}
		git(t, dir, "add", ".")
		git(t, dir, "commit", "-q", "-m", message)
		var got []string
		for line := range strings.Lines(git(t, dir, "push", remote, "HEAD:"+ref)) {
			if said, ok := strings.CutPrefix(line, "remote: Pipeline "); ok {
				got = append(got, strings.TrimSpace(said))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s of %q (-want +got)\n%s", ref, file, diff)
		}
	}
	const steps = "steps: [{bash: x}]\n"
	f(steps, "first", "refs/heads/main")
	f("trigger: [main, releases/*]\n"+steps, "second", "refs/heads/feature", "shop starts no run: branch feature is not among those that trigger: main, releases/*.")
	f("trigger: [main, releases/*]\n"+steps, "third", "refs/heads/releases/1")
	f("trigger: {branches: {include: ['*'], exclude: [old/*]}}\n"+steps, "fourth", "refs/heads/old/1", "shop starts no run: branch old/1 is not among those that trigger: *, but not old/*.")
	f("trigger: {branches: {include: [main]}, paths: {include: [src]}}\n"+steps, "fifth", "refs/heads/main", "shop starts no run: no changed path is among those that trigger: src.")
	f("trigger: none\n"+steps, "sixth", "refs/heads/main", "shop starts no run: the file says trigger: none.")
	f(steps, "seventh [skip ci]", "refs/heads/main", "shop starts no run: the commit message asks to skip CI.")
	f(steps, "eighth", "refs/tags/v1", "shop starts no run: the file names no tags to trigger on.")
	f("steps: [{scrip: x}]\n", "ninth", "refs/heads/main")
}

func TestAnswerToAPush(t *testing.T) {
	t.Parallel()
	one := diagnostic.Diagnostic{File: "a.yml", Line: 3, Column: 5, Severity: diagnostic.Error, Message: "it is wrong"}
	warning := diagnostic.Diagnostic{File: "a.yml", Line: 1, Column: 1, Severity: diagnostic.Warning, Message: "it is odd"}
	f := func(list []diagnostic.Diagnostic, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, answer(list)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
	f(nil)
	f([]diagnostic.Diagnostic{warning}, "a.yml:1:1: warning: it is odd")
	f([]diagnostic.Diagnostic{one, warning}, "a.yml:3:5: error: it is wrong", "a.yml:1:1: warning: it is odd",
		"The push is taken in, but no run can start until 1 mistake in the pipeline's files is mended.")
	many := make([]diagnostic.Diagnostic, 22)
	for i := range many {
		many[i] = one
	}
	if got := answer(many); len(got) != 22 || got[20] != "and 2 more: slipway validate shows all" {
		t.Errorf("%v", got)
	}
}
