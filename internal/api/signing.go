package api

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/issuer"
	"slipway/internal/signing"
)

const (
	// SigningAudience is that of identity tokens by which Sigstore's clients ask for a certificate.
	SigningAudience = "sigstore"
	// maxCertificateRequest bounds a request for a certificate, in bytes.
	maxCertificateRequest = 64 << 10
)

// DescribeBuild is what is known of a job of a run; the loop does it.
type DescribeBuild func(ctx context.Context, run slipway.RunID, job slipway.JobID) (signing.Build, error)

type signingRoutes struct {
	*Server
	signing  *signing.Service
	issuer   *issuer.Service
	describe DescribeBuild
}

// AddSigning serves what others verify images by, which everybody may read; the two authorities as Sigstore's clients ask them (Fulcio's
// API, version 2, and RFC 3161 over HTTP); and whether a project signs.
func (s *Server) AddSigning(sign *signing.Service, i *issuer.Service, describe DescribeBuild) {
	r := signingRoutes{s, sign, i, describe}
	s.public("GET", "/_apis/slipway/trusted-root", r.trustedRoot)
	s.public("GET", "/_apis/slipway/signing-config", r.signingConfig)
	s.public("GET", "/_apis/slipway/timestamp-chain", r.timestampChain)
	s.public("POST", signing.CertificatePath, r.certificate)
	s.public("POST", signing.TimestampPath, r.timestamp)
	s.project("GET", "/slipway/signing", identity.Read, r.show)
	s.project("PUT", "/slipway/signing", identity.Administer, r.set)
}

// public registers a route for everybody.
func (s *Server) public(method, path string, h httpx.Handler) {
	s.route(method, path, httpx.JSON(s.logger, h))
}

func (s signingRoutes) trustedRoot(w http.ResponseWriter, r *http.Request) error {
	return s.publish(w, r, s.signing.TrustedRoot)
}

func (s signingRoutes) signingConfig(w http.ResponseWriter, r *http.Request) error {
	return s.publish(w, r, s.signing.SigningConfig)
}

func (s signingRoutes) publish(w http.ResponseWriter, r *http.Request, document func(context.Context) ([]byte, error)) error {
	b, err := document(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", issuerCache)
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(b)
	return err
}

func (s signingRoutes) timestampChain(w http.ResponseWriter, r *http.Request) error {
	b, err := s.signing.TimestampChain(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/pem-certificate-chain")
	_, err = w.Write(b)
	return err
}

// certificateRequest is Fulcio's CreateSigningCertificateRequest.
type certificateRequest struct {
	Credentials struct {
		Token string `json:"oidcIdentityToken"`
	} `json:"credentials"`
	PublicKey *struct {
		PublicKey struct {
			Content string `json:"content"` // PEM
		} `json:"publicKey"`
		Proof string `json:"proofOfPossession"` // of the token's subject, base64
	} `json:"publicKeyRequest"`
	CSR string `json:"certificateSigningRequest"` // base64 of PEM
}

// certificate certifies a key that a job made, for the job's identity.
func (s signingRoutes) certificate(w http.ResponseWriter, r *http.Request) error {
	var body certificateRequest
	if err := (request{Request: r}).decode(w, maxCertificateRequest, &body, "a request for a certificate"); err != nil {
		return err
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		token = body.Credentials.Token
	}
	claims, err := s.issuer.Verify(r.Context(), token, SigningAudience)
	if err != nil {
		return err
	}
	public, err := body.key(text(claims["sub"]))
	if err != nil {
		return err
	}
	run, runErr := strconv.ParseInt(text(claims["run_id"]), 10, 64)
	job, jobErr := strconv.ParseInt(text(claims["job_id"]), 10, 64)
	if err := errors.Join(runErr, jobErr); err != nil {
		return slipway.Unauthenticated("the identity token names no job: %v", err)
	}
	build, err := s.describe(r.Context(), slipway.RunID(run), slipway.JobID(job))
	if err != nil {
		return err
	}
	certificate, err := s.signing.Certify(r.Context(), build, public)
	if err != nil {
		return err
	}
	chains, err := s.signing.Chains(r.Context())
	if err != nil {
		return err
	}
	leaf := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))
	httpx.WriteJSON(w, http.StatusOK, map[string]any{"signedCertificateEmbeddedSct": map[string]any{
		"chain": map[string]any{"certificates": []string{leaf, chains[len(chains)-1]}},
	}})
	return nil
}

// key is the key to be certified, when the caller showed that the private one is theirs.
func (c certificateRequest) key(subject string) (crypto.PublicKey, error) {
	if c.PublicKey == nil {
		return c.requested()
	}
	public, err := cryptoutils.UnmarshalPEMToPublicKey([]byte(c.PublicKey.PublicKey.Content))
	if err != nil {
		return nil, slipway.Invalid("publicKeyRequest.publicKey.content is no public key in PEM: %v", err)
	}
	proof, err := base64.StdEncoding.DecodeString(c.PublicKey.Proof)
	if err != nil {
		return nil, slipway.Invalid("publicKeyRequest.proofOfPossession is not in base64: %v", err)
	}
	verifier, err := signature.LoadDefaultVerifier(public)
	if err != nil {
		return nil, slipway.Invalid("the public key is not taken: %v", err)
	}
	if err := verifier.VerifySignature(strings.NewReader(string(proof)), strings.NewReader(subject)); err != nil {
		return nil, slipway.Invalid("proofOfPossession is no signature of the token's subject by the key: %v", err)
	}
	return public, nil
}

// requested is the key of a certificate signing request, whose names count for nothing: the identity token's do.
func (c certificateRequest) requested() (crypto.PublicKey, error) {
	decoded, err := base64.StdEncoding.DecodeString(c.CSR)
	if err != nil {
		return nil, slipway.Invalid("certificateSigningRequest is not in base64: %v", err)
	}
	block, _ := pem.Decode(decoded)
	if block == nil {
		return nil, slipway.Invalid("send publicKeyRequest with a key and a proof, or a certificateSigningRequest in PEM")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err == nil {
		err = csr.CheckSignature()
	}
	if err != nil {
		return nil, slipway.Invalid("the certificateSigningRequest is not taken: %v", err)
	}
	return csr.PublicKey, nil
}

// timestamp answers RFC 3161 over HTTP (section 3.4 there).
func (s signingRoutes) timestamp(w http.ResponseWriter, r *http.Request) error {
	if r.Header.Get("Content-Type") != "application/timestamp-query" {
		return slipway.Invalid("send a timestamp request of RFC 3161 in DER, as application/timestamp-query")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, signing.MaxTimestampRequest))
	if err != nil {
		return slipway.Limit("the timestamp request has more than %d bytes", signing.MaxTimestampRequest)
	}
	answer, err := s.signing.Timestamp(r.Context(), body)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/timestamp-reply")
	w.WriteHeader(http.StatusCreated) // as Sigstore's own authority answers
	_, err = w.Write(answer)
	return err
}

// Signing says whether a project's images are signed.
type Signing struct {
	Enabled bool `json:"enabled"`
}

func (s signingRoutes) show(w http.ResponseWriter, r request) error {
	enabled, err := s.signing.Enabled(r.Context(), r.project.ID)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, Signing{enabled})
	return nil
}

func (s signingRoutes) set(w http.ResponseWriter, r request) error {
	var body Signing
	if err := httpx.ReadJSON(w, r.Request, 4<<10, &body); err != nil {
		return err
	}
	if err := s.signing.SetEnabled(r.Context(), r.project.ID, body.Enabled); err != nil {
		return err
	}
	return s.show(w, r)
}
