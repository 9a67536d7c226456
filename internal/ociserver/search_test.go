package ociserver_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/identity"
)

// The answer is that of "Search" of the Docker Registry API, version 1, as docker and podman read it.
func TestSearch(t *testing.T) {
	t.Parallel()
	w := sqlite(t)
	w.newProject("other")
	for _, name := range []string{"shop/web", "shop/web_server", "shop/api", "other/web", "library/webbase"} {
		want(t, "push", w.pushImage(w.admin, name, "v1"), http.StatusCreated)
	}
	job := w.token(identity.TokenRequest{Kind: identity.TokenJob, Actor: slipway.Actor{Kind: slipway.ActorJob, ID: "7"}, Project: w.project.ID, Binding: identity.Binding{Run: 3, Job: 7}})
	find := func(token, query, n string) (names []string) {
		t.Helper()
		r, err := http.NewRequestWithContext(context.Background(), "GET", w.url+"/v1/search?"+url.Values{"q": {query}, "n": {n}}.Encode(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("User-Agent", "docker/20.10.24 go/go1.19.8") // as the engine has it, which sends no login over HTTP
		if token != "" {
			r.SetBasicAuth("any", token)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var out struct {
			Number  int `json:"num_results"`
			Results []struct {
				Name  string `json:"name"`
				Stars *int   `json:"star_count"`
			} `json:"results"`
		}
		if err := json.NewDecoder(answer.Body).Decode(&out); err != nil || answer.StatusCode != http.StatusOK || out.Number != len(out.Results) {
			t.Fatalf("%s %+v %v", answer.Status, out, err)
		}
		for _, r := range out.Results {
			if names = append(names, r.Name); r.Stars == nil {
				t.Errorf("%s has no star_count", r.Name)
			}
		}
		return names
	}
	for _, c := range []struct {
		who, token, query, n string
		want                 []string
	}{
		{"an administrator", w.admin, "WEB", "", []string{"library/webbase", "other/web", "shop/web", "shop/web_server"}},
		{"an administrator, two", w.admin, "web", "2", []string{"library/webbase", "other/web"}},
		{"no pattern", w.admin, "b_s", "", []string{"shop/web_server"}},
		{"a job", job, "web", "", []string{"library/webbase", "shop/web", "shop/web_server"}},
		{"nobody", "", "web", "", nil},
	} {
		if diff := cmp.Diff(c.want, find(c.token, c.query, c.n)); diff != "" {
			t.Errorf("%s finds\n%s", c.who, diff)
		}
	}
	repo, err := w.registry.Repository(t.Context(), "shop/web")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.registry.SetPublic(t.Context(), repo, true, slipway.System); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"shop/web"}, find("", "web", "25")); diff != "" {
		t.Errorf("nobody finds\n%s", diff)
	}
	want(t, "too many", w.do(w.admin, "GET", "/v1/search?q=web&n=1000", ""), http.StatusBadRequest)
	want(t, "podman, which then asks for the catalog", w.do("", "GET", "/v1/search?q=web", ""), http.StatusUnauthorized)
	want(t, "a wrong password", w.do("wrong", "GET", "/v1/search?q=web", ""), http.StatusUnauthorized)
	if answer := w.do("", "GET", "/v1/_ping", ""); answer.StatusCode != http.StatusOK || answer.Header.Get("X-Docker-Registry-Standalone") != "true" {
		t.Errorf("ping: %s %v", answer.Status, answer.Header)
	}
}
