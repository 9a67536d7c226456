package api_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/blob"
	"slipway/internal/clock"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/registry"
	"slipway/internal/registry/retention"
)

// registryWorld has a repository shop/web of the project Shop with the tags v1 and v2 of one image.
func registryWorld(t *testing.T) (world, *registry.Service, registry.Manifest) {
	t.Helper()
	ctx, d, logger := t.Context(), dbtest.SQLite(t), slog.New(slog.DiscardHandler)
	log := must[*events.Log](t)(events.Open(ctx, d, clock.System{}, logger))
	ids := must[*identity.Service](t)(identity.Open(ctx, d, log, clock.System{}))
	files := must[*blob.Files](t)(blob.OpenFiles(t.TempDir()))
	s := must[*registry.Service](t)(registry.Open(ctx, d, log, files, clock.System{}, logger, registry.Options{}))
	s.InUse = func(context.Context) ([]retention.Use, error) { return nil, nil }
	project := must[identity.Project](t)(ids.CreateProject(ctx, slipway.System, "Shop", ""))
	repo := must[registry.Repository](t)(s.Ensure(ctx, "shop/web", project.ID))
	const config = `{"architecture":"arm64","os":"linux"}`
	digest := registry.DigestOf("sha256", []byte(config))
	if err := s.PutBlob(ctx, repo, digest, strings.NewReader(config)); err != nil {
		t.Fatal(err)
	}
	content := `{"schemaVersion":2,"mediaType":"` + registry.TypeOCIManifest + `","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"` + string(digest) + `","size":36},"layers":[]}`
	m := must[registry.Manifest](t)(s.PutManifest(ctx, repo, registry.Push{Content: []byte(content), Tags: []string{"v1", "v2"}, By: identity.SystemPrincipal}))
	must[registry.Repository](t)(s.Ensure(ctx, "library/base", ""))
	server := api.New(ids, logger, "http://localhost")
	server.AddRegistry(s)
	listener := httptest.NewServer(server.Handler())
	t.Cleanup(listener.Close)
	return world{t, listener.URL, ids, project}, s, m
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	w, s, m := registryWorld(t)
	admin, stranger := w.user("ada", true), w.user("eve", false)
	const base = "/Shop/_apis/slipway/registry/"
	var repositories struct{ Value []api.ImageRepository }
	w.call(admin, "GET", base+"repositories?search=WEB", "", 200, &repositories)
	if len(repositories.Value) != 1 || repositories.Value[0].Name != "shop/web" || repositories.Value[0].Tags != 2 || repositories.Value[0].Bytes == 0 {
		t.Errorf("repositories %+v", repositories.Value)
	}
	w.call(admin, "GET", base+"repositories?search=w_b", "", 200, &repositories)
	if len(repositories.Value) != 0 {
		t.Errorf("a search for w_b finds %+v", repositories.Value)
	}
	w.call(admin, "GET", "/_apis/slipway/registry/repositories", "", 200, &repositories)
	if len(repositories.Value) != 1 || repositories.Value[0].Name != "library/base" {
		t.Errorf("the installation's repositories %+v", repositories.Value)
	}
	w.call(stranger, "GET", base+"repositories", "", 404, nil)
	w.call(admin, "GET", base+"tags?repository=library/base", "", 404, nil) // belongs to no project
	w.call(admin, "GET", base+"tags", "", 400, nil)
	var tags struct{ Value []api.ImageTag }
	w.call(admin, "GET", base+"tags?repository=shop/web&search=1", "", 200, &tags)
	if len(tags.Value) != 1 || tags.Value[0].Name != "v1" || tags.Value[0].Digest != string(m.Digest) || !cmp.Equal(tags.Value[0].Platforms, []string{"linux/arm64"}) {
		t.Errorf("tags %+v", tags.Value)
	}

	var settings api.RegistrySettings
	w.call(admin, "PUT", base+"settings?repository=shop/web", `{"public":true,"immutable":["v1"],"quota":{"tags":5},"retention":{"remove":["*"]}}`, 200, &settings)
	if settings.Public == nil || !*settings.Public || settings.Quota.Tags != 5 || settings.Used.Tags != 2 {
		t.Errorf("settings %+v", settings)
	}
	repo := must[registry.Repository](t)(s.Repository(t.Context(), "shop/web"))
	if !repo.Public {
		t.Error("the repository is not public")
	}
	w.call(admin, "PUT", base+"settings", `{"public":true}`, 400, nil)
	w.call(admin, "PUT", base+"settings?repository=shop/web", `{"retention":{"remove":["["]}}`, 400, nil)
	w.call(admin, "PUT", base+"settings", `{"quota":{"bytes":1000}}`, 200, &settings)
	if settings.Quota.Bytes != 1000 || settings.Used.Bytes == 0 {
		t.Errorf("the project's settings %+v", settings)
	}

	var plan api.RetentionPlan
	w.call(admin, "GET", base+"retention?repository=shop/web", "", 200, &plan)
	reasons := map[string]string{}
	for _, f := range plan.Tags {
		reasons[f.Tag] = f.Reason
	}
	want := map[string]string{"v1": "is immutable: it matches v1", "v2": "was pushed less than an hour ago"}
	if diff := cmp.Diff(want, reasons); diff != "" {
		t.Error(diff)
	}
	w.call(admin, "POST", base+"retention/plan?repository=shop/web", `{"keep":[{}],"remove":["*"]}`, 200, &plan)
	w.call(admin, "POST", base+"retention/plan?repository=shop/web", `{"kept":[]}`, 400, nil)
	w.call(admin, "POST", base+"retention?repository=shop/web", "", 200, &plan)
	if plan.Removed != 0 {
		t.Errorf("%d removed", plan.Removed)
	}

	w.call(admin, "DELETE", base+"tags?repository=shop/web&tag=v1", "", 403, nil)
	w.call(admin, "DELETE", base+"tags?repository=shop/web&tag=v2", "", 204, nil)
	w.call(admin, "PUT", base+"settings?repository=shop/web", `{}`, 200, nil)
	w.call(admin, "DELETE", base+"manifests?repository=shop/web&digest="+string(m.Digest), "", 204, nil)
	w.call(stranger, "DELETE", "/_apis/slipway/registry/repositories?repository=library/base", "", 403, nil)
	w.call(admin, "DELETE", base+"repositories?repository=shop/web", "", 204, nil)
	w.call(admin, "DELETE", base+"repositories?repository=shop/web", "", 404, nil)
}

// A token that may only read changes nothing, neither by what it may see nor by what anybody signed in may do.
func TestReadOnlyTokens(t *testing.T) {
	t.Parallel()
	w, _, _ := registryWorld(t)
	u := must[identity.User](t)(w.identity.CreateUser(t.Context(), slipway.System, identity.NewUser{Name: "ada", Password: "correct horse", Administrator: true}))
	for scope, want := range map[identity.TokenScope]int{identity.ScopeRead: 200, identity.ScopeRegistry: 403, identity.ScopeRegistryRead: 403} {
		token := must[string](t)(w.identity.IssueToken(t.Context(), identity.TokenRequest{Kind: identity.TokenPersonal, Name: "x",
			Actor: slipway.Actor{Kind: slipway.ActorUser, ID: string(u.ID)}, Binding: identity.Binding{Scope: scope}}))
		w.call(token, "GET", "/Shop/_apis/slipway/registry/repositories", "", want, nil)
		w.call(token, "PUT", "/Shop/_apis/slipway/registry/settings", `{}`, 403, nil)
	}
	_, err := w.identity.IssueToken(t.Context(), identity.TokenRequest{Kind: identity.TokenPersonal, Name: "x",
		Actor: slipway.Actor{Kind: slipway.ActorUser, ID: string(u.ID)}, Binding: identity.Binding{Scope: "everything"}})
	if slipway.CodeOf(err) != slipway.CodeInvalid {
		t.Errorf("an unknown scope: %v", err)
	}
}
