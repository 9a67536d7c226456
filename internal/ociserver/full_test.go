package ociserver_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/internal/blob"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/registry"
)

// smallDisk is a disk of 16 MiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a small disk")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

// fill takes all of the disk but left bytes, until free is called.
func fill(t *testing.T, dir string, left int) (free func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, page := 0, make([]byte, 4096)
	for {
		n, err := f.Write(page)
		size += n
		if err != nil {
			break
		}
	}
	if err := f.Truncate(int64(max(size-left, 0))); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}

// A full disk is told as such, leaves nothing half visible, and all goes on as soon as there is room, uploads from where
// they stood.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	open := func(t *testing.T, folder string) blob.Resumable {
		files, err := blob.OpenFiles(folder)
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	t.Run("of objects", func(t *testing.T) {
		t.Parallel()
		disk := smallDisk(t)
		testFullDisk(t, setupOn(t, dbtest.SQLite(t), open(t, filepath.Join(disk, "blobs")), registry.Options{}, clock.System{}), disk)
	})
	t.Run("of everything", func(t *testing.T) {
		t.Parallel()
		disk := smallDisk(t)
		d, err := db.Open(context.Background(), "sqlite:"+filepath.Join(disk, "slipway.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		testFullDisk(t, setupOn(t, d, open(t, filepath.Join(disk, "blobs")), registry.Options{}, clock.System{}), disk)
	})
}

func testFullDisk(t *testing.T, w *world, disk string) {
	kept := strings.Repeat("kept ", 1000)
	want(t, "push before", w.pushBlob(w.admin, "shop/web", kept), http.StatusCreated)
	want(t, "image before", w.pushImage(w.admin, "shop/web", "v1"), http.StatusCreated)
	for i, left := range []int{0, 4 << 10, 64 << 10, 128 << 10} {
		content := strings.Repeat(fmt.Sprintf("disk %d ", i), 34_000) // 238 kB: what a server reads to its end before it hangs up
		first, rest := content[:1000], content[1000:]
		began := w.do(w.admin, "POST", "/v2/shop/web/blobs/uploads/", "")
		want(t, "start of an upload", began, http.StatusAccepted)
		upload := began.Header.Get("Location")
		want(t, "first chunk", w.do(w.admin, "PATCH", upload, first), http.StatusAccepted)

		free := fill(t, disk, left)
		w.wantFull("monolithic push", "POST", "/v2/shop/web/blobs/uploads/"+digestQuery(content), content)
		w.wantFull("chunk", "PATCH", upload, rest)
		w.wantFull("last chunk", "PUT", upload+digestQuery(content), rest)
		w.wantBlob(kept)
		want(t, "blob that was refused", w.do(w.admin, "HEAD", "/v2/shop/web/blobs/"+string(registry.DigestOf("sha256", []byte(content))), ""), http.StatusNotFound)
		want(t, "image", w.do(w.admin, "GET", "/v2/shop/web/manifests/v1", ""), http.StatusOK)
		status := w.do(w.admin, "GET", upload, "")
		if status.StatusCode != http.StatusNoContent || status.Header.Get("Range") != "0-999" {
			t.Errorf("upload on a full disk: %s, range %s", status.Status, status.Header.Get("Range"))
		}
		free()

		want(t, "last chunk when there is room", w.do(w.admin, "PUT", upload+digestQuery(content), rest), http.StatusCreated)
		w.wantBlob(content)
		want(t, "image when there is room", w.pushImage(w.admin, "shop/web", fmt.Sprintf("v%d", i)), http.StatusCreated)
	}
	if err := w.registry.Verify(context.Background(), registry.Repository{}, func(f registry.Finding) error {
		t.Errorf("%s %s: %s", f.Flaw, f.Digest, f.Detail)
		return nil
	}, func(registry.Progress) error { return nil }); err != nil {
		t.Error(err)
	}
}

// wantFull demands 507 with the sentence that says what to do.
func (w *world) wantFull(what, method, path, content string) {
	w.Helper()
	answer, said, err := w.send(method, path, strings.NewReader(content))
	if err != nil {
		w.Fatalf("%s: %v", what, err)
	}
	if answer.StatusCode != http.StatusInsufficientStorage || !strings.Contains(string(said), "no room") || !strings.Contains(string(said), "administrator must free some") {
		w.Errorf("%s on a full disk: %s %s", what, answer.Status, said)
	}
}

// A disk on which nothing more can be written down, not even the row of an upload, is freed by deletions and the collection.
func TestCollectOnFullDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t)
	d, err := db.Open(context.Background(), "sqlite:"+filepath.Join(disk, "slipway.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	files, err := blob.OpenFiles(filepath.Join(disk, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	w := setupOn(t, d, files, registry.Options{Grace: time.Nanosecond}, clock.System{})
	collect := func() {
		t.Helper()
		if err := w.registry.Collect(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	collect() // as at the start of the server
	for round := range 2 {
		kept, gone := fmt.Sprintf("kept%d", round), fmt.Sprintf("gone%d", round)
		want(t, "an image", w.pushImage(w.admin, "shop/web", kept), http.StatusCreated)
		want(t, "another", w.pushImage(w.admin, "shop/web", gone), http.StatusCreated)
		waste := strings.Repeat(fmt.Sprintf("waste %d ", round), 60_000)
		want(t, "waste", w.pushBlob(w.admin, "shop/web", waste), http.StatusCreated)
		free := fill(t, disk, 0)
		exhaust(t, w)
		w.wantFull("manifest", "PUT", "/v2/shop/web/manifests/refused", image())
		want(t, "the tag that was refused", w.do(w.admin, "GET", "/v2/shop/web/manifests/refused", ""), http.StatusNotFound)

		want(t, "deletion of a tag", w.do(w.admin, "DELETE", "/v2/shop/web/manifests/"+gone, ""), http.StatusAccepted)
		collect()
		want(t, "waste that was collected", w.do(w.admin, "HEAD", "/v2/shop/web/blobs/"+string(registry.DigestOf("sha256", []byte(waste))), ""), http.StatusNotFound)
		want(t, "the image", w.do(w.admin, "GET", "/v2/shop/web/manifests/"+kept, ""), http.StatusOK)
		want(t, "a push when there is room", w.pushBlob(w.admin, "shop/web", strings.Repeat("fits ", 20_000)), http.StatusCreated)
		free()
		collect()
	}
}

// exhaust starts uploads until not even that can be written down.
func exhaust(t *testing.T, w *world) {
	t.Helper()
	for range 900 {
		if w.do(w.admin, "POST", "/v2/shop/web/blobs/uploads/", "").StatusCode == http.StatusInsufficientStorage {
			return
		}
	}
	t.Fatal("the disk is full, and uploads can still be started")
}
