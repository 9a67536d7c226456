package main

import (
	"bytes"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	other "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"slipway/internal/api"
	"slipway/internal/blob"
	"slipway/internal/clock"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/ociserver"
	"slipway/internal/pipelines/pipelinestest"
	"slipway/internal/registry"
	"slipway/internal/secret"
)

// servedRegistry is a server with a registry, an upstream's cache and the project sample, for its administrator.
func servedRegistry(t *testing.T) (*registry.Cache, string) {
	t.Helper()
	w, ctx, d := pipelinestest.Open(t, "sample", ""), context.Background(), dbtest.SQLite(t)
	events, err := events.Open(ctx, d, clock.System{}, w.Logger)
	if err != nil {
		t.Fatal(err)
	}
	files, err := blob.OpenFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	box, err := secret.NewBox(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	r, err := registry.Open(ctx, d, events, files, clock.System{}, w.Logger, registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cache, err := registry.OpenCache(ctx, r, registry.CacheOptions{Box: box, Folder: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cache.Close() })
	server := api.New(w.Identity, w.Logger, "http://localhost:8080")
	server.AddUpstreams(cache)
	routes := http.NewServeMux()
	routes.Handle("/v2/", ociserver.New(r, w.Identity, w.Logger).WithCache(cache))
	routes.Handle("/", server.Handler())
	listener := httptest.NewServer(routes)
	t.Cleanup(listener.Close)
	data := t.TempDir()
	if err := (access{URL: listener.URL, Token: w.Token(t)}).write(data); err != nil {
		t.Fatal(err)
	}
	return cache, data
}

// otherRegistry is go-containerregistry's, with an image team/app:v1.
func otherRegistry(t *testing.T) string {
	t.Helper()
	listener := httptest.NewServer(other.New(other.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(listener.Close)
	image, err := random.Image(1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(strings.TrimPrefix(listener.URL, "http://") + "/team/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image); err != nil {
		t.Fatal(err)
	}
	return listener.URL
}

func TestUpstreamsCommand(t *testing.T) {
	t.Parallel()
	cache, data := servedRegistry(t)
	c, from := commandTest{t, data}, otherRegistry(t)
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("hunter2hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.says("there is no upstream", "registry", "upstreams")
	c.says("its images are read as HOST/hub.example_5000/…", "registry", "upstreams", "set", "hub.example:5000", "--url", from, "--username", "ada", "--password-file", password,
		"--project", "sample", "--repository", "team/*", "--keep-days", "7")
	c.fails("write the registry's host", "registry", "upstreams", "set", "hub")
	c.fails(`there is no project "none"`, "registry", "upstreams", "set", "hub.example:5000", "--project", "none")
	c.says("is set", "registry", "upstreams", "set", "hub.example:5000", "--stale-minutes", "5")
	u, err := cache.Upstream(context.Background(), "hub.example:5000")
	if err != nil || !u.HasPassword || u.Username != "ada" || u.URL != from || u.StaleMinutes != 5 || u.KeepDays != 7 || len(u.Projects) != 1 || len(u.Repositories) != 1 {
		t.Errorf("%+v, %v", u, err)
	}

	archive := filepath.Join(t.TempDir(), "app.tar")
	c.says("hub.example_5000/team/app:v1  sha256:", "registry", "export", "hub.example_5000/team/app:v1", archive)
	c.says("copied in 3 contents", "registry", "import", archive, "--to", "sample/app:v1")
	c.says("was there already", "registry", "import", archive, "--to", "sample/app:v1")
	c.says("sample/other:v1  sha256:", "registry", "import", "http://"+strings.TrimPrefix(from, "http://")+"/team/app:v1", "--to", "sample/other")
	c.fails("name a SOURCE", "registry", "import")
	cache.Settle()
	c.says("hub.example_5000/team/app", "registry", "upstreams", "show", "hub.example:5000")
	c.says("hub.example:5000  on ", "registry", "upstreams")
	c.says("are removed", "registry", "upstreams", "purge", "hub.example:5000")
	c.says("is deleted", "registry", "upstreams", "delete", "hub.example:5000")
	c.fails("there is no upstream", "registry", "upstreams", "delete", "hub.example:5000")
}
