package ociserver_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/registry"
)

func TestUpstreamPull(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := cached(t, d)
		first := w.other.push("shop/web:v1")
		name := upstreamHost + "/shop/web:v1"
		w.pull(name, first)
		w.proxy.takeAsked()
		w.pull(name, first)
		w.wantAsked("a fresh tag")
		w.clock.pass(11 * time.Minute)
		w.pull(name, first)
		w.wantAsked("a stale tag that has not moved", "HEAD manifests")
		w.pull(name, first)
		w.wantAsked("a tag that was just confirmed")

		second := w.other.push("shop/web:v1")
		w.pull(name, first) // believed for ten minutes
		w.clock.pass(11 * time.Minute)
		w.pull(name, second)
		asked := w.proxy.takeAsked()
		if len(asked) < 2 || asked[0] != "HEAD manifests" || asked[1] != "GET manifests" {
			t.Errorf("a tag that moved: %v", asked)
		}
		old, _ := first.Digest()
		w.pull(upstreamHost+"/shop/web@"+old.String(), first)
		w.wantAsked("an old digest that is here")

		if status, body, _ := w.get("/v2/" + upstreamHost + "/shop/web/tags/list"); status != 200 || !strings.Contains(body, `"tags":["v1"]`) {
			t.Errorf("tags: %d %s", status, body)
		}
		if status, body, _ := w.get("/v2/" + upstreamHost + "/shop/none/manifests/v1"); status != 404 || !strings.Contains(body, "MANIFEST_UNKNOWN") {
			t.Errorf("an image that is not there: %d %s", status, body)
		}
		w.cache.Settle()
		u, err := w.cache.Upstream(context.Background(), upstreamHost)
		if err != nil || u.Counts.Hits == 0 || u.Counts.Misses != 8 || u.Counts.Saved == 0 || u.Counts.Fetched < 8000 || u.LastError != "" {
			t.Errorf("%+v, %v", u, err) // two manifests, two configurations and four layers of 2000 bytes were fetched
		}
		list, err := w.cache.Repositories(context.Background(), u)
		if err != nil || len(list) != 1 || list[0].Name != upstreamHost+"/shop/web" || list[0].Manifests != 2 || list[0].Blobs != 6 {
			t.Errorf("%+v, %v", list, err)
		}
		if list, err := w.registry.ProjectRepositories(context.Background(), "", ""); err != nil || len(list) != 0 {
			t.Errorf("copies are among the installation's repositories: %+v, %v", list, err)
		}
	})
}

// What is about an image is found at upstreams that list it and at those where clients keep the list in a tag.
func TestUpstreamReferrers(t *testing.T) {
	t.Parallel()
	w := cached(t, dbtest.SQLite(t))
	index := w.other.multi("shop/multi:v1")
	d, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if n := w.about(upstreamHost+"/shop/multi", d); n != 1 {
		t.Errorf("%d about the index", n)
	}
	noList := func(rw http.ResponseWriter, r *http.Request) bool {
		return strings.Contains(r.URL.Path, "/referrers/") && answer(http.StatusNotFound)(rw, r)
	}
	w.proxy.breakWith(noList)
	if n := w.about(upstreamHost+"/shop/multi", d); n != 0 {
		t.Errorf("%d about the index at an upstream that lists nothing", n)
	}
	list, err := remote.Referrers(w.other.ref("shop/multi:v1").Context().Digest(d.String()), w.other.as())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := list.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	path := "/v2/shop/multi/manifests/" + strings.Replace(d.String(), ":", "-", 1)
	if r := w.other.do(w.other.admin, http.MethodPut, path, string(raw), "Content-Type", registry.TypeOCIIndex); r.StatusCode != http.StatusCreated {
		t.Fatal(r.Status)
	}
	if n := w.about(upstreamHost+"/shop/multi", d); n != 1 {
		t.Errorf("%d about the index by its tag", n)
	}
}

// An index is kept whole; what it names is fetched when it is pulled.
func TestUpstreamIndex(t *testing.T) {
	t.Parallel()
	w := cached(t, dbtest.SQLite(t))
	index, err := random.Index(1000, 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(w.other.ref("shop/multi:v1"), index, w.other.as()); err != nil {
		t.Fatal(err)
	}
	got, err := remote.Index(w.ref(upstreamHost+"/shop/multi:v1"), w.as())
	if err != nil {
		t.Fatal(err)
	}
	w.wantAsked("the index", "GET manifests")
	manifest, err := got.IndexManifest()
	if err != nil || len(manifest.Manifests) != 3 {
		t.Fatal(manifest, err)
	}
	child, err := got.Image(manifest.Manifests[1].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(child); err != nil {
		t.Error(err)
	}
	if asked := w.proxy.takeAsked(); len(asked) == 0 || asked[0] != "GET manifests" {
		t.Errorf("one child: %v", asked)
	}
	if err := validate.Index(got); err != nil {
		t.Error(err)
	}
}

// Eight clients share one fetch of a blob, and get its bytes while the upstream has not sent them all.
func TestUpstreamSharesFetch(t *testing.T) {
	t.Parallel()
	w := cached(t, dbtest.SQLite(t))
	content := make([]byte, 1<<20)
	if _, err := rand.Read(content); err != nil {
		t.Fatal(err)
	}
	d := registry.DigestOf("sha256", content)
	const clients = 8
	var begun, done sync.WaitGroup
	begun.Add(clients)
	w.proxy.breakWith(func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		rw.Header().Set("Content-Length", fmt.Sprint(len(content)))
		_, _ = rw.Write(content[:len(content)/2])
		_ = http.NewResponseController(rw).Flush()
		begun.Wait() // all clients have read their first byte
		_, _ = rw.Write(content[len(content)/2:])
		return true
	})
	path := "/v2/" + upstreamHost + "/shop/web/blobs/" + string(d)
	for range clients {
		done.Go(func() {
			r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, w.url+path, nil)
			if err != nil {
				t.Error(err)
				begun.Done()
				return
			}
			r.SetBasicAuth("any", w.admin)
			a, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Error(err)
				begun.Done()
				return
			}
			defer a.Body.Close()
			first := make([]byte, 1)
			_, err = io.ReadFull(a.Body, first)
			begun.Done()
			rest, err2 := io.ReadAll(a.Body)
			if err != nil || err2 != nil || !bytes.Equal(append(first, rest...), content) {
				t.Errorf("%s: %d bytes, %v, %v", a.Status, len(rest), err, err2)
			}
		})
	}
	done.Wait()
	w.wantAsked("eight pulls", "GET blobs")
	if status, body, _ := w.get(path); status != 200 || body != string(content) {
		t.Errorf("afterwards: %d", status)
	}
}

// What is not what its digest says is never given out whole, nor kept.
func TestUpstreamVerifies(t *testing.T) {
	t.Parallel()
	w := cached(t, dbtest.SQLite(t))
	image := w.other.push("shop/web:v1")
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	d, _ := layers[0].Digest()
	blob, manifest := "/v2/"+upstreamHost+"/shop/web/blobs/"+d.String(), "/v2/"+upstreamHost+"/shop/web/manifests/v1"
	raw, _ := layers[0].Compressed()
	good, err := io.ReadAll(raw)
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(good)
	bad[0] ^= 1
	send := func(content []byte) func(http.ResponseWriter, *http.Request) bool {
		return func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet {
				return false
			}
			rw.Header().Set("Content-Length", fmt.Sprint(len(content)))
			rw.Header().Set("Docker-Content-Digest", d.String())
			_, _ = rw.Write(content)
			return true
		}
	}
	w.proxy.breakWith(send(bad))
	if status, body, _ := w.get(blob); status == 200 || !strings.Contains(body, "EOF") && !strings.Contains(body, "the content has digest") {
		t.Errorf("a blob with a wrong byte: %d %.100q", status, body)
	}
	w.proxy.breakWith(func(rw http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/blobs/") {
			rw.Header().Set("Content-Length", fmt.Sprint(len(good)))
			_, _ = rw.Write(good[:len(good)-5])
			panic(http.ErrAbortHandler)
		}
		return false
	})
	if status, body, _ := w.get(blob); status == 200 {
		t.Errorf("a blob that broke off: %d %.100q", status, body)
	}
	w.proxy.breakWith(send([]byte(`{"schemaVersion":2}`)))
	if status, body, _ := w.get(manifest); status != 503 || !strings.Contains(body, "the manifest has digest") {
		t.Errorf("a manifest that is not what its digest says: %d %s", status, body)
	}
	w.proxy.breakWith(nil)
	w.pull(upstreamHost+"/shop/web:v1", image)
}
