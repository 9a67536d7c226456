package identity_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/identity"
)

// What ends a token ends it at once, although callers are remembered; what another process does to it, within seconds.
func TestRemembered(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		life time.Duration
		end  func(w world, d *db.DB, token string, user slipway.UserID) error
		wait time.Duration // after which it is refused
	}{
		"nothing": {end: func(world, *db.DB, string, slipway.UserID) error { return nil }, wait: -1},
		"revoked": {end: func(w world, _ *db.DB, _ string, user slipway.UserID) error {
			list, err := w.Tokens(context.Background(), user)
			for _, token := range list {
				err = w.RevokeToken(context.Background(), user, token.ID)
			}
			return err
		}},
		"secret revoked": {end: func(w world, _ *db.DB, token string, _ slipway.UserID) error {
			return w.RevokeSecret(context.Background(), token)
		}},
		"binding revoked": {end: func(w world, _ *db.DB, _ string, _ slipway.UserID) error {
			return w.RevokeBound(context.Background(), identity.TokenPersonal, identity.Binding{})
		}},
		"owner disabled": {end: func(w world, _ *db.DB, _ string, user slipway.UserID) error {
			return w.DisableUser(context.Background(), slipway.System, user)
		}},
		"expired": {life: 3 * time.Second, end: func(world, *db.DB, string, slipway.UserID) error { return nil }, wait: 3*time.Second + time.Microsecond},
		"revoked by another process": {end: func(_ world, d *db.DB, _ string, _ slipway.UserID) error {
			_, err := d.ExecContext(context.Background(), `UPDATE tokens SET revoked = 1`)
			return err
		}, wait: 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := dbtest.SQLite(t)
			w, ctx := setup(t, d), t.Context()
			u := w.user(t, "ada")
			token, err := w.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenPersonal, Name: "laptop", Actor: u.Actor, Life: c.life})
			if err != nil {
				t.Fatal(err)
			}
			first, err := w.AuthenticateToken(ctx, token)
			if err != nil {
				t.Fatal(err)
			}
			// What was made from it ends with it.
			child, err := w.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenRegistry, Name: "registry", Actor: u.Actor, Binding: identity.Binding{Parent: first.TokenID}})
			if err != nil {
				t.Fatal(err)
			}
			good := func(when string, want bool) {
				t.Helper()
				for kind, secret := range map[string]string{"token": token, "registry token": child} {
					if p, err := w.AuthenticateToken(ctx, secret); (err == nil) != want || want && p.ID != u.ID {
						t.Errorf("%s %s: %v, %v", kind, when, p, err)
					}
				}
			}
			good("before", true)
			good("again", true)
			if err := c.end(w, d, token, slipway.UserID(u.ID)); err != nil {
				t.Fatal(err)
			}
			if c.wait != 0 {
				good("just after", true)
			}
			if c.wait >= 0 {
				w.clock.now = w.clock.now.Add(c.wait)
				good("in the end", false)
			}
		})
	}
}

// Rights are those of the moment, and what a caller does with the answer changes nobody else's.
func TestRememberedRights(t *testing.T) {
	t.Parallel()
	w, ctx := setup(t, dbtest.SQLite(t)), t.Context()
	u := w.user(t, "ada")
	token, err := w.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenRegistry, Name: "registry", Actor: u.Actor, Binding: identity.Binding{Scopes: []string{"a"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, administrator := range []bool{false, true, false} {
		if err := w.SetAdministrator(ctx, slipway.System, slipway.UserID(u.ID), administrator); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			p, err := w.AuthenticateToken(ctx, token)
			if err != nil || p.Administrator != administrator || !slices.Equal(p.Binding.Scopes, []string{"a"}) {
				t.Errorf("%+v, %v, want administrator %v", p, err, administrator)
			}
		}
	}
}
