package ociserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/registry"
)

const emptyConfig = `{"architecture":"amd64","os":"linux"}`

// image makes a manifest over the blob emptyConfig.
func image() string {
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[]}`,
		registry.TypeOCIManifest, registry.DigestOf("sha256", []byte(emptyConfig)), len(emptyConfig))
}

func (w *world) pushBlob(token, repo, content string) *http.Response {
	w.Helper()
	return w.do(token, "POST", "/v2/"+repo+"/blobs/uploads/?digest="+string(registry.DigestOf("sha256", []byte(content))), content)
}

func (w *world) pushImage(token, repo, tag string) *http.Response {
	w.Helper()
	if a := w.pushBlob(token, repo, emptyConfig); a.StatusCode != http.StatusCreated {
		return a
	}
	return w.do(token, "PUT", "/v2/"+repo+"/manifests/"+tag, image(), "Content-Type", registry.TypeOCIManifest)
}

func want(t *testing.T, what string, answer *http.Response, status int) {
	t.Helper()
	if answer.StatusCode != status {
		t.Errorf("%s: %s, want %d", what, answer.Status, status)
	}
}

func TestWhoMayWhat(t *testing.T) {
	t.Parallel()
	w := sqlite(t)
	other := w.newProject("other")
	job := w.token(identity.TokenRequest{Kind: identity.TokenJob, Actor: slipway.Actor{Kind: slipway.ActorJob, ID: "7"}, Project: w.project.ID, Binding: identity.Binding{Run: 3, Job: 7}})
	fork := w.token(identity.TokenRequest{Kind: identity.TokenJob, Actor: slipway.Actor{Kind: slipway.ActorJob, ID: "8"}, Project: w.project.ID,
		Binding: identity.Binding{Run: 4, Job: 8, Scope: identity.ScopeRead, PullRequest: 12}})
	node := w.token(identity.TokenRequest{Kind: identity.TokenNode, Actor: slipway.Actor{Kind: slipway.ActorNode, ID: "node"}})
	workload := w.token(identity.TokenRequest{Kind: identity.TokenWorkload, Actor: slipway.Actor{Kind: slipway.ActorWorkload, ID: "1"}, Project: w.project.ID})
	stranger, err := w.identity.CreateUser(context.Background(), slipway.System, identity.NewUser{Name: "stranger", Password: "battery staple"})
	if err != nil {
		t.Fatal(err)
	}
	user := w.token(identity.TokenRequest{Kind: identity.TokenPersonal, Name: "x", Actor: slipway.Actor{Kind: slipway.ActorUser, ID: string(stranger.ID)}})
	for _, name := range []string{"shop/web", "other/web", "library/base", "shop/forks/12/web", "shop/forks/123/web"} {
		want(t, "administrator pushes "+name, w.pushImage(w.admin, name, "v1"), 201)
	}
	for _, c := range []struct {
		who, token, repo         string
		pull, push, remove, ping int
	}{
		{"administrator", w.admin, "shop/web", 200, 201, 202, 200},
		{"job, own project", job, "shop/web", 200, 201, 403, 200},
		{"job, other project", job, "other/web", 403, 403, 403, 200},
		{"job, library", job, "library/base", 200, 403, 403, 200},
		{"job of a fork", fork, "shop/web", 200, 403, 403, 200},
		{"job of a fork, its place", fork, "shop/forks/12/web", 200, 201, 403, 200},
		{"job of a fork, another's place", fork, "shop/forks/123/web", 200, 403, 403, 200},
		{"job of a fork, other project", fork, "other/forks/12/web", 403, 403, 403, 200},
		{"node", node, "shop/web", 200, 403, 403, 200},
		{"node, other project", node, "other/web", 200, 403, 403, 200},
		{"workload", workload, "shop/web", 403, 403, 403, 200},
		{"workload, library", workload, "library/base", 403, 403, 403, 200},
		{"stranger", user, "shop/web", 404, 404, 404, 200},
		{"stranger, library", user, "library/base", 200, 403, 403, 200},
		{"nobody", "", "shop/web", 401, 401, 401, 401},
		{"nobody, library", "", "library/base", 401, 401, 401, 401},
		{"nobody, unknown project", "", "none/web", 401, 401, 401, 401},
		{"unknown token", strings.Repeat("a", 52), "shop/web", 401, 401, 401, 401},
		{"administrator, unknown project", w.admin, "none/web", 404, 404, 404, 200},
		{"administrator, upper case", w.admin, "Shop/web", 400, 400, 400, 200},
	} {
		want(t, c.who+" pings", w.do(c.token, "GET", "/v2/", ""), c.ping)
		want(t, c.who+" pulls "+c.repo, w.do(c.token, "GET", "/v2/"+c.repo+"/manifests/v1", ""), c.pull)
		want(t, c.who+" pushes "+c.repo, w.pushImage(c.token, c.repo, "tmp"), c.push)
		if c.push != 201 { // so that there is something to delete
			w.pushImage(w.admin, c.repo, "tmp")
		}
		want(t, c.who+" deletes from "+c.repo, w.do(c.token, "DELETE", "/v2/"+c.repo+"/manifests/tmp", ""), c.remove)
	}
	_ = other
}

func TestPublicRepositories(t *testing.T) {
	t.Parallel()
	w := sqlite(t)
	want(t, "push", w.pushImage(w.admin, "shop/web", "v1"), 201)
	repo, err := w.registry.Repository(t.Context(), "shop/web")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.registry.SetPublic(t.Context(), repo, true, slipway.System); err != nil {
		t.Fatal(err)
	}
	want(t, "anonymous pull", w.do("", "GET", "/v2/shop/web/manifests/v1", ""), 200)
	want(t, "anonymous push", w.pushImage("", "shop/web", "v1"), 401)
	// What docker does without a login: ask for a token, then pull with it.
	token := w.bearer("", "repository:shop/web:pull")
	want(t, "anonymous pull with a token", w.withBearer(token, "GET", "/v2/shop/web/manifests/v1"), 200)
	want(t, "anonymous delete with a token", w.withBearer(token, "DELETE", "/v2/shop/web/manifests/v1"), 401)
}

// bearer asks the token endpoint.
func (w *world) bearer(password, scope string) string {
	w.Helper()
	r, err := http.NewRequestWithContext(context.Background(), "GET", w.url+"/v2/token?service=slipway&scope="+url.QueryEscape(scope), nil)
	if err != nil {
		w.Fatal(err)
	}
	if password != "" {
		r.SetBasicAuth("any", password)
	}
	return w.readToken(http.DefaultClient.Do(r))
}

func (w *world) readToken(answer *http.Response, err error) string {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
	defer answer.Body.Close()
	var body struct{ Token string }
	content, _ := io.ReadAll(answer.Body)
	if err := json.Unmarshal(content, &body); err != nil || body.Token == "" {
		w.Fatalf("token endpoint: %s %s", answer.Status, content)
	}
	return body.Token
}

func (w *world) withBearer(token, method, path string) *http.Response {
	return w.do("", method, path, "", "Authorization", "Bearer "+token)
}

func TestTokensAreGoodForTheirScopesAlone(t *testing.T) {
	t.Parallel()
	w := sqlite(t)
	want(t, "push", w.pushImage(w.admin, "shop/web", "v1"), 201)
	want(t, "push", w.pushImage(w.admin, "shop/api", "v1"), 201)
	pull := w.bearer(w.admin, "repository:shop/web:pull")
	want(t, "pull in scope", w.withBearer(pull, "GET", "/v2/shop/web/manifests/v1"), 200)
	want(t, "delete out of scope", w.withBearer(pull, "DELETE", "/v2/shop/web/manifests/v1"), 401)
	want(t, "other repository", w.withBearer(pull, "GET", "/v2/shop/api/manifests/v1"), 401)
	want(t, "exchange for another token", w.withBearer(pull, "GET", "/v2/token?scope=repository:shop/api:pull"), 401)
	// containerd posts a form; several scopes may stand in one parameter.
	form := url.Values{"grant_type": {"password"}, "username": {"any"}, "password": {w.admin}, "service": {"slipway"},
		"scope": {"repository:shop/web:pull repository:shop/api:*"}}
	both := w.readToken(http.PostForm(w.url+"/v2/token", form))
	want(t, "first scope", w.withBearer(both, "GET", "/v2/shop/web/manifests/v1"), 200)
	want(t, "second scope", w.withBearer(both, "DELETE", "/v2/shop/api/manifests/v1"), 202)
	form.Set("password", "wrong")
	answer, err := http.PostForm(w.url+"/v2/token", form)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	want(t, "wrong password", answer, 401)
}

func TestChallenge(t *testing.T) {
	t.Parallel()
	w := sqlite(t)
	f := func(method, path, scope string) {
		t.Helper()
		got := w.do("", method, path, "").Header.Get("WWW-Authenticate")
		want := `Bearer realm="` + w.url + `/v2/token",service="slipway"` + scope
		if got != want {
			t.Errorf("%s %s:\n got %s\nwant %s", method, path, got, want)
		}
	}
	f("GET", "/v2/", "")
	f("GET", "/v2/shop/web/manifests/v1", `,scope="repository:shop/web:pull"`)
	f("PUT", "/v2/shop/web/manifests/v1", `,scope="repository:shop/web:pull,push"`)
	f("GET", "/v2/shop/web/blobs/uploads/x", `,scope="repository:shop/web:pull,push"`)
	f("POST", "/v2/shop/web/blobs/uploads/?mount=sha256:0&from=shop/api", `,scope="repository:shop/web:pull,push repository:shop/api:pull"`)
	f("GET", "/v2/_catalog", `,scope="registry:catalog:*"`)
	f("POST", `/v2/shop/web/blobs/uploads/?from=%22,x=%22`, `,scope="repository:shop/web:pull,push"`)
}

// A job's push is remembered with its run and commit, and is an event that refers to both.
func TestJobsPushIsTraced(t *testing.T) {
	t.Parallel()
	w := sqlite(t)
	const commit = "0123456789abcdef0123456789abcdef01234567"
	job := w.token(identity.TokenRequest{Kind: identity.TokenJob, Actor: slipway.Actor{Kind: slipway.ActorJob, ID: "7", Name: "build"}, Project: w.project.ID,
		Binding: identity.Binding{Run: 3, Job: 7, Commit: commit}})
	want(t, "push", w.pushImage(job, "shop/web", "v1"), 201)
	d := registry.DigestOf("sha256", []byte(image()))
	list, err := w.registry.Manifests(t.Context(), registry.Filter{Run: 3, Commit: commit})
	if err != nil || len(list) != 1 || list[0].Digest != d || list[0].By.Name != "build" || list[0].Platform != "linux/amd64" || list[0].Tags[0] != "v1" {
		t.Fatalf("manifests of the run: %+v, %v", list, err)
	}
	happened, err := w.log.List(t.Context(), events.Filter{Kind: registry.EventPushed})
	if err != nil || len(happened) != 1 {
		t.Fatalf("events: %v, %v", happened, err)
	}
	e := happened[0]
	run, _ := e.Reference(slipway.RefRun)
	c, _ := e.Reference(slipway.RefCommit)
	var p registry.Pushed
	if err := e.Decode(&p); err != nil || run != "3" || c != commit || e.Subject != slipway.Ref(slipway.RefImage, d) || e.Project != w.project.ID {
		t.Errorf("event %+v, %v", e, err)
	}
	if p.Repository != "shop/web" || p.Tag != "v1" || p.Digest != d {
		t.Errorf("payload %+v", p)
	}
}

// crane, of go-containerregistry, pushes, lists, copies, pulls and deletes with the credentials of a docker login.
func TestCrane(t *testing.T) {
	t.Parallel()
	w := sqlite(t)
	tool := goInstall(t, craneTool, "crane")
	home := t.TempDir()
	crane := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), tool, args...)
		cmd.Dir = home
		cmd.Env = append(os.Environ(), "HOME="+home, "DOCKER_CONFIG="+home)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("crane %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	layer := home + "/layer.tar"
	if out, err := exec.Command("tar", "-cf", layer, "-C", "/etc", "hostname", "passwd").CombinedOutput(); err != nil {
		t.Fatalf("tar: %v %s", err, out)
	}
	web := w.host + "/shop/web"
	crane("auth", "login", w.host, "-u", "any", "-p", w.admin)
	crane("append", "-f", layer, "-t", web+":v1") // a manifest of Docker's schema 2
	digest := crane("digest", web+":v1")
	crane("tag", web+":v1", "latest")
	crane("copy", web+":v1", w.host+"/shop/api:v1") // mounts
	if got := crane("ls", web); got != "latest\nv1" {
		t.Errorf("tags: %q", got)
	}
	if got := crane("catalog", w.host); got != "shop/api\nshop/web" {
		t.Errorf("catalog: %q", got)
	}
	if got := crane("digest", w.host+"/shop/api:v1"); got != digest {
		t.Errorf("copied digest %s, want %s", got, digest)
	}
	crane("pull", web+"@"+digest, home+"/image.tar")
	crane("validate", "--remote", web+":latest")
	crane("mutate", web+":v1", "--label", "org.opencontainers.image.revision="+strings.Repeat("ab", 20), "-t", web+":v2")
	list, err := w.registry.Manifests(t.Context(), registry.Filter{Commit: slipway.CommitID(strings.Repeat("ab", 20))})
	if err != nil || len(list) != 1 || list[0].Tags[0] != "v2" {
		t.Errorf("image by the commit of its label: %+v, %v", list, err)
	}
	crane("delete", web+"@"+digest)
	if got := crane("ls", web); got != "v2" {
		t.Errorf("tags after delete: %q", got)
	}
}
