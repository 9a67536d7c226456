// Package blobtest is the conformance suite of object stores: what blob.Store and blob.Resumable promise,
// tested on whatever implements them.
package blobtest

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/blob"
)

// Store tests the promises of blob.Store; open gives an empty store for each test.
func Store(t *testing.T, open func(t *testing.T) blob.Store) {
	tests := map[string]func(*testing.T, blob.Store){
		"what is put can be read": roundTrip, "a failed put changes nothing": failedPut, "missing objects": missing,
		"list by folder": list, "malformed keys are refused": malformed, "open objects outlive their key": outlive,
		"concurrent puts are whole": concurrent, "large objects": large, "seeking": seek,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, open(t)) })
	}
}

// Resumable tests the promises that blob.Resumable adds.
func Resumable(t *testing.T, open func(t *testing.T) blob.Resumable) {
	tests := map[string]func(*testing.T, blob.Resumable){
		"pieces make one object": pieces, "bytes after a break are dropped": dropped, "a broken append keeps its bytes": broken,
		"offsets beyond the end are refused": beyond, "one append at a time": busy, "abort": abort,
		"pieces of all sizes": sizes, "uploads are listed": listUploads,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, open(t)) })
	}
}

func put(t *testing.T, s blob.Store, key, content string) {
	t.Helper()
	n, err := s.Put(t.Context(), key, strings.NewReader(content))
	if err != nil || n != int64(len(content)) {
		t.Fatalf("put %s: %d bytes, %v", key, n, err)
	}
}

func wantContent(t *testing.T, s blob.Store, key, want string) {
	t.Helper()
	o, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatalf("open %s: %v", key, err)
	}
	defer o.Close()
	got, err := io.ReadAll(o)
	if err != nil || string(got) != want || o.Size() != int64(len(want)) {
		t.Errorf("%s holds %.60q (size %d, %v), want %.60q", key, got, o.Size(), err, want)
	}
}

func wantMissing(t *testing.T, s blob.Store, key string) {
	t.Helper()
	if _, err := s.Stat(t.Context(), key); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("stat %s: %v, want ErrNotFound", key, err)
	}
}

func roundTrip(t *testing.T, s blob.Store) {
	large := random(3<<20 + 17)
	put(t, s, "layers/large", large)
	put(t, s, "layers/empty", "")
	put(t, s, "layers/again", "first")
	put(t, s, "layers/again", "second")
	wantContent(t, s, "layers/large", large)
	wantContent(t, s, "layers/empty", "")
	wantContent(t, s, "layers/again", "second")
	if n, err := s.Stat(t.Context(), "layers/large"); err != nil || n != int64(len(large)) {
		t.Errorf("stat: %d, %v", n, err)
	}
	o, err := s.Open(t.Context(), "layers/large")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if _, err := o.Seek(-100, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	tail, err := io.ReadAll(o)
	if err != nil || string(tail) != large[len(large)-100:] {
		t.Errorf("the last 100 bytes differ: %d read, %v", len(tail), err)
	}
}

// random is content that no store can shorten, the same each time.
func random(size int) string {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return string(b)
}

// large puts objects that go in several parts where stores have those, and one that breaks in the middle.
func large(t *testing.T, s blob.Store) {
	content := random(17<<20 + 1)
	put(t, s, "large", content)
	wantContent(t, s, "large", content)
	put(t, s, "parts", content[:16<<20])
	wantContent(t, s, "parts", content[:16<<20])
	broken := errors.New("client went away")
	if _, err := s.Put(t.Context(), "half", io.MultiReader(strings.NewReader(content), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("put of a broken reader: %v, want its error", err)
	}
	wantMissing(t, s, "half")
}

func seek(t *testing.T, s blob.Store) {
	put(t, s, "k", "0123456789")
	o, err := s.Open(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	for _, move := range []struct {
		offset int64
		whence int
		want   string
	}{{0, io.SeekEnd, ""}, {0, io.SeekStart, "012"}, {2, io.SeekCurrent, "567"}, {-4, io.SeekEnd, "678"}, {1, io.SeekStart, "123"}, {20, io.SeekStart, ""}} {
		if _, err := o.Seek(move.offset, move.whence); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(io.LimitReader(o, 3))
		if err != nil || string(got) != move.want {
			t.Errorf("after seeking %d from %d: %q, %v, want %q", move.offset, move.whence, got, err, move.want)
		}
	}
	if _, err := o.Seek(-1, io.SeekStart); err == nil {
		t.Error("a seek before the beginning was accepted")
	}
}

func failedPut(t *testing.T, s blob.Store) {
	broken := errors.New("digest does not match")
	put(t, s, "old", "stays")
	for _, key := range []string{"new", "old"} {
		_, err := s.Put(t.Context(), key, io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) {
			t.Errorf("put of a broken reader: %v, want its error", err)
		}
	}
	wantMissing(t, s, "new")
	wantContent(t, s, "old", "stays")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Put(ended, "new", strings.NewReader("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("put after the end of its context: %v", err)
	}
	wantMissing(t, s, "new")
}

func missing(t *testing.T, s blob.Store) {
	wantMissing(t, s, "a/b")
	if _, err := s.Open(t.Context(), "a/b"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("open: %v, want ErrNotFound", err)
	}
	if err := s.Delete(t.Context(), "a/b"); err != nil {
		t.Errorf("delete of a missing object: %v", err)
	}
	put(t, s, "a/b", "x")
	if err := s.Delete(t.Context(), "a/b"); err != nil {
		t.Errorf("delete: %v", err)
	}
	wantMissing(t, s, "a/b")
}

func list(t *testing.T, s blob.Store) {
	for _, key := range []string{"a/1", "a/2", "a/b/3", "ab/4", "5"} {
		put(t, s, key, key)
	}
	f := func(prefix string, want ...string) {
		t.Helper()
		got := []string{}
		err := s.List(t.Context(), prefix, func(key string, size int64) error {
			if size != int64(len(key)) {
				t.Errorf("size of %s: %d", key, size)
			}
			got = append(got, key)
			return nil
		})
		slices.Sort(got)
		if diff := cmp.Diff(append([]string{}, want...), got); diff != "" || err != nil {
			t.Errorf("list %q: %v\n%s", prefix, err, diff)
		}
	}
	f("", "5", "a/1", "a/2", "a/b/3", "ab/4")
	f("a/", "a/1", "a/2", "a/b/3")
	f("a/b/", "a/b/3")
	f("none/")
	stop := errors.New("stop")
	if err := s.List(t.Context(), "", func(string, int64) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("list does not stop: %v", err)
	}
	if err := s.List(t.Context(), "a", func(string, int64) error { return nil }); err == nil {
		t.Error("a prefix without a slash was accepted")
	}
}

func malformed(t *testing.T, s blob.Store) {
	for _, key := range []string{"", "/a", "a/", "a//b", "..", "a/../b", ".hidden", "a b", "a\x00", "~a", "a/~b/c", strings.Repeat("a", 201), strings.Repeat("a/", 500) + "a"} {
		if _, err := s.Put(t.Context(), key, strings.NewReader("x")); err == nil {
			t.Errorf("put under %.40q was accepted", key)
		}
		if _, err := s.Open(t.Context(), key); err == nil || errors.Is(err, blob.ErrNotFound) {
			t.Errorf("open of %.40q: %v", key, err)
		}
	}
}

func outlive(t *testing.T, s blob.Store) {
	put(t, s, "k", "content")
	o, err := s.Open(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if err := s.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(o); err != nil || string(got) != "content" {
		t.Errorf("read after delete: %q, %v", got, err)
	}
}

func concurrent(t *testing.T, s blob.Store) {
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			if _, err := s.Put(t.Context(), "deep/new/folder/k", strings.NewReader(strings.Repeat(string(rune('a'+i)), 100_000))); err != nil {
				t.Errorf("put: %v", err)
			}
		})
	}
	all.Wait()
	o, err := s.Open(t.Context(), "deep/new/folder/k")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	got, _ := io.ReadAll(o)
	if len(got) != 100_000 || strings.Trim(string(got), string(got[0])) != "" {
		t.Errorf("object of %d bytes is a mixture", len(got))
	}
}
