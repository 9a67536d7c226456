package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/api"
	"slipway/internal/boards"
	"slipway/internal/clock"
	"slipway/internal/gitserver"
)

// cloned is a clone of a repository `shop` of the project Shop, in which git and the commands work as Ada.
type cloned struct {
	*testing.T
	dir, data string
}

func newCloned(t *testing.T) cloned {
	t.Helper()
	shop, must := newShop(t)
	shop.code.People = shop.people
	items, err := boards.Open(context.Background(), shop.db, shop.log, clock.System{})
	must(err)
	rest := api.New(shop.people, shop.logger, "http://slipway.test")
	rest.AddGit(shop.code, items)
	git := gitserver.New(shop.code, shop.people, shop.logger, gitserver.Options{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/_git/") {
			git.ServeHTTP(w, r)
			return
		}
		rest.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	c := cloned{t, filepath.Join(t.TempDir(), "clone"), t.TempDir()}
	must((access{URL: server.URL, Token: shop.token}).write(c.data))
	address, err := url.Parse(server.URL + "/Shop/_git/shop")
	must(err)
	address.User = url.UserPassword("ada", shop.token)
	must(exec.Command("git", "init", "-q", "-b", "main", c.dir).Run())
	c.git("remote", "add", "origin", address.String())
	return c
}

func (c cloned) git(args ...string) string {
	c.Helper()
	cmd := exec.Command("git", append([]string{"-C", c.dir}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.org",
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.org")
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// push commits a file to a branch and pushes it.
func (c cloned) push(branch, name, text string) {
	c.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
		c.Fatal(err)
	}
	c.git("add", name)
	c.git("commit", "-q", "-m", "add "+name)
	c.git("push", "-q", "origin", "HEAD:refs/heads/"+branch)
}

// pr runs a command about pull requests in the clone, and gives the lines that it printed.
func (c cloned) pr(args ...string) string {
	c.Helper()
	out, err := run(append([]string{"pr", args[0], "--data", c.data, "--project", "Shop", "--dir", c.dir}, args[1:]...)...)
	if err != nil {
		return "error: " + err.Error()
	}
	return strings.TrimSpace(out)
}

func TestPullRequestsByCommand(t *testing.T) {
	t.Parallel()
	c := newCloned(t)
	c.push("main", "README.md", "# Shop\n")
	c.git("switch", "-q", "-c", "hats")
	c.push("hats", "hats.md", "one\ntwo\nthree\n")
	c.git("switch", "-q", "main")
	for _, step := range []struct {
		args []string
		want string
	}{
		{[]string{"list"}, "there is no such pull request"},
		{[]string{"create"}, "error: a pull request needs two branches, and main is both its source and its target"},
		{[]string{"create", "--source", "hats", "--label", "later", "--description", "They keep heads warm."}, "pull request 1: add hats.md\nhttp://slipway.test/Shop/_git/shop/pullrequest/1"},
		{[]string{"list", "--mine", "--label", "later"}, "NUMBER  TITLE        FROM  INTO  BY   STATE\n1       add hats.md  hats  main  Ada  active"},
		{[]string{"list", "--review"}, "there is no such pull request"},
		{[]string{"comment", "!1", "Why these?", "--at", "hats.md:2-3"}, "thread 1"},
		{[]string{"comment", "1", "Winter.", "--thread", "1"}, ""},
		{[]string{"comment", "1", "x", "--at", "hats.md:b"}, `error: place "hats.md:b": write FILE:LINE or FILE:FIRST-LAST`},
		{[]string{"vote", "1", "maybe"}, `error: vote "maybe": write approve, suggestions, wait, reject or reset`},
		{[]string{"vote", "1", "suggestions"}, "pull request 1: approved with suggestions"},
		{[]string{"show", "1"}, "pull request 1, active: add hats.md\nhats into main, by Ada\nhttp://slipway.test/Shop/_git/shop/pullrequest/1\nlabel later\n\n" +
			"They keep heads warm.\n\nAda: approved with suggestions\n\nthread 1 hats.md:2\n  Ada: Why these?\n  Ada: Winter."},
		{[]string{"edit", "1"}, "error: there is nothing to change: give --title, --description, --target, --draft or --state"},
		{[]string{"edit", "1", "--state", "done"}, `error: state "done": write abandoned or active`},
		{[]string{"edit", "1", "--target", "nowhere"}, `error: there is no branch "nowhere": push it first`},
		{[]string{"edit", "1", "--title", "Hats", "--draft", "--description", ""}, "pull request 1: Hats"},
		{[]string{"list"}, "NUMBER  TITLE  FROM  INTO  BY   STATE\n1       Hats   hats  main  Ada  draft"},
		{[]string{"edit", "1", "--state", "abandoned"}, "pull request 1: Hats"},
		{[]string{"list"}, "there is no such pull request"},
		{[]string{"edit", "1", "--state", "active"}, "pull request 1: Hats"},
		{[]string{"edit", "1", "--draft=false", "--title", "add hats.md"}, "pull request 1: add hats.md"},
		{[]string{"show", "hats"}, "error: pull request \"hats\": write its number, as `slipway pr list` shows it"},
	} {
		if diff := cmp.Diff(step.want, c.pr(step.args...)); diff != "" {
			t.Errorf("slipway pr %s (-want +got):\n%s", strings.Join(step.args, " "), diff)
		}
	}
	c.git("branch", "-q", "-D", "hats")
	c.pr("checkout", "1")
	if got := c.git("symbolic-ref", "--short", "HEAD"); got != "hats" {
		t.Errorf("%s is checked out", got)
	}
	if got := c.pr("complete", "1", "--squash", "--delete-source", "-m", "All hats"); !strings.HasPrefix(got, "pull request 1: completed by commit ") {
		t.Errorf("complete says %q", got)
	}
	if got := c.pr("checkout", "1"); strings.HasPrefix(got, "error") || c.git("log", "-1", "--format=%s") != "add hats.md" { // the branch is gone
		t.Errorf("checkout of a completed one: %s", got)
	}
	if got := c.pr("revert", "1"); !strings.HasPrefix(got, "pull request 2: Revert \"add hats.md\"\n") {
		t.Errorf("revert says %q", got)
	}
	if got := c.pr("cherry-pick", "1", "--onto", "revert-1"); !strings.HasPrefix(got, "pull request 3: add hats.md\n") {
		t.Errorf("cherry-pick says %q", got)
	}
	if got := c.pr("complete", "2", "--auto"); got != "pull request 2 is completed when its policies hold" {
		t.Errorf("complete --auto says %q", got)
	}
	c.git("fetch", "-q", "origin")
	if got := c.git("show", "--stat", "--format=%s", "origin/cherry-pick-1"); !strings.HasPrefix(got, "All hats") || !strings.Contains(got, "hats.md") {
		t.Errorf("picked:\n%s", got)
	}
}
