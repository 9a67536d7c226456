package registry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/registry"
)

type movable struct{ now time.Time }

func (m *movable) Now() time.Time { return m.now }

type world struct {
	testing.TB
	*registry.Service
	files *blob.Files
	clock *movable
	log   *events.Log
	repo  registry.Repository
	again func() *registry.Service // opens the same data as after a restart
}

func setup(t testing.TB, d *db.DB) *world {
	t.Helper()
	ctx, root, logger := context.Background(), t.TempDir(), slog.New(slog.DiscardHandler)
	w := &world{TB: t, clock: &movable{now: time.Now().UTC()}}
	log, err := events.Open(ctx, d, clock.System{}, logger)
	if err != nil {
		t.Fatal(err)
	}
	w.log = log
	w.again = func() *registry.Service {
		if w.files, err = blob.OpenFiles(root); err != nil {
			t.Fatal(err)
		}
		s, err := registry.Open(ctx, d, log, w.files, w.clock, logger, registry.Options{MaxBlob: 8 << 20})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	w.Service = w.again()
	w.repo = w.repository("shop/web")
	return w
}

func (w *world) repository(name string) registry.Repository {
	w.Helper()
	r, err := w.Ensure(context.Background(), name, "project")
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func digestOf(content string) slipway.Digest { return registry.DigestOf("sha256", []byte(content)) }

func (w *world) putBlob(repo registry.Repository, content string) slipway.Digest {
	w.Helper()
	d := digestOf(content)
	if err := w.PutBlob(context.Background(), repo, d, strings.NewReader(content)); err != nil {
		w.Fatal(err)
	}
	return d
}

func (w *world) wantBlob(repo registry.Repository, d slipway.Digest, want string) {
	w.Helper()
	o, err := w.OpenBlob(context.Background(), repo, d)
	if err != nil {
		w.Fatalf("open blob %s: %v", d, err)
	}
	defer o.Close()
	if got, err := io.ReadAll(o); err != nil || string(got) != want {
		w.Errorf("blob %s holds %.40q, %v", d, got, err)
	}
}

func wantFault(t testing.TB, what string, err error, want registry.Fault) {
	t.Helper()
	var e *registry.Error
	if !errors.As(err, &e) || e.Fault != want {
		t.Errorf("%s: %v, want %s", what, err, want)
	}
}

// objects counts what the object store holds.
func (w *world) objects() int {
	w.Helper()
	n := 0
	if err := w.files.List(context.Background(), "", func(string, int64) error { n++; return nil }); err != nil {
		w.Fatal(err)
	}
	return n
}

func manifest(config slipway.Digest, layers ...slipway.Digest) string {
	var list []string
	for _, l := range layers {
		list = append(list, fmt.Sprintf(`{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":5}`, l))
	}
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":2},"layers":[%s]}`,
		registry.TypeOCIManifest, config, strings.Join(list, ","))
}

func (w *world) push(repo registry.Repository, tag, content string) registry.Manifest {
	w.Helper()
	m, err := w.PutManifest(context.Background(), repo, registry.Push{Content: []byte(content), Tags: []string{tag}, By: identity.SystemPrincipal})
	if err != nil {
		w.Fatal(err)
	}
	return m
}

// An upload goes on after the server was killed in the middle of a chunk: what no row counts is dropped.
func TestUploadsSurviveAKill(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		for _, algorithm := range []string{"sha256", "sha512"} { // the second is known only at the end
			u, err := w.StartUpload(ctx, w.repo, "")
			if err != nil {
				t.Fatal(err)
			}
			if _, err = w.Append(ctx, u, 0, strings.NewReader("first ")); err != nil {
				t.Fatal(err)
			}
			if _, err := w.files.Append(ctx, u.ID, 6, strings.NewReader("written, but the row was not")); err != nil {
				t.Fatal(err)
			}
			w.Service = w.again()
			if u, err = w.Upload(ctx, w.repo, u.ID); err != nil || u.Received != 6 {
				t.Fatalf("upload after the kill: %+v, %v", u, err)
			}
			_, err = w.Append(ctx, u, 4, strings.NewReader("x"))
			var outOfOrder *registry.RangeError
			if !errors.As(err, &outOfOrder) || outOfOrder.Upload.Received != 6 {
				t.Errorf("chunk out of order: %v", err)
			}
			// A client that goes away in the middle: what came counts.
			u2, err := w.Append(ctx, u, 6, io.MultiReader(strings.NewReader("sec"), iotest.ErrReader(io.ErrUnexpectedEOF)))
			if err == nil || u2.Received != 9 {
				t.Fatalf("broken request: %+v, %v", u2, err)
			}
			if u, err = w.Append(ctx, u2, 9, strings.NewReader("ond")); err != nil {
				t.Fatal(err)
			}
			digest := registry.DigestOf(algorithm, []byte("first second"))
			if err := w.Finish(ctx, w.repo, u, digest); err != nil {
				t.Fatal(err)
			}
			w.wantBlob(w.repo, digest, "first second")
			_, err = w.Upload(ctx, w.repo, u.ID)
			wantFault(t, "finished upload", err, registry.BlobUploadUnknown)
		}
	})
}

func TestContentIsCheckedOnTheWayIn(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		wrong := digestOf("right")
		wantFault(t, "put", w.PutBlob(ctx, w.repo, wrong, strings.NewReader("wrong")), registry.DigestInvalid)
		for _, want := range []slipway.Digest{wrong, registry.DigestOf("sha512", []byte("right"))} {
			u, err := w.StartUpload(ctx, w.repo, "")
			if err != nil {
				t.Fatal(err)
			}
			if u, err = w.Append(ctx, u, -1, strings.NewReader("wrong")); err != nil {
				t.Fatal(err)
			}
			wantFault(t, "finish", w.Finish(ctx, w.repo, u, want), registry.DigestInvalid)
			_, err = w.Upload(ctx, w.repo, u.ID)
			wantFault(t, "upload afterwards", err, registry.BlobUploadUnknown)
		}
		large := make([]byte, 8<<20+1)
		wantFault(t, "too large", w.PutBlob(ctx, w.repo, registry.DigestOf("sha256", large), bytes.NewReader(large)), registry.SizeInvalid)
		if n := w.objects(); n != 0 {
			t.Errorf("%d objects were kept", n)
		}
		bad := func(what, mediaType, content string, want registry.Fault) {
			t.Helper()
			_, err := w.PutManifest(ctx, w.repo, registry.Push{Content: []byte(content), MediaType: mediaType})
			wantFault(t, what, err, want)
		}
		bad("unknown blobs", "", manifest(digestOf("{}")), registry.ManifestBlobUnknown)
		bad("no JSON", registry.TypeOCIManifest, "{", registry.ManifestInvalid)
		bad("contradiction", registry.TypeDockerManifest, manifest(digestOf("{}")), registry.ManifestInvalid)
		bad("bad digest", "", manifest("sha256:0"), registry.ManifestInvalid)
		bad("unknown type", "text/plain", `{"schemaVersion":2}`, registry.ManifestInvalid)
		bad("schema 1", registry.TypeDockerManifest, `{"schemaVersion":1}`, registry.ManifestInvalid)
		bad("too large", registry.TypeOCIManifest, `{"schemaVersion":2,"x":"`+strings.Repeat("x", registry.MaxManifest)+`"}`, registry.SizeInvalid)
		_, err := w.PutManifest(ctx, w.repo, registry.Push{Content: []byte(manifest(digestOf("{}"))), Digest: wrong})
		wantFault(t, "other digest", err, registry.DigestInvalid)
	})
}

func TestCollectKeepsWhatIsNeeded(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		collect := func(wantObjects int) {
			t.Helper()
			if err := w.Collect(ctx); err != nil {
				t.Fatal(err)
			}
			if n := w.objects(); n != wantObjects {
				t.Errorf("%d objects, want %d", n, wantObjects)
			}
		}
		config, layer := w.putBlob(w.repo, "{}"), w.putBlob(w.repo, "layer")
		w.putBlob(w.repo, "layer") // again: kept once
		other := w.repository("shop/api")
		if err := w.Mount(ctx, other, w.repo, layer); err != nil {
			t.Fatal(err)
		}
		lonely := w.putBlob(w.repo, "lonely")
		m := w.push(w.repo, "v1", manifest(config, layer))
		if m.TotalSize != m.Size+2+5 {
			t.Errorf("total size %d", m.TotalSize)
		}
		// An object without a row, of a server that died in between, and an upload at rest.
		if _, err := w.files.Put(ctx, "registry/sha256/"+layer.Hex()+"-019a0000000070008000000000000000", strings.NewReader("layer")); err != nil {
			t.Fatal(err)
		}
		u, err := w.StartUpload(ctx, w.repo, "")
		if err != nil {
			t.Fatal(err)
		}
		collect(3) // within the grace: the orphan is older, its key says
		w.clock.now = w.clock.now.Add(25 * time.Hour)
		collect(2) // the lonely blob goes, and the mounted one stays in its first repository
		_, err = w.StatBlob(ctx, w.repo, lonely)
		wantFault(t, "lonely blob", err, registry.BlobUnknown)
		_, err = w.StatBlob(ctx, other, layer)
		wantFault(t, "mounted blob that no manifest of its repository names", err, registry.BlobUnknown)
		_, err = w.Upload(ctx, w.repo, u.ID)
		wantFault(t, "upload at rest", err, registry.BlobUploadUnknown)
		w.wantBlob(w.repo, layer, "layer")
		if err := w.DeleteManifest(ctx, w.repo, m.Digest, slipway.System); err != nil {
			t.Fatal(err)
		}
		_, err = w.Resolve(ctx, w.repo, "v1")
		wantFault(t, "tag of a deleted manifest", err, registry.ManifestUnknown)
		w.clock.now = w.clock.now.Add(25 * time.Hour)
		collect(0)
		w.putBlob(w.repo, "layer") // and the same content can come again
		w.wantBlob(w.repo, layer, "layer")
	})
}

// Many push the same content while Collect runs all the time: nobody ends with a row whose object is gone.
func TestPushesBesideCollect(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		var pushers sync.WaitGroup
		for range 4 {
			pushers.Go(func() {
				for range 15 {
					if err := w.PutBlob(ctx, w.repo, digestOf("same"), strings.NewReader("same")); err != nil {
						t.Errorf("put: %v", err)
						return
					}
					o, err := w.OpenBlob(ctx, w.repo, digestOf("same"))
					var gone *registry.Error // deleted by another, which is fine
					if err != nil && !errors.As(err, &gone) && !errors.Is(err, blob.ErrNotFound) {
						t.Errorf("open: %v", err)
					}
					if err == nil {
						_ = o.Close()
					}
					_ = w.DeleteBlob(ctx, w.repo, digestOf("same"))
				}
			})
		}
		done := make(chan struct{})
		go func() { pushers.Wait(); close(done) }()
		for busy := true; busy; {
			select {
			case <-done:
				busy = false
			default:
				if err := w.Collect(ctx); err != nil {
					t.Errorf("collect: %v", err)
					busy = false
				}
			}
		}
		<-done
		w.putBlob(w.repo, "same")
		w.wantBlob(w.repo, digestOf("same"), "same")
	})
}

func TestListsAndUsage(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		config := w.putBlob(w.repo, "{}")
		for _, tag := range []string{"b", "a", "B", "a-1", "_", "10", "9"} {
			w.push(w.repo, tag, manifest(config))
		}
		names := func(last string, limit int) (list []string) {
			tags, err := w.Tags(ctx, w.repo, last, limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, tag := range tags {
				list = append(list, tag.Name)
			}
			return list
		}
		// By bytes on both engines, whatever the locale.
		if diff := cmp.Diff([]string{"10", "9", "B", "_", "a", "a-1", "b"}, names("", 0)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"_", "a"}, names("B", 2)); diff != "" {
			t.Error(diff)
		}
		other := w.repository("shop/api")
		if err := w.Mount(ctx, other, w.repo, config); err != nil {
			t.Fatal(err)
		}
		one, err := w.Usage(ctx, w.repo)
		size := int64(len(manifest(config)))
		if diff := cmp.Diff(registry.Usage{Manifests: 1, Tags: 7, Blobs: 1, Bytes: 2 + size}, one); diff != "" || err != nil {
			t.Errorf("%v %s", err, diff)
		}
		all, err := w.ProjectUsage(ctx, "project")
		if diff := cmp.Diff(one, all); diff != "" || err != nil {
			t.Errorf("the mounted blob counts once: %v %s", err, diff)
		}
		list, err := w.Repositories(ctx, "shop/api", 10)
		if err != nil || len(list) != 1 || list[0].Name != "shop/web" {
			t.Errorf("repositories: %v, %v", list, err)
		}
		m, err := w.GetManifest(ctx, w.repo, "a-1")
		if err != nil || len(m.Tags) != 7 || m.By != slipway.System {
			t.Errorf("manifest: %+v, %v", m, err)
		}
	})
}
