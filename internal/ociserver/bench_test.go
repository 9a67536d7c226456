package ociserver_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"slipway/internal/db"
	"slipway/internal/registry"
)

// BenchmarkBlob moves blobs of 16 MiB through HTTP, as a client with a token does.
func BenchmarkBlob(b *testing.B) {
	d, err := db.Open(context.Background(), "sqlite:"+b.TempDir()+"/bench.db")
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	w := setup(b, d, registry.Options{})
	content := strings.Repeat("0123456789abcdef", 1<<20)
	path := "/v2/shop/web/blobs/" + string(registry.DigestOf("sha256", []byte(content)))
	b.Run("push", func(b *testing.B) {
		b.SetBytes(int64(len(content)))
		for b.Loop() {
			if a := w.pushBlob(w.admin, "shop/web", content); a.StatusCode != http.StatusCreated {
				b.Fatal(a.Status)
			}
		}
	})
	b.Run("pull", func(b *testing.B) {
		b.SetBytes(int64(len(content)))
		for b.Loop() {
			r, _ := http.NewRequestWithContext(context.Background(), "GET", w.url+path, nil)
			r.SetBasicAuth("any", w.admin)
			a, err := http.DefaultClient.Do(r)
			if err != nil {
				b.Fatal(err)
			}
			n, err := io.Copy(io.Discard, a.Body)
			_ = a.Body.Close()
			if err != nil || n != int64(len(content)) {
				b.Fatalf("%d bytes, %v", n, err)
			}
		}
	})
}

// BenchmarkSmall gets a manifest and a blob of 4 KiB, and pushes such blobs, through HTTP on one connection.
func BenchmarkSmall(b *testing.B) {
	d, err := db.Open(context.Background(), "sqlite:"+b.TempDir()+"/bench.db")
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	w := setup(b, d, registry.Options{})
	w.pushImage(w.admin, "shop/web", "v1")
	content := strings.Repeat("0123456789abcdef", 256)
	w.pushBlob(w.admin, "shop/web", content)
	for name, path := range map[string]string{"manifest": "manifests/v1", "blob": "blobs/" + string(registry.DigestOf("sha256", []byte(content)))} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if a, _, err := w.send("GET", "/v2/shop/web/"+path, nil); err != nil || a.StatusCode != http.StatusOK {
					b.Fatal(a, err)
				}
			}
		})
	}
	pushed := 0
	b.Run("push", func(b *testing.B) {
		for b.Loop() {
			pushed++
			if a := w.pushBlob(w.admin, "shop/web", strings.Repeat(fmt.Sprintf("%016d", pushed), 256)); a.StatusCode != http.StatusCreated {
				b.Fatal(a.Status)
			}
		}
	})
}
