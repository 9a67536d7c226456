package pipelines_test

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// random is incompressible text that a seed repeats.
func random(seed uint64, size int) []byte {
	b := make([]byte, size)
	r := rand.New(rand.NewPCG(seed, seed))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func packed(t testing.TB, files map[string][]byte, names ...string) io.Reader {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, name := range names {
		if err := tw.WriteHeader(&tar.Header{Name: name, Size: int64(len(files[name])), Mode: 0o600, Format: tar.FormatPAX}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

// What artifacts have in common is kept once, also when something was put before it, and each of them is read as it was sent.
func TestArtifactsShareWhatTheyHaveInCommon(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		now := &calendar{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
		w, ctx := setupAt(t, d, now), context.Background()
		large := random(1, 20<<20)
		sent := []map[string][]byte{
			{"a/large.bin": large, "z.txt": []byte("first")},
			{"a/large.bin": append(random(2, 100<<10), large...), "z.txt": []byte("second")},
		}
		var runs []slipway.RunID
		for _, files := range sent {
			run := w.push("steps: [{bash: x}]\n")[0].ID
			id := w.jobOf(run)
			if _, err := w.PutArtifact(ctx, id, "drop", packed(t, files, "a/large.bin", "z.txt")); err != nil {
				t.Fatal(err)
			}
			if err := w.Complete(ctx, id, job.Completion{Result: schedule.Failed}); err != nil {
				t.Fatal(err)
			}
			runs = append(runs, run)
		}
		w.settle()
		space, err := w.ArtifactSpace(ctx, "p")
		if err != nil || space.Size < 40<<20 || space.Shared > 20<<20+17<<20 || space.Shared < 20<<20 {
			t.Errorf("artifacts of %d bytes are kept as %d, %v", space.Size, space.Shared, err)
		}
		for i, run := range runs {
			for name, want := range sent[i] {
				o, size, err := w.OpenArtifactFile(ctx, run, "drop", name)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(o)
				if err != nil || !bytes.Equal(got, want) || size != int64(len(want)) {
					t.Errorf("%s of run %d: %d bytes, %v", name, run, len(got), err)
				}
				o.Close()
			}
		}
		// Of two that have it in common one goes, and nothing of the other.
		if err := w.DeleteRun(ctx, runs[0], slipway.System); err != nil {
			t.Fatal(err)
		}
		now.wait(2)
		w.trim()
		o, _, err := w.OpenArtifactFile(ctx, runs[1], "drop", "a/large.bin")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(o); err != nil || !bytes.Equal(got, sent[1]["a/large.bin"]) {
			t.Errorf("after the other is gone: %d bytes, %v", len(got), err)
		}
		o.Close()
		if err := w.DeleteRun(ctx, runs[1], slipway.System); err != nil {
			t.Fatal(err)
		}
		w.trim()
		if n := w.chunks(); n != 0 {
			t.Errorf("%d chunks are left of nothing", n)
		}
	})
}

// chunks counts the chunks in the object store.
func (w *world) chunks() (n int) {
	w.Helper()
	if err := w.deps.Blobs.List(context.Background(), "chunks/", func(string, int64) error { n++; return nil }); err != nil {
		w.Fatal(err)
	}
	return n
}

// What an upload that broke off has stored goes after a day, and damage is told.
func TestChunksThatNothingHas(t *testing.T) {
	t.Parallel()
	now := &calendar{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	w, ctx := setupAt(t, dbtest.SQLite(t), now), context.Background()
	run := w.push("steps: [{bash: x}]\n")[0].ID
	id := w.jobOf(run)
	whole := packed(t, map[string][]byte{"a": random(3, 10<<20)}, "a")
	if _, err := w.PutArtifact(ctx, id, "drop", io.LimitReader(whole, 9<<20)); slipway.CodeOf(err) != slipway.CodeInvalid {
		t.Errorf("half an artifact: %v", err)
	}
	w.trim()
	if w.chunks() == 0 {
		t.Error("chunks of an upload that may go on are gone at once")
	}
	now.wait(2)
	w.trim()
	if n := w.chunks(); n != 0 {
		t.Errorf("%d chunks are left of nothing", n)
	}
	if _, err := w.PutArtifact(ctx, id, "drop", packed(t, map[string][]byte{"a": []byte("whole")}, "a")); err != nil {
		t.Fatal(err)
	}
	err := w.deps.Blobs.List(ctx, "chunks/", func(key string, _ int64) error {
		_, err := w.deps.Blobs.Put(ctx, key, strings.NewReader("damaged"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	o, err := w.OpenArtifact(ctx, run, "drop")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(o); err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("a damaged artifact: %v", err)
	}
}
