package web

import (
	"context"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/registry"
	"slipway/internal/scans"
)

// fakeImages gives the scanner the name of an image instead of its content.
type fakeImages struct{}

func (fakeImages) Write(_ context.Context, _ string, d slipway.Digest, w io.Writer) error {
	_, err := io.WriteString(w, string(d))
	return err
}

func (fakeImages) KeepSBOM(context.Context, string, slipway.Digest, scans.Document, slipway.Actor) error {
	return nil
}

func (fakeImages) SBOM(_ context.Context, _ string, d slipway.Digest, kind string) ([]byte, error) {
	return []byte(kind + " of " + string(d)), nil
}

// fakeScanner answers what a scanner does: each image has another version of openssl, all of which have one vulnerability.
func fakeScanner(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "scanner")
	const script = `#!/bin/sh
case $1 in
inventory) d=$(cat); echo '{"packages":[{"name":"openssl","version":"'"$d"'","type":"deb","path":"var/lib/dpkg/status","licenses":["Apache-2.0"]},{"name":"<b>","version":"1","type":"npm","path":"x"}],"spdx":{}}';;
match) cat >/dev/null; echo '{"findings":[{"id":"DSA-1","severity":"high","package":"openssl","version":"3","fixed":"4","summary":"<i>"}],"ecosystems":[{"name":"Debian"}],"unchecked":1}';;
esac
`
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestImageContent(t *testing.T) {
	t.Parallel()
	s, ctx := newOriginSite(t), context.Background()
	page := "/_images/shop/web?digest=" + url.QueryEscape(string(s.image))
	if text := s.get(page); strings.Contains(text, `id="packages"`) {
		t.Error("the page says what is in an image that nobody looked into")
	}
	c, err := s.registry.GetContent(ctx, s.repo, "1")
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.registry.PutManifest(ctx, s.repo, registry.Push{Content: []byte(strings.Replace(string(c.Bytes), "{", `{"annotations":{"a":"b"},`, 1)), Tags: []string{"2"}, By: identity.Principal{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []slipway.Digest{s.image, other.Digest} {
		if err := s.scans.Want(ctx, s.repo.Project, s.repo.Name, d); err != nil {
			t.Fatal(err)
		}
	}
	s.get(page, "still to be listed")
	for range 2 {
		if more, err := s.scans.Next(ctx); !more || err != nil {
			t.Fatalf("%v, %v", more, err)
		}
	}
	s.get(page, "0 critical, 1 high, 0 medium", "/Shop/_packages?image=shop%2Fweb%40sha256")
	s.get("/_packages?image=shop/web:1", "DSA-1", "is-bad", "openssl", string(s.image), "Apache-2.0", "&lt;b&gt;", "&lt;i&gt;", "1 packages are of ecosystems without records", `value="shop/web:2"`)
	diff := s.get("/_packages?image=shop/web:2&other=shop/web:1", "openssl", string(s.image), string(other.Digest))
	if !strings.Contains(diff, ">changed<") || !strings.Contains(diff, "<td>Apache-2.0</td>") || !strings.Contains(diff, "Vulnerabilities that are gone: 0") {
		t.Errorf("the comparison lacks what changed, licences or vulnerabilities: %s", diff)
	}
	if strings.Contains(diff, "&lt;b&gt;") {
		t.Error("the comparison lists a package that is in both")
	}
	s.get("/_packages?image=shop/web:1&other=shop/web:1", "the same packages")
}
