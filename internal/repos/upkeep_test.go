package repos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
)

// packs are the repository's packs by the extension of their files.
func (w *world) packs(ext string) []string {
	w.t.Helper()
	list, err := filepath.Glob(filepath.Join(w.dir(w.repo.ID), "objects", "pack", "*"+ext))
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// Many small packs become few, with one index and bitmap over all of them; what it says of itself is right.
func TestUpkeepPacks(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		w := setup(t, d)
		for i := range fewPacks {
			w.commit(fmt.Sprint("change ", i), "a", fmt.Sprint(i))
			w.git("", "-c", "core.multiPackIndex=false", "repack", "-q", "-d")
		}
		if n := len(w.packs(".pack")); n != fewPacks {
			t.Fatalf("%d packs before", n)
		}
		stale := filepath.Join(w.dir(w.repo.ID), "objects", "pack", ".tmp-1-pack-x.pack")
		if err := os.WriteFile(stale, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(-2 * time.Hour)
		if err := os.Chtimes(stale, old, old); err != nil {
			t.Fatal(err)
		}
		if err := w.upkeepDue(ctx); err != nil {
			t.Fatal(err)
		}
		if got := len(w.packs(".pack")); got >= fewPacks {
			t.Errorf("%d packs after", got)
		}
		if len(w.packs("multi-pack-index")) != 1 || len(w.packs(".bitmap")) != 1 {
			t.Errorf("files %v", w.packs("*"))
		}
		if _, err := os.Stat(stale); !os.IsNotExist(err) {
			t.Errorf("what was left of a broken upkeep is there: %v", err)
		}
		w.git("", "fsck", "--full", "--strict")
		w.git("", "commit-graph", "verify")
		u, err := w.UpkeepState(ctx, w.repo.ID)
		if err != nil || !u.Due.IsZero() || u.Packs != int64(len(w.packs(".pack"))) || u.Loose != 0 || u.Problem != "" || u.Finished.IsZero() {
			t.Errorf("%+v, %v", u, err)
		}
	})
}

// The pack of a first push gets a bitmap at once, and is not packed anew.
func TestUpkeepOfAFirstPush(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	w.commit("begin", "a", "1")
	w.git("", "repack", "-q", "-d")
	before := w.packs(".pack")
	if err := w.upkeepDue(context.Background()); err != nil {
		t.Fatal(err)
	}
	if after := w.packs(".pack"); !slices.Equal(before, after) || len(w.packs(".bitmap")) != 1 {
		t.Errorf("packs %v, before %v; files %v", after, before, w.packs("*"))
	}
	w.git("", "fsck", "--full", "--strict")
}

// What nothing names goes after two weeks; what a pull request or a run names stays, though its branch is gone.
func TestUpkeepKeepsWhatIsNamed(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		w := setup(t, d)
		base := w.commit("base", "a", "1")
		side := func(branch string) slipway.CommitID {
			t.Helper()
			id, err := w.CommitFiles(ctx, CommitRequest{Repository: w.repo.ID, Branch: branch, Changes: []Change{{Path: branch, Content: []byte(branch)}},
				Message: branch, Author: Signature{Name: "Ada", Email: "a@example.org"}, Actor: ada})
			if err != nil {
				t.Fatal(err)
			}
			return id
		}
		reviewed, run, nobody := side("reviewed"), side("run"), side("nobody")
		if _, err := w.CreatePullRequest(ctx, NewPullRequest{Repository: w.repo.ID, Source: "refs/heads/reviewed", Target: "refs/heads/main", Title: "t", Actor: ada}); err != nil {
			t.Fatal(err)
		}
		amended := w.git("again", "commit-tree", w.git("", "rev-parse", string(base)+"^{tree}"), "-p", string(base))
		w.git("", "update-ref", "refs/heads/reviewed", amended) // a forced push
		merge := w.git("", "rev-parse", "refs/pull/1/merge")
		for _, ref := range []string{"merge", "head"} { // as when they have gone on to another iteration
			w.git("", "update-ref", "-d", "refs/pull/1/"+ref)
		}
		for _, branch := range []string{"run", "nobody"} {
			w.git("", "update-ref", "-d", "refs/heads/"+branch)
		}
		if _, err := w.Announce(ctx, w.repo.ID, ada); err != nil {
			t.Fatal(err)
		}
		// They are deleted for so long that nobody can restore them any more.
		if _, err := d.ExecContext(ctx, `UPDATE deleted_branches SET deleted = 1`); err != nil {
			t.Fatal(err)
		}
		w.Named = func(context.Context, slipway.RepositoryID) ([]slipway.CommitID, error) {
			return []slipway.CommitID{run, base, "1111111111111111111111111111111111111111"}, nil
		}
		// The objects are as old as if they had been there for a month.
		old := time.Now().Add(-30 * 24 * time.Hour)
		err := filepath.WalkDir(filepath.Join(w.dir(w.repo.ID), "objects"), func(path string, e os.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				err = os.Chtimes(path, old, old)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.RequestUpkeep(ctx, w.repo.ID, true); err != nil {
			t.Fatal(err)
		}
		if err := w.upkeepDue(ctx); err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]slipway.CommitID{"of the pull request": reviewed, "of the run": run, "of a branch": base} {
			if _, err := w.Commit(ctx, w.repo.ID, c); err != nil {
				t.Errorf("the commit %s is gone: %v", name, err)
			}
		}
		w.readers.drop(w.dir(w.repo.ID)) // they may hold what is gone
		if _, err := w.Commit(ctx, w.repo.ID, nobody); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("the commit that nothing names: %v", err)
		}
		got := strings.Fields(w.git("", "for-each-ref", "--format=%(objectname)", "refs/slipway"))
		want := []string{string(run), string(reviewed), merge}
		slices.Sort(want)
		slices.Sort(got) // they are in the order of the refs
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("commits that are kept (-want +got):\n%s", diff)
		}
	})
}

func TestRenameTrashRestore(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		w := setup(t, d)
		first := w.commit("first", "a", "1")
		finds := func(name string, want slipway.RepositoryID) {
			t.Helper()
			r, err := w.Find(ctx, project, name)
			if want == "" && slipway.CodeOf(err) != slipway.CodeNotFound || r.ID != want {
				t.Errorf("%s is %q, %v, want %q", name, r.ID, err, want)
			}
		}
		rename := func(name string) {
			t.Helper()
			if _, err := w.Rename(ctx, w.repo.ID, name, ada); err != nil {
				t.Fatal(err)
			}
		}
		rename("Store")
		rename("Hats")
		for _, name := range []string{"shop", "STORE", "hats"} {
			finds(name, w.repo.ID)
		}
		other, err := w.Create(ctx, CreateRequest{Project: project, Name: "Shop", Actor: ada}) // takes the old name
		if err != nil {
			t.Fatal(err)
		}
		finds("shop", other.ID)
		_, err = w.Rename(ctx, other.ID, "hats", ada)
		wantCode(t, "rename to a name that is taken", err, slipway.CodeConflict)
		rename("Store") // and back
		finds("hats", w.repo.ID)

		if err := w.Trash(ctx, w.repo.ID, ada); err != nil {
			t.Fatal(err)
		}
		finds("store", "")
		finds("hats", "")
		finds(string(w.repo.ID), "")
		if list, err := w.Trashed(ctx, project); err != nil || len(list) != 1 || list[0].Name != "Store" {
			t.Errorf("deleted are %+v, %v", list, err)
		}
		again, err := w.Create(ctx, CreateRequest{Project: project, Name: "store", Actor: ada})
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Restore(ctx, project, w.repo.ID, ada)
		wantCode(t, "restore to a name that is taken", err, slipway.CodeConflict)
		if err := w.Delete(ctx, again.ID, ada); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Restore(ctx, project, w.repo.ID, ada); err != nil {
			t.Fatal(err)
		}
		finds("store", w.repo.ID)
		if _, err := w.Commit(ctx, w.repo.ID, first); err != nil {
			t.Error(err)
		}
		// What was deleted long ago goes.
		if err := w.Trash(ctx, w.repo.ID, ada); err != nil {
			t.Fatal(err)
		}
		if _, err := d.ExecContext(ctx, `UPDATE repositories SET deleted = $1 WHERE id = $2`, db.Micros(time.Now().Add(-DeletedTime-time.Hour)), string(w.repo.ID)); err != nil {
			t.Fatal(err)
		}
		w.reconcile(ctx)
		if _, err := os.Stat(w.dir(w.repo.ID)); !os.IsNotExist(err) {
			t.Errorf("its folder is still there: %v", err)
		}
		_, err = w.Restore(ctx, project, w.repo.ID, ada)
		wantCode(t, "restore what is gone", err, slipway.CodeNotFound)
	})
}
