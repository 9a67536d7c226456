package registry_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/identity"
	"slipway/internal/registry"
	"slipway/internal/registry/retention"
)

func (w *world) lock(reference string, l registry.Lock) {
	w.Helper()
	if err := w.SetLock(context.Background(), w.repo, reference, l, slipway.System); err != nil {
		w.Fatal(err)
	}
	w.repo = w.repository(w.repo.Name)
}

func TestLocks(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), t.Context()
		a, b := manifest(w.putBlob(w.repo, "a")), manifest(w.putBlob(w.repo, "b"))
		first, second := w.push(w.repo, "v1", a), w.push(w.repo, "v2", b)
		push := func(tag, content string) error {
			_, err := w.PutManifest(ctx, w.repo, registry.Push{Content: []byte(content), Tags: []string{tag}, By: identity.SystemPrincipal})
			return err
		}
		moves := func() error {
			if err := push("v1", b); err != nil {
				return err
			}
			return push("v1", a)
		}
		deletions := map[string]func() error{
			"tag":      func() error { return w.DeleteTag(ctx, w.repo, "v1", slipway.System) },
			"manifest": func() error { return w.DeleteManifest(ctx, w.repo, first.Digest, slipway.System) },
			"all":      func() error { return w.DeleteRepository(ctx, w.repo, slipway.System) },
		}
		for _, c := range []struct {
			reference string
			lock      registry.Lock
			moves     bool
			stays     []string
		}{
			{"v1", registry.LockDelete, true, []string{"tag", "manifest", "all"}},
			{"v1", registry.LockWrite, false, []string{"tag", "manifest", "all"}},
			{string(first.Digest), registry.LockDelete, true, []string{"manifest", "all"}},
			{string(first.Digest), registry.LockWrite, true, []string{"manifest", "all"}},
			{"", registry.LockDelete, true, []string{"tag", "manifest", "all"}},
			{"", registry.LockWrite, false, []string{"tag", "manifest", "all"}},
		} {
			w.lock(c.reference, c.lock)
			what := fmt.Sprintf("%s locked against %v", c.reference, c.lock.Strings())
			for _, deletion := range c.stays {
				wantFault(t, what+": delete "+deletion, deletions[deletion](), registry.Denied)
			}
			if err := moves(); c.moves && err != nil {
				t.Errorf("%s: %v", what, err)
			} else if !c.moves {
				wantFault(t, what+": moved", err, registry.Denied)
			}
			w.lock(c.reference, 0)
		}
		if got := w.tags(); !slices.Equal(got, []string{"v1", "v2"}) {
			t.Errorf("tags are %v", got)
		}
		w.wantManifests("after all that", first, second)
		w.lock("", registry.LockWrite)
		about := w.pushUntagged(index(first.Digest)) // a list of packages, for instance
		w.lock("", 0)
		w.wantManifests("with what the server says about an image", first, second, about)
		for _, name := range []string{"tag", "manifest", "all"} {
			if err := deletions[name](); err != nil {
				t.Errorf("unlocked: %s: %v", name, err)
			}
		}
		w.repo = w.repository("shop/again")
		w.push(w.repo, "v2", manifest(w.putBlob(w.repo, "c")))
		wantFault(t, "a tag that is not there", w.SetLock(ctx, w.repo, "v9", registry.LockRead, slipway.System), registry.ManifestUnknown)
		if err := w.SetLock(ctx, w.repo, "v2", 8, slipway.System); slipway.CodeOf(err) != slipway.CodeInvalid {
			t.Errorf("an unknown lock: %v", err)
		}
	})
}

// Whoever pushes beside the one who locks: what the tag means when the lock is acknowledged, it means for good.
func TestLockBesidePushes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), t.Context()
		w.push(w.repo, "v1", manifest(w.putBlob(w.repo, "first")))
		var pushers sync.WaitGroup
		for i := range 4 {
			content := manifest(w.putBlob(w.repo, fmt.Sprint("image ", i)))
			pushers.Go(func() {
				for range 5 {
					_, err := w.PutManifest(ctx, w.repo, registry.Push{Content: []byte(content), Tags: []string{"v1"}, By: identity.SystemPrincipal})
					if err != nil {
						wantFault(t, "a push", err, registry.Denied)
					}
				}
			})
		}
		if err := w.SetLock(ctx, w.repo, "v1", registry.LockWrite, slipway.System); err != nil {
			t.Error(err)
		}
		locked, err := w.Resolve(ctx, w.repo, "v1")
		if err != nil {
			t.Error(err)
		}
		pushers.Wait()
		if got, err := w.Resolve(ctx, w.repo, "v1"); err != nil || got != locked {
			t.Errorf("the locked tag went from %s to %s, %v", locked, got, err)
		}
	})
}

func TestRetentionLeavesWhatIsLocked(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), t.Context()
		w.InUse = func(context.Context) ([]retention.Use, error) { return nil, nil }
		for _, tag := range []string{"v1", "v2"} {
			w.push(w.repo, tag, manifest(w.putBlob(w.repo, tag)))
		}
		kept, gone := w.pushUntagged(manifest(w.putBlob(w.repo, "kept"))), w.pushUntagged(manifest(w.putBlob(w.repo, "gone")))
		w.lock("v1", registry.LockDelete)
		w.lock(string(kept.Digest), registry.LockWrite)
		w.pass(30)
		w.set(registry.Settings{Retention: &retention.Policy{Remove: []string{"*"}, UntaggedDays: 7}})
		fates := func(p registry.Plan) map[string]string {
			m := map[string]string{}
			for _, f := range p.Fates {
				m[f.Tag+string(f.Digest)] = f.Reason
			}
			return m
		}
		dry, err := w.PlanRetention(ctx, w.repo, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := fates(dry)
		if got[string(kept.Digest)] != "is locked" || got[string(gone.Digest)] != "has had no tag for 30 days, more than 7" {
			t.Errorf("the dry run says %v", got)
		}
		done, err := w.Retain(ctx, w.repo, slipway.System)
		if err != nil || done.Removed != 2 {
			t.Errorf("%d removed, %v, want v2 and one image", done.Removed, err)
		}
		if diff := cmp.Diff(got, fates(done)); diff != "" {
			t.Errorf("the dry run and what happened\n%s", diff)
		}
		if got := w.tags(); !slices.Equal(got, []string{"v1"}) {
			t.Errorf("tags are %v", got)
		}
		w.lock("v1", 0)
		w.lock("", registry.LockDelete)
		if done, err := w.Retain(ctx, w.repo, slipway.System); err != nil || done.Removed != 0 {
			t.Errorf("of a locked repository %d were removed, %v", done.Removed, err)
		}
	})
}

// Lists of tags and manifests come in pages in each order.
func TestPages(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), t.Context()
		var names, digests []string
		for i, tag := range []string{"c", "a", "B", "e", "d"} {
			m := w.push(w.repo, tag, manifest(w.putBlob(w.repo, fmt.Sprint(i))))
			names, digests = append(names, tag), append(digests, string(m.Digest))
			if i != 2 { // two at the same time
				w.clock.now = w.clock.now.Add(time.Second)
			}
		}
		// B and e share a time, in which the name decides.
		wantTags := map[registry.Order][]string{registry.ByName: {"B", "a", "c", "d", "e"}, registry.OldestFirst: {"c", "a", "B", "e", "d"}, registry.NewestFirst: {"d", "B", "e", "a", "c"}}
		both := []string{digests[2], digests[3]}
		slices.Sort(both)
		wantManifests := map[registry.Order][]string{registry.ByName: slices.Sorted(slices.Values(digests)), registry.OldestFirst: {digests[0], digests[1], both[0], both[1], digests[4]},
			registry.NewestFirst: {digests[4], both[0], both[1], digests[1], digests[0]}}
		for order, want := range wantTags {
			var got, gotDigests []string
			for p, more := (registry.Page{Order: order, Limit: 2}), true; more; {
				var list []registry.Tag
				var err error
				if list, more, err = w.TagPage(ctx, w.repo, p); err != nil || len(list) == 0 {
					t.Fatalf("order %d: %v, %v", order, list, err)
				}
				for _, one := range list {
					got = append(got, one.Name)
				}
				p.Last = got[len(got)-1]
			}
			for p, more := (registry.Page{Order: order, Limit: 2}), true; more; {
				var list []registry.Manifest
				var err error
				if list, more, err = w.ManifestPage(ctx, w.repo, p); err != nil || len(list) == 0 {
					t.Fatalf("order %d: %v, %v", order, list, err)
				}
				for _, one := range list {
					gotDigests = append(gotDigests, string(one.Digest))
					if i := slices.Index(digests, string(one.Digest)); !slices.Equal(one.Tags, names[i:i+1]) {
						t.Errorf("%s has tags %v, want %s", one.Digest, one.Tags, names[i])
					}
				}
				p.Last = gotDigests[len(gotDigests)-1]
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("tags in order %d\n%s", order, diff)
			}
			if diff := cmp.Diff(wantManifests[order], gotDigests); diff != "" {
				t.Errorf("manifests in order %d\n%s", order, diff)
			}
		}
		list, more, err := w.TagPage(ctx, w.repo, registry.Page{Digest: slipway.Digest(digests[1])})
		if err != nil || more || len(list) != 1 || list[0].Name != "a" {
			t.Errorf("tags of one image: %v, %v, %v", list, more, err)
		}
		usage, err := w.Usage(ctx, w.repo)
		if err != nil {
			t.Fatal(err)
		}
		w.repository("shop/empty")
		all, err := w.ProjectRepositories(ctx, w.repo.Project, "SHOP")
		if err != nil || len(all) != 2 || all[0].Latest.Name != "" || all[1].Usage != usage || all[1].Latest.Name != "d" || all[1].Name != w.repo.Name {
			t.Errorf("repositories: %+v, %v, want shop/empty and shop/web with %+v", all, err, usage)
		}
	})
}
