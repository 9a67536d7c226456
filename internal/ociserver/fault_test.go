package ociserver_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slipway/internal/blob/blobtest"
	"slipway/internal/db"
	"slipway/internal/registry"
)

// TestKill kills a registry in the middle of random uploads, pushes, mounts, deletions, collections and retention runs, again and
// again, some of it in repositories that are nearly full.
// After each start everything that was acknowledged is there with its very bytes, what was deleted is not, what was under way
// is there whole or not at all, and uploads go on where the registry says that they stand. In the end nothing is kept that
// nobody needs.
func TestKill(t *testing.T) {
	t.Parallel()
	t.Run("files", func(t *testing.T) {
		t.Parallel()
		testKill(t, "", 10, 200)
	})
	t.Run("objects in S3", func(t *testing.T) {
		t.Parallel()
		place, _ := blobtest.StartS3(t).Place()
		testKill(t, place, 4, 60)
	})
}

const pushers = 4

func testKill(t *testing.T, place string, rounds, least int) {
	folder, seed, began := t.TempDir(), rand.Uint64(), time.Now()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a repeatable choice of faults
	var all []*pusher
	for n := range pushers {
		all = append(all, newPusher(n, rand.New(rand.NewPCG(seed, uint64(n)+1)))) //nolint:gosec // as above
	}
	operations := 0
	for round := range rounds {
		w, kill := startKillServer(t, folder, place, began)
		var left atomic.Int64
		left.Store(int64(least/rounds + random.IntN(8)))
		var group sync.WaitGroup
		for _, p := range all {
			p.world, p.check = w, w.TB
			p.afterStart()
		}
		for _, p := range all {
			group.Go(func() {
				for p.operate() == nil {
					p.done++
					// Half of the kills come between two answers, the others in the middle of a body.
					switch at := left.Add(-1); {
					case at == 0 && round%2 == 0:
						kill()
					case at == 0:
						p.killBody = kill
					}
				}
			})
		}
		group.Wait()
		kill() // when the last body was that of another
	}
	w, kill := startKillServer(t, folder, place, began)
	for _, p := range all {
		p.world, p.check = w, w.TB
		p.afterStart()
		operations += p.done
	}
	kill()
	if operations < least {
		t.Errorf("only %d operations were acknowledged, want %d", operations, least)
	}
	wantTidy(t, folder, place)
}

// later is a clock by which everything is old enough to be removed, by that of hurried too.
type later struct{}

func (later) Now() time.Time { return time.Now().AddDate(100, 0, 0) }

// wantTidy applies the rules, collects what is left and compares what is kept with what images need.
func wantTidy(t *testing.T, folder, place string) {
	t.Helper()
	ctx := context.Background()
	r, _, d, blobs := killRegistry(t, folder, place, later{}, registry.Options{})
	defer d.Close()
	if err := errors.Join(r.RetainAll(ctx), r.Collect(ctx)); err != nil {
		t.Fatal(err)
	}
	const faded = `
		SELECT (SELECT count(*) FROM registry_tags WHERE name LIKE 'fade-%')
		     + (SELECT count(*) FROM registry_manifests AS m JOIN registry_repositories AS r ON r.id = m.repository_id WHERE r.name LIKE 'shop/copy%')`
	if n, err := db.One(ctx, d, db.Value[int], faded); err != nil || n > 0 {
		t.Errorf("%d tags and images are left that the rules remove, %v", n, err)
	}
	found := func(f registry.Finding) error { t.Errorf("%s %s: %s", f.Flaw, f.Digest, f.Detail); return nil }
	if err := r.Verify(ctx, registry.Repository{}, found, func(registry.Progress) error { return nil }); err != nil {
		t.Error(err)
	}
	rows, err := db.List(ctx, d, db.Value[string], `SELECT key FROM registry_blobs ORDER BY key`)
	if err != nil {
		t.Fatal(err)
	}
	needed, err := db.List(ctx, d, db.Value[string], `SELECT DISTINCT digest FROM registry_manifest_references`)
	if err != nil {
		t.Fatal(err)
	}
	var objects []string
	if err := blobs.List(ctx, "", func(key string, _ int64) error { objects = append(objects, key); return nil }); err != nil {
		t.Fatal(err)
	}
	slices.Sort(objects)
	if !slices.Equal(rows, objects) || len(rows) != len(needed) {
		t.Errorf("%d objects, %d rows of blobs, %d blobs that images need", len(objects), len(rows), len(needed))
	}
	if err := blobs.Uploads(ctx, func(id string) error { t.Errorf("upload %s is left", id); return nil }); err != nil {
		t.Error(err)
	}
}
