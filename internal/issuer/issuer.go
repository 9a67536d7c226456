// Package issuer signs the tokens by which jobs show others who they are: an issuer of OpenID Connect, which others trust by its
// address and the keys that it publishes there. It owns the keys, which are made by themselves, sealed, and replaced every ninety days.
// What a token says is for the caller to know.
package issuer

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"embed"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"

	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/secret"
)

// Migrations holds the table of this package.
//
//go:embed migrations
var Migrations embed.FS

const (
	// lifetime is how long a key signs.
	lifetime = 90 * 24 * time.Hour
	// lead is how long a key is published before it signs, and stays published afterwards: verifiers may keep keys that long.
	lead    = 24 * time.Hour
	keyBits = 2048
)

// Service is the issuer. It is safe for concurrent use, by several servers with one database too.
type Service struct {
	db      *db.DB
	secrets *secret.Box
	clock   clock.Clock
	url     string
}

// Open migrates the table and returns the issuer whose address is url, without a slash at its end: verifiers fetch its keys there.
func Open(ctx context.Context, d *db.DB, box *secret.Box, c clock.Clock, url string) (*Service, error) {
	if err := d.Migrate(ctx, "issuer", Migrations); err != nil {
		return nil, err
	}
	return &Service{db: d, secrets: box, clock: c, url: url}, nil
}

// URL is the issuer's address: the claim iss of its tokens.
func (s *Service) URL() string { return s.url }

// Sign makes a token of the claims, which ends at expires. It adds iss, iat, nbf, exp and jti.
func (s *Service) Sign(ctx context.Context, claims map[string]any, expires time.Time) (string, error) {
	all, now, err := s.keys(ctx)
	if err != nil {
		return "", err
	}
	k := all[signing(all, now)]
	private, err := s.open(k)
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: private, KeyID: k.id}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("sign identity token: %w", err)
	}
	claims = maps.Clone(claims)
	claims["iss"], claims["jti"] = s.url, uuid.NewString()
	claims["iat"], claims["nbf"], claims["exp"] = now.Unix(), now.Unix(), expires.Unix()
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		return "", fmt.Errorf("sign identity token: %w", err)
	}
	return token, nil
}

// Keys are the public keys by which tokens are verified.
func (s *Service) Keys(ctx context.Context) (jose.JSONWebKeySet, error) {
	all, _, err := s.keys(ctx)
	if err != nil {
		return jose.JSONWebKeySet{}, err
	}
	var set jose.JSONWebKeySet
	for _, k := range all {
		private, err := s.open(k)
		if err != nil {
			return set, err
		}
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: private.Public(), KeyID: k.id, Algorithm: string(jose.RS256), Use: "sig"})
	}
	return set, nil
}

// key is a stored key.
type key struct {
	id      string
	sealed  []byte
	created time.Time
}

// keys are those that count now, oldest first and at least one, after a new one was made or an old one deleted, if it was time.
func (s *Service) keys(ctx context.Context) ([]key, time.Time, error) {
	now := s.clock.Now()
	all, err := s.list(ctx)
	if err != nil {
		return nil, now, err
	}
	if len(all) == 0 || now.Sub(all[len(all)-1].created) >= lifetime-lead {
		if err := s.create(ctx, now); err != nil {
			return nil, now, err
		}
		if all, err = s.list(ctx); err != nil {
			return nil, now, err
		}
	}
	if n := retired(all, now); n > 0 {
		for _, k := range all[:n] {
			if _, err := s.db.ExecContext(ctx, `DELETE FROM issuer_keys WHERE id = $1`, k.id); err != nil {
				return nil, now, fmt.Errorf("delete a key of the issuer: %w", err)
			}
		}
		all = all[n:]
	}
	return all, now, nil
}

// signing is the place of the key that signs: the newest that has been published for long enough, or else the oldest.
func signing(all []key, now time.Time) int {
	for i := len(all) - 1; i > 0; i-- {
		if now.Sub(all[i].created) >= lead {
			return i
		}
	}
	return 0
}

// retired counts the keys at the beginning that no verifier needs any more: their successor has signed for long enough.
func retired(all []key, now time.Time) int {
	n := 0
	for n+1 < len(all) && now.Sub(all[n+1].created) >= 2*lead {
		n++
	}
	return n
}

func (s *Service) list(ctx context.Context) ([]key, error) {
	all, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, k *key) error {
		var created int64
		err := row.Scan(&k.id, &k.sealed, &created)
		k.created = db.Time(created)
		return err
	}, `SELECT id, sealed, created FROM issuer_keys ORDER BY created, id LIMIT 100`)
	if err != nil {
		return nil, fmt.Errorf("list keys of the issuer: %w", err)
	}
	return all, nil
}

func (s *Service) create(ctx context.Context, now time.Time) error {
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return fmt.Errorf("make a key for the issuer: %w", err)
	}
	plain, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("make a key for the issuer: %w", err)
	}
	id := uuid.NewString()
	sealed, err := s.secrets.Seal(plain, "issuer/"+id)
	if err != nil {
		return err
	}
	if _, err := s.db.ExecContext(ctx, `INSERT INTO issuer_keys (id, sealed, created) VALUES ($1, $2, $3)`, id, sealed, db.Micros(now)); err != nil {
		return fmt.Errorf("keep a key of the issuer: %w", err)
	}
	return nil
}

func (s *Service) open(k key) (*rsa.PrivateKey, error) {
	plain, err := s.secrets.Open(k.sealed, "issuer/"+k.id)
	if err != nil {
		return nil, fmt.Errorf("open key %s of the issuer: %w", k.id, err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, fmt.Errorf("read key %s of the issuer: %w", k.id, err)
	}
	private, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("a key of the issuer is none of RSA")
	}
	return private, nil
}
