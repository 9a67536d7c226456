package signing_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"google.golang.org/protobuf/encoding/protojson"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/secret"
	"slipway/internal/signing"
)

const address = "https://slipway.example.com:8443"

// then is long ago: a certificate of ten minutes has ended, and what it signed verifies still.
var then = time.Date(2025, 2, 3, 4, 5, 6, 789_000_000, time.UTC)

var image = signing.Image{Name: "slipway.example.com/shop/web", Digest: slipway.Digest("sha256:" + strings.Repeat("ab", 32))}

var build = signing.Build{Project: "Shop", ProjectID: "p-1", Repository: "web shop", RepositoryID: "r-1", Ref: "refs/heads/main",
	Commit: "4b825dc642cb6eb9a060e54bf8d69288fbee4904", Pipeline: "web", PipelineID: 3, File: "ci/azure-pipelines.yml", Run: 7, Number: "20250203.1",
	Reason: "IndividualCI", RequestedFor: "Ada", Parameters: map[string]any{"config": "Release"}, Stage: "Build", Job: 9, JobName: "Build.image", Attempt: 2,
	Started: then.Add(-time.Minute), Pushed: then}

const identity = address + "/Shop/_git/web%20shop//ci/azure-pipelines.yml@refs/heads/main"

type world struct {
	*testing.T
	db  *db.DB
	box *secret.Box
}

func newWorld(t *testing.T, d *db.DB) *world {
	t.Helper()
	box, err := secret.OpenKeyFile(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	return &world{t, d, box}
}

// at opens the service as it is at a time.
func (w *world) at(now time.Time) *signing.Service {
	w.Helper()
	s, err := signing.Open(context.Background(), w.db, w.box, clock.Fixed(now), address)
	if err != nil {
		w.Fatal(err)
	}
	return s
}

func (w *world) attest(s *signing.Service, b signing.Build) []signing.Attestation {
	w.Helper()
	list, err := s.Attest(context.Background(), image, b)
	if err != nil {
		w.Fatal(err)
	}
	return list
}

func (w *world) trustedRoot(s *signing.Service) []byte {
	w.Helper()
	b, err := s.TrustedRoot(context.Background())
	if err != nil {
		w.Fatal(err)
	}
	return b
}

// sigstore verifies a bundle as a client of Sigstore does that knows the trusted root alone.
func sigstore(t *testing.T, trusted, content []byte, option verify.VerifierOption) (*verify.VerificationResult, error) {
	t.Helper()
	material, err := root.NewTrustedRootFromJSON(trusted)
	if err != nil {
		t.Fatal(err)
	}
	b := new(bundle.Bundle)
	if err := b.UnmarshalJSON(content); err != nil {
		t.Fatal(err)
	}
	verifier, err := verify.NewVerifier(material, option)
	if err != nil {
		t.Fatal(err)
	}
	id, err := verify.NewShortCertificateIdentity(address, "", identity, "")
	if err != nil {
		t.Fatal(err)
	}
	return verifier.Verify(b, verify.NewPolicy(verify.WithArtifactDigest("sha256", bytes.Repeat([]byte{0xab}, 32)), verify.WithCertificateIdentity(id)))
}

func TestAttest(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		list := w.attest(w.at(then), build)
		trusted := w.trustedRoot(w.at(then.Add(time.Hour))) // as after a restart
		if len(list) != 2 || list[0].PredicateType != signing.PredicateSignature || list[1].PredicateType != signing.PredicateProvenance {
			t.Fatalf("attestations: %+v", list)
		}
		for _, a := range list {
			result, err := sigstore(t, trusted, a.Content, verify.WithSignedTimestamps(1))
			if err != nil {
				t.Fatalf("%s: %v", a.PredicateType, err)
			}
			// The fields are Fulcio's (docs/oid-info.md there).
			want := &certificate.Summary{CertificateIssuer: result.Signature.Certificate.CertificateIssuer, SubjectAlternativeName: identity,
				Extensions: certificate.Extensions{
					Issuer: address, BuildSignerURI: identity, BuildSignerDigest: string(build.Commit), RunnerEnvironment: "self-hosted",
					SourceRepositoryURI: address + "/Shop/_git/web%20shop", SourceRepositoryDigest: string(build.Commit), SourceRepositoryRef: "refs/heads/main",
					SourceRepositoryIdentifier: "r-1", SourceRepositoryOwnerURI: address + "/Shop", SourceRepositoryOwnerIdentifier: "p-1",
					BuildConfigURI: identity, BuildConfigDigest: string(build.Commit), BuildTrigger: "IndividualCI",
					RunInvocationURI: address + "/Shop/_build/results?buildId=7", SourceRepositoryVisibilityAtSigning: "private",
				}}
			if diff := cmp.Diff(want, result.Signature.Certificate); diff != "" {
				t.Errorf("certificate (-want +got):\n%s", diff)
			}
			if got := result.VerifiedTimestamps[0].Timestamp; !got.Equal(then.Truncate(time.Second)) {
				t.Errorf("signed at %v, want %v", got, then)
			}
			if _, err := sigstore(t, trusted, a.Content, verify.WithCurrentTime()); err == nil {
				t.Error("the certificate is good to this day")
			}
			other := w.trustedRoot(newWorld(t, dbtest.SQLite(t)).at(then))
			if _, err := sigstore(t, other, a.Content, verify.WithSignedTimestamps(1)); err == nil {
				t.Error("the root of another server verifies it")
			}
		}
	})
}

// The predicate is that of slsa.dev/spec/v1.1/provenance.
func TestProvenance(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	list := w.attest(w.at(then), build)
	result, err := sigstore(t, w.trustedRoot(w.at(then)), list[1].Content, verify.WithSignedTimestamps(1))
	if err != nil {
		t.Fatal(err)
	}
	got, err := protojson.Marshal(result.Statement)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
	"_type": "https://in-toto.io/Statement/v1",
	"subject": [{"name": "slipway.example.com/shop/web", "digest": {"sha256": "abababababababababababababababababababababababababababababababab"}}],
	"predicateType": "https://slsa.dev/provenance/v1",
	"predicate": {
		"buildDefinition": {
			"buildType": "urn:slipway:pipeline-job:v1",
			"externalParameters": {
				"pipeline": {"repository": "https://slipway.example.com:8443/Shop/_git/web%20shop", "ref": "refs/heads/main", "path": "ci/azure-pipelines.yml"},
				"parameters": {"config": "Release"}
			},
			"internalParameters": {"project": "Shop", "pipeline": "web", "pipelineId": 3, "run": 7, "runNumber": "20250203.1", "reason": "IndividualCI",
				"requestedFor": "Ada", "stage": "Build", "job": "Build.image", "jobId": 9, "attempt": 2},
			"resolvedDependencies": [{"uri": "git+https://slipway.example.com:8443/Shop/_git/web%20shop@refs/heads/main",
				"digest": {"gitCommit": "4b825dc642cb6eb9a060e54bf8d69288fbee4904"}}]
		},
		"runDetails": {
			"builder": {"id": "https://slipway.example.com:8443"},
			"metadata": {"invocationId": "https://slipway.example.com:8443/Shop/_build/results?buildId=7",
				"startedOn": "2025-02-03T04:04:06Z", "finishedOn": "2025-02-03T04:05:06Z"}
		}
	}}`
	var gotValue, wantValue any
	if err := errors.Join(json.Unmarshal(got, &gotValue), json.Unmarshal([]byte(want), &wantValue)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantValue, gotValue); diff != "" {
		t.Errorf("provenance (-want +got):\n%s", diff)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	s := w.at(then)
	list := w.attest(s, build)
	verifier, err := signing.NewVerifier(w.trustedRoot(s))
	if err != nil {
		t.Fatal(err)
	}
	tampered := func(change func(m map[string]any)) []byte {
		var m map[string]any
		if err := json.Unmarshal(list[1].Content, &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, c := range map[string]struct {
		content []byte
		digest  slipway.Digest
		wanted  signing.Wanted
		want    string // a part of the reason, empty when it verifies
	}{
		"anybody":          {list[1].Content, image.Digest, signing.Wanted{}, ""},
		"the identity":     {list[0].Content, image.Digest, signing.Wanted{Identity: identity, Issuer: address}, ""},
		"an expression":    {list[0].Content, image.Digest, signing.Wanted{IdentityRegexp: "^https://slipway.example.com:8443/Shop/.*@refs/heads/main$"}, ""},
		"the issuer":       {list[0].Content, image.Digest, signing.Wanted{Issuer: address}, ""},
		"another identity": {list[0].Content, image.Digest, signing.Wanted{Identity: strings.Replace(identity, "main", "topic", 1)}, "no matching CertificateIdentity"},
		"another issuer":   {list[0].Content, image.Digest, signing.Wanted{Issuer: "https://token.actions.githubusercontent.com"}, "no matching CertificateIdentity"},
		"another image":    {list[0].Content, slipway.Digest("sha256:" + strings.Repeat("cd", 32)), signing.Wanted{}, "digest"},
		"without a timestamp": {tampered(func(m map[string]any) {
			delete(m["verificationMaterial"].(map[string]any), "timestampVerificationData")
		}), image.Digest, signing.Wanted{}, "timestamp"},
		"a changed statement":   {tampered(func(m map[string]any) { m["dsseEnvelope"].(map[string]any)["payload"] = "e30=" }), image.Digest, signing.Wanted{}, "verif"},
		"no bundle":             {[]byte(`{"a":1}`), image.Digest, signing.Wanted{}, "not a bundle"},
		"no regular expression": {list[0].Content, image.Digest, signing.Wanted{IdentityRegexp: "("}, "identity"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := verifier.Verify(c.content, c.digest, c.wanted)
			switch {
			case c.want != "" && err == nil:
				t.Errorf("it verifies: %+v", v)
			case c.want != "" && !strings.Contains(err.Error(), c.want):
				t.Errorf("got %v, want it to name %q", err, c.want)
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want == "" && (v.Identity != identity || v.Commit != string(build.Commit)):
				t.Errorf("got %+v", v)
			}
		})
	}
}

// Nine years later another authority signs, and what the first one signed verifies by the root as it is then.
func TestRotation(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		later, first := w.at(time.Now()), time.Now().AddDate(-9, -1, 0)
		old := w.attest(w.at(first), build)
		fresh := w.attest(later, build)
		trusted := w.trustedRoot(later)
		for i, a := range append(old, fresh...) {
			if _, err := sigstore(t, trusted, a.Content, verify.WithSignedTimestamps(1)); err != nil {
				t.Errorf("statement %d: %v", i, err)
			}
		}
		if _, err := sigstore(t, w.trustedRoot(w.at(first)), old[0].Content, verify.WithSignedTimestamps(1)); err != nil {
			t.Errorf("by the root of old: %v", err)
		}
		var parsed struct {
			Authorities []any `json:"certificateAuthorities"`
		}
		if err := json.Unmarshal(trusted, &parsed); err != nil || len(parsed.Authorities) != 2 {
			t.Errorf("%d authorities in the root, want 2 (%v)", len(parsed.Authorities), err)
		}
	})
}

func TestSwitchedOff(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		s, ctx := w.at(then), context.Background()
		for range 2 { // twice is as good as once
			if err := s.SetEnabled(ctx, build.ProjectID, false); err != nil {
				t.Fatal(err)
			}
		}
		list := w.attest(s, build)
		if len(list) != 1 || list[0].MediaType != signing.StatementType || !json.Valid(list[0].Content) {
			t.Errorf("got %+v, want one statement that is not signed", list)
		}
		if other := w.attest(s, signing.Build{Project: "Other", ProjectID: "p-2", Repository: "x", File: "a.yml", Run: 1}); len(other) != 2 {
			t.Errorf("another project has %d statements, want 2", len(other))
		}
		if err := s.SetEnabled(ctx, build.ProjectID, true); err != nil {
			t.Fatal(err)
		}
		if list := w.attest(s, build); len(list) != 2 {
			t.Errorf("switched on again: %d statements, want 2", len(list))
		}
	})
}

func TestDue(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		s, ctx := w.at(then), context.Background()
		due := func(run slipway.RunID) bool {
			t.Helper()
			ok, err := s.Due(ctx, "shop/web", image.Digest, run)
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		if !due(1) {
			t.Error("a new image is not due")
		}
		for run := range slipway.RunID(100) {
			for range 2 {
				if err := s.Attested(ctx, "shop/web", image.Digest, run+1); err != nil {
					t.Fatal(err)
				}
			}
			if run == 0 && (due(1) || !due(2)) {
				t.Error("a run's image is due again, or another run's is not")
			}
		}
		if due(101) {
			t.Error("an image has statements of more than a hundred runs")
		}
	})
}

// OpenSSL, which is no part of Sigstore, asks for a timestamp and verifies it.
func TestTimestampOpenSSL(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	s, ctx, folder := w.at(time.Now()), context.Background(), t.TempDir()
	file := func(name string) string { return filepath.Join(folder, name) }
	openssl := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("openssl %s: %v\n%s", args, err, out)
		}
		return string(out)
	}
	write := func(name string, b []byte) {
		t.Helper()
		if err := os.WriteFile(file(name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("data", []byte("what is signed"))
	chain, err := s.TimestampChain(ctx)
	if err != nil {
		t.Fatal(err)
	}
	leaf, rest := pem.Decode(chain)
	write("leaf", pem.EncodeToMemory(leaf))
	write("root", rest)
	for _, hash := range []string{"sha256", "sha512"} {
		openssl("ts", "-query", "-data", file("data"), "-"+hash, "-cert", "-out", file("query"))
		query, err := os.ReadFile(file("query"))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := s.Timestamp(ctx, query)
		if err != nil {
			t.Fatal(err)
		}
		write("answer", answer)
		out := openssl("ts", "-verify", "-in", file("answer"), "-queryfile", file("query"), "-CAfile", file("root"), "-untrusted", file("leaf"))
		if !strings.Contains(out, "Verification: OK") {
			t.Errorf("openssl says %s", out)
		}
	}
	openssl("ts", "-query", "-data", file("data"), "-sha1", "-out", file("query"))
	query, err := os.ReadFile(file("query"))
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{"SHA-1": query, "no request": []byte("x"), "nothing": nil} {
		if _, err := s.Timestamp(ctx, bad); slipway.CodeOf(err) != slipway.CodeInvalid {
			t.Errorf("%s: got %v, want invalid", name, err)
		}
	}
}
