package pipelines_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
)

// tarOf is a tar file of names and texts by turns.
func tarOf(t *testing.T, files ...string) io.Reader {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for i := 0; i+1 < len(files); i += 2 {
		err := tw.WriteHeader(&tar.Header{Name: files[i], Size: int64(len(files[i+1])), Mode: 0o600})
		if _, writeErr := tw.Write([]byte(files[i+1])); errors.Join(err, writeErr) != nil {
			t.Fatal(err, writeErr)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

// Files join an artifact, whichever job of the run made it, in place of those of the same names.
func TestAddToArtifact(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		run := w.push("jobs:\n- job: a\n  steps:\n  - bash: x\n- job: b\n  steps:\n  - bash: x\n")[0].ID
		jobs := w.timeline(run)
		a, b := jobs["__default.a"].ID, jobs["__default.b"].ID
		add := func(id slipway.JobID, files ...string) {
			t.Helper()
			if _, err := w.AddToArtifact(ctx, id, "drop", tarOf(t, files...)); err != nil {
				t.Fatal(err)
			}
		}
		add(a, "one.txt", "1", "both.txt", "of a")
		add(b, "both.txt", "of b", "sub/two.txt", "2")
		add(a)
		got := map[string]string{}
		files, err := w.ArtifactFiles(ctx, run, "Drop")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			r, _, err := w.OpenArtifactFile(ctx, run, "drop", f.Path)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(r)
			if err = errors.Join(err, r.Close()); err != nil {
				t.Fatal(err)
			}
			got[f.Path] = string(text)
		}
		if diff := cmp.Diff(map[string]string{"one.txt": "1", "both.txt": "of b", "sub/two.txt": "2"}, got); diff != "" {
			t.Error(diff)
		}
		for name, r := range map[string]io.Reader{"outside": tarOf(t, "../y", "z"), "cut": io.LimitReader(tarOf(t, "y", "zzzz"), 514)} {
			if _, err := w.AddToArtifact(ctx, b, "drop", r); slipway.CodeOf(err) != slipway.CodeInvalid {
				t.Errorf("%s: %v, want invalid", name, err)
			}
		}
	})
}

// Of jobs that add at the same time none loses its file: who was slower is told to send again.
func TestAddToArtifactAtOnce(t *testing.T) {
	t.Parallel()
	w, ctx := setup(t, dbtest.SQLite(t)), context.Background()
	run := w.push("steps:\n- bash: x\n")[0].ID
	id := w.timeline(run)["__default.Job"].ID
	var all sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d"} {
		all.Go(func() {
			for {
				_, err := w.AddToArtifact(ctx, id, "drop", tarOf(t, name, name))
				if slipway.CodeOf(err) == slipway.CodeUnavailable {
					continue
				}
				if err != nil {
					t.Error(err)
				}
				return
			}
		})
	}
	all.Wait()
	files, err := w.ArtifactFiles(ctx, run, "drop")
	if err != nil || len(files) != 4 {
		t.Errorf("files %+v, %v", files, err)
	}
}
