package registry_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/registry"
)

// BenchmarkPaths measures what clients do most, below HTTP: get a manifest, open a blob of 4 KiB and read it, push one.
func BenchmarkPaths(b *testing.B) {
	w, ctx := setup(b, dbtest.SQLite(b)), b.Context()
	layer := w.putBlob(w.repo, strings.Repeat("0123456789abcdef", 256))
	w.push(w.repo, "v1", manifest(w.putBlob(w.repo, "{}"), layer))
	b.Run("manifest", func(b *testing.B) {
		for b.Loop() {
			if _, err := w.GetContent(ctx, w.repo, "v1"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("blob", func(b *testing.B) {
		for b.Loop() {
			o, err := w.OpenBlob(ctx, w.repo, layer)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, o); err != nil {
				b.Fatal(err)
			}
			o.Close()
		}
	})
	pushed := 0
	b.Run("push", func(b *testing.B) {
		for b.Loop() {
			pushed++
			content := strings.Repeat(fmt.Sprintf("%016d", pushed), 256)
			u, err := w.StartUpload(ctx, w.repo, "")
			if err != nil {
				b.Fatal(err)
			}
			if err := w.FinishWhole(ctx, w.repo, u, registry.DigestOf("sha256", []byte(content)), strings.NewReader(content)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkPutBlob stores contents whose size is known to matter: a small one, whose rows decide, and a layer.
func BenchmarkPutBlob(b *testing.B) {
	for _, size := range []int{1 << 10, 4 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			d, err := db.Open(context.Background(), "sqlite:"+b.TempDir()+"/bench.db")
			if err != nil {
				b.Fatal(err)
			}
			defer d.Close()
			w := setup(b, d)
			content := bytes.Repeat([]byte("x"), size)
			b.SetBytes(int64(size))
			for i := 0; b.Loop(); i++ {
				copy(content, fmt.Sprint(i))
				if err := w.PutBlob(context.Background(), w.repo, registry.DigestOf("sha256", content), bytes.NewReader(content)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
