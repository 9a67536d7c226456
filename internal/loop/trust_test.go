package loop

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/clock"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/registry"
	"slipway/internal/scans"
	"slipway/internal/secret"
	"slipway/internal/signing"
)

// trustWorld is a review world with a registry and a run that pushes to it.
type trustWorld struct {
	*reviewWorld
	image registry.Repository
	run   pipelines.Run
	job   slipway.JobID
}

func newTrustWorld(t *testing.T) *trustWorld {
	t.Helper()
	w := &trustWorld{reviewWorld: newReviewWorld(t)}
	ctx, d := t.Context(), dbtest.SQLite(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	blobs, err := blob.OpenFiles(t.TempDir())
	must(err)
	box, err := secret.OpenKeyFile(filepath.Join(t.TempDir(), "key"))
	must(err)
	log, err := events.Open(ctx, d, clock.System{}, slog.New(slog.DiscardHandler))
	must(err)
	w.log = log // that of images
	w.Registry, err = registry.Open(ctx, d, log, blobs, clock.System{}, slog.New(slog.DiscardHandler), registry.Options{})
	must(err)
	w.Signing, err = signing.Open(ctx, d, box, clock.System{}, "https://slipway.example.com")
	must(err)
	w.RegistryHost = "slipway.example.com"
	w.Scans, err = scans.Open(ctx, scans.Options{DB: d, Log: log, Clock: clock.System{}, Logger: slog.New(slog.DiscardHandler), Images: ScannedImages{w.Registry}})
	must(err)
	w.image, err = w.Registry.Ensure(ctx, "tools/shop", w.project)
	must(err)
	w.run, err = w.Pipelines.Queue(ctx, pipelines.QueueRequest{Pipeline: w.pipeline, Actor: w.ada})
	must(err)
	timeline, err := w.Pipelines.Timeline(ctx, w.run.ID)
	must(err)
	w.job = timeline.Stages[0].Jobs[0].ID
	return w
}

// push pushes a manifest as the run's job, or as somebody without one.
func (w *trustWorld) push(manifest string, byJob bool) slipway.Digest {
	w.t.Helper()
	by := identity.Principal{Actor: w.ada}
	if byJob {
		by = identity.Principal{Actor: slipway.Actor{Kind: slipway.ActorJob, ID: w.job.String()}, Binding: identity.Binding{Run: w.run.ID, Job: w.job, Commit: w.run.Commit}}
	}
	m, err := w.Registry.PutManifest(w.t.Context(), w.image, registry.Push{Content: []byte(manifest), By: by, Tags: []string{"1.0", "latest"}})
	if err != nil {
		w.t.Fatal(err)
	}
	return m.Digest
}

func (w *trustWorld) blob(content string) string {
	w.t.Helper()
	d := registry.DigestOf("sha256", []byte(content))
	if err := w.Registry.PutBlob(w.t.Context(), w.image, d, strings.NewReader(content)); err != nil {
		w.t.Fatal(err)
	}
	return string(d)
}

// attest delivers all pushes, as the log does, and again.
func (w *trustWorld) attest() {
	w.t.Helper()
	for range 2 {
		list, err := w.log.List(w.t.Context(), events.Filter{Limit: 1000})
		if err != nil {
			w.t.Fatal(err)
		}
		slices.Reverse(list)
		for _, e := range list {
			if e.Kind != registry.EventPushed {
				continue
			}
			if err := errors.Join(w.attestImage(w.t.Context(), e), w.wantInventory(w.t.Context(), e)); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

func (w *trustWorld) about(d slipway.Digest, kind string) []registry.Attachment {
	w.t.Helper()
	list, err := w.Registry.Attachments(w.t.Context(), w.image, d, kind, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

func manifestOf(config string, rest string) string {
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
		"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":2}%s}`, config, rest)
}

// What a job pushes is signed once by the pipeline, whatever tags and deliveries there are.
func TestAttestImage(t *testing.T) {
	t.Parallel()
	w := newTrustWorld(t)
	d := w.push(manifestOf(w.blob("{}"), `,"layers":[]`), true)
	w.attest()
	list := w.about(d, signing.BundleType)
	if len(list) != 2 {
		t.Fatalf("%d signed statements, want a signature and a provenance", len(list))
	}
	verifier, err := w.Signing.Verifier(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	for _, a := range list {
		v, err := verifier.Verify(a.Content, d, signing.Wanted{Identity: "https://slipway.example.com/Tools/_git/Shop//azure-pipelines.yml@refs/heads/main"})
		if err != nil {
			t.Fatal(err)
		}
		kinds[v.PredicateType] = true
		if a.Annotations["dev.sigstore.bundle.predicateType"] != v.PredicateType || v.Commit != string(w.run.Commit) {
			t.Errorf("annotations %v of %+v", a.Annotations, v)
		}
		if v.Provenance != nil && v.Provenance.BuildDefinition.InternalParameters.JobID != int64(w.job) {
			t.Errorf("the provenance names job %d, want %d", v.Provenance.BuildDefinition.InternalParameters.JobID, w.job)
		}
	}
	if !kinds[signing.PredicateSignature] || !kinds[signing.PredicateProvenance] {
		t.Errorf("predicates %v", kinds)
	}
	again, err := w.Pipelines.Queue(t.Context(), pipelines.QueueRequest{Pipeline: w.pipeline, Actor: w.ada})
	if err != nil {
		t.Fatal(err)
	}
	timeline, err := w.Pipelines.Timeline(t.Context(), again.ID)
	if err != nil {
		t.Fatal(err)
	}
	w.run, w.job = again, timeline.Stages[0].Jobs[0].ID
	w.push(manifestOf(w.blob("{}"), `,"layers":[]`), true)
	w.attest()
	if n := len(w.about(d, signing.BundleType)); n != 4 {
		t.Errorf("two runs that built the same left %d statements, want 4", n)
	}
}

// Nothing is said of what is no image of a run.
func TestAttestNothing(t *testing.T) {
	t.Parallel()
	w := newTrustWorld(t)
	config, layer := w.blob("{}"), w.blob("statement")
	index := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":%q,"digest":%q,"size":9}]}`
	image := w.push(manifestOf(config, `,"layers":[]`), false)
	for name, manifest := range map[string]string{
		"about another": manifestOf(config, fmt.Sprintf(`,"layers":[],"subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":%q,"size":9}`, image)),
		"attestations":  manifestOf(config, fmt.Sprintf(`,"layers":[{"mediaType":"application/vnd.in-toto+json","digest":%q,"size":9}]`, layer)),
		"cache":         fmt.Sprintf(strings.Replace(index, `%q,"size":9}]`, `%q,"size":9},{"mediaType":"application/vnd.buildkit.cacheconfig.v0","digest":"`+config+`","size":2,"urls":["x:y"]}]`, 1), registry.TypeOCIManifest, image),
	} {
		d := w.push(manifest, true)
		w.attest()
		if n := len(w.about(d, "")); n != 0 {
			t.Errorf("%s: %d statements", name, n)
		}
	}
	w.attest()
	for _, a := range w.about(image, "") {
		if a.Type == signing.BundleType {
			t.Error("what a person pushed is signed")
		}
	}
	list := w.push(fmt.Sprintf(index, registry.TypeOCIManifest, image), true)
	w.attest()
	if n := len(w.about(list, signing.BundleType)); n != 2 {
		t.Errorf("an index of images has %d statements, want 2", n)
	}
}

func TestAttestUnsigned(t *testing.T) {
	t.Parallel()
	w := newTrustWorld(t)
	if err := w.Signing.SetEnabled(t.Context(), w.project, false); err != nil {
		t.Fatal(err)
	}
	d := w.push(manifestOf(w.blob("{}"), `,"layers":[]`), true)
	w.attest()
	list := w.about(d, "")
	if len(list) != 1 || list[0].Type != signing.StatementType || !json.Valid(list[0].Content) || !bytes.Contains(list[0].Content, []byte(w.run.Commit)) {
		t.Errorf("got %+v, want a provenance that is not signed", list)
	}
}

// A statement about an image starts no pipeline that waits for images.
func TestStatementsStartNothing(t *testing.T) {
	t.Parallel()
	w := newTrustWorld(t)
	w.commit("main", "azure-pipelines.yml", "trigger: none\nresources:\n  containers:\n  - container: shop\n    type: ACR\n    repository: tools/shop\n    trigger: true\nsteps:\n- script: make\n")
	d := w.push(manifestOf(w.blob("{}"), `,"layers":[]`), true)
	w.attest()
	if len(w.about(d, signing.BundleType)) != 2 {
		t.Fatal("nothing is signed")
	}
	list, err := w.log.List(t.Context(), events.Filter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		var p registry.Pushed
		if err := e.Decode(&p); err != nil {
			t.Fatal(err)
		}
		if p.Digest == d {
			continue
		}
		if p.Subject != d {
			t.Errorf("push of %s is about %q, want %s", p.Digest, p.Subject, d)
		}
		if err := w.runImage(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	runs, err := w.Pipelines.List(t.Context(), pipelines.RunFilter{Project: w.project})
	if err != nil || len(runs) != 1 {
		t.Errorf("%d runs, want the one that pushed (%v)", len(runs), err)
	}
}

// The inventory of images is wanted, whoever pushed them, and of nothing else.
func TestWantInventory(t *testing.T) {
	t.Parallel()
	w := newTrustWorld(t)
	config := w.blob("{}")
	image := w.push(manifestOf(config, `,"layers":[]`), false)
	chart := w.push(strings.Replace(manifestOf(config, `,"layers":[]`), "vnd.oci.image.config.v1", "vnd.cncf.helm.config.v1", 1), true)
	index := w.push(fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":%q,"digest":%q,"size":9}]}`,
		registry.TypeOCIManifest, image), true)
	w.attest()
	for d, want := range map[slipway.Digest]slipway.Code{image: "", chart: slipway.CodeNotFound, index: slipway.CodeNotFound} {
		m, err := w.Scans.Get(t.Context(), w.image.Name, d)
		if slipway.CodeOf(err) != want && (want != "" || err != nil) {
			t.Errorf("%s: %+v, %v, want %q", d, m, err, want)
		}
	}
	for range 2 {
		if err := (ScannedImages{w.Registry}).KeepSBOM(t.Context(), w.image.Name, image, scans.Document{Type: scans.TypeSPDX, Content: []byte(`{"spdxVersion":"SPDX-2.3"}`)}, slipway.System); err != nil {
			t.Fatal(err)
		}
	}
	if list := w.about(image, scans.TypeSPDX); len(list) != 1 || string(list[0].Content) != `{"spdxVersion":"SPDX-2.3"}` {
		t.Errorf("kept %+v, want one document", list)
	}
}

// What is said about an image goes with it, and comes again when the image does.
func TestForgetImage(t *testing.T) {
	t.Parallel()
	w := newTrustWorld(t)
	manifest := manifestOf(w.blob("{}"), `,"layers":[]`)
	d := w.push(manifest, true)
	w.attest()
	if err := w.Registry.DeleteManifest(t.Context(), w.image, d, w.ada); err != nil {
		t.Fatal(err)
	}
	forget := func() {
		t.Helper()
		list, err := w.log.List(t.Context(), events.Filter{Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			if e.Kind != registry.EventDeleted {
				continue
			}
			if err := w.forgetImage(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
	}
	forget()
	if n := len(w.about(d, "")); n != 0 {
		t.Errorf("%d documents outlive their image", n)
	}
	if _, err := w.Scans.Get(t.Context(), w.image.Name, d); slipway.CodeOf(err) != slipway.CodeNotFound {
		t.Errorf("the inventory outlives the image: %v", err)
	}
	w.push(manifest, true)
	w.attest()
	forget() // the event of before, delivered again
	if n := len(w.about(d, signing.BundleType)); n != 2 {
		t.Errorf("the image that is there again has %d signed statements, want 2", n)
	}
}
