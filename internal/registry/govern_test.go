package registry_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/registry"
	"slipway/internal/registry/retention"
)

func index(subject slipway.Digest, manifests ...registry.Manifest) string {
	var list []string
	for _, m := range manifests {
		list = append(list, fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, m.MediaType, m.Digest, m.Size))
	}
	about := ""
	if subject != "" {
		about = fmt.Sprintf(`,"subject":{"mediaType":%q,"digest":%q,"size":1}`, registry.TypeOCIManifest, subject)
	}
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[%s]%s}`, registry.TypeOCIIndex, strings.Join(list, ","), about)
}

func (w *world) pushUntagged(content string) registry.Manifest {
	w.Helper()
	m, err := w.PutManifest(context.Background(), w.repo, registry.Push{Content: []byte(content), By: identity.SystemPrincipal})
	if err != nil {
		w.Fatal(err)
	}
	return m
}

func (w *world) set(s registry.Settings) {
	w.Helper()
	if err := w.SetRepositorySettings(context.Background(), w.repo, s, slipway.System); err != nil {
		w.Fatal(err)
	}
}

func (w *world) tags() []string {
	w.Helper()
	list, err := w.Tags(context.Background(), w.repo, "", 0)
	if err != nil {
		w.Fatal(err)
	}
	names := []string{}
	for _, t := range list {
		names = append(names, t.Name)
	}
	return names
}

func (w *world) wantManifests(what string, want ...registry.Manifest) {
	w.Helper()
	list, err := w.Manifests(context.Background(), registry.Filter{Repository: w.repo.Name})
	if err != nil {
		w.Fatal(err)
	}
	names := func(list []registry.Manifest) []string {
		digests := []string{}
		for _, m := range list {
			digests = append(digests, string(m.Digest))
		}
		slices.Sort(digests)
		return digests
	}
	if diff := cmp.Diff(names(want), names(list)); diff != "" {
		w.Errorf("%s: %s", what, diff)
	}
}

func (w *world) pass(days int) { w.clock.now = w.clock.now.Add(time.Duration(days) * 24 * time.Hour) }

func TestRetention(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), t.Context()
		config := w.putBlob(w.repo, "{}")
		one, two := w.pushUntagged(manifest(config, w.putBlob(w.repo, "one"))), w.pushUntagged(manifest(config, w.putBlob(w.repo, "two")))
		both := w.push(w.repo, "both", index("", one, two))
		signature := w.pushUntagged(index(both.Digest))
		running := w.push(w.repo, "ci-1", manifest(config, w.putBlob(w.repo, "running")))
		idle := w.push(w.repo, "ci-2", manifest(config, w.putBlob(w.repo, "idle")))
		w.set(registry.Settings{Retention: &retention.Policy{Keep: []retention.Rule{{Tags: []string{"both"}}, {PulledDays: 3}}, Remove: []string{"*"}, UntaggedDays: 2}})
		w.pass(10)
		if err := w.RetainAll(ctx); slipway.CodeOf(err) != slipway.CodeUnavailable {
			t.Errorf("before it is known what runs: %v", err)
		}
		w.InUse = func(context.Context) ([]retention.Use, error) { return nil, errors.New("the cluster is silent") }
		if err := w.RetainAll(ctx); err == nil || len(w.tags()) != 3 {
			t.Errorf("with a cluster that does not answer: %v, %v", err, w.tags())
		}
		w.InUse = func(context.Context) ([]retention.Use, error) {
			return []retention.Use{{Digest: running.Digest, Where: "runs"}}, nil
		}
		plan, err := w.PlanRetention(ctx, w.repo, nil)
		if tags, manifests := plan.Going(); err != nil || tags != 1 || manifests != 0 || len(w.tags()) != 3 {
			t.Errorf("dry run: %d tags, %d manifests, %v, %v", tags, manifests, err, w.tags())
		}
		if err := w.RetainAll(ctx); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"both", "ci-1"}, w.tags()); diff != "" {
			t.Error(diff)
		}
		w.wantManifests("what lost its tag just now", one, two, both, signature, running, idle)
		w.pass(3)
		if err := w.RetainAll(ctx); err != nil {
			t.Fatal(err)
		}
		w.wantManifests("two days later", one, two, both, signature, running)
		// Nothing keeps the index any more: it goes with its parts and what is about it.
		w.set(registry.Settings{Retention: &retention.Policy{Remove: []string{"*"}, UntaggedDays: 2}})
		for range 2 {
			if err := w.RetainAll(ctx); err != nil {
				t.Fatal(err)
			}
			w.pass(3)
		}
		w.wantManifests("in the end", running)
		if err := w.Collect(ctx); err != nil || w.objects() != 2 {
			t.Errorf("%d objects, %v: want the configuration and a layer", w.objects(), err)
		}
		happened, err := w.log.List(ctx, events.Filter{Kind: registry.EventDeleted})
		var last registry.Deleted
		if err != nil || len(happened) != 7 || happened[6].Decode(&last) != nil || last.Tag != "ci-2" || !strings.HasPrefix(last.Reason, "retention: no rule keeps it") {
			t.Errorf("%d removals were told, %+v, %v", len(happened), last, err)
		}
	})
}

// What a push relies on while a retention rule has decided already stays.
func TestRetentionLosesToPushes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), t.Context()
		config := w.putBlob(w.repo, "{}")
		part := w.pushUntagged(manifest(config, w.putBlob(w.repo, "part")))
		again := w.pushUntagged(manifest(config, w.putBlob(w.repo, "again")))
		looked := w.pushUntagged(manifest(config, w.putBlob(w.repo, "looked")))
		pulled := w.pushUntagged(manifest(config, w.putBlob(w.repo, "pulled")))
		moved := w.push(w.repo, "moved", manifest(config, w.putBlob(w.repo, "moved")))
		w.set(registry.Settings{Retention: &retention.Policy{Remove: []string{"*"}, UntaggedDays: 1}})
		w.pass(10)
		var whole, next registry.Manifest
		w.InUse = func(context.Context) ([]retention.Use, error) { // asked first, so this is before the decision
			w.Pulled(w.repo, string(pulled.Digest), pulled.Digest)
			if c, err := w.GetContent(ctx, w.repo, string(looked.Digest)); err != nil || w.KeepContent(ctx, w.repo, c) != nil {
				return nil, fmt.Errorf("look: %w", err)
			}
			whole = w.push(w.repo, "whole", index("", part))
			w.pushUntagged(manifest(config, digestOf("again")))
			next = w.push(w.repo, "moved", manifest(config, w.putBlob(w.repo, "next")))
			return nil, nil
		}
		if err := w.RetainAll(ctx); err != nil {
			t.Fatal(err)
		}
		w.wantManifests("what pushes and pulls touched", part, again, looked, pulled, moved, whole, next)
		if diff := cmp.Diff([]string{"moved", "whole"}, w.tags()); diff != "" {
			t.Error(diff)
		}
	})
}

// Indexes are pushed over an old manifest without a tag while a retention rule wants it gone: each push either finds it, and it
// stays as long as the index does, or is told to push it again.
func TestRetentionBesidePushes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), t.Context()
		w.InUse = func(context.Context) ([]retention.Use, error) { return nil, nil }
		w.set(registry.Settings{Retention: &retention.Policy{Remove: []string{"none"}, UntaggedDays: 1}})
		config := w.putBlob(w.repo, "{}")
		var parts []registry.Manifest
		for i := range 12 {
			parts = append(parts, w.pushUntagged(manifest(config, w.putBlob(w.repo, fmt.Sprint(i)))))
		}
		w.pass(10)
		var pushers sync.WaitGroup
		for i, part := range parts {
			pushers.Go(func() {
				_, err := w.PutManifest(ctx, w.repo, registry.Push{Content: []byte(index("", part)), Tags: []string{fmt.Sprint(i)}, By: identity.SystemPrincipal})
				var known *registry.Error
				if err != nil && (!errors.As(err, &known) || known.Fault != registry.ManifestBlobUnknown) {
					t.Errorf("push: %v", err)
				}
			})
		}
		if err := w.RetainAll(ctx); err != nil {
			t.Error(err)
		}
		pushers.Wait()
		for i, part := range parts {
			if _, err := w.Resolve(ctx, w.repo, fmt.Sprint(i)); err != nil {
				continue // the push came too late
			}
			if _, err := w.Resolve(ctx, w.repo, string(part.Digest)); err != nil {
				t.Errorf("index %d has lost its part: %v", i, err)
			}
		}
	})
}

// Blobs are mounted from one repository to another while they are deleted from both and collected: one that is there can be read.
func TestMountsBesideCollect(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), t.Context()
		kept, other := w.repository("shop/kept"), w.repository("shop/other")
		shared := digestOf("shared")
		var workers sync.WaitGroup
		for range 3 {
			workers.Go(func() {
				for range 15 {
					if err := w.PutBlob(ctx, w.repo, shared, strings.NewReader("shared")); err != nil {
						t.Errorf("put: %v", err)
					}
					var unknown *registry.Error
					if err := w.Mount(ctx, other, w.repo, shared); err != nil && !errors.As(err, &unknown) {
						t.Errorf("mount: %v", err)
					}
					_ = w.DeleteBlob(ctx, other, shared)
					_ = w.DeleteBlob(ctx, w.repo, shared)
				}
			})
		}
		done := make(chan struct{})
		go func() { workers.Wait(); close(done) }()
		for busy := true; busy; {
			select {
			case <-done:
				busy = false
			default:
				if err := w.Collect(ctx); err != nil {
					t.Fatalf("collect: %v", err)
				}
			}
		}
		w.putBlob(w.repo, "shared")
		if err := w.Mount(ctx, kept, w.repo, shared); err != nil {
			t.Fatal(err)
		}
		if err := w.DeleteBlob(ctx, w.repo, shared); err != nil {
			t.Fatal(err)
		}
		if err := w.Collect(ctx); err != nil {
			t.Fatal(err)
		}
		w.wantBlob(kept, shared, "shared")
		_, err := w.StatBlob(ctx, w.repo, shared)
		wantFault(t, "blob deleted from the first repository", err, registry.BlobUnknown)
	})
}

// A client that finds a blob does not push it again: Collect leaves it until its manifest has come.
func TestBlobThatWasLookedAtStays(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), t.Context()
		old := w.putBlob(w.repo, "old")
		w.pass(2)
		if _, err := w.StatBlob(ctx, w.repo, old); err != nil {
			t.Fatal(err)
		}
		if err := w.Collect(ctx); err != nil {
			t.Fatal(err)
		}
		w.push(w.repo, "v1", manifest(old))
		w.pass(2)
		if err := w.Collect(ctx); err != nil {
			t.Fatal(err)
		}
		w.wantBlob(w.repo, old, "old")
	})
}

func TestPullsAreCounted(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), t.Context()
		m := w.push(w.repo, "v1", manifest(w.putBlob(w.repo, "{}")))
		w.Pulled(w.repo, "v1", m.Digest)
		if err := w.FlushPulls(ctx); err != nil {
			t.Fatal(err)
		}
		w.pass(1)
		w.Pulled(w.repo, string(m.Digest), m.Digest)
		got, err := w.Pulls(ctx, w.repo)
		at := w.clock.now.Truncate(time.Microsecond)
		want := map[string]registry.Pull{"v1": {Reference: "v1", Last: at.Add(-24 * time.Hour), Count: 1}, string(m.Digest): {Reference: string(m.Digest), Last: at, Count: 2}}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v %s", err, diff)
		}
		if err := w.DeleteTag(ctx, w.repo, "v1", slipway.System); err != nil {
			t.Fatal(err)
		}
		if err := w.Collect(ctx); err != nil {
			t.Fatal(err)
		}
		got, err = w.Pulls(ctx, w.repo)
		if delete(want, "v1"); !cmp.Equal(want, got) || err != nil {
			t.Errorf("after the tag has gone: %v, %v", got, err)
		}
	})
}

// Most clients look at a tag and pull its image by digest: that is a pull of the tag.
func TestPullByDigestKeepsTag(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), t.Context()
		config := w.putBlob(w.repo, "{}")
		pulled := w.push(w.repo, "pulled", manifest(config, w.putBlob(w.repo, "a")))
		w.push(w.repo, "idle", manifest(config, w.putBlob(w.repo, "b")))
		w.set(registry.Settings{Retention: &retention.Policy{Keep: []retention.Rule{{PulledDays: 3}}, Remove: []string{"*"}}})
		w.InUse = func(context.Context) ([]retention.Use, error) { return nil, nil }
		w.pass(10)
		w.Pulled(w.repo, string(pulled.Digest), pulled.Digest)
		plan, err := w.PlanRetention(ctx, w.repo, nil)
		var got []string
		for _, f := range plan.Fates {
			got = append(got, fmt.Sprintf("%s %t %s", f.Tag, f.Keep, f.Reason))
		}
		want := []string{"idle false no rule keeps it: pushed 10 days ago, never pulled", "pulled true was pulled just now, within 3 days"}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v, fates (-want +got):\n%s", err, diff)
		}
		tags, err := w.DescribeTags(ctx, w.repo, "pulled", "", 10)
		if at := w.clock.now.Truncate(time.Microsecond); err != nil || len(tags) != 1 || !tags[0].Pulled.Equal(at) || tags[0].Pulls != 1 {
			t.Errorf("the tag is %+v (%v)", tags, err)
		}
	})
}

func TestImmutableTags(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), t.Context()
		a, b := manifest(w.putBlob(w.repo, "a")), manifest(w.putBlob(w.repo, "b"))
		if err := w.SetProjectSettings(ctx, w.repo.Project, registry.Settings{Immutable: []string{"v[0-9]*"}}, slipway.System); err != nil {
			t.Fatal(err)
		}
		first := w.push(w.repo, "v1", a)
		w.push(w.repo, "v1", a) // says nothing new
		w.push(w.repo, "latest", a)
		w.push(w.repo, "latest", b)
		_, err := w.PutManifest(ctx, w.repo, registry.Push{Content: []byte(b), Tags: []string{"v1"}, By: identity.SystemPrincipal})
		wantFault(t, "moved", err, registry.Denied)
		wantFault(t, "deleted", w.DeleteTag(ctx, w.repo, "v1", slipway.System), registry.Denied)
		wantFault(t, "manifest deleted", w.DeleteManifest(ctx, w.repo, first.Digest, slipway.System), registry.Denied)
		wantFault(t, "repository deleted", w.DeleteRepository(ctx, w.repo, slipway.System), registry.Denied)
		if got, err := w.Resolve(ctx, w.repo, "v1"); err != nil || got != first.Digest {
			t.Errorf("v1 is %s, %v", got, err)
		}
		// Many push different images under one new tag: one of them wins for ever.
		var pushers sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for i := range 6 {
			content := manifest(w.putBlob(w.repo, fmt.Sprint("image ", i)))
			pushers.Go(func() {
				_, err := w.PutManifest(ctx, w.repo, registry.Push{Content: []byte(content), Tags: []string{"v2"}, By: identity.SystemPrincipal})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else {
					wantFault(t, "too late", err, registry.Denied)
				}
			})
		}
		pushers.Wait()
		if won != 1 {
			t.Errorf("%d pushes won the tag, want 1", won)
		}
	})
}

func TestDeleteRepository(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), t.Context()
		layer := w.putBlob(w.repo, "layer")
		w.push(w.repo, "v1", manifest(w.putBlob(w.repo, "{}"), layer))
		other := w.repository("shop/api")
		if err := w.Mount(ctx, other, w.repo, layer); err != nil {
			t.Fatal(err)
		}
		u, err := w.StartUpload(ctx, w.repo, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Append(ctx, u, 0, strings.NewReader("half")); err != nil {
			t.Fatal(err)
		}
		if err := w.DeleteRepository(ctx, w.repo, slipway.System); err != nil {
			t.Fatal(err)
		}
		_, err = w.Repository(ctx, w.repo.Name)
		wantFault(t, "repository", err, registry.NameUnknown)
		if err := w.Collect(ctx); err != nil {
			t.Fatal(err)
		}
		w.wantBlob(other, layer, "layer")
		if n := w.objects(); n != 1 {
			t.Errorf("%d objects, want the layer alone", n)
		}
		again := w.repository(w.repo.Name)
		if settings, err := w.RepositorySettings(ctx, again); err != nil || !cmp.Equal(settings, registry.Settings{}) {
			t.Errorf("settings of a new one of that name: %+v, %v", settings, err)
		}
		wantFault(t, "deleted twice", w.DeleteRepository(ctx, w.repo, slipway.System), registry.NameUnknown)
	})
}
