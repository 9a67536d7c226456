package signing

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/google/uuid"

	"slipway/internal/db"
)

const (
	// authorityLife is how long an authority's certificates are good.
	authorityLife = 10 * 365 * 24 * time.Hour
	// authorityLead is how long before that a new one signs: both are in the trusted root.
	authorityLead = 365 * 24 * time.Hour
	// skew is by how much verifiers' clocks may be behind ours.
	skew = 5 * time.Minute
)

// authority is a root that certifies builds, and the signer of timestamps below it.
type authority struct {
	id                        string
	root, stamper             *x509.Certificate
	rootSealed, stamperSealed []byte
	created                   time.Time
}

// The places of the sealed keys.
func (a authority) rootContext() string    { return "signing/" + a.id + "/root" }
func (a authority) stamperContext() string { return "signing/" + a.id + "/timestamp" }

// authorities are all that verifiers trust, the one that signs last; the first call makes one.
func (s *Service) authorities(ctx context.Context) ([]authority, error) {
	list, err := s.list(ctx)
	if err != nil {
		return nil, err
	}
	now := s.clock.Now()
	if len(list) > 0 && now.Sub(list[len(list)-1].created) < authorityLife-authorityLead {
		return list, nil
	}
	a, err := s.makeAuthority(now)
	if err != nil {
		return nil, fmt.Errorf("make a signing authority: %w", err)
	}
	const insert = `
		INSERT INTO signing_authorities (id, root_certificate, root_sealed, timestamp_certificate, timestamp_sealed, created)
		VALUES ($1, $2, $3, $4, $5, $6)`
	if _, err := s.db.ExecContext(ctx, insert, a.id, a.root.Raw, a.rootSealed, a.stamper.Raw, a.stamperSealed, db.Micros(now)); err != nil {
		return nil, fmt.Errorf("keep a signing authority: %w", err)
	}
	return s.list(ctx)
}

// current is the authority that signs.
func (s *Service) current(ctx context.Context) (authority, error) {
	list, err := s.authorities(ctx)
	if err != nil {
		return authority{}, err
	}
	return list[len(list)-1], nil
}

func (s *Service) list(ctx context.Context) ([]authority, error) {
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, a *authority) error {
		var root, stamper []byte
		var created int64
		if err := row.Scan(&a.id, &root, &a.rootSealed, &stamper, &a.stamperSealed, &created); err != nil {
			return err
		}
		a.created = db.Time(created)
		var err error
		if a.root, err = x509.ParseCertificate(root); err != nil {
			return err
		}
		a.stamper, err = x509.ParseCertificate(stamper)
		return err
	}, `SELECT id, root_certificate, root_sealed, timestamp_certificate, timestamp_sealed, created FROM signing_authorities ORDER BY created, id LIMIT 100`)
	if err != nil {
		return nil, fmt.Errorf("list signing authorities: %w", err)
	}
	return list, nil
}

func (s *Service) makeAuthority(now time.Time) (authority, error) {
	a := authority{id: uuid.NewString(), created: now}
	rootKey, sealed, err := s.makeKey(a.rootContext())
	if err != nil {
		return a, err
	}
	a.rootSealed = sealed
	stamperKey, sealed, err := s.makeKey(a.stamperContext())
	if err != nil {
		return a, err
	}
	a.stamperSealed = sealed
	root := &x509.Certificate{
		Subject: pkix.Name{Organization: []string{"Slipway"}, CommonName: "Slipway signing root " + a.id[:8]}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, NotBefore: now.Add(-skew), NotAfter: now.Add(authorityLife),
	}
	if a.root, err = issue(root, root, &rootKey.PublicKey, rootKey); err != nil {
		return a, err
	}
	stamper := &x509.Certificate{
		Subject: pkix.Name{Organization: []string{"Slipway"}, CommonName: "Slipway timestamps " + a.id[:8]}, KeyUsage: x509.KeyUsageDigitalSignature,
		NotBefore: now.Add(-skew), NotAfter: now.Add(authorityLife), ExtraExtensions: []pkix.Extension{timestampingOnly},
	}
	a.stamper, err = issue(stamper, a.root, &stamperKey.PublicKey, rootKey)
	return a, err
}

// timestampingOnly is the extended key usage of a timestamp authority, which has to be critical (RFC 3161, section 2.3).
var timestampingOnly = pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true,
	Value: []byte{0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08}} // SEQUENCE of id-kp-timeStamping

// issue signs a certificate with a serial number of 127 random bits.
func issue(template, parent *x509.Certificate, public any, signer *ecdsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make serial number: %w", err)
	}
	template.SerialNumber = serial.Add(serial, big.NewInt(1))
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, fmt.Errorf("sign certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

func (s *Service) makeKey(context string) (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make key: %w", err)
	}
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("make key: %w", err)
	}
	sealed, err := s.secrets.Seal(plain, context)
	return key, sealed, err
}

func (s *Service) openKey(sealed []byte, context string) (*ecdsa.PrivateKey, error) {
	plain, err := s.secrets.Open(sealed, context)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", context, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("a key of the signing authority is none of ECDSA")
	}
	return key, nil
}
