package registry_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/blob/blobtest"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/registry"
)

// shelf is a registry whose objects lie in a folder that the test may damage.
type shelf struct {
	world
	db     *db.DB
	folder string
}

func newShelf(t *testing.T, d *db.DB, blobs blob.Resumable, folder string) *shelf {
	t.Helper()
	ctx, logger := context.Background(), slog.New(slog.DiscardHandler)
	log, err := events.Open(ctx, d, clock.System{}, logger)
	if err != nil {
		t.Fatal(err)
	}
	s, err := registry.Open(ctx, d, log, blobs, clock.System{}, logger, registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &shelf{world: world{TB: t, Service: s}, db: d, folder: folder}
	w.repo = w.repository("shop/web")
	return w
}

// file is where the blob's object lies: the newest one, since a damaged one stays until it is collected.
func (w *shelf) file(d slipway.Digest) string {
	w.Helper()
	var found string
	var newest time.Time
	err := filepath.WalkDir(w.folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasPrefix(entry.Name(), d.Hex()+"-") {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.ModTime().After(newest) {
			found, newest = path, info.ModTime()
		}
		return err
	})
	if err != nil || found == "" {
		w.Fatalf("the object of %s is not there: %v", d, err)
	}
	return found
}

// flip changes one bit of the blob's object.
func (w *shelf) flip(d slipway.Digest) {
	w.Helper()
	path := w.file(d)
	content, err := os.ReadFile(path)
	if err != nil {
		w.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(path, content, 0o600); err != nil {
		w.Fatal(err)
	}
}

// verify returns what is found, in the order of digests, and the last progress.
func (w *shelf) verify(repo registry.Repository) (list []registry.Finding, last registry.Progress) {
	w.Helper()
	err := w.Verify(context.Background(), repo, func(f registry.Finding) error {
		if f.Detail == "" {
			w.Errorf("no detail of %s", f.Digest)
		}
		f.Detail = ""
		list = append(list, f)
		return nil
	}, func(p registry.Progress) error { last = p; return nil })
	if err != nil {
		w.Fatal(err)
	}
	slices.SortFunc(list, func(a, b registry.Finding) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	return list, last
}

func (w *shelf) wantFound(repo registry.Repository, want ...registry.Finding) {
	w.Helper()
	got, _ := w.verify(repo)
	slices.SortFunc(want, func(a, b registry.Finding) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	if diff := cmp.Diff(want, got); diff != "" {
		w.Error(diff)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		folder := t.TempDir()
		files, err := blob.OpenFiles(folder)
		if err != nil {
			t.Fatal(err)
		}
		testVerify(newShelf(t, d, files, folder))
	})
	t.Run("objects in S3", func(t *testing.T) {
		t.Parallel()
		place, folder := blobtest.StartS3(t).Place()
		s3, err := blob.OpenS3(t.Context(), place)
		if err != nil {
			t.Fatal(err)
		}
		testVerify(newShelf(t, dbtest.SQLite(t), s3, folder))
	})
}

func testVerify(w *shelf) {
	ctx := context.Background()
	config, layer, other, lost := w.putBlob(w.repo, "{}"), w.putBlob(w.repo, strings.Repeat("layer", 100_000)), w.putBlob(w.repo, "other"), w.putBlob(w.repo, "lost")
	image := w.push(w.repo, "v1", manifest(config, layer))
	w.push(w.repo, "latest", manifest(config, layer))
	index := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[{"mediaType":%q,"digest":%q,"size":%d}]}`,
		registry.TypeOCIIndex, registry.TypeOCIManifest, image.Digest, image.Size)
	w.push(w.repo, "all", index)
	w.push(w.repo, "small", manifest(config, other, lost))
	elsewhere := w.repository("shop/api")
	if err := w.Mount(ctx, elsewhere, w.repo, layer); err != nil {
		w.Fatal(err)
	}
	found, progress := w.verify(registry.Repository{})
	if want := (registry.Progress{Blobs: 4, BlobsTotal: 4, Bytes: 500_011, BytesTotal: 500_011, Manifests: 3}); progress != want || len(found) > 0 {
		w.Fatalf("a sound registry: %+v, %+v, want %+v", found, progress, want)
	}

	w.flip(layer)
	if err := os.Remove(w.file(lost)); err != nil {
		w.Fatal(err)
	}
	damaged := registry.Finding{Flaw: registry.FlawDamaged, Digest: layer,
		Uses: []registry.Use{{Repository: "shop/web", Tags: []string{"all", "latest", "v1"}}, {Repository: "shop/api"}}}
	gone := registry.Finding{Flaw: registry.FlawLost, Digest: lost, Uses: []registry.Use{{Repository: "shop/web", Tags: []string{"small"}}}}
	w.wantFound(registry.Repository{}, damaged, gone)
	w.wantFound(w.repo, damaged, gone) // again, and of one repository
	w.wantFound(elsewhere, damaged)
	w.wantNotServed(layer, image)

	// The same bytes again make all of it good.
	w.putBlob(elsewhere, strings.Repeat("layer", 100_000))
	w.putBlob(w.repo, "lost")
	w.wantBlob(w.repo, layer, strings.Repeat("layer", 100_000))
	w.wantFound(registry.Repository{})
	w.flip(layer) // and a backup that brings an object back, too
	w.wantFound(w.repo, damaged)
	w.flip(layer)
	w.wantFound(w.repo)
	w.wantBlob(w.repo, layer, strings.Repeat("layer", 100_000))

	w.wantManifestsVerified(image)
	if err := w.Verify(ctx, w.repo, nil, func(registry.Progress) error {
		if err := w.Verify(ctx, w.repo, nil, nil); slipway.CodeOf(err) != slipway.CodeConflict {
			w.Errorf("a second verification at the same time: %v", err)
		}
		return nil
	}); err != nil {
		w.Error(err)
	}
}

// wantNotServed checks that nobody gets the rotten blob, and that whoever wants to push it is not told that it is there.
func (w *shelf) wantNotServed(layer slipway.Digest, image registry.Manifest) {
	w.Helper()
	ctx := context.Background()
	_, err := w.OpenBlob(ctx, w.repo, layer)
	wantFault(w, "get of a rotten blob", err, registry.BlobUnknown)
	_, err = w.StatBlob(ctx, w.repo, layer)
	wantFault(w, "head of a rotten blob", err, registry.BlobUnknown)
	wantFault(w, "mount of a rotten blob", w.Mount(ctx, w.repository("shop/new"), w.repo, layer), registry.BlobUnknown)
	_, err = w.PutManifest(ctx, w.repo, registry.Push{Content: image.Content, Tags: []string{"v2"}})
	wantFault(w, "push of an image with a rotten layer", err, registry.ManifestBlobUnknown)
}

// wantManifestsVerified damages a manifest in the database, and takes away what another one names.
func (w *shelf) wantManifestsVerified(image registry.Manifest) {
	w.Helper()
	ctx := context.Background()
	if _, err := w.db.ExecContext(ctx, `UPDATE registry_manifests SET content = $1 WHERE digest = $2`, bytes.ToUpper(image.Content), string(image.Digest)); err != nil {
		w.Fatal(err)
	}
	w.wantFound(w.repo, registry.Finding{Flaw: registry.FlawDamaged, Digest: image.Digest,
		Uses: []registry.Use{{Repository: "shop/web", Tags: []string{"all", "latest", "v1"}}}})
	_, err := w.GetContent(ctx, w.repo, "v1")
	wantFault(w, "get of a damaged manifest", err, registry.ManifestUnknown)
	w.push(w.repo, "v1", string(image.Content))
	if c, err := w.GetContent(ctx, w.repo, "v1"); err != nil || !bytes.Equal(c.Bytes, image.Content) {
		w.Errorf("manifest that was pushed again: %q, %v", c.Bytes, err)
	}
	if err := w.DeleteBlob(ctx, w.repo, digestOf("other")); err != nil {
		w.Fatal(err)
	}
	small, err := w.Resolve(ctx, w.repo, "small")
	if err != nil {
		w.Fatal(err)
	}
	w.wantFound(w.repo, registry.Finding{Flaw: registry.FlawIncomplete, Digest: small, Uses: []registry.Use{{Repository: "shop/web", Tags: []string{"small"}}}})
	w.putBlob(w.repo, "other")
	w.wantFound(w.repo)
}

// An object that is found missing by a pull need not wait for a verification.
func TestPullOfALostBlob(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	files, err := blob.OpenFiles(folder)
	if err != nil {
		t.Fatal(err)
	}
	w := newShelf(t, dbtest.SQLite(t), files, folder)
	d := w.putBlob(w.repo, "content")
	if err := os.Truncate(w.file(d), 3); err != nil {
		t.Fatal(err)
	}
	_, err = w.OpenBlob(t.Context(), w.repo, d)
	wantFault(t, "pull of half a blob", err, registry.BlobUnknown)
	_, err = w.StatBlob(t.Context(), w.repo, d)
	wantFault(t, "head after that", err, registry.BlobUnknown)
	w.putBlob(w.repo, "content")
	w.wantBlob(w.repo, d, "content")
}

// Bytes that came after the end of their upload go with the next Collect; those of an upload under way stay.
func TestCollectEndsUploadsWithoutARow(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		u, err := w.StartUpload(ctx, w.repo, "")
		if err != nil {
			t.Fatal(err)
		}
		if u, err = w.Append(ctx, u, 0, strings.NewReader("half")); err != nil {
			t.Fatal(err)
		}
		if _, err := w.files.Append(ctx, "a-cancelled-upload", 0, strings.NewReader("late")); err != nil {
			t.Fatal(err)
		}
		w.clock.now = w.clock.now.Add(time.Hour)
		if err := w.Collect(ctx); err != nil {
			t.Fatal(err)
		}
		var left []string
		if err := w.files.Uploads(ctx, func(id string) error { left = append(left, id); return nil }); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{u.ID}, left); diff != "" {
			t.Error(diff)
		}
	})
}
