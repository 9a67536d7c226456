package ociserver_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/registry"
)

// A client that sends more than the quota leaves is told so, whether or not it said how much it would be, and nothing is left of it.
func TestQuota(t *testing.T) {
	t.Parallel()
	w := sqlite(t)
	want(t, "first push", w.pushBlob(w.admin, "shop/web", "first"), http.StatusCreated)
	if err := w.registry.SetProjectSettings(t.Context(), w.project.ID, registry.Settings{Quota: registry.Quota{Bytes: 100_000}}, slipway.System); err != nil {
		t.Fatal(err)
	}
	content := strings.Repeat("too much. ", 20_000) // what a server reads to its end before it hangs up
	for what, body := range map[string]func() io.Reader{
		"of known length":   func() io.Reader { return strings.NewReader(content) },
		"of unknown length": func() io.Reader { return io.MultiReader(strings.NewReader(content)) },
	} {
		refused := func(method, path string) {
			t.Helper()
			answer, said, err := w.send(method, path, body())
			if err != nil {
				t.Fatal(err)
			}
			if answer.StatusCode != http.StatusForbidden || !strings.Contains(string(said), `"DENIED"`) || !strings.Contains(string(said), "the project takes ") {
				t.Errorf("%s %s: %s %s", what, method, answer.Status, said)
			}
		}
		refused("POST", "/v2/shop/web/blobs/uploads/"+digestQuery(content))
		for _, method := range []string{"PATCH", "PUT"} {
			began := w.do(w.admin, "POST", "/v2/shop/web/blobs/uploads/", "")
			want(t, "start of an upload", began, http.StatusAccepted)
			upload := began.Header.Get("Location")
			refused(method, upload+digestQuery(content))
			want(t, "the upload afterwards", w.do(w.admin, "GET", upload, ""), http.StatusNotFound)
		}
	}
	want(t, "what fits", w.pushBlob(w.admin, "shop/web", content[:99_000]), http.StatusCreated)
}
