package registry_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/identity"
	"slipway/internal/registry"
)

// wantNoRoom pushes a content of which nobody said how large it would be, in each of the ways, and demands that nothing is left of it.
func (w *world) wantNoRoom(content string) {
	w.Helper()
	ctx, d, before := context.Background(), digestOf(content), w.objects()
	wantFault(w, "whole blob", w.PutBlob(ctx, w.repo, d, strings.NewReader(content)), registry.Denied)
	start := func() registry.Upload {
		u, err := w.StartUpload(ctx, w.repo, "")
		if err != nil {
			w.Fatal(err)
		}
		return u
	}
	whole := start()
	wantFault(w, "upload with its end", w.FinishWhole(ctx, w.repo, whole, d, strings.NewReader(content)), registry.Denied)
	if err := w.Cancel(ctx, whole); err != nil {
		w.Error(err)
	}
	u, err := w.Append(ctx, start(), 0, strings.NewReader(content))
	if err != nil {
		w.Fatal(err)
	}
	wantFault(w, "end of an upload", w.Finish(ctx, w.repo, u, d), registry.Denied)
	_, err = w.Upload(ctx, w.repo, u.ID)
	wantFault(w, "the upload afterwards", err, registry.BlobUploadUnknown)
	if after := w.objects(); after != before {
		w.Errorf("%d objects, %d before", after, before)
	}
	other := w.repository("elsewhere")
	w.putBlob(other, content)
	wantFault(w, "mount", w.Mount(ctx, w.repo, other, d), registry.Denied)
	_, err = w.StatBlob(ctx, w.repo, d)
	wantFault(w, "the blob", err, registry.BlobUnknown)
}

func TestQuotas(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), t.Context()
		config := w.putBlob(w.repo, "{}")
		w.push(w.repo, "v1", manifest(config))
		used, err := w.Usage(ctx, w.repo)
		if err != nil {
			t.Fatal(err)
		}
		w.set(registry.Settings{Quota: registry.Quota{Bytes: used.Bytes + 100, Tags: 2}})
		if err := w.CheckRoom(ctx, w.repo, 100); err != nil {
			t.Errorf("what fits exactly: %v", err)
		}
		wantFault(t, "upload of known size", w.CheckRoom(ctx, w.repo, 101), registry.Denied)
		w.wantNoRoom(strings.Repeat("y", 101))
		_, err = w.PutManifest(ctx, w.repo, registry.Push{Content: []byte(manifest(config, w.putBlob(w.repo, strings.Repeat("x", 90)))), By: identity.SystemPrincipal})
		wantFault(t, "manifest", err, registry.Denied)
		if want := fmt.Sprintf("of its quota of %d B", used.Bytes+100); err == nil || !strings.Contains(err.Error(), "repository shop/web takes") || !strings.Contains(err.Error(), want) {
			t.Errorf("the sentence is %v, want %q", err, want)
		}
		w.push(w.repo, "v1", manifest(config)) // is there already
		wantFault(t, "upload to a full repository", w.CheckRoom(ctx, w.repo, 20), registry.Denied)
		w.push(w.repo, "v2", manifest(config))
		_, err = w.PutManifest(ctx, w.repo, registry.Push{Content: []byte(manifest(config)), Tags: []string{"v3"}, By: identity.SystemPrincipal})
		wantFault(t, "third tag", err, registry.Denied)
		if err == nil || !strings.Contains(err.Error(), "has 2 of 2 tags") || !slices.Equal(w.tags(), []string{"v1", "v2"}) {
			t.Errorf("tags %v, %v", w.tags(), err)
		}
		// A project's quota is over all its repositories.
		if err := w.SetProjectSettings(ctx, w.repo.Project, registry.Settings{Quota: registry.Quota{Bytes: used.Bytes + 95, Tags: 2}}, slipway.System); err != nil {
			t.Fatal(err)
		}
		other := w.repository("shop/other")
		wantFault(t, "other repository", w.CheckRoom(ctx, other, 10), registry.Denied)
		if err := w.CheckRoom(ctx, w.repository("elsewhere"), 10); err == nil {
			t.Error("the project is that of the repository")
		}
	})
}
