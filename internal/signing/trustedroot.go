package signing

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"

	prototrustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
)

// TrustedRoot is what verifiers need to know of this server: Sigstore's trusted root in JSON.
func (s *Service) TrustedRoot(ctx context.Context) ([]byte, error) {
	trusted, err := s.material(ctx)
	if err != nil {
		return nil, err
	}
	b, err := trusted.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("write the trusted root: %w", err)
	}
	return b, nil
}

func (s *Service) material(ctx context.Context) (*root.TrustedRoot, error) {
	list, err := s.authorities(ctx)
	if err != nil {
		return nil, err
	}
	var certifiers []root.CertificateAuthority
	var stampers []root.TimestampingAuthority
	for _, a := range list {
		certifiers = append(certifiers, &root.FulcioCertificateAuthority{Root: a.root, URI: s.url, ValidityPeriodStart: a.root.NotBefore, ValidityPeriodEnd: a.root.NotAfter})
		stampers = append(stampers, &root.SigstoreTimestampingAuthority{Root: a.root, Leaf: a.stamper, URI: s.url + TimestampPath,
			ValidityPeriodStart: a.stamper.NotBefore, ValidityPeriodEnd: a.stamper.NotAfter})
	}
	trusted, err := root.NewTrustedRoot(root.TrustedRootMediaType01, certifiers, nil, stampers, nil)
	if err != nil {
		return nil, fmt.Errorf("make the trusted root: %w", err)
	}
	return trusted, nil
}

// The paths by which Sigstore's clients reach the two authorities.
const (
	CertificatePath = "/api/v2/signingCert"
	TimestampPath   = "/api/v1/timestamp"
)

// SigningConfig is what Sigstore's clients need to sign by this server: Sigstore's signing configuration in JSON. There is no log.
func (s *Service) SigningConfig(ctx context.Context) ([]byte, error) {
	list, err := s.authorities(ctx)
	if err != nil {
		return nil, err
	}
	service := func(url string) []root.Service {
		return []root.Service{{URL: url, MajorAPIVersion: 1, ValidityPeriodStart: list[0].root.NotBefore, Operator: s.url}}
	}
	config, err := root.NewSigningConfig(root.SigningConfigMediaType02, service(s.url), nil, nil, root.ServiceConfiguration{},
		service(s.url+TimestampPath), root.ServiceConfiguration{Selector: prototrustroot.ServiceSelector_ANY})
	if err != nil {
		return nil, fmt.Errorf("make the signing configuration: %w", err)
	}
	b, err := config.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("write the signing configuration: %w", err)
	}
	return b, nil
}

// Chains are the roots that certify builds, each in PEM.
func (s *Service) Chains(ctx context.Context) ([]string, error) {
	list, err := s.authorities(ctx)
	var chains []string
	for _, a := range list {
		chains = append(chains, encode(a.root.Raw))
	}
	return chains, err
}

// TimestampChain is the chain of certificates of the one that signs timestamps now, in PEM, its own first.
func (s *Service) TimestampChain(ctx context.Context) ([]byte, error) {
	a, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	return bytes.Join([][]byte{[]byte(encode(a.stamper.Raw)), []byte(encode(a.root.Raw))}, nil), nil
}

func encode(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
