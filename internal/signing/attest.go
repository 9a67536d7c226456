package signing

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	"google.golang.org/protobuf/encoding/protojson"
)

// Attestation is a statement about an image, to be kept with it.
type Attestation struct {
	MediaType     string // BundleType, or StatementType of one that is not signed
	PredicateType string
	Content       []byte
}

// Attest makes the statements about an image: its signature and its provenance, both signed by the build's identity, or the provenance
// alone and unsigned if the project does not sign.
func (s *Service) Attest(ctx context.Context, i Image, b Build) ([]Attestation, error) {
	provenance, err := newStatement(i, PredicateProvenance, s.provenance(b))
	if err != nil {
		return nil, err
	}
	enabled, err := s.Enabled(ctx, b.ProjectID)
	if err != nil {
		return nil, err
	}
	if !enabled {
		return []Attestation{{MediaType: StatementType, PredicateType: PredicateProvenance, Content: provenance}}, nil
	}
	signature, err := newStatement(i, PredicateSignature, struct{}{})
	if err != nil {
		return nil, err
	}
	signer, err := s.newSigner(ctx, b)
	if err != nil {
		return nil, err
	}
	var list []Attestation
	for _, one := range []struct {
		predicate string
		statement []byte
	}{{PredicateSignature, signature}, {PredicateProvenance, provenance}} {
		content, err := signer.sign(one.statement)
		if err != nil {
			return nil, fmt.Errorf("sign a statement about %s@%s: %w", i.Name, i.Digest, err)
		}
		list = append(list, Attestation{MediaType: BundleType, PredicateType: one.predicate, Content: content})
	}
	return list, nil
}

// signer signs with a key that nobody keeps.
type signer struct {
	service     *Service
	authority   authority
	key         *ecdsa.PrivateKey
	certificate []byte
}

func (s *Service) newSigner(ctx context.Context, b Build) (*signer, error) {
	a, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key for run %d: %w", b.Run, err)
	}
	certificate, err := s.certify(a, b, &key.PublicKey)
	if err != nil {
		return nil, err
	}
	return &signer{s, a, key, certificate.Raw}, nil
}

// sign puts a statement into a signed envelope (DSSE) with the certificate and a timestamp of the signature: a Sigstore bundle.
func (s *signer) sign(statement []byte) ([]byte, error) {
	digest := sha256.Sum256(dsse.PAE(StatementType, statement))
	signature, err := s.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	signed := sha256.Sum256(signature)
	stamp, err := s.service.stamp(s.authority, timestamp.Timestamp{HashAlgorithm: crypto.SHA256, HashedMessage: signed[:], AddTSACertificate: true})
	if err != nil {
		return nil, err
	}
	return protojson.Marshal(&protobundle.Bundle{
		MediaType: BundleType,
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content: &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: s.certificate}},
			TimestampVerificationData: &protobundle.TimestampVerificationData{
				Rfc3161Timestamps: []*protocommon.RFC3161SignedTimestamp{{SignedTimestamp: stamp}},
			},
		},
		Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
			Payload: statement, PayloadType: StatementType, Signatures: []*protodsse.Signature{{Sig: signature}},
		}},
	})
}

// Annotations are those that an attestation has in a registry, by which Sigstore's clients tell them apart.
func (a Attestation) Annotations(created time.Time) map[string]string {
	m := map[string]string{"org.opencontainers.image.created": created.UTC().Format(time.RFC3339), "in-toto.io/predicate-type": a.PredicateType}
	if a.MediaType == BundleType {
		m["dev.sigstore.bundle.content"], m["dev.sigstore.bundle.predicateType"] = "dsse-envelope", a.PredicateType
	}
	return m
}
