package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/boards"
	"slipway/internal/clock"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/repos"
	"slipway/internal/secret"
)

// servedRepositories is a server with a project sample, and the data folder by which commands find it.
func servedRepositories(t *testing.T) string {
	t.Helper()
	ctx, d, logger := context.Background(), dbtest.SQLite(t), slog.New(slog.DiscardHandler)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	log, err := events.Open(ctx, d, clock.System{}, logger)
	check(err)
	ids, err := identity.Open(ctx, d, log, clock.System{})
	check(err)
	items, err := boards.Open(ctx, d, log, clock.System{})
	check(err)
	r, err := repos.Open(ctx, d, log, clock.System{}, t.TempDir(), logger)
	check(err)
	t.Cleanup(func() { _ = r.Close() })
	r.Networks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	r.Secrets, err = secret.NewBox(make([]byte, 32))
	check(err)
	_, err = ids.CreateProject(ctx, slipway.System, "sample", "")
	check(err)
	u, err := ids.CreateUser(ctx, slipway.System, identity.NewUser{Name: "ada", Password: "correct horse", Administrator: true})
	check(err)
	token, err := ids.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenPersonal, Name: "test", Actor: slipway.Actor{Kind: slipway.ActorUser, ID: string(u.ID), Name: u.Name}})
	check(err)
	server := api.New(ids, logger, "http://localhost:8080")
	server.AddGit(r, items)
	listener := httptest.NewServer(server.Handler())
	t.Cleanup(listener.Close)
	running, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- r.Run(running) }()
	t.Cleanup(func() {
		cancel()
		check(<-done)
	})
	data := t.TempDir()
	check(access{URL: listener.URL, Token: token}.write(data))
	return data
}

func TestReposCommand(t *testing.T) {
	t.Parallel()
	c := commandTest{t, servedRepositories(t)}
	root := t.TempDir()
	for _, args := range [][]string{{"init", "-q", "-b", "main", "work"}, {"-C", "work", "-c", "user.name=Ada", "-c", "user.email=a@example.org", "commit", "-q", "--allow-empty", "-m", "begin"},
		{"clone", "-q", "--bare", "work", "hats.git"}, {"-C", "hats.git", "update-server-info"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	other := httptest.NewServer(http.FileServer(http.Dir(root)))
	t.Cleanup(other.Close)
	password := filepath.Join(root, "password")
	if err := os.WriteFile(password, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.says("the project has no repository", "repos")
	c.fails("is no URL of a git repository", "repos", "import", "/etc/passwd")
	c.says("imported: git clone http://localhost:8080/sample/_git/hats", "repos", "import", other.URL+"/hats.git")
	c.says("hats  main", "repos")
	c.fails("there is no repository", "repos", "import", other.URL+"/none.git")
	c.says("wide: created", "repos", "create", "wide", "--object-format", "sha256")
	c.fails("is sha1 or sha256, not \"md5\"", "repos", "create", "narrow", "--object-format", "md5")
	c.says("sha256   http://localhost:8080/sample/_git/wide", "repos")
	c.fails("already has a repository", "repos", "import", other.URL+"/hats.git", "--name", "hats")
	c.says("there is no repository", "repos", "mirror", "none")
	c.fails("there is no repository", "repos", "mirror", "add", "hats", other.URL+"/gloves.git", "--user", "ada", "--password", password)
	c.says("failed", "repos", "mirror", "hats")
	c.says("mirror 3 of hats: off", "repos", "mirror", "off", "hats", "3")
	c.says("mirror 3 of hats: deleted", "repos", "mirror", "delete", "hats", "3")
	c.says("file         1000", "repos", "limits", "hats", "--file", "1000")
	c.says("file         1000      1000", "repos", "limits", "hats", "--refs", "5")
	c.says("packs", "repos", "upkeep", "hats")
	c.says("renamed", "repos", "rename", "hats", "caps")
	c.says("disabled", "repos", "disable", "caps")
	c.says("enabled", "repos", "enable", "caps")
	c.says("deleted", "repos", "delete", "caps")
	c.fails("has no deleted repository", "repos", "restore", "gloves")
	c.says("restored", "repos", "restore", "caps")
	c.says("caps", "repos")
}
