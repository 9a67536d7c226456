package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/identity"
	"slipway/internal/registry"
)

func (w *world) startUpload() registry.Upload {
	w.Helper()
	u, err := w.StartUpload(context.Background(), w.repo, "")
	if err != nil {
		w.Fatal(err)
	}
	return u
}

// wantNoRoom pushes a content in each of the ways, with and without its length, and demands that nothing is left of it.
func (w *world) wantNoRoom(content string) {
	w.Helper()
	ctx, d, before := context.Background(), digestOf(content), w.objects()
	for what, body := range map[string]func() io.Reader{
		"of known length, ":   func() io.Reader { return registry.Body{Reader: unread{w}, Length: int64(len(content))} },
		"of unknown length, ": func() io.Reader { return io.MultiReader(strings.NewReader(content)) },
		"without end, ":       func() io.Reader { return &endless{} },
	} {
		wantFault(w, what+"whole blob", w.PutBlob(ctx, w.repo, d, body()), registry.Denied)
		whole, parts := w.startUpload(), w.startUpload()
		wantFault(w, what+"upload with its end", w.FinishWhole(ctx, w.repo, whole, d, body()), registry.Denied)
		parts, err := w.Append(ctx, parts, 0, strings.NewReader(content[:10]))
		if err != nil {
			w.Fatal(err)
		}
		_, err = w.Append(ctx, parts, 10, body())
		wantFault(w, what+"chunk of an upload", err, registry.Denied)
		for _, u := range []registry.Upload{whole, parts} {
			_, err = w.Upload(ctx, w.repo, u.ID)
			wantFault(w, what+"the upload afterwards", err, registry.BlobUploadUnknown)
		}
	}
	if after := w.objects(); after != before {
		w.Errorf("%d objects, %d before", after, before)
	}
	other := w.repository("elsewhere")
	w.putBlob(other, content)
	wantFault(w, "mount", w.Mount(ctx, w.repo, other, d), registry.Denied)
	_, err := w.StatBlob(ctx, w.repo, d)
	wantFault(w, "the blob", err, registry.BlobUnknown)
}

// unread is what must be refused before its first byte.
type unread struct{ t testing.TB }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.ErrUnexpectedEOF
}

// endless gives bytes for as long as somebody takes them, but for a mebibyte.
type endless struct{ taken int }

func (e *endless) Read(p []byte) (int, error) {
	if e.taken += len(p); e.taken > 1<<20 {
		return 0, errors.New("nobody stopped it")
	}
	return len(p), nil
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
		u, err := w.Append(ctx, w.startUpload(), 0, strings.NewReader(strings.Repeat("y", 50)))
		if err == nil {
			u, err = w.Append(ctx, u, 50, io.MultiReader(strings.NewReader(strings.Repeat("y", 50))))
		}
		if err != nil {
			t.Fatalf("what fits exactly: %v", err)
		}
		wantFault(t, "upload beside one that takes all", w.CheckRoom(ctx, w.repo), registry.Denied)
		if err := w.Cancel(ctx, u); err != nil {
			t.Fatal(err)
		}
		w.wantNoRoom(strings.Repeat("y", 101))
		_, err = w.PutManifest(ctx, w.repo, registry.Push{Content: []byte(manifest(config, w.putBlob(w.repo, strings.Repeat("x", 90)))), By: identity.SystemPrincipal})
		wantFault(t, "manifest", err, registry.Denied)
		if want := fmt.Sprintf("of its quota of %d B", used.Bytes+100); err == nil || !strings.Contains(err.Error(), "repository shop/web takes") || !strings.Contains(err.Error(), want) {
			t.Errorf("the sentence is %v, want %q", err, want)
		}
		w.push(w.repo, "v1", manifest(config)) // is there already
		if err := w.PutBlob(ctx, w.repo, digestOf(strings.Repeat("x", 90)), strings.NewReader(strings.Repeat("x", 90))); err != nil {
			t.Errorf("a blob that is there: %v", err)
		}
		w.putBlob(w.repo, strings.Repeat("z", 10))
		wantFault(t, "upload to a full repository", w.CheckRoom(ctx, w.repo), registry.Denied)
		w.push(w.repo, "v2", manifest(config))
		_, err = w.PutManifest(ctx, w.repo, registry.Push{Content: []byte(manifest(config)), Tags: []string{"v3"}, By: identity.SystemPrincipal})
		wantFault(t, "third tag", err, registry.Denied)
		if err == nil || !strings.Contains(err.Error(), "has 2 of 2 tags") || !slices.Equal(w.tags(), []string{"v1", "v2"}) {
			t.Errorf("tags %v, %v", w.tags(), err)
		}
		// A project's quota is over all its repositories.
		if err := w.SetProjectSettings(ctx, w.repo.Project, registry.Settings{Quota: registry.Quota{Bytes: used.Bytes + 300, Tags: 2}}, slipway.System); err != nil {
			t.Fatal(err)
		}
		other := w.repository("shop/other")
		wantFault(t, "other repository", w.PutBlob(ctx, other, digestOf("z"), registry.Body{Reader: unread{t}, Length: 250}), registry.Denied)
		if err := w.CheckRoom(ctx, other); err != nil {
			t.Errorf("other repository, which the project leaves room: %v", err)
		}
	})
}
