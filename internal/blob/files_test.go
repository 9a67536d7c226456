package blob_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"slipway/internal/blob"
	"slipway/internal/blob/blobtest"
)

func open(t *testing.T, root string) *blob.Files {
	t.Helper()
	f, err := blob.OpenFiles(root)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFilesConform(t *testing.T) {
	t.Parallel()
	blobtest.Store(t, func(t *testing.T) blob.Store { return open(t, t.TempDir()) })
	blobtest.Resumable(t, func(t *testing.T) blob.Resumable { return open(t, t.TempDir()) })
	t.Run("where files need a name", func(t *testing.T) {
		t.Parallel()
		blobtest.Store(t, func(t *testing.T) blob.Store {
			f := open(t, t.TempDir())
			f.NameStaged()
			return f
		})
	})
}

// Nothing that a put leaves behind has a name, whatever becomes of it.
func TestFilesStageNothing(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	f := open(t, root)
	for _, content := range []string{"first", "second"} { // the second takes the place of the first
		if _, err := f.Put(t.Context(), "k", strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.Put(t.Context(), "k", iotest.ErrReader(os.ErrClosed)); err == nil {
		t.Error("a put whose reader fails succeeds")
	}
	if left, err := os.ReadDir(filepath.Join(root, "staging")); err != nil || len(left) != 0 {
		t.Errorf("left in staging: %v, %v", left, err)
	}
}

// What a killed process leaves behind: a half-written object is never seen and goes; an upload stays.
func TestFilesAfterACrash(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "new", "blobs")
	f := open(t, root)
	if _, err := f.Append(t.Context(), "up", 0, strings.NewReader("first ")); err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(root, "staging", "put-123")
	if err := os.WriteFile(half, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	f = open(t, root)
	if _, err := os.Stat(half); !os.IsNotExist(err) {
		t.Errorf("staging was not emptied: %v", err)
	}
	if err := f.List(t.Context(), "", func(key string, _ int64) error { t.Errorf("object %s", key); return nil }); err != nil {
		t.Error(err)
	}
	if _, err := f.Append(t.Context(), "up", 6, strings.NewReader("second")); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(t.Context(), "up", 12, "k"); err != nil {
		t.Fatal(err)
	}
	if n, err := f.Stat(t.Context(), "k"); err != nil || n != 12 {
		t.Errorf("object after the crash: %d bytes, %v", n, err)
	}
}
