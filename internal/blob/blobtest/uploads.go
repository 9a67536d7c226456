package blobtest

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/blob"
)

func appendTo(t *testing.T, s blob.Resumable, offset int64, content string) {
	t.Helper()
	n, err := s.Append(t.Context(), "up-1", offset, strings.NewReader(content))
	if err != nil || n != int64(len(content)) {
		t.Fatalf("append at %d: %d bytes, %v", offset, n, err)
	}
}

func commit(t *testing.T, s blob.Resumable, size int64) {
	t.Helper()
	if err := s.Commit(t.Context(), "up-1", size, "blobs/x"); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

func pieces(t *testing.T, s blob.Resumable) {
	appendTo(t, s, 0, "one ")
	appendTo(t, s, 4, "")
	appendTo(t, s, 4, "two ")
	appendTo(t, s, 8, "three")
	wantMissing(t, s, "blobs/x")
	commit(t, s, 13)
	wantContent(t, s, "blobs/x", "one two three")
	if err := s.Commit(t.Context(), "up-1", 13, "blobs/y"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("commit twice: %v, want ErrNotFound", err)
	}
	appendTo(t, s, 0, "") // an empty object in pieces; the name is free again
	commit(t, s, 0)
	wantContent(t, s, "blobs/x", "")
}

func dropped(t *testing.T, s blob.Resumable) {
	appendTo(t, s, 0, "keep, then lose")
	appendTo(t, s, 6, "this")
	appendTo(t, s, 10, " and what no row counts")
	commit(t, s, 10)
	wantContent(t, s, "blobs/x", "keep, this")
}

func broken(t *testing.T, s blob.Resumable) {
	gone := errors.New("client went away")
	n, err := s.Append(t.Context(), "up-1", 0, io.MultiReader(strings.NewReader("half"), iotest.ErrReader(gone)))
	if n != 4 || !errors.Is(err, gone) {
		t.Fatalf("append of a broken reader: %d, %v", n, err)
	}
	appendTo(t, s, 4, " and half")
	commit(t, s, 13)
	wantContent(t, s, "blobs/x", "half and half")
}

func beyond(t *testing.T, s blob.Resumable) {
	appendTo(t, s, 0, "abc")
	for _, offset := range []int64{-1, 4} {
		if _, err := s.Append(t.Context(), "up-1", offset, strings.NewReader("x")); !errors.Is(err, blob.ErrOffset) {
			t.Errorf("append at %d: %v, want ErrOffset", offset, err)
		}
	}
	if err := s.Commit(t.Context(), "up-1", 4, "blobs/x"); !errors.Is(err, blob.ErrOffset) {
		t.Errorf("commit of more than was received: %v, want ErrOffset", err)
	}
	for _, name := range []string{"", "a/b", "..", "~x"} {
		if _, err := s.Append(t.Context(), name, 0, strings.NewReader("x")); err == nil {
			t.Errorf("upload named %q was accepted", name)
		}
	}
	commit(t, s, 3)
}

func busy(t *testing.T, s blob.Resumable) {
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := s.Append(t.Context(), "up-1", 0, reader)
		done <- err
	}()
	if _, err := writer.Write([]byte("x")); err != nil { // returns once Append reads
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), "up-1", 0, strings.NewReader("y")); !errors.Is(err, blob.ErrBusy) {
		t.Errorf("second append: %v, want ErrBusy", err)
	}
	_ = writer.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	commit(t, s, 1)
	wantContent(t, s, "blobs/x", "x")
}

func abort(t *testing.T, s blob.Resumable) {
	appendTo(t, s, 0, "abc")
	for range 2 {
		if err := s.Abort(t.Context(), "up-1"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Commit(t.Context(), "up-1", 3, "blobs/x"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("commit after abort: %v, want ErrNotFound", err)
	}
}

// sizes cuts an object into pieces of very different lengths: some stores cannot keep parts below 5 MiB, and none may
// show where the pieces met.
func sizes(t *testing.T, s blob.Resumable) {
	content := random(20<<20 + 3)
	for _, cuts := range [][]int64{
		{0, 1 << 20, 1<<20 + 1, 7 << 20, 7<<20 + 5, int64(len(content))},
		{0, 9 << 20, int64(len(content))},
		{0, int64(len(content) - 1), int64(len(content))},
	} {
		for i, offset := range cuts[:len(cuts)-1] {
			appendTo(t, s, offset, content[offset:cuts[i+1]])
		}
		commit(t, s, int64(len(content)))
		wantContent(t, s, "blobs/x", content)
	}
	appendTo(t, s, 0, content) // of which less counts than was received
	commit(t, s, 19<<20)
	wantContent(t, s, "blobs/x", content[:19<<20])
}

func listUploads(t *testing.T, s blob.Resumable) {
	want := func(names ...string) {
		t.Helper()
		got := []string{}
		if err := s.Uploads(t.Context(), func(name string) error { got = append(got, name); return nil }); err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		if diff := cmp.Diff(append([]string{}, names...), got); diff != "" {
			t.Error(diff)
		}
	}
	want()
	appendTo(t, s, 0, "a")
	appendTo(t, s, 1, "b")
	for _, name := range []string{"up-2", "empty"} {
		if _, err := s.Append(t.Context(), name, 0, strings.NewReader("")); err != nil {
			t.Fatal(err)
		}
	}
	put(t, s, "uploads/up-3", "an object of that name is none")
	want("empty", "up-1", "up-2")
	commit(t, s, 2)
	if err := s.Abort(t.Context(), "empty"); err != nil {
		t.Fatal(err)
	}
	want("up-2")
}
