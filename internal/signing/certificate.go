package signing

import (
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net/url"
	"time"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
)

// certificateLife is how long a build's certificate is good, as at Fulcio.
const certificateLife = 10 * time.Minute

// Certify makes a certificate for a build's key: the identity as its name and, in Fulcio's extensions, what was built by what.
func (s *Service) Certify(ctx context.Context, b Build, public crypto.PublicKey) (*x509.Certificate, error) {
	a, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	return s.certify(a, b, public)
}

func (s *Service) certify(a authority, b Build, public crypto.PublicKey) (*x509.Certificate, error) {
	san, err := url.Parse(s.Identity(b))
	if err != nil {
		return nil, fmt.Errorf("name the identity of run %d: %w", b.Run, err)
	}
	extensions, err := s.extensions(b)
	if err != nil {
		return nil, fmt.Errorf("describe run %d in a certificate: %w", b.Run, err)
	}
	key, err := s.openKey(a.rootSealed, a.rootContext())
	if err != nil {
		return nil, err
	}
	now := s.clock.Now()
	return issue(&x509.Certificate{
		NotBefore: now.Truncate(time.Second), NotAfter: now.Add(certificateLife), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, URIs: []*url.URL{san}, ExtraExtensions: extensions,
	}, a.root, public, key)
}

// oidIssuer is the issuer's older extension, without an encoding, which clients still read.
var oidIssuer = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 1}

// extensions are those that Fulcio's certificates have (docs/oid-info.md there).
func (s *Service) extensions(b Build) ([]pkix.Extension, error) {
	list := []pkix.Extension{{Id: oidIssuer, Value: []byte(s.url)}}
	for _, one := range []struct {
		id    asn1.ObjectIdentifier
		value string
	}{
		{certificate.OIDIssuerV2, s.url},
		{certificate.OIDBuildSignerURI, s.Identity(b)},
		{certificate.OIDBuildSignerDigest, string(b.Commit)},
		{certificate.OIDRunnerEnvironment, "self-hosted"},
		{certificate.OIDSourceRepositoryURI, s.repositoryURL(b)},
		{certificate.OIDSourceRepositoryDigest, string(b.Commit)},
		{certificate.OIDSourceRepositoryRef, b.Ref},
		{certificate.OIDSourceRepositoryIdentifier, string(b.RepositoryID)},
		{certificate.OIDSourceRepositoryOwnerURI, s.url + "/" + url.PathEscape(b.Project)},
		{certificate.OIDSourceRepositoryOwnerIdentifier, string(b.ProjectID)},
		{certificate.OIDBuildConfigURI, s.Identity(b)},
		{certificate.OIDBuildConfigDigest, string(b.Commit)},
		{certificate.OIDBuildTrigger, b.Reason},
		{certificate.OIDRunInvocationURI, s.runURL(b)},
		{certificate.OIDSourceRepositoryVisibilityAtSigning, "private"},
	} {
		if one.value == "" {
			continue
		}
		value, err := asn1.MarshalWithParams(one.value, "utf8")
		if err != nil {
			return nil, err
		}
		list = append(list, pkix.Extension{Id: one.id, Value: value})
	}
	return list, nil
}
