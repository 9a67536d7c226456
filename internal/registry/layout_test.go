package registry_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/registry"
)

// go-containerregistry makes an image and finds it whole in the layout.
func TestWriteLayout(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx, folder := setup(t, d), context.Background(), t.TempDir()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		image, err := random.Image(1000, 3)
		must(err)
		layers, err := image.Layers()
		must(err)
		for _, l := range layers {
			digest, err := l.Digest()
			must(err)
			content, err := l.Compressed()
			must(err)
			must(w.PutBlob(ctx, w.repo, slipway.Digest(digest.String()), content))
		}
		config, err := image.RawConfigFile()
		must(err)
		must(w.PutBlob(ctx, w.repo, registry.DigestOf("sha256", config), bytes.NewReader(config)))
		manifest, err := image.RawManifest()
		must(err)
		m, err := w.PutManifest(ctx, w.repo, registry.Push{Content: manifest, Tags: []string{"1"}})
		must(err)

		var archive bytes.Buffer
		must(w.WriteLayout(ctx, w.repo, m.Digest, &archive))
		for r := tar.NewReader(&archive); ; {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			must(err)
			path := filepath.Join(folder, h.Name)
			must(os.MkdirAll(filepath.Dir(path), 0o700))
			content, err := io.ReadAll(r)
			must(err)
			must(os.WriteFile(path, content, 0o600))
		}
		index, err := layout.ImageIndexFromPath(folder)
		must(err)
		must(validate.Index(index))
		hash, err := image.Digest()
		must(err)
		if _, err := index.Image(hash); err != nil {
			t.Error(err)
		}
		if err := w.WriteLayout(ctx, w.repo, "sha256:none", io.Discard); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("an image that is not there: %v", err)
		}
	})
}

func TestFindImage(t *testing.T) {
	t.Parallel()
	w, ctx := setup(t, dbtest.SQLite(t)), context.Background()
	put := func(content string, tags ...string) slipway.Digest {
		t.Helper()
		m, err := w.PutManifest(ctx, w.repo, registry.Push{Content: []byte(content), Tags: tags})
		if err != nil {
			t.Fatal(err)
		}
		return m.Digest
	}
	config := w.putBlob(w.repo, "{}")
	image := func(n int, tags ...string) slipway.Digest {
		return put(fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"layers":[],"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":2},"annotations":{"n":"%d"}}`,
			registry.TypeOCIManifest, config, n), tags...)
	}
	amd, arm := image(1, "latest"), image(2)
	entry := func(d slipway.Digest, arch string) string {
		return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":9,"platform":{"os":"linux","architecture":%q}}`, registry.TypeOCIManifest, d, arch)
	}
	index := func(entries string, tag string) {
		put(fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`, registry.TypeOCIIndex, entries), tag)
	}
	index(entry(arm, "arm64")+","+entry(amd, "amd64"), "both")
	index(entry(arm, "arm64"), "arm")
	for _, c := range []struct {
		text, platform string
		want           slipway.Digest
	}{
		{"shop/web", "", amd}, {"shop/web:latest", "", amd}, {"localhost:8080/shop/web:latest", "", amd}, {"shop/web@" + string(arm), "", arm},
		{"slipway.example.com/shop/web:both", "", amd}, {"shop/web:both", "linux/arm64", arm}, {"shop/web:arm", "", arm},
		{"shop/web:arm", "linux/amd64", ""}, {"shop/web:none", "", ""}, {"shop/none:latest", "", ""},
	} {
		_, d, err := w.Image(ctx, "project", c.text, c.platform)
		if d != c.want || (err == nil) != (c.want != "") || err != nil && slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("%s for %q: %s, %v, want %s", c.text, c.platform, d, err, c.want)
		}
	}
	if _, _, err := w.Image(ctx, "other", "shop/web:latest", ""); slipway.CodeOf(err) != slipway.CodeNotFound {
		t.Errorf("from another project: %v", err)
	}
}
