package main

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/blob"
	"slipway/internal/clock"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/hooks"
	"slipway/internal/identity"
	"slipway/internal/registry"
	"slipway/internal/registry/retention"
	"slipway/internal/secret"
)

// governed serves a registry with sample/web:v1 and service hooks, and returns the data folder of its administrator.
func governed(t *testing.T) commandTest {
	t.Helper()
	ctx, d, logger, c := t.Context(), dbtest.SQLite(t), slog.New(slog.DiscardHandler), clock.System{}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	log, err := events.Open(ctx, d, c, logger)
	must(err)
	ids, err := identity.Open(ctx, d, log, c)
	must(err)
	files, err := blob.OpenFiles(t.TempDir())
	must(err)
	r, err := registry.Open(ctx, d, log, files, c, logger, registry.Options{})
	must(err)
	r.InUse = func(context.Context) ([]retention.Use, error) { return nil, nil }
	box, err := secret.NewBox(make([]byte, 32))
	must(err)
	h, err := hooks.Open(ctx, d, log, box, c, logger, hooks.Options{URL: "http://localhost"})
	must(err)
	project, err := ids.CreateProject(ctx, slipway.System, "sample", "")
	must(err)
	repo, err := r.Ensure(ctx, "sample/web", project.ID)
	must(err)
	const config = `{"architecture":"amd64","os":"linux"}`
	digest := registry.DigestOf("sha256", []byte(config))
	must(r.PutBlob(ctx, repo, digest, strings.NewReader(config)))
	_, err = r.PutManifest(ctx, repo, registry.Push{Tags: []string{"v1"}, By: identity.SystemPrincipal,
		Content: []byte(`{"schemaVersion":2,"mediaType":"` + registry.TypeOCIManifest + `","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"` + string(digest) + `","size":36},"layers":[]}`)})
	must(err)
	u, err := ids.CreateUser(ctx, slipway.System, identity.NewUser{Name: "ada", Password: "correct horse", Administrator: true})
	must(err)
	token, err := ids.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenPersonal, Name: "test", Actor: slipway.Actor{Kind: slipway.ActorUser, ID: string(u.ID), Name: "ada"}})
	must(err)
	server := api.New(ids, logger, "http://localhost")
	server.AddRegistry(r)
	server.AddHooks(h)
	listener := httptest.NewServer(server.Handler())
	t.Cleanup(listener.Close)
	data := t.TempDir()
	must(access{URL: listener.URL, Token: token}.write(data))
	return commandTest{t, data}
}

func TestRegistryCommand(t *testing.T) {
	t.Parallel()
	c := governed(t)
	c.says("sample/web", "registry", "ls")
	c.says("linux/amd64", "registry", "tags", "sample/web")
	c.fails("there is no image repository", "registry", "tags", "sample/none")
	c.says("of 10 GiB", "registry", "settings", "--quota", "10GiB")
	c.fails("write bytes, or a number with KiB", "registry", "settings", "--quota", "much")
	c.says("immutable:  v*, w*", "registry", "settings", "sample/web", "--immutable", "v*,w*", "--public")
	c.says("public:     true", "registry", "settings", "sample/web")
	policy := filepath.Join(c.TempDir(), "policy.json")
	write := func(text string) {
		c.Helper()
		if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
			c.Fatal(err)
		}
	}
	write(`{"remove": ["*"], "keeps": []}`)
	c.fails(`unknown field "keeps"`, "registry", "settings", "--retention", policy)
	write(`{"remove": ["*"], "untaggedDays": 7}`)
	c.says(`"untaggedDays": 7`, "registry", "settings", "--retention", policy)
	c.says("immutable:  v*, w*", "registry", "settings", "sample/web") // what is not given stays
	c.says("is immutable: it matches v*", "registry", "retention", "sample/web", "--dry-run")
	c.says("0 would go; nothing was removed", "registry", "retention", "sample/web", "--dry-run", "--policy", policy)
	c.fails("is tried with --dry-run", "registry", "retention", "sample/web", "--policy", policy)
	c.says("0 of 0 were removed", "registry", "retention", "sample/web")
	c.fails("is immutable", "registry", "rm", "sample/web:v1")
	c.says("immutable:  \n", "registry", "settings", "sample/web", "--immutable", "")
	c.says("sample/web:v1 is locked against: write", "registry", "lock", "sample/web:v1")
	c.says("write\n", "registry", "tags", "sample/web")
	c.fails("is locked", "registry", "rm", "sample/web:v1")
	c.says("is locked against: delete, read", "registry", "lock", "sample/web", "--forbid", "read,delete")
	c.fails("write delete, write or read", "registry", "lock", "sample/web", "--forbid", "push")
	c.fails("there is no manifest", "registry", "lock", "sample/web:v9")
	c.says("sample/web is not locked", "registry", "unlock", "sample/web")
	c.says("sample/web:v1 is not locked", "registry", "unlock", "sample/web:v1")
	c.fails("add --all to delete all of it", "registry", "rm", "sample/web")
	c.says("deleted sample/web:v1", "registry", "rm", "sample/web:v1")
	c.says("deleted sample/web", "registry", "rm", "--all", "sample/web")
	c.fails("there is no image repository", "registry", "rm", "--all", "sample/web")
	c.says("REPOSITORY", "registry", "ls", "--installation")
}

func TestHooksCommand(t *testing.T) {
	t.Parallel()
	c := governed(t)
	c.fails("say which events", "hooks", "add", "https://a.example/in")
	c.fails("subscribe to repos.pushed", "hooks", "add", "https://a.example/in", "--event", "git.push")
	out, err := run("hooks", "add", "https://a.example/in", "--event", "registry.*", "--filter", "repository=sample/**", "--description", "chat", "--data", c.data)
	id := strings.TrimSpace(out)
	if err != nil || len(id) != 36 {
		t.Fatalf("%q, %v", out, err)
	}
	c.says("https://a.example/in  event   enabled  chat", "hooks")
	c.says("delivery 1 is queued", "hooks", "test", id)
	c.says("hooks.test  pending", "hooks", "deliveries", id)
	c.says("a test of this subscription", "hooks", "deliveries", id, "1")
	c.says("delivery 2 is queued", "hooks", "redeliver", id, "1")
	c.fails("has no delivery 99", "hooks", "redeliver", id, "99")
	c.says("deleted 1 hooks", "hooks", "delete", id)
	c.fails("there is no subscription", "hooks", "delete", id)
}
