package ociserver_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/identity"
	"slipway/internal/registry"
)

// acr asks with a token of the Bearer flow and reads the answer.
func (w *world) acr(token, path string, status int) (out map[string]any, header http.Header) {
	w.Helper()
	r, err := http.NewRequest("GET", w.url+path, nil)
	if err != nil {
		w.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != status || json.Unmarshal(body, &out) != nil {
		w.Fatalf("%s: %s %s %v, want %d", path, answer.Status, body, err, status)
	}
	return out, answer.Header
}

func names(list any, key string) (out []string) {
	for _, one := range list.([]any) {
		out = append(out, fmt.Sprint(one.(map[string]any)[key]))
	}
	return out
}

// The flow and the fields are those of the REST API of Azure Container Registry, version 2021-07-01: a challenge, a refresh token for a
// login, an access token for it, then the lists.
func TestAzureContainerRegistry(t *testing.T) {
	t.Parallel()
	w := sqlite(t)
	for _, tag := range []string{"v1", "v2", "v3"} {
		want(t, "push", w.pushImage(w.admin, "shop/web", tag), http.StatusCreated)
	}
	_, reader := w.member("reader", identity.RoleReader, identity.ScopeAll)
	_, header := w.acr("", "/acr/v1/shop/web/_tags", http.StatusUnauthorized)
	if challenge := header.Get("WWW-Authenticate"); !strings.Contains(challenge, `service="slipway"`) || !strings.Contains(challenge, `scope="repository:shop/web:pull"`) {
		t.Errorf("challenge %s", challenge)
	}
	exchange := func(form url.Values, status int) (refresh string) {
		t.Helper()
		answer, err := http.PostForm(w.url+"/oauth2/exchange", form)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var out struct {
			Refresh string `json:"refresh_token"`
		}
		if err := json.NewDecoder(answer.Body).Decode(&out); err != nil || answer.StatusCode != status {
			t.Fatalf("exchange: %s %v, want %d", answer.Status, err, status)
		}
		return out.Refresh
	}
	exchange(url.Values{"grant_type": {"access_token"}, "service": {"slipway"}, "access_token": {"eyJ0eXAi.of.entra"}}, http.StatusUnauthorized)
	exchange(url.Values{"grant_type": {"password"}, "password": {w.admin}}, http.StatusBadRequest)
	refresh := exchange(url.Values{"grant_type": {"access_token"}, "service": {"slipway"}, "access_token": {reader}}, http.StatusOK)
	token := func(scope string) string {
		t.Helper()
		return w.grant(http.PostForm(w.url+"/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "service": {"slipway"}, "refresh_token": {refresh}, "scope": {scope}})).Access
	}

	catalog, _ := w.acr(token("registry:catalog:*"), "/acr/v1/_catalog", http.StatusOK)
	if diff := cmp.Diff(map[string]any{"repositories": []any{"shop/web"}}, catalog); diff != "" {
		t.Errorf("catalog (-want +got)\n%s", diff)
	}
	read := token("repository:shop/web:metadata_read")
	d := string(registry.DigestOf("sha256", []byte(image())))
	first, header := w.acr(read, "/acr/v1/shop/web/_tags?n=2", http.StatusOK)
	if got := names(first["tags"], "name"); !cmp.Equal(got, []string{"v1", "v2"}) || first["imageName"] != "shop/web" || first["registry"] != w.host {
		t.Errorf("first page %v", first)
	}
	link, _, _ := strings.Cut(strings.TrimPrefix(header.Get("Link"), "<"), ">")
	second, header := w.acr(read, link, http.StatusOK)
	if got := names(second["tags"], "name"); !cmp.Equal(got, []string{"v3"}) || header.Get("Link") != "" {
		t.Errorf("second page %v, link %s", second, header.Get("Link"))
	}
	newest, _ := w.acr(read, "/acr/v1/shop/web/_tags?orderby=timedesc&n=1", http.StatusOK)
	if got := names(newest["tags"], "name"); !cmp.Equal(got, []string{"v3"}) {
		t.Errorf("newest %v", got)
	}
	one, _ := w.acr(read, "/acr/v1/shop/web/_tags/v2", http.StatusOK)
	if tag := one["tag"].(map[string]any); tag["name"] != "v2" || tag["digest"] != d || tag["changeableAttributes"] == nil || tag["lastUpdateTime"] == nil {
		t.Errorf("tag %v", tag)
	}
	manifests, _ := w.acr(read, "/acr/v1/shop/web/_manifests", http.StatusOK)
	byDigest, _ := w.acr(read, "/acr/v1/shop/web/_manifests/"+d, http.StatusOK)
	if diff := cmp.Diff(manifests["manifests"].([]any)[0], byDigest["manifest"]); diff != "" {
		t.Errorf("in the list and alone\n%s", diff)
	}
	m := byDigest["manifest"].(map[string]any)
	if m["digest"] != d || m["os"] != "linux" || m["architecture"] != "amd64" || !cmp.Equal(m["tags"], []any{"v1", "v2", "v3"}) || m["imageSize"] != float64(len(image())+len(emptyConfig)) {
		t.Errorf("manifest %v", m)
	}
	about, _ := w.acr(read, "/acr/v1/shop/web", http.StatusOK)
	if about["manifestCount"] != 1.0 || about["tagCount"] != 3.0 {
		t.Errorf("repository %v", about)
	}
	oldest, _ := w.acr(read, "/acr/v1/shop/web/_tags?orderby=timeasc&n=2&last=v1", http.StatusOK)
	if got := names(oldest["tags"], "name"); !cmp.Equal(got, []string{"v2", "v3"}) {
		t.Errorf("oldest after v1 %v", got)
	}
	if of, _ := w.acr(read, "/acr/v1/shop/web/_tags?digest="+d, http.StatusOK); len(of["tags"].([]any)) != 3 {
		t.Errorf("tags of the image %v", of)
	}
	w.acr(read, "/acr/v1/shop/web/_manifests?last="+d, http.StatusOK)
	w.acr(read, "/acr/v1/shop/web/_tags?orderby=size", http.StatusBadRequest)
	w.acr(read, "/acr/v1/shop/none/_tags", http.StatusUnauthorized)
	w.acr(read, "/v2/shop/web/manifests/v1", http.StatusUnauthorized) // details are not the image
	want(t, "deletion by a reader", w.do(reader, "DELETE", "/acr/v1/shop/web/_tags/v1", ""), http.StatusForbidden)
	want(t, "deletion of a tag", w.do(w.admin, "DELETE", "/acr/v1/shop/web/_tags/v1", ""), http.StatusAccepted)
	want(t, "the tag", w.do(w.admin, "GET", "/acr/v1/shop/web/_tags/v1", ""), http.StatusNotFound)
	want(t, "deletion of the repository", w.do(w.admin, "DELETE", "/acr/v1/shop/web", ""), http.StatusAccepted)
	want(t, "the repository", w.do(w.admin, "GET", "/acr/v1/shop/web", ""), http.StatusNotFound)
}
