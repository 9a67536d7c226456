package issuer

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/secret"
)

const address = "https://slipway.example.com"

// verify is what somebody does who has the published keys.
func verify(t *testing.T, keys jose.JSONWebKeySet, token string, now time.Time) error {
	t.Helper()
	set := &oidc.StaticKeySet{}
	for _, k := range keys.Keys {
		if !k.IsPublic() || !k.Valid() {
			t.Errorf("key %s is published with its private part", k.KeyID)
		}
		set.PublicKeys = append(set.PublicKeys, k.Key)
	}
	verifier := oidc.NewVerifier(address, set, &oidc.Config{ClientID: "vault", Now: func() time.Time { return now }})
	_, err := verifier.Verify(context.Background(), token)
	return err
}

// Keys are replaced by themselves, and every token can be verified until it ends by keys that somebody fetched up to a day before it was signed.
func TestRotation(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		box, err := secret.OpenKeyFile(filepath.Join(t.TempDir(), "key"))
		if err != nil {
			t.Fatal(err)
		}
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		open := func(now time.Time) *Service {
			s, err := Open(ctx, d, box, clock.Fixed(now), address)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		signers, published := map[string]bool{}, 0
		var before jose.JSONWebKeySet // as they were almost a day ago
		var token string
		for now := start; now.Before(start.Add(190 * 24 * time.Hour)); now = now.Add(23 * time.Hour) {
			s := open(now)
			if token != "" { // of the last time, which has just not ended
				keys, err := s.Keys(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if err := verify(t, keys, token, now); err != nil {
					t.Fatalf("%v: an old token: %v", now, err)
				}
			}
			if token, err = s.Sign(ctx, map[string]any{"aud": "vault", "sub": "p"}, now.Add(23*time.Hour+time.Minute)); err != nil {
				t.Fatal(err)
			}
			if len(before.Keys) > 0 {
				if err := verify(t, before, token, now); err != nil {
					t.Fatalf("%v: by yesterday's keys: %v", now, err)
				}
			}
			parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
			if err != nil {
				t.Fatal(err)
			}
			signers[parsed.Signatures[0].Header.KeyID] = true
			if before, err = s.Keys(ctx); err != nil {
				t.Fatal(err)
			}
			published = max(published, len(before.Keys))
			if err := verify(t, before, token, now.Add(24*time.Hour)); err == nil {
				t.Fatalf("%v: the token does not end", now)
			}
		}
		if len(signers) != 3 || published != 2 {
			t.Errorf("%d keys signed in 190 days, at most %d were published at once", len(signers), published)
		}
		all, err := open(start).list(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range all {
			if private, err := open(start).open(k); err != nil || bytes.Contains(k.sealed, private.D.Bytes()) {
				t.Errorf("key %s is not sealed: %v", k.id, err)
			}
		}
		other, err := secret.OpenKeyFile(filepath.Join(t.TempDir(), "key"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (&Service{db: d, secrets: other, clock: clock.Fixed(start), url: address}).Keys(ctx); err == nil {
			t.Error("the keys open with another master key")
		}
	})
}
