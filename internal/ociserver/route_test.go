package ociserver

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	f := func(path string, want route) {
		t.Helper()
		if got := split(path); got != want {
			t.Errorf("split(%q) = %+v, want %+v", path, got, want)
		}
	}
	f("/v2", route{kind: routePing})
	f("/v2/", route{kind: routePing})
	f("/v2/_catalog", route{kind: routeCatalog})
	f("/v2/token", route{kind: routeToken})
	f("/v2/a/tags/list", route{routeTags, "a", ""})
	f("/v2/a/b/c/tags/list", route{routeTags, "a/b/c", ""})
	f("/v2/a/manifests/v1", route{routeManifest, "a", "v1"})
	f("/v2/a/tags/manifests/list", route{routeManifest, "a/tags", "list"})
	f("/v2/a/blobs/sha256:0", route{routeBlob, "a", "sha256:0"})
	f("/v2/a/blobs/uploads/", route{routeUploads, "a", ""})
	f("/v2/a/blobs/uploads", route{routeUploads, "a", ""})
	f("/v2/a/blobs/uploads/id", route{routeUpload, "a", "id"})
	f("/v2/a/blobs/uploads/manifests/v1", route{routeManifest, "a/blobs/uploads", "v1"})
	f("/v2/a/referrers/sha256:0", route{routeReferrers, "a", "sha256:0"})
	f("/oauth2/token", route{kind: routeToken})
	f("/oauth2/exchange", route{kind: routeExchange})
	f("/acr/v1/_catalog", route{kind: routeCatalog})
	f("/acr/v1/a/b", route{routeACRRepository, "a/b", ""})
	f("/acr/v1/a/b/_tags", route{routeACRTags, "a/b", ""})
	f("/acr/v1/a/b/_tags/v1", route{routeACRTag, "a/b", "v1"})
	f("/acr/v1/a/_manifests", route{routeACRManifests, "a", ""})
	f("/acr/v1/a/_manifests/sha256:0", route{routeACRManifest, "a", "sha256:0"})
	for _, nothing := range []string{"", "/", "/v1/", "/v2/a", "/v2/manifests/v1", "/v2/blobs/uploads/", "/v2/a/tags", "/v2/a/tags/other", "/acr/v1/", "/oauth2/other"} {
		f(nothing, route{})
	}
}

func TestChunkStart(t *testing.T) {
	t.Parallel()
	r := func(value string, length int64) (int64, error) {
		q := httpRequest(value)
		q.ContentLength = length
		return chunkStart(q)
	}
	for _, c := range []struct {
		value  string
		length int64
		want   int64
		ok     bool
	}{
		{"", 5, -1, true}, {"0-4", 5, 0, true}, {"5-9", -1, 5, true}, {"bytes 5-9/10", 5, 5, true}, {"bytes 5-9/*", 5, 5, true},
		{"0-4", 4, 0, false}, {"9-5", -1, 0, false}, {"x", 1, 0, false}, {"-1-3", 3, 0, false}, {"99999999999999999999-1", -1, 0, false},
	} {
		got, err := r(c.value, c.length)
		if (err == nil) != c.ok || err == nil && got != c.want {
			t.Errorf("Content-Range %q, length %d: %d, %v", c.value, c.length, got, err)
		}
	}
}

func httpRequest(contentRange string) *http.Request {
	r := httptest.NewRequest("PATCH", "/", nil)
	if contentRange != "" {
		r.Header.Set("Content-Range", contentRange)
	}
	return r
}
