package ociserver_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/identity"
	"slipway/internal/registry"
)

// The paths, the attributes and their names are those of "Repository - Update Attributes", "Tag - Update Attributes" and "Manifests - Update Attributes" of the REST API of
// Azure Container Registry, version 2021-07-01; what each forbids is what "Lock a container image" of its documentation says.
func TestLocksOfAzureContainerRegistry(t *testing.T) {
	t.Parallel()
	w := sqlite(t)
	want(t, "push", w.pushImage(w.admin, "shop/web", "v1"), http.StatusCreated)
	_, contributor := w.member("contributor", identity.RoleContributor, identity.ScopeAll)
	other := strings.Replace(image(), `"layers":[]`, `"layers":[],"annotations":{"of":"another"}`, 1)
	d := string(registry.DigestOf("sha256", []byte(image())))
	attributes := func(what, path, body string) map[string]any {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "PATCH", w.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("any", w.admin)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var out map[string]json.RawMessage
		var about struct {
			Attributes map[string]any `json:"changeableAttributes"`
		}
		err = json.NewDecoder(answer.Body).Decode(&out)
		text := out[what]
		if what == "" && err == nil {
			text, err = json.Marshal(out)
		}
		if err != nil || answer.StatusCode != http.StatusOK || json.Unmarshal(text, &about) != nil {
			t.Fatalf("%s %s: %s, %v", path, body, answer.Status, err)
		}
		return about.Attributes
	}
	open := map[string]any{"deleteEnabled": true, "writeEnabled": true, "listEnabled": true, "readEnabled": true}
	with := func(names ...string) map[string]any {
		m := map[string]any{}
		for name, value := range open {
			m[name] = value
		}
		for _, name := range names {
			m[name] = false
		}
		return m
	}
	for _, c := range []struct {
		what, path, body string
		want             map[string]any
		pull, move       int
		remove           map[string]int // DELETE by tag, by digest and of the repository
	}{
		{"tag", "/_tags/v1", `{"deleteEnabled":false}`, with("deleteEnabled"), 200, 201, map[string]int{"v1": 403, d: 403, "": 403}},
		{"tag", "/_tags/v1", `{"deleteEnabled":true,"writeEnabled":false}`, with("writeEnabled"), 200, 403, map[string]int{"v1": 403, d: 403, "": 403}},
		{"tag", "/_tags/v1", `{"readEnabled":false}`, with("writeEnabled", "readEnabled"), 403, 403, nil}, // what is left out stays
		{"tag", "/_tags/v1", `{"writeEnabled":true,"readEnabled":true}`, open, 200, 201, nil},
		{"manifest", "/_manifests/" + d, `{"readEnabled":false}`, with("readEnabled"), 403, 201, nil},
		{"manifest", "/_manifests/" + d, `{"readEnabled":true,"writeEnabled":false}`, with("writeEnabled"), 200, 201, map[string]int{d: 403, "": 403}},
		{"manifest", "/_manifests/" + d, `{"writeEnabled":true}`, open, 200, 201, nil},
		{"", "", `{"writeEnabled":false,"listEnabled":true}`, with("writeEnabled"), 200, 403, map[string]int{"v1": 403, d: 403, "": 403}},
		{"", "", `{"readEnabled":false,"writeEnabled":true}`, with("readEnabled"), 403, 201, nil},
		{"", "", `{"readEnabled":true}`, open, 200, 201, nil},
	} {
		what := c.path + " " + c.body
		if diff := cmp.Diff(c.want, attributes(c.what, "/acr/v1/shop/web"+c.path, c.body)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", what, diff)
		}
		want(t, what+": pull", w.do(contributor, "GET", "/v2/shop/web/manifests/v1", ""), c.pull)
		want(t, what+": look", w.do(contributor, "HEAD", "/v2/shop/web/manifests/v1", ""), c.pull)
		want(t, what+": move", w.do(contributor, "PUT", "/v2/shop/web/manifests/v1", other, "Content-Type", registry.TypeOCIManifest), c.move)
		if c.move == http.StatusCreated {
			want(t, what+": move back", w.pushImage(contributor, "shop/web", "v1"), c.move)
		}
		for reference, status := range c.remove {
			path := "/v2/shop/web/manifests/" + reference
			if reference == "" {
				path = "/acr/v1/shop/web"
			}
			want(t, what+": delete "+path, w.do(w.admin, "DELETE", path, ""), status)
		}
	}
	want(t, "a lock by a contributor", w.do(contributor, "PATCH", "/acr/v1/shop/web/_tags/v1", `{"deleteEnabled":false}`), http.StatusForbidden)
	want(t, "a lock of nothing", w.do(w.admin, "PATCH", "/acr/v1/shop/web/_tags/v9", `{"deleteEnabled":false}`), http.StatusNotFound)
	want(t, "a hidden tag", w.do(w.admin, "PATCH", "/acr/v1/shop/web/_tags/v1", `{"listEnabled":false}`), http.StatusBadRequest)
	want(t, "no JSON", w.do(w.admin, "PATCH", "/acr/v1/shop/web/_tags/v1", `deleteEnabled`), http.StatusBadRequest)
	answer := w.do("", "PATCH", "/acr/v1/shop/web/_tags/v1", `{}`)
	if got := answer.Header.Get("WWW-Authenticate"); !strings.Contains(got, `scope="repository:shop/web:metadata_read,metadata_write"`) {
		t.Errorf("challenge %s", got)
	}
	token := w.grant(http.Get(strings.Replace(w.url, "://", "://x:"+url.QueryEscape(w.admin)+"@", 1) + "/v2/token?service=slipway&scope=repository:shop/web:metadata_write,metadata_read")).Access
	request, err := http.NewRequest("PATCH", w.url+"/acr/v1/shop/web/_tags/v1", strings.NewReader(`{"writeEnabled":false}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err = http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	want(t, "a lock with a token of that scope", answer, http.StatusOK)
}
