package registry_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/registry"
)

// An upload whose bytes all come with its end keeps the promises of one that comes in pieces.
func TestFinishWhole(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		for _, algorithm := range []string{"sha256", "sha512"} {
			right := registry.DigestOf(algorithm, []byte("content"))
			u, err := w.StartUpload(ctx, w.repo, "")
			if err != nil {
				t.Fatal(err)
			}
			broken := io.MultiReader(strings.NewReader("cont"), iotest.ErrReader(io.ErrUnexpectedEOF))
			wantFault(t, "broken request", w.FinishWhole(ctx, w.repo, u, right, broken), registry.BlobUploadInvalid)
			_, err = w.StatBlob(ctx, w.repo, right)
			wantFault(t, "blob of a broken request", err, registry.BlobUnknown)
			if u, err = w.Upload(ctx, w.repo, u.ID); err != nil || u.Received != 0 {
				t.Fatalf("upload after a broken request: %+v, %v", u, err)
			}
			if err := w.FinishWhole(ctx, w.repo, u, right, strings.NewReader("content")); err != nil {
				t.Fatal(err)
			}
			w.wantBlob(w.repo, right, "content")
			wantFault(t, "a second end", w.FinishWhole(ctx, w.repo, u, right, strings.NewReader("content")), registry.BlobUploadUnknown)

			if u, err = w.StartUpload(ctx, w.repo, ""); err != nil {
				t.Fatal(err)
			}
			wrong := registry.DigestOf(algorithm, []byte("other"))
			wantFault(t, "other bytes", w.FinishWhole(ctx, w.repo, u, wrong, strings.NewReader("content")), registry.DigestInvalid)
			_, err = w.Upload(ctx, w.repo, u.ID)
			wantFault(t, "upload of other bytes", err, registry.BlobUploadUnknown)
		}
	})
}
