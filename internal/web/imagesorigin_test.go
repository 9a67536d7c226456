package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/clock"
	"slipway/internal/db/dbtest"
	"slipway/internal/environments"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/pipelinestest"
	"slipway/internal/registry"
	"slipway/internal/repos"
	"slipway/internal/scans"
	"slipway/internal/secret"
	"slipway/internal/signing"
)

// originSite is the pages of images with a run that pushed one.
type originSite struct {
	*pipelineSite
	registry *registry.Service
	signing  *signing.Service
	scans    *scans.Service
	repo     registry.Repository
	run      slipway.RunID
	image    slipway.Digest
}

func newOriginSite(t *testing.T) *originSite {
	t.Helper()
	w, ctx, d := pipelinestest.Open(t, "Shop", ""), context.Background(), dbtest.SQLite(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	log, err := events.Open(ctx, d, clock.System{}, w.Logger)
	must(err)
	blobs, err := blob.OpenFiles(t.TempDir())
	must(err)
	box, err := secret.NewBox(make([]byte, 32))
	must(err)
	s := &originSite{pipelineSite: &pipelineSite{T: t, Service: w.Pipelines, source: w.Source}}
	s.registry, err = registry.Open(ctx, d, log, blobs, clock.System{}, w.Logger, registry.Options{})
	must(err)
	s.signing, err = signing.Open(ctx, d, box, clock.System{}, "http://slipway")
	must(err)
	s.scans, err = scans.Open(ctx, scans.Options{DB: d, Log: log, Clock: clock.System{}, Logger: w.Logger, Images: fakeImages{}, Program: fakeScanner(t), Folder: t.TempDir()})
	must(err)
	sources, err := repos.Open(ctx, d, log, clock.System{}, t.TempDir(), w.Logger)
	must(err)
	t.Cleanup(func() { _ = sources.Close() })
	pages := New(w.Identity, w.Log, w.Logger, "http://slipway")
	places, err := environments.Open(ctx, d, log, box, clock.System{}, w.Logger)
	must(err)
	things := Things{Registry: s.registry, Pipelines: w.Pipelines, Repos: sources, Environments: places, Signing: s.signing, Scans: s.scans}
	pages.AddPipelines(w.Pipelines, things)
	pages.AddImages(s.registry, things)
	s.server = httptest.NewServer(pages.Handler())
	t.Cleanup(s.server.Close)
	session, _, err := w.Identity.SignIn(ctx, w.Administrator.Name, pipelinestest.Password)
	must(err)
	s.client = &http.Client{Transport: withSession{identity.SessionCookie(session, false)}}
	s.repo, err = s.registry.Ensure(ctx, "shop/web", w.Project.ID)
	must(err)
	s.run = s.push("steps:\n- bash: x\n")
	config := registry.DigestOf("sha256", []byte("{}"))
	must(s.registry.PutBlob(ctx, s.repo, config, strings.NewReader("{}")))
	m, err := s.registry.PutManifest(ctx, s.repo, registry.Push{Tags: []string{"1"}, By: identity.Principal{Binding: identity.Binding{Run: s.run}},
		Content: []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[],"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"` + string(config) + `","size":2}}`)})
	must(err)
	s.image = m.Digest
	return s
}

// attach keeps the statements of a build with the image; change may change them before.
func (s *originSite) attach(about slipway.Digest, b signing.Build) {
	s.Helper()
	list, err := s.signing.Attest(context.Background(), signing.Image{Name: "slipway/shop/web", Digest: about}, b)
	if err != nil {
		s.Fatal(err)
	}
	for _, a := range list {
		if _, err := s.registry.Attach(context.Background(), s.repo, s.image, registry.Attachment{Type: a.MediaType, Content: a.Content}, slipway.System); err != nil {
			s.Fatal(err)
		}
	}
}

// What nobody's pipeline pushed is called so, and what somebody signed with a key is not called wrong.
func TestImageOriginWithoutPipeline(t *testing.T) {
	t.Parallel()
	s := newOriginSite(t)
	m, err := s.registry.PutManifest(t.Context(), s.repo, registry.Push{Tags: []string{"2"}, By: identity.Principal{Actor: slipway.Actor{Kind: slipway.ActorUser, ID: "u", Name: "ada"}},
		Content: []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[],"annotations":{"by":"hand"},"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"` +
			string(registry.DigestOf("sha256", []byte("{}"))) + `","size":2}}`)})
	if err != nil {
		t.Fatal(err)
	}
	page := "/_images/shop/web?digest=" + url.QueryEscape(string(m.Digest))
	s.get(page, "Not built by a pipeline: ada pushed this image")
	bundle := `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"abc"}},"dsseEnvelope":{"payload":"","payloadType":"application/vnd.in-toto+json","signatures":[]}}`
	if _, err := s.registry.Attach(t.Context(), s.repo, m.Digest, registry.Attachment{Type: signing.BundleType, Content: []byte(bundle)}, slipway.System); err != nil {
		t.Fatal(err)
	}
	if text := s.get(page, "Not built by a pipeline", "Statements that somebody signed with a key, which this server does not know: 1."); strings.Contains(text, "do not verify") {
		t.Error("a signature by a key is called wrong")
	}
}

func TestImageOrigin(t *testing.T) {
	t.Parallel()
	s := newOriginSite(t)
	page := "/_images/shop/web?digest=" + url.QueryEscape(string(s.image))
	s.get(page, "Origin", "Nobody signed this image")

	build := signing.Build{Project: "Shop", ProjectID: "p", Repository: "web", Ref: "refs/heads/main", Commit: pipelinestest.Commit, Pipeline: "web",
		File: "azure-pipelines.yml", Run: s.run, Reason: "IndividualCI", Parameters: map[string]any{"config": "<Release>"}}
	s.attach(s.image, build)
	id := s.job(s.run, "__default.Job")
	if err := s.PutTests(context.Background(), id, job.TestRun{Step: 1, Title: "go <test>", Results: []job.TestResult{{Name: "A", Outcome: "passed"}, {Name: "B", Outcome: "failed"}}}); err != nil {
		t.Fatal(err)
	}
	text := s.get(page, "http://slipway/Shop/_git/web//azure-pipelines.yml@refs/heads/main", `is-good">verified`, `href="/Shop/_git/web/commit/`+string(pipelinestest.Commit)+`"`,
		`href="/Shop/_build/results?buildId=`+s.run.String()+`"`, "signature, provenance", "config=&lt;Release&gt;", "go &lt;test&gt;", "1 of 2 passed", "slipway verify 127.0.0.1:")
	if strings.Contains(text, "Nobody signed") || strings.Contains(text, "do not verify") {
		t.Error("the page doubts a good signature")
	}
	if list := s.get("/_images/shop/web"); strings.Contains(list, "Without a tag") {
		t.Error("the statements are listed as images without a tag")
	}
	s.attach(slipway.Digest("sha256:"+strings.Repeat("ab", 32)), build) // statements about another image, which somebody put here
	s.get(page, "2 statements do not verify by this server", `is-good">verified`)
}
