package ociserver_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/registry"
	"slipway/internal/secret"
)

// movable is a clock that a test sets.
type movable struct {
	mu  sync.Mutex
	now time.Time
}

func (m *movable) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

func (m *movable) pass(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
}

// upstreamWorld is a registry that reads another one, through a proxy that counts and may break things.
type upstreamWorld struct {
	*world
	clock *movable
	cache *registry.Cache
	other *world // the upstream, with the project shop
	proxy *faultProxy
}

// faultProxy passes requests on to a registry, keeps what was asked, and does with an answer what a test wants.
type faultProxy struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string // `GET manifests`
	fault func(w http.ResponseWriter, r *http.Request) bool
	last  http.Header // of the last request
}

func newProxy(t testing.TB, to string) *faultProxy {
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // so that the registry's token server is this proxy
	}}
	p := &faultProxy{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts := strings.Split(r.URL.Path, "/")
		p.mu.Lock()
		if len(parts) > 4 {
			p.asked = append(p.asked, r.Method+" "+parts[len(parts)-2])
		}
		p.last = r.Header.Clone()
		fault := p.fault
		p.mu.Unlock()
		if fault == nil || !fault(w, r) {
			pass.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(p.Close)
	return p
}

// breakWith sets what the proxy does before it passes on; nil is nothing.
func (p *faultProxy) breakWith(f func(w http.ResponseWriter, r *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

// takeAsked is what was asked since the last time, without requests for tokens.
func (p *faultProxy) takeAsked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.asked
	p.asked = nil
	return list
}

func answer(status int, header ...string) func(w http.ResponseWriter, r *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		return true
	}
}

func hangUp(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }

const upstreamHost = "hub.example"

// cached opens a registry with the upstream hub.example, whose credentials are those of a user there.
func cached(t *testing.T, d *db.DB) *upstreamWorld {
	t.Helper()
	w := &upstreamWorld{clock: &movable{now: time.Now().UTC()}, other: sqlite(t)}
	w.proxy = newProxy(t, w.other.url)
	w.world = setupAt(t, d, registry.Options{}, w.clock)
	w.cache = w.openCache()
	w.door.WithCache(w.cache, "localhost:8080")
	w.set(upstreamHost, func(s *registry.UpstreamSettings) { s.StaleMinutes, s.KeepDays = 10, 30 })
	return w
}

func (w *upstreamWorld) openCache() *registry.Cache {
	w.Helper()
	box, err := secret.NewBox(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		w.Fatal(err)
	}
	c, err := registry.OpenCache(context.Background(), w.registry, registry.CacheOptions{Box: box, Folder: w.TempDir()})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		if err := c.Close(); err != nil {
			w.Error(err)
		}
	})
	return c
}

func (w *upstreamWorld) set(name string, change func(*registry.UpstreamSettings)) registry.Upstream {
	w.Helper()
	settings := registry.NewUpstreamSettings()
	settings.URL, settings.Username = w.proxy.URL, "any"
	if change != nil {
		change(&settings)
	}
	u, _, err := w.cache.PutUpstream(context.Background(), name, settings, &w.other.admin, slipway.System)
	if err != nil {
		w.Fatal(err)
	}
	return u
}

// push writes an image of two layers to the registry under a name below its host.
func (w *world) push(name string) v1.Image {
	w.Helper()
	image, err := random.Image(2000, 2)
	if err != nil {
		w.Fatal(err)
	}
	if err := remote.Write(w.ref(name), image, w.as()); err != nil {
		w.Fatal(err)
	}
	return image
}

func (w *world) ref(text string) name.Reference {
	w.Helper()
	r, err := name.ParseReference(w.host + "/" + text)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func (w *world) as() remote.Option {
	return remote.WithAuth(&authn.Basic{Username: "any", Password: w.admin})
}

// pull reads all of an image and compares it with the one that was pushed.
func (w *world) pull(name string, want v1.Image) {
	w.Helper()
	got, err := remote.Image(w.ref(name), w.as())
	if err != nil {
		w.Fatalf("pull %s: %v", name, err)
	}
	if err := validate.Image(got); err != nil {
		w.Errorf("pull %s: %v", name, err)
	}
	d1, _ := want.Digest()
	if d2, err := got.Digest(); err != nil || d1 != d2 {
		w.Errorf("pulled %s %v, want %s (%v)", name, d2, d1, err)
	}
}

func (w *upstreamWorld) wantAsked(what string, want ...string) {
	w.Helper()
	if diff := cmp.Diff(append([]string{}, want...), append([]string{}, w.proxy.takeAsked()...)); diff != "" {
		w.Errorf("%s: asked of the upstream (-want +got)\n%s", what, diff)
	}
}

// get reads a path as the administrator; header is of the answer.
func (w *world) get(path string) (status int, body string, header http.Header) {
	w.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, w.url+path, nil)
	if err != nil {
		w.Fatal(err)
	}
	r.SetBasicAuth("any", w.admin)
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		return 0, err.Error(), nil
	}
	return a.StatusCode, string(b), a.Header
}
