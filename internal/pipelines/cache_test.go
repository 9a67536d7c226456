package pipelines_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

const cacheSteps = "steps: [{task: Cache@2, inputs: {key: npm, path: node_modules}}]\n"

// jobOn starts a run of a branch and gives its job, which runs.
func (w *world) jobOn(ref string) slipway.JobID {
	w.Helper()
	w.source.text = "trigger: [main, hats, release, coats]\npr: [release]\n" + cacheSteps
	w.pushes++
	runs, err := w.Pushed(context.Background(), pipelines.Push{Event: w.pushes, Repository: "r", Ref: ref, After: commit, PathsUnknown: true})
	if err != nil || len(runs) != 1 {
		w.Fatalf("push to %s: %d runs, %v", ref, len(runs), err)
	}
	return w.jobOf(runs[0].ID)
}

func (w *world) jobOf(run slipway.RunID) slipway.JobID {
	w.Helper()
	id := w.timeline(run)["__default.Job"].ID
	if _, err := w.Assign(context.Background(), id); err != nil {
		w.Fatal(err)
	}
	return id
}

func (w *world) save(id slipway.JobID, key string) {
	w.Helper()
	if _, err := w.PutCache(context.Background(), id, key, strings.NewReader(fmt.Sprintf("%s of %d", key, id))); err != nil {
		w.Fatalf("save %s: %v", key, err)
	}
}

// restore is what a job restores: KEY of JOB that saved it, "" for nothing.
func (w *world) restore(id slipway.JobID, key string, restoreKeys ...string) string {
	w.Helper()
	ctx := context.Background()
	found, err := w.FindCache(ctx, id, job.CacheQuery{Key: key, RestoreKeys: restoreKeys})
	if err != nil {
		w.Fatal(err)
	}
	if found.ID == 0 {
		return ""
	}
	o, err := w.OpenCache(ctx, id, found.ID)
	if err != nil {
		w.Fatal(err)
	}
	defer o.Close()
	b, err := io.ReadAll(o)
	if err != nil || int64(len(b)) != found.Size {
		w.Fatalf("%d bytes of %d, %v", len(b), found.Size, err)
	}
	return string(b)
}

func TestCacheIsolation(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		main, hats, coats, release := w.jobOn("refs/heads/main"), w.jobOn("refs/heads/hats"), w.jobOn("refs/heads/coats"), w.jobOn("refs/heads/release")
		runs, err := w.PullRequested(ctx, pipelines.PullRequest{ID: 7, Repository: "r", Title: "Sell hats", Source: "refs/heads/hats", Target: "refs/heads/release",
			SourceCommit: slipway.CommitID(strings.Repeat("a", 40)), MergeRef: "refs/pull/7/merge", MergeCommit: commit, PathsUnknown: true})
		if err != nil || len(runs) != 1 {
			t.Fatalf("pull request: %d runs, %v", len(runs), err)
		}
		asked := w.jobOf(runs[0].ID)
		is := func(got string, key string, by slipway.JobID) {
			t.Helper()
			want := ""
			if by != 0 {
				want = fmt.Sprintf("%s of %d", key, by)
			}
			if got != want {
				t.Errorf("restored %q, want %q", got, want)
			}
		}
		is(w.restore(main, "npm|a", "npm"), "", 0)
		w.save(main, "npm|a")
		w.save(hats, "npm|b")
		w.save(release, "npm|r")
		// A branch reads its own caches and those of the default branch.
		is(w.restore(hats, "npm|a"), "npm|a", main)
		is(w.restore(hats, "npm|x", "npm"), "npm|b", hats)
		is(w.restore(coats, "npm|x", "npm"), "npm|a", main)
		is(w.restore(coats, "npm|b"), "", 0)
		is(w.restore(main, "npm|b"), "", 0)
		// Restore keys are tried in order, and match whole parts.
		is(w.restore(hats, "yarn", "yarn|x", "npm|a", "npm"), "npm|a", main)
		is(w.restore(main, "x", "np", "npm|", "n%", "npm|A", "NPM"), "", 0)
		w.save(main, "npm|c")
		is(w.restore(coats, "npm|x", "npm"), "npm|c", main) // the newest
		is(w.restore(coats, "npm|a", "npm"), "npm|a", main)
		// A pull request reads its source, its target and the default branch, and writes to none of them.
		is(w.restore(asked, "npm|b"), "npm|b", hats)
		is(w.restore(asked, "npm|r"), "npm|r", release)
		is(w.restore(asked, "npm|c"), "npm|c", main)
		w.save(asked, "npm|p")
		is(w.restore(asked, "npm|x", "npm"), "npm|p", asked)
		for _, other := range []slipway.JobID{main, hats, release} {
			is(w.restore(other, "npm|p"), "", 0)
			found, err := w.FindCache(ctx, asked, job.CacheQuery{Key: "npm|p"})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.OpenCache(ctx, other, found.ID); slipway.CodeOf(err) != slipway.CodeNotFound {
				t.Errorf("job %d opens the pull request's cache: %v", other, err)
			}
		}
		// A cache never changes.
		if _, err := w.PutCache(ctx, main, "npm|a", strings.NewReader("other")); slipway.CodeOf(err) != slipway.CodeConflict {
			t.Errorf("saved again: %v", err)
		}
		is(w.restore(main, "npm|a"), "npm|a", main)
		// The pipeline of another file has caches of its own.
		w.source.other = "trigger: none\n" + cacheSteps
		other, err := w.CreateDefinition(ctx, pipelines.Definition{Project: "p", Name: "other", Repository: "r", Path: "other.yml"})
		if err != nil {
			t.Fatal(err)
		}
		run, err := w.Queue(ctx, pipelines.QueueRequest{Pipeline: other.ID})
		if err != nil {
			t.Fatal(err)
		}
		is(w.restore(w.jobOf(run.ID), "npm|a", "npm"), "", 0)
		// A job that is over saves nothing.
		if err := w.Complete(ctx, coats, job.Completion{Result: schedule.Succeeded}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.PutCache(ctx, coats, "late", strings.NewReader("x")); slipway.CodeOf(err) != slipway.CodeConflict {
			t.Errorf("saved after the end: %v", err)
		}
		for _, key := range []string{"", strings.Repeat("k", 1025), "a\nb", "a\xff"} {
			if _, err := w.PutCache(ctx, main, key, strings.NewReader("x")); slipway.CodeOf(err) != slipway.CodeInvalid {
				t.Errorf("saved as %.10q: %v", key, err)
			}
		}
	})
}

// keys are those of the project's caches, used last first, and blobs is how many objects caches have in the store.
func (w *world) keys() (keys []string, blobs int) {
	w.Helper()
	list, err := w.ListCaches(context.Background(), pipelines.CacheFilter{Project: "p"})
	if err != nil {
		w.Fatal(err)
	}
	for _, c := range list {
		keys = append(keys, c.Key)
	}
	if err := w.Blobs.List(context.Background(), "caches/", func(string, int64) error { blobs++; return nil }); err != nil {
		w.Fatal(err)
	}
	return keys, blobs
}

func TestCacheLimits(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		now := &hand{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
		w, ctx := setupAt(t, d, now), context.Background()
		w.Caches = pipelines.CacheLimits{One: 20, Project: 32, Unused: 24 * time.Hour}
		id := w.jobOn("refs/heads/main")
		later := func(d time.Duration) {
			now.mu.Lock()
			defer now.mu.Unlock()
			now.now = now.now.Add(d)
		}
		put := func(key string, size int) error {
			later(time.Minute)
			_, err := w.PutCache(ctx, id, key, bytes.NewReader(make([]byte, size)))
			return err
		}
		are := func(blobs int, want ...string) {
			t.Helper()
			keys, n := w.keys()
			if diff := cmp.Diff(want, keys); diff != "" || n != blobs {
				t.Errorf("%d objects, want %d; keys (-want +got)\n%s", n, blobs, diff)
			}
		}
		if err := put("large", 21); slipway.CodeOf(err) != slipway.CodeLimit {
			t.Errorf("one that is too large: %v", err)
		}
		broken := errors.New("the connection broke")
		if _, err := w.PutCache(ctx, id, "half", io.MultiReader(strings.NewReader("half"), fakeBroken{broken})); slipway.CodeOf(err) != slipway.CodeUnavailable || !errors.Is(err, broken) {
			t.Errorf("one that broke off: %v", err)
		}
		are(0)
		for _, key := range []string{"a", "b", "c"} {
			if err := put(key, 10); err != nil {
				t.Fatal(err)
			}
		}
		later(time.Minute)
		w.restore(id, "a")
		are(3, "a", "c", "b")
		if err := put("d", 20); err != nil { // exactly the limit of one; b and c make room
			t.Fatal(err)
		}
		are(2, "d", "a")
		list, err := w.ListCaches(ctx, pipelines.CacheFilter{Project: "p"})
		if err != nil || list[1].Hits != 1 || list[0].Hits != 0 || list[0].Size != 20 || list[0].Ref != "refs/heads/main" || list[0].PipelineName != "shop" || list[0].Created != now.Now() {
			t.Errorf("caches %+v, %v", list, err)
		}
		// Nothing uses d for a day.
		later(23 * time.Hour)
		w.restore(id, "a")
		later(2 * time.Hour)
		if got := w.restore(id, "d"); got != "" {
			t.Errorf("restored %q", got)
		}
		are(2, "a", "d")
		if err := w.TrimCaches(ctx); err != nil {
			t.Fatal(err)
		}
		are(1, "a")
		// What a server left that died while it stored a cache goes once the job is over.
		if _, err := w.Blobs.Put(ctx, fmt.Sprintf("caches/1/%d-LOST", id), strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
		for _, want := range []int{2, 1} {
			if err := w.TrimCaches(ctx); err != nil {
				t.Fatal(err)
			}
			are(want, "a")
			if err := w.Complete(ctx, id, job.Completion{Result: schedule.Succeeded}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.DeleteCache(ctx, "other", list[1].ID); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("deleted from another project: %v", err)
		}
		if n, err := w.DeleteCaches(ctx, pipelines.CacheFilter{Project: "p", Pipeline: list[1].Pipeline}); n != 1 || err != nil {
			t.Errorf("deleted %d, %v", n, err)
		}
		are(0)
	})
}

type fakeBroken struct{ err error }

func (f fakeBroken) Read([]byte) (int, error) { return 0, f.err }

// Of jobs that save the same key at once one wins, and nothing of the others stays.
func TestCacheRace(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d)
		const jobs = 4
		var all sync.WaitGroup
		var begun sync.WaitGroup
		begun.Add(jobs)
		results := make(chan error, jobs)
		for range jobs {
			id := w.jobOn("refs/heads/main")
			all.Go(func() {
				// Each body ends only when every one has begun.
				body := io.MultiReader(strings.NewReader("x"), fakeGate{func() { begun.Done(); begun.Wait() }})
				_, err := w.PutCache(context.Background(), id, "key", body)
				results <- err
			})
		}
		all.Wait()
		close(results)
		won := 0
		for err := range results {
			if err == nil {
				won++
			} else if slipway.CodeOf(err) != slipway.CodeConflict {
				t.Errorf("%v", err)
			}
		}
		if keys, blobs := w.keys(); won != 1 || len(keys) != 1 || blobs != 1 {
			t.Errorf("%d jobs won; %d caches, %d objects", won, len(keys), blobs)
		}
	})
}

// fakeGate is an empty body that waits before its end.
type fakeGate struct{ wait func() }

func (f fakeGate) Read([]byte) (int, error) { f.wait(); return 0, io.EOF }
