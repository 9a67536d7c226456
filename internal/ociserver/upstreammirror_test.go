package ociserver_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/registry"
)

// Docker Hub's images are looked for among our own of the same name first, and those of other registries never are.
func TestUpstreamMirror(t *testing.T) {
	t.Parallel()
	w := cached(t, dbtest.SQLite(t))
	w.set(registry.DockerHub, func(s *registry.UpstreamSettings) { s.Repositories = []string{"library/*", "shop/*"} })
	ours, theirs := w.push("shop/web:v1"), w.other.push("shop/web:v1")
	base, other := w.push("library/golang:1.26"), w.other.push("library/golang:1.27")
	f := func(path string, want v1.Image) {
		t.Helper()
		d, err := want.Digest()
		status, _, header := w.get("/v2/" + path)
		if err != nil || status != 200 || header.Get("Docker-Content-Digest") != d.String() {
			t.Errorf("%s: %d %s, want %s", path, status, header.Get("Docker-Content-Digest"), d)
		}
	}
	f("shop/web/manifests/v1", ours)
	f("shop/web/manifests/v1?ns=localhost:8080", ours)
	f("shop/web/manifests/v1?ns="+w.host, ours)
	f("shop/web/manifests/v1?ns=hub.example", theirs)
	f("shop/web/manifests/v1?ns=docker.io", ours)
	f("docker.io/shop/web/manifests/v1", theirs)
	f("docker.io/shop/web/manifests/v1?ns=docker.io", theirs)
	f("library/golang/manifests/1.26?ns=docker.io", base)
	f("library/golang/manifests/1.27?ns=docker.io", other)
	f("docker.io/golang/manifests/1.27", other)
	f("golang/manifests/1.27?ns=docker.io", other)
	if status, body, _ := w.get("/v2/shop/web/manifests/v1?ns=quay.example"); status != 404 {
		t.Errorf("an image of a registry that is no upstream: %d %s", status, body)
	}
	if r := w.do("", "GET", "/v2/shop/web/manifests/v1?ns=quay.example", ""); r.StatusCode != 404 {
		t.Errorf("a client that has not signed in is to go on to the registry itself, and gets %s", r.Status)
	}
	if r := w.do("", "GET", "/v2/shop/web/manifests/v1?ns=hub.example", ""); r.StatusCode != 401 || !strings.Contains(r.Header.Get("WWW-Authenticate"), `scope="repository:hub.example/shop/web:pull"`) {
		t.Errorf("nobody: %s %s", r.Status, r.Header.Get("WWW-Authenticate"))
	}
}

// The resolver of containerd and BuildKit pulls through the mirror, with tokens that name the image alone.
func TestUpstreamContainerd(t *testing.T) {
	t.Parallel()
	w := cached(t, dbtest.SQLite(t))
	w.set("quay.example:5000", nil)
	ctx := context.Background()
	credentials := func(string) (string, string, error) { return "any", w.admin, nil }
	resolver := docker.NewResolver(docker.ResolverOptions{Hosts: func(host string) ([]docker.RegistryHost, error) {
		return []docker.RegistryHost{{Client: http.DefaultClient, Authorizer: docker.NewDockerAuthorizer(docker.WithAuthCreds(credentials)), Host: w.host, Scheme: "http", Path: "/v2",
			Capabilities: docker.HostCapabilityPull | docker.HostCapabilityResolve}}, nil
	}})
	for _, host := range []string{"hub.example", "quay.example:5000"} {
		for _, repository := range []string{"shop/web", "shop/api"} {
			image := w.other.push(repository + ":v1")
			ref, d, err := resolver.Resolve(ctx, host+"/"+repository+":v1")
			want, _ := image.Digest()
			if err != nil || d.Digest.String() != want.String() {
				t.Errorf("resolve %s/%s: %s, %v, want %s", host, repository, d.Digest, err, want)
				continue
			}
			fetcher, err := resolver.Fetcher(ctx, ref)
			if err != nil {
				t.Fatal(err)
			}
			content, err := fetcher.Fetch(ctx, d)
			if err != nil {
				t.Errorf("fetch %s: %v", ref, err)
				continue
			}
			got, err := io.ReadAll(content)
			content.Close()
			if raw, _ := image.RawManifest(); err != nil || !bytes.Equal(got, raw) {
				t.Errorf("fetched %s, %v", got, err)
			}
		}
	}
	if _, _, err := resolver.Resolve(ctx, "other.example/shop/web:v1"); err == nil {
		t.Error("a registry that is no upstream was found")
	}
}

// Copies that nobody pulls go, with their blobs; settings, copies and counts are there after a restart.
func TestUpstreamUpkeep(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := cached(t, d), context.Background()
		web, api := w.other.push("shop/web:v1"), w.other.push("shop/api:v1")
		w.pull(upstreamHost+"/shop/web:v1", web)
		w.pull(upstreamHost+"/shop/api:v1", api)
		w.cache.Settle()
		w.clock.pass(20 * 24 * time.Hour)
		w.pull(upstreamHost+"/shop/web:v1", web)
		w.clock.pass(11 * 24 * time.Hour)
		usage := func() registry.Usage {
			t.Helper()
			u, err := w.cache.Upstream(ctx, upstreamHost)
			if err != nil {
				t.Fatal(err)
			}
			usage, err := w.cache.Usage(ctx, u)
			if err != nil {
				t.Fatal(err)
			}
			usage.Bytes = 0
			return usage
		}
		if diff := cmp.Diff(registry.Usage{Manifests: 2, Tags: 2, Blobs: 6}, usage()); diff != "" {
			t.Errorf("before (-want +got)\n%s", diff)
		}
		if err := errors.Join(w.cache.Sweep(ctx), w.registry.Collect(ctx)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(registry.Usage{Manifests: 1, Tags: 1, Blobs: 3}, usage()); diff != "" {
			t.Errorf("after the sweep (-want +got)\n%s", diff)
		}
		w.pull(upstreamHost+"/shop/web:v1", web)
		w.pull(upstreamHost+"/shop/api:v1", api)

		before, err := w.cache.Upstream(ctx, upstreamHost)
		if err != nil {
			t.Fatal(err)
		}
		again := w.openCache()
		after, err := again.Upstream(ctx, upstreamHost)
		if err != nil || after.Counts != before.Counts || !after.HasPassword || after.URL != w.proxy.URL {
			t.Errorf("after a restart: %+v, %v, want %+v", after, err, before)
		}
		w.cache = again
		w.door.WithCache(again)
		w.proxy.takeAsked()
		w.pull(upstreamHost+"/shop/web:v1", web)
		w.wantAsked("after a restart")
		if err := again.Purge(ctx, upstreamHost); err != nil {
			t.Fatal(err)
		}
		if got := usage(); got.Manifests != 0 || got.Tags != 0 {
			t.Errorf("after all was removed: %+v", got)
		}
		w.pull(upstreamHost+"/shop/web:v1", web)
		w.cache.Settle()
		if err := again.DeleteUpstream(ctx, upstreamHost, slipway.System); err != nil {
			t.Fatal(err)
		}
		if status, body, _ := w.get("/v2/" + upstreamHost + "/shop/web/manifests/v1"); status != 404 {
			t.Errorf("the upstream is gone: %d %s", status, body)
		}
		if list, err := w.registry.Repositories(ctx, "", 10); err != nil || len(list) != 0 {
			t.Errorf("repositories that remain: %+v, %v", list, err)
		}
	})
}

func TestUpstreamSettings(t *testing.T) {
	t.Parallel()
	w, ctx := cached(t, dbtest.SQLite(t)), context.Background()
	f := func(name, want string, change func(*registry.UpstreamSettings)) {
		t.Helper()
		s := registry.NewUpstreamSettings()
		if change != nil {
			change(&s)
		}
		_, _, err := w.cache.PutUpstream(ctx, name, s, nil, slipway.System)
		if slipway.CodeOf(err) != slipway.CodeInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	f("docker", "write the registry's host", nil)
	f("docker.io/library", "write the registry's host", nil)
	f("a.example", "is not the address of a registry", func(s *registry.UpstreamSettings) { s.URL = "a.example" })
	f("a.example", "pattern", func(s *registry.UpstreamSettings) { s.Repositories = []string{"a["} })
	f("a.example", "tags are believed", func(s *registry.UpstreamSettings) { s.StaleMinutes = -1 })
	f("a.example", "copies are kept", func(s *registry.UpstreamSettings) { s.KeepDays = 4000 })
	f(upstreamHost, "give the password again", func(s *registry.UpstreamSettings) { s.URL = "https://else.example" })
	u, created, err := w.cache.PutUpstream(ctx, "index.docker.io", registry.NewUpstreamSettings(), nil, slipway.System)
	if err != nil || !created || u.Name != "docker.io" || u.URL != "https://registry-1.docker.io" || u.HasPassword {
		t.Errorf("%+v, %v", u, err)
	}
	var sealed []byte
	if err := w.db.QueryRowContext(ctx, `SELECT password FROM registry_upstreams WHERE name = $1`, upstreamHost).Scan(&sealed); err != nil || len(sealed) == 0 || bytes.Contains(sealed, []byte(w.other.admin)) {
		t.Errorf("the password is kept as %q, %v", sealed, err)
	}
}

// What was imported under the installation's name is found by the name that it has elsewhere, with an upstream of that registry and without one,
// also by a token that names the image alone.
func TestImportedMirror(t *testing.T) {
	t.Parallel()
	w := cached(t, dbtest.SQLite(t))
	imported := map[string]v1.Image{}
	for _, path := range []string{"library/quay.example_5000/team/tool:1", "library/hub.example/shop/web:v1", "library/docker.io/team/xx:1"} {
		imported[path] = w.push(path)
	}
	theirs := w.other.push("shop/web:v2")
	for _, c := range []struct {
		path string
		want v1.Image
	}{
		{"team/tool/manifests/1?ns=quay.example:5000", imported["library/quay.example_5000/team/tool:1"]},
		{"team/xx/manifests/1?ns=docker.io", imported["library/docker.io/team/xx:1"]},
		{"shop/web/manifests/v1?ns=hub.example", imported["library/hub.example/shop/web:v1"]},
		{"shop/web/manifests/v2?ns=hub.example", theirs},
	} {
		d, err := c.want.Digest()
		status, body, header := w.get("/v2/" + c.path)
		if err != nil || status != 200 || header.Get("Docker-Content-Digest") != d.String() {
			t.Errorf("%s: %d %s %s, want %s", c.path, status, header.Get("Docker-Content-Digest"), body, d)
		}
	}
	if status, _, _ := w.get("/v2/team/tool/manifests/1?ns=other.example"); status != 404 {
		t.Errorf("of another registry: %d", status)
	}
	if r := w.do("", "GET", "/v2/team/tool/manifests/1?ns=quay.example:5000", ""); r.StatusCode != 401 {
		t.Errorf("nobody: %s", r.Status)
	}
	resolver := docker.NewResolver(docker.ResolverOptions{Hosts: func(host string) ([]docker.RegistryHost, error) {
		return []docker.RegistryHost{{Client: http.DefaultClient, Authorizer: docker.NewDockerAuthorizer(docker.WithAuthCreds(func(string) (string, string, error) { return "any", w.admin, nil })),
			Host: w.host, Scheme: "http", Path: "/v2", Capabilities: docker.HostCapabilityPull | docker.HostCapabilityResolve}}, nil
	}})
	for ref, path := range map[string]string{"quay.example:5000/team/tool:1": "library/quay.example_5000/team/tool:1", "docker.io/team/xx:1": "library/docker.io/team/xx:1"} {
		want, _ := imported[path].Digest()
		name, d, err := resolver.Resolve(t.Context(), ref)
		if err != nil || d.Digest.String() != want.String() {
			t.Errorf("resolve %s: %s, %v, want %s", ref, d.Digest, err, want)
			continue
		}
		fetcher, err := resolver.Fetcher(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		layers, err := imported[path].Layers()
		if err != nil || len(layers) == 0 {
			t.Fatalf("%d layers, %v", len(layers), err)
		}
		digest, _ := layers[0].Digest()
		size, _ := layers[0].Size()
		content, err := fetcher.Fetch(t.Context(), ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: godigest.Digest(digest.String()), Size: size})
		if err != nil {
			t.Errorf("fetch a layer of %s: %v", ref, err)
			continue
		}
		if n, err := io.Copy(io.Discard, content); err != nil || n != size {
			t.Errorf("fetched %d of %d bytes of a layer of %s: %v", n, size, ref, err)
		}
		content.Close()
	}
}
