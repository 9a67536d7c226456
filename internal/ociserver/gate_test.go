package ociserver_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/registry"
)

// fakeGate stands in for a project's policy: it accepts nothing, or all.
type fakeGate struct{ accepts bool }

func (fakeGate) Guards(context.Context, slipway.ProjectID) (bool, error) { return true, nil }

func (g fakeGate) Admit(_ context.Context, repo registry.Repository, d slipway.Digest) error {
	if g.accepts {
		return nil
	}
	return slipway.Forbidden("the policy does not accept %s@%s", repo.Name, d)
}

// What a job pushes is judged before a tag names it, whatever client it has; what people push is not.
func TestGate(t *testing.T) {
	t.Parallel()
	w := sqlite(t)
	job := w.token(identity.TokenRequest{Kind: identity.TokenJob, Actor: slipway.Actor{Kind: slipway.ActorJob, ID: "7"}, Project: w.project.ID, Binding: identity.Binding{Run: 3, Job: 7}})
	bearer := w.bearer(job, "repository:shop/web:pull,push")
	w.door.WithGate(fakeGate{})
	put := func(token, tag string) (int, string) {
		t.Helper()
		want(t, "config", w.pushBlob(w.admin, "shop/web", emptyConfig), http.StatusCreated)
		r, err := http.NewRequestWithContext(t.Context(), "PUT", w.url+"/v2/shop/web/manifests/"+tag, strings.NewReader(image()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", registry.TypeOCIManifest)
		if token == bearer {
			r.Header.Set("Authorization", "Bearer "+token)
		} else {
			r.SetBasicAuth("any", token)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(body)
	}
	d := string(registry.DigestOf("sha256", []byte(image())))
	for name, token := range map[string]string{"job": job, "token of the job": bearer} {
		if status, body := put(token, "v1"); status != http.StatusForbidden || !strings.Contains(body, `"DENIED"`) || !strings.Contains(body, "does not accept shop/web@sha256:") {
			t.Errorf("%s: %d %s, want 403 with the policy's sentence", name, status, body)
		}
		if status, body := put(token, d); status != http.StatusCreated {
			t.Errorf("%s, without a tag: %d %s", name, status, body)
		}
		want(t, "the tag that was refused", w.do(w.admin, "GET", "/v2/shop/web/manifests/v1", ""), http.StatusNotFound)
	}
	if status, body := put(w.admin, "v2"); status != http.StatusCreated {
		t.Errorf("a person: %d %s", status, body)
	}
	w.door.WithGate(fakeGate{accepts: true})
	if status, body := put(job, "v1"); status != http.StatusCreated {
		t.Errorf("accepted: %d %s", status, body)
	}
}
