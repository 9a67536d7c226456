package signing

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"slipway"
)

// Verifier verifies signed statements by a trusted root, which needs no server.
type Verifier struct{ material root.TrustedMaterial }

// NewVerifier reads a trusted root, as TrustedRoot writes it.
func NewVerifier(trustedRoot []byte) (*Verifier, error) {
	trusted, err := root.NewTrustedRootFromJSON(trustedRoot)
	if err != nil {
		return nil, slipway.Invalid("this is not a trusted root of Sigstore in JSON: %v", err)
	}
	return &Verifier{trusted}, nil
}

// Verifier verifies by this server's own root.
func (s *Service) Verifier(ctx context.Context) (*Verifier, error) {
	trusted, err := s.material(ctx)
	if err != nil {
		return nil, err
	}
	return &Verifier{trusted}, nil
}

// Wanted says whose statement is wanted; nothing set takes everybody's whom the root certifies.
type Wanted struct {
	Identity       string // exactly
	IdentityRegexp string
	Issuer         string // exactly; empty takes any
}

// Check says what is wrong with it.
func (w Wanted) Check() error {
	if w.Identity != "" && w.IdentityRegexp != "" {
		return slipway.Invalid("name the identity or a regular expression for it, not both")
	}
	if _, err := regexp.Compile(w.IdentityRegexp); err != nil {
		return slipway.Invalid("the identity's regular expression: %v", err)
	}
	return nil
}

func (w Wanted) policy() (verify.PolicyOption, error) {
	if w == (Wanted{}) {
		return verify.WithoutIdentitiesUnsafe(), nil
	}
	anything := ".*"
	identity, issuer := w.IdentityRegexp, ""
	if w.Identity == "" && identity == "" {
		identity = anything
	}
	if w.Issuer == "" {
		issuer = anything
	}
	id, err := verify.NewShortCertificateIdentity(w.Issuer, issuer, w.Identity, identity)
	if err != nil {
		return nil, slipway.Invalid("the wanted identity: %v", err)
	}
	return verify.WithCertificateIdentity(id), nil
}

// Verified is what a verified statement says, and who says it.
type Verified struct {
	Identity      string    `json:"identity"`
	Issuer        string    `json:"issuer"`
	Repository    string    `json:"repository"`
	Ref           string    `json:"ref"`
	Commit        string    `json:"commit"`
	Run           string    `json:"run"` // the page of the run
	Trigger       string    `json:"trigger"`
	Signed        time.Time `json:"signed"`
	PredicateType string    `json:"predicateType"`
	// Provenance is set for the predicate type PredicateProvenance.
	Provenance *Provenance `json:"provenance,omitempty"`
}

// Verify verifies that a bundle is a statement about the image, signed by whom is wanted with a certificate that was good at a time that a
// timestamp authority of the root states.
func (v *Verifier) Verify(content []byte, d slipway.Digest, w Wanted) (Verified, error) {
	b := new(bundle.Bundle)
	if err := b.UnmarshalJSON(content); err != nil {
		return Verified{}, slipway.Invalid("this is not a bundle of Sigstore: %v", err)
	}
	if SignedByKey(content) {
		return Verified{}, slipway.Forbidden("the statement is signed with a key that is not known here: verify it by that key, as with cosign verify --key")
	}
	policy, err := w.policy()
	if err != nil {
		return Verified{}, err
	}
	digest, err := hex.DecodeString(d.Hex())
	if err != nil {
		return Verified{}, fmt.Errorf("read digest %s: %w", d, err)
	}
	verifier, err := verify.NewVerifier(v.material, verify.WithSignedTimestamps(1))
	if err != nil {
		return Verified{}, fmt.Errorf("make a verifier: %w", err)
	}
	result, err := verifier.Verify(b, verify.NewPolicy(verify.WithArtifactDigest(d.Algorithm(), digest), policy))
	if err != nil {
		return Verified{}, slipway.Forbidden("the statement does not verify: %s", strings.TrimSuffix(err.Error(), "; error: %!w(<nil>)")) // which the library leaves there
	}
	return describe(result)
}

// SignedByKey says that a bundle names a key and brings no certificate, as `cosign sign --key` makes them (Sigstore bundle format 0.3,
// VerificationMaterial).
func SignedByKey(content []byte) bool {
	var b struct {
		Material struct {
			Key *struct{} `json:"publicKey"`
		} `json:"verificationMaterial"`
	}
	return json.Unmarshal(content, &b) == nil && b.Material.Key != nil
}

func describe(result *verify.VerificationResult) (Verified, error) {
	var out Verified
	if c := result.Signature.Certificate; c != nil {
		out = Verified{Identity: c.SubjectAlternativeName, Issuer: c.Issuer, Repository: c.SourceRepositoryURI, Ref: c.SourceRepositoryRef,
			Commit: c.SourceRepositoryDigest, Run: c.RunInvocationURI, Trigger: c.BuildTrigger}
	}
	if len(result.VerifiedTimestamps) > 0 {
		out.Signed = result.VerifiedTimestamps[0].Timestamp.UTC()
	}
	if result.Statement == nil {
		return out, nil
	}
	out.PredicateType = result.Statement.PredicateType
	if out.PredicateType != PredicateProvenance {
		return out, nil
	}
	predicate, err := result.Statement.Predicate.MarshalJSON()
	if err != nil {
		return out, fmt.Errorf("read the provenance: %w", err)
	}
	if err := json.Unmarshal(predicate, &out.Provenance); err != nil {
		return out, slipway.Invalid("the provenance is not SLSA's, version 1: %v", err)
	}
	return out, nil
}
