package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/blob"
	"slipway/internal/clock"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/issuer"
	"slipway/internal/ociserver"
	"slipway/internal/registry"
	"slipway/internal/secret"
	"slipway/internal/signing"
)

// signingWorld is a server with the authorities and a registry, and a job that may ask them.
type signingWorld struct {
	world
	host     string
	issuer   *issuer.Service
	signing  *signing.Service
	registry *registry.Service
	admin    string // a token
}

// signedBuild is what the server knows of job 9 of run 7.
var signedBuild = signing.Build{Project: "Shop", ProjectID: "p", Repository: "web", RepositoryID: "r", Ref: "refs/heads/main", Pipeline: "web", File: "azure-pipelines.yml",
	Commit: "4b825dc642cb6eb9a060e54bf8d69288fbee4904", Run: 7, Number: "1", Reason: "Manual", Job: 9, JobName: "image"}

func newSigningWorld(t *testing.T) *signingWorld {
	t.Helper()
	ctx, d, logger := context.Background(), dbtest.SQLite(t), slog.New(slog.DiscardHandler)
	var handler http.Handler
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(listener.Close)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	log, err := events.Open(ctx, d, clock.System{}, logger)
	must(err)
	ids, err := identity.Open(ctx, d, log, clock.System{})
	must(err)
	project, err := ids.CreateProject(ctx, slipway.System, "Shop", "")
	must(err)
	box, err := secret.OpenKeyFile(filepath.Join(t.TempDir(), "key"))
	must(err)
	blobs, err := blob.OpenFiles(t.TempDir())
	must(err)
	w := &signingWorld{world: world{t, listener.URL, ids, project}, host: strings.TrimPrefix(listener.URL, "http://")}
	w.issuer, err = issuer.Open(ctx, d, box, clock.System{}, w.url)
	must(err)
	w.signing, err = signing.Open(ctx, d, box, clock.System{}, w.url)
	must(err)
	w.registry, err = registry.Open(ctx, d, log, blobs, clock.System{}, logger, registry.Options{})
	must(err)
	server := api.New(ids, logger, w.url)
	server.AddIssuer(w.issuer)
	server.AddSigning(w.signing, w.issuer, func(_ context.Context, run slipway.RunID, job slipway.JobID) (signing.Build, error) {
		if run != signedBuild.Run || job != signedBuild.Job {
			return signing.Build{}, slipway.NotFound("there is no run %d", run)
		}
		return signedBuild, nil
	})
	mux := http.NewServeMux()
	mux.Handle("/", server.Handler())
	mux.Handle("/v2/", ociserver.New(w.registry, ids, logger))
	handler = httpx.Middleware(logger, mux)
	w.admin = w.user("ada", true)
	return w
}

// jobToken is the identity token of the job, or of another one, for an audience.
func (w *signingWorld) jobToken(job, audience string, life time.Duration) string {
	w.Helper()
	token, err := w.issuer.Sign(context.Background(), map[string]any{"aud": audience, "sub": "p://slipway/Shop/web", "run_id": "7", "job_id": job}, time.Now().Add(life))
	if err != nil {
		w.Fatal(err)
	}
	return token
}

func (w *signingWorld) trustedRoot() []byte {
	w.Helper()
	b, err := w.signing.TrustedRoot(context.Background())
	if err != nil {
		w.Fatal(err)
	}
	return b
}

// Sigstore's own client signs with a job's identity by what the server's signing configuration and trusted root say.
func TestSigstoreClient(t *testing.T) {
	t.Parallel()
	w := newSigningWorld(t)
	var config, trusted map[string]any
	w.call("", "GET", "/_apis/slipway/signing-config", "", http.StatusOK, &config)
	w.call("", "GET", "/_apis/slipway/trusted-root", "", http.StatusOK, &trusted)
	if ca := config["caUrls"].([]any)[0].(map[string]any)["url"]; ca != w.url {
		t.Errorf("the signing configuration names the authority %v, want %s", ca, w.url)
	}
	material, err := root.NewTrustedRootFromJSON(w.trustedRoot())
	if err != nil {
		t.Fatal(err)
	}
	statement := `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x","digest":{"sha256":"` + strings.Repeat("ab", 32) + `"}}],"predicateType":"https://example.com/tested","predicate":{}}`
	ask := func(token string) ([]byte, error) {
		keypair, err := sign.NewEphemeralKeypair(nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := sign.Bundle(&sign.DSSEData{Data: []byte(statement), PayloadType: "application/vnd.in-toto+json"}, keypair, sign.BundleOptions{
			CertificateProvider:        sign.NewFulcio(&sign.FulcioOptions{BaseURL: config["caUrls"].([]any)[0].(map[string]any)["url"].(string)}),
			CertificateProviderOptions: &sign.CertificateProviderOptions{IDToken: token},
			TimestampAuthorities:       []*sign.TimestampAuthority{sign.NewTimestampAuthority(&sign.TimestampAuthorityOptions{URL: config["tsaUrls"].([]any)[0].(map[string]any)["url"].(string)})},
			TrustedRoot:                material,
		})
		if err != nil {
			return nil, err
		}
		return protojson.Marshal(b)
	}
	bundle, err := ask(w.jobToken("9", api.SigningAudience, time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := signing.NewVerifier(w.trustedRoot())
	if err != nil {
		t.Fatal(err)
	}
	v, err := verifier.Verify(bundle, slipway.Digest("sha256:"+strings.Repeat("ab", 32)), signing.Wanted{Identity: w.signing.Identity(signedBuild), Issuer: w.url})
	if err != nil {
		t.Fatal(err)
	}
	if v.PredicateType != "https://example.com/tested" || v.Commit != string(signedBuild.Commit) {
		t.Errorf("got %+v", v)
	}
	for name, token := range map[string]string{
		"another audience": w.jobToken("9", "api://AzureADTokenExchange", time.Minute), "ended": w.jobToken("9", api.SigningAudience, -time.Minute),
		"another job": w.jobToken("10", api.SigningAudience, time.Minute), "no job": w.jobToken("", api.SigningAudience, time.Minute),
		"of another server": newSigningWorld(t).jobToken("9", api.SigningAudience, time.Minute),
	} {
		if _, err := ask(token); err == nil || !strings.Contains(err.Error(), "Fulcio returned 40") {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
	}
}

// A key is certified for whoever has it.
func TestCertificateWithoutProof(t *testing.T) {
	t.Parallel()
	w := newSigningWorld(t)
	const key = `-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEfa3Z4f1hDqYb6yGr4iHs6v6WqCqO\nLkKq1yG7pGp1h2mY8b0x0b8Lq4p9d5Vx0vE3hN5vJ2r0aK0b6o0Q2pQnUQ==\n-----END PUBLIC KEY-----\n`
	token := w.jobToken("9", api.SigningAudience, time.Hour)
	for name, body := range map[string]string{
		"no key":    `{"credentials":{"oidcIdentityToken":"` + token + `"}}`,
		"no PEM":    `{"credentials":{"oidcIdentityToken":"` + token + `"},"publicKeyRequest":{"publicKey":{"content":"x"}}}`,
		"no proof":  `{"credentials":{"oidcIdentityToken":"` + token + `"},"publicKeyRequest":{"publicKey":{"content":"` + key + `"},"proofOfPossession":"AAAA"}}`,
		"bad CSR":   `{"credentials":{"oidcIdentityToken":"` + token + `"},"certificateSigningRequest":"AAAA"}`,
		"not JSON":  `x`,
		"not an id": `[]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			world{t, w.url, w.identity, w.project}.call("", "POST", signing.CertificatePath, body, http.StatusBadRequest, nil)
		})
	}
	w.call("", "POST", signing.CertificatePath, `{}`, http.StatusUnauthorized, nil)
	w.call("", "POST", signing.TimestampPath, "x", http.StatusBadRequest, nil)
}

func TestSwitchSigning(t *testing.T) {
	t.Parallel()
	w := newSigningWorld(t)
	user := w.user("eve", false)
	var s api.Signing
	w.call(w.admin, "GET", "/Shop/_apis/slipway/signing", "", http.StatusOK, &s)
	if !s.Enabled {
		t.Error("a new project does not sign")
	}
	w.call(w.admin, "PUT", "/Shop/_apis/slipway/signing", `{"enabled":false}`, http.StatusOK, &s)
	w.call(w.admin, "GET", "/Shop/_apis/slipway/signing", "", http.StatusOK, &s)
	if s.Enabled {
		t.Error("it is switched off and signs")
	}
	w.call(user, "PUT", "/Shop/_apis/slipway/signing", `{"enabled":true}`, http.StatusNotFound, nil)
	w.call("", "GET", "/Shop/_apis/slipway/signing", "", http.StatusUnauthorized, nil)
}
