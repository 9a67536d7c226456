package main

import (
	"context"
	"errors"
	"io/fs"
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
	"slipway/internal/commandline"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/registry"
)

// verifiable is a server whose registry has the image shop/web:v1, and a second data folder by which somebody calls it who
// is no administrator. damage changes every object that the registry keeps.
func verifiable(t *testing.T) (data, others string, damage func()) {
	t.Helper()
	ctx, logger, d := context.Background(), slog.New(slog.DiscardHandler), dbtest.SQLite(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	log, err := events.Open(ctx, d, clock.System{}, logger)
	must(err)
	people, err := identity.Open(ctx, d, log, clock.System{})
	must(err)
	folder := t.TempDir()
	files, err := blob.OpenFiles(folder)
	must(err)
	r, err := registry.Open(ctx, d, log, files, clock.System{}, logger, registry.Options{})
	must(err)
	repo, err := r.Ensure(ctx, "shop/web", "project")
	must(err)
	config := registry.DigestOf("sha256", []byte("{}"))
	must(r.PutBlob(ctx, repo, config, strings.NewReader("{}")))
	_, err = r.PutManifest(ctx, repo, registry.Push{By: identity.SystemPrincipal, Tags: []string{"v1"},
		Content: []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"x/y","digest":"` + string(config) + `","size":2},"layers":[]}`)})
	must(err)
	server := api.New(people, logger, "http://localhost:8080")
	server.AddVerification(r)
	listener := httptest.NewServer(server.Handler())
	t.Cleanup(listener.Close)
	caller := func(name string, administrator bool) string {
		u, err := people.CreateUser(ctx, slipway.System, identity.NewUser{Name: name, Password: "battery staple", Administrator: administrator})
		must(err)
		token, err := people.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenPersonal, Name: "test", Actor: slipway.Actor{Kind: slipway.ActorUser, ID: string(u.ID), Name: u.Name}})
		must(err)
		data := t.TempDir()
		must(access{URL: listener.URL, Token: token}.write(data))
		return data
	}
	return caller("ada", true), caller("bob", false), func() {
		must(filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			return os.WriteFile(path, []byte("[]"), 0o600)
		}))
	}
}

func TestRegistryVerifyCommand(t *testing.T) {
	t.Parallel()
	data, others, damage := verifiable(t)
	c := commandTest{t, data}
	c.says("all is well: 1 of 1 blobs, 0.0 of 0.0 MB, 1 manifests", "registry", "verify")
	c.says("all is well", "registry", "verify", "shop/web")
	c.fails(`there is no image repository "shop/api"`, "registry", "verify", "shop/api")
	commandTest{t, others}.fails("only an administrator", "registry", "verify")
	damage()
	out, err := run("registry", "verify", "--data", data)
	var exit *commandline.ExitError
	if !errors.As(err, &exit) || exit.Code != 2 {
		t.Errorf("exit of a verification that finds something: %v", err)
	}
	for _, want := range []string{"damaged sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a: ", "  in shop/web: needed by v1\n", "1 finding: "} { // the digest of {}, from the image specification
		if !strings.Contains(out, want) {
			t.Errorf("%q does not say %q", out, want)
		}
	}
}
