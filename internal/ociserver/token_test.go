package ociserver_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/registry"
)

// grant is what the token endpoint answers.
type grant struct {
	Token   string `json:"token"`
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Scope   string `json:"scope"`
	Expires int    `json:"expires_in"`
	Issued  string `json:"issued_at"`
}

func (w *world) grant(answer *http.Response, err error) grant {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	var g grant
	if err != nil || answer.StatusCode != 200 || json.Unmarshal(content, &g) != nil || g.Token == "" || g.Token != g.Access || g.Expires < 60 || g.Issued == "" {
		w.Fatalf("token endpoint: %s %s %v", answer.Status, content, err)
	}
	return g
}

// member makes a user with a role in the project, and returns an id and a token of that scope.
func (w *world) member(name string, role identity.Role, scope identity.TokenScope) (slipway.UserID, string) {
	w.Helper()
	u, err := w.identity.CreateUser(w.Context(), slipway.System, identity.NewUser{Name: name, Password: "battery staple"})
	if err == nil {
		err = w.identity.SetRole(w.Context(), slipway.System, w.project.ID, u.ID, role)
	}
	if err != nil {
		w.Fatal(err)
	}
	return u.ID, w.token(identity.TokenRequest{Kind: identity.TokenPersonal, Name: name, Actor: slipway.Actor{Kind: slipway.ActorUser, ID: string(u.ID), Name: name},
		Binding: identity.Binding{Scope: scope}})
}

// The OAuth2 form of the token endpoint, and refresh tokens: what docker keeps as an identity token after a login.
func TestOAuth2Tokens(t *testing.T) {
	t.Parallel()
	w := sqlite(t)
	want(t, "push", w.pushImage(w.admin, "shop/web", "v1"), 201)
	endpoint := w.url + "/v2/token"
	form := url.Values{"grant_type": {"password"}, "username": {"ada"}, "password": {w.admin}, "service": {"slipway"}, "client_id": {"docker"}, "access_type": {"offline"},
		"scope": {"repository:shop/web:pull", "repository:shop/api:push,pull"}}
	g := w.grant(http.PostForm(endpoint, form))
	if g.Refresh == "" || g.Scope != "repository:shop/web:pull repository:shop/api:pull,push" {
		t.Errorf("grant %+v", g)
	}
	again := w.grant(http.PostForm(endpoint, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {g.Refresh}, "service": {"slipway"}, "client_id": {"docker"},
		"scope": {"repository(image):shop/web:pull"}}))
	want(t, "pull with what a refresh token gave", w.withBearer(again.Token, "GET", "/v2/shop/web/manifests/v1"), 200)
	want(t, "beyond its scope", w.withBearer(again.Token, "GET", "/v2/shop/api/tags/list"), 401)
	r, _ := http.NewRequestWithContext(t.Context(), "GET", endpoint+"?service=slipway&offline_token=true&account=ada", nil)
	r.SetBasicAuth("ada", w.admin)
	if g := w.grant(http.DefaultClient.Do(r)); g.Refresh == "" || g.Scope != "" {
		t.Errorf("docker's login: %+v", g)
	}
	r, _ = http.NewRequestWithContext(t.Context(), "GET", endpoint+"?offline_token=true", nil)
	if g := w.grant(http.DefaultClient.Do(r)); g.Refresh != "" {
		t.Errorf("nobody has a refresh token: %+v", g)
	}
	answer, err := http.PostForm(endpoint, url.Values{"grant_type": {"authorization_code"}})
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	want(t, "unknown grant", answer, 400)

	home := t.TempDir()
	config := fmt.Sprintf(`{"auths":{%q:{"identitytoken":%q}}}`, w.host, g.Refresh)
	if err := os.WriteFile(filepath.Join(home, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	crane := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), goInstall(t, craneTool, "crane"), args...)
		cmd.Env = append(os.Environ(), "HOME="+home, "DOCKER_CONFIG="+home)
		out, err := cmd.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	if out, err := crane("copy", w.host+"/shop/web:v1", w.host+"/shop/copy:v2"); err != nil {
		t.Fatalf("crane with an identity token: %v %s", err, out)
	}
	if out, err := crane("ls", w.host+"/shop/copy"); err != nil || out != "v2" {
		t.Errorf("crane with an identity token: %v %s", err, out)
	}
	// What the server says of a quota and of an immutable tag is what people see.
	repo, err := w.registry.Repository(t.Context(), "shop/copy")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.registry.SetRepositorySettings(t.Context(), repo, registry.Settings{Immutable: []string{"v*"}, Quota: registry.Quota{Tags: 1}}, slipway.System); err != nil {
		t.Fatal(err)
	}
	for args, said := range map[string]string{"tag shop/copy:v2 latest": "DENIED: repository shop/copy has 1 of 1 tags that its quota allows", "delete shop/copy:v2": "DENIED: tag v2 of shop/copy is immutable (v*)"} {
		parts := strings.Fields(args)
		parts[1] = w.host + "/" + parts[1]
		if out, err := crane(parts...); err == nil || !strings.Contains(out, said) {
			t.Errorf("crane %s: %v %s, want %q", args, err, out, said)
		}
	}
}

// A token can do no more than its owner at that moment, and no more than its own scope.
func TestTokensAreNoMoreThanTheirOwner(t *testing.T) {
	t.Parallel()
	w := sqlite(t)
	want(t, "push", w.pushImage(w.admin, "shop/web", "v1"), 201)
	user, token := w.member("ada", identity.RoleContributor, identity.ScopeAll)
	bearer := w.bearer(token, "repository:shop/web:pull,push,delete")
	get := func(method string) *http.Response { return w.withBearer(bearer, method, "/v2/shop/web/manifests/v1") }
	want(t, "a contributor pulls", get("GET"), 200)
	want(t, "a contributor deletes", get("DELETE"), 403)
	upload := func() *http.Response { return w.withBearer(bearer, "POST", "/v2/shop/web/blobs/uploads/") }
	want(t, "a contributor pushes", upload(), 202)
	if err := w.identity.SetRole(t.Context(), slipway.System, w.project.ID, user, identity.RoleReader); err != nil {
		t.Fatal(err)
	}
	want(t, "a reader pushes with the token of a contributor", upload(), 403)
	tokens, err := w.identity.Tokens(t.Context(), user)
	if err != nil || len(tokens) != 1 {
		t.Fatalf("tokens %v, %v", tokens, err)
	}
	if err := w.identity.RevokeToken(t.Context(), user, tokens[0].ID); err != nil {
		t.Fatal(err)
	}
	want(t, "with what a revoked token gave", get("GET"), 401)

	for scope, may := range map[identity.TokenScope]struct {
		push    int
		granted string
	}{
		identity.ScopeRead:         {403, "repository:shop/web:pull"},
		identity.ScopeRegistryRead: {403, "repository:shop/web:pull"},
		identity.ScopeRegistry:     {201, "repository:shop/web:pull,push,delete"},
	} {
		_, token := w.member("user-"+string(scope), identity.RoleAdministrator, scope)
		want(t, string(scope)+" pulls", w.do(token, "GET", "/v2/shop/web/manifests/v1", ""), 200)
		want(t, string(scope)+" pushes", w.pushImage(token, "shop/web", "next"), may.push)
		r, _ := http.NewRequestWithContext(t.Context(), "GET", w.url+"/v2/token?scope=repository:shop/web:*", nil)
		r.SetBasicAuth("ada", token)
		if g := w.grant(http.DefaultClient.Do(r)); g.Scope != may.granted {
			t.Errorf("%s is granted %q, want %q", scope, g.Scope, may.granted)
		}
		p, err := w.identity.AuthenticateToken(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		wantRead := scope == identity.ScopeRead
		if err := w.identity.Authorize(t.Context(), p, identity.Read, w.project.ID); (err == nil) != wantRead {
			t.Errorf("%s reads code: %v", scope, err)
		}
		if p.AllowMethod("POST") == nil || w.identity.Authorize(t.Context(), p, identity.Contribute, w.project.ID) == nil {
			t.Errorf("%s changes what is no image", scope)
		}
	}
	p, err := w.identity.AuthenticateToken(t.Context(), w.bearer(w.admin, "repository:shop/web:pull"))
	if err != nil || w.identity.Authorize(t.Context(), p, identity.Read, w.project.ID) == nil {
		t.Errorf("a registry token opens code, %v", err)
	}
}

func TestCatalogNeedsItsScope(t *testing.T) {
	t.Parallel()
	w := sqlite(t)
	want(t, "push", w.pushImage(w.admin, "shop/web", "v1"), 201)
	want(t, "with a repository's scope", w.withBearer(w.bearer(w.admin, "repository:shop/web:pull"), "GET", "/v2/_catalog"), 401)
	want(t, "with its scope", w.withBearer(w.bearer(w.admin, "registry:catalog:*"), "GET", "/v2/_catalog"), 200)
}

func TestGuessesAreLimited(t *testing.T) {
	t.Parallel()
	w := sqlite(t)
	for i := range 20 {
		want(t, "wrong password", w.do(fmt.Sprintf("guess-%020d", i), "GET", "/v2/", ""), 401)
	}
	answer := w.do(fmt.Sprintf("guess-%020d", 20), "GET", "/v2/", "")
	want(t, "one too many", answer, 429)
	if answer.Header.Get("Retry-After") == "" {
		t.Error("the answer does not say when to try again")
	}
	want(t, "one too many at the token endpoint", w.do(fmt.Sprintf("guess-%020d", 21), "GET", "/v2/token", ""), 429)
	want(t, "an old one again", w.do(fmt.Sprintf("guess-%020d", 3), "GET", "/v2/", ""), 401)
	want(t, "the right one", w.do(w.admin, "GET", "/v2/", ""), 200)
	want(t, "nobody", w.do("", "GET", "/v2/", ""), 401)
}

// A browser's session is for pages: what a page of another origin makes it send changes no image.
func TestSessionsAreNoCredentials(t *testing.T) {
	t.Parallel()
	w := sqlite(t)
	session, _, err := w.identity.SignIn(t.Context(), "admin", "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	want(t, "start of an upload", w.do("", "POST", "/v2/shop/web/blobs/uploads/", "", "Cookie", identity.SessionCookie(session, false).String()), 401)
}

func TestQuotaRefusesUploads(t *testing.T) {
	t.Parallel()
	w := sqlite(t)
	if err := w.registry.SetProjectSettings(t.Context(), w.project.ID, registry.Settings{Quota: registry.Quota{Bytes: 1000}}, slipway.System); err != nil {
		t.Fatal(err)
	}
	want(t, "image that fits", w.pushImage(w.admin, "shop/web", "v1"), 201)
	want(t, "whole blob", w.pushBlob(w.admin, "shop/web", strings.Repeat("x", 900)), 403)
	start := w.do(w.admin, "POST", "/v2/shop/web/blobs/uploads/", "")
	want(t, "start of an upload of unknown size", start, 202)
	want(t, "its bytes", w.do(w.admin, "PATCH", start.Header.Get("Location"), strings.Repeat("x", 900)), 403)
	want(t, "what is there already", w.pushBlob(w.admin, "shop/web", emptyConfig), 201)
	if err := w.registry.SetProjectSettings(t.Context(), w.project.ID, registry.Settings{Quota: registry.Quota{Bytes: 100}}, slipway.System); err != nil {
		t.Fatal(err)
	}
	want(t, "start of an upload to a full project", w.do(w.admin, "POST", "/v2/shop/web/blobs/uploads/", ""), 403)
	want(t, "pull from it", w.do(w.admin, "GET", "/v2/shop/web/manifests/v1", ""), 200)
}
