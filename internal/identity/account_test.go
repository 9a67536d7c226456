package identity_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"sync"
	"testing"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/identity"
)

// session signs in and returns the session's secret.
func (w world) session(t *testing.T, name, password string) string {
	t.Helper()
	secret, _, err := w.SignIn(context.Background(), name, password)
	if err != nil {
		t.Fatalf("sign in as %s: %v", name, err)
	}
	return secret
}

// by is the principal of a session's secret.
func (w world) by(t *testing.T, secret string) identity.Principal {
	t.Helper()
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(identity.SessionCookie(secret, false))
	p, err := w.Authenticate(r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (w world) actor() slipway.Actor {
	return slipway.Actor{Kind: slipway.ActorUser, ID: string(w.admin.ID), Name: w.admin.Name}
}

func wantCode(t *testing.T, what string, err error, want slipway.Code) {
	t.Helper()
	if got := slipway.CodeOf(err); got != want {
		t.Errorf("%s: %v, want code %q", what, err, want)
	}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		ada := w.user(t, "ada")
		id := slipway.UserID(ada.ID)
		here, there := w.session(t, "ada", "battery staple"), w.session(t, "ada", "battery staple")

		wantCode(t, "a wrong old password", w.ChangePassword(ctx, id, "guessed", "something new", here), slipway.CodeInvalid)
		wantCode(t, "a short password", w.ChangePassword(ctx, id, "battery staple", "short", here), slipway.CodeInvalid)
		wantCode(t, "the same password", w.ChangePassword(ctx, id, "battery staple", "battery staple", here), slipway.CodeInvalid)
		wantCode(t, "nobody's password", w.ChangePassword(ctx, "nobody", "battery staple", "something new", ""), slipway.CodeNotFound)
		if p := w.by(t, there); p.ID != ada.ID {
			t.Fatalf("refused changes ended a session: %+v", p)
		}
		wantCode(t, "the change", w.ChangePassword(ctx, id, "battery staple", "something new", here), "")
		if p := w.by(t, here); p.ID != ada.ID {
			t.Errorf("the session that changed it: %+v", p)
		}
		if p := w.by(t, there); p.Kind != slipway.ActorAnonymous {
			t.Errorf("the other session goes on: %+v", p)
		}
		_, _, err := w.SignIn(ctx, "ada", "battery staple")
		wantCode(t, "signing in with the old password", err, slipway.CodeUnauthenticated)

		wantCode(t, "the reset", w.ResetPassword(ctx, w.actor(), id, "from the administrator"), "")
		if p := w.by(t, here); p.Kind != slipway.ActorAnonymous {
			t.Errorf("a session goes on after the reset: %+v", p)
		}
		again := w.session(t, "ada", "from the administrator")
		if !w.by(t, again).MustChange {
			t.Error("a password from another need not be changed")
		}
		wantCode(t, "choosing their own", w.ChangePassword(ctx, id, "from the administrator", "my own at last", again), "")
		if w.by(t, again).MustChange {
			t.Error("their own password must be changed")
		}
		for range 10 {
			_ = w.ChangePassword(ctx, id, "guessed", "something new", again)
		}
		wantCode(t, "after ten guesses", w.ChangePassword(ctx, id, "my own at last", "something new", again), slipway.CodeLimit)

		one, err := identity.GeneratePassword()
		if err != nil {
			t.Fatal(err)
		}
		if other, err := identity.GeneratePassword(); err != nil || len(one) != 20 || one == other {
			t.Errorf("generated %q and %q, %v", one, other, err)
		}
	})
}

func TestDisable(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		ada := w.user(t, "ada")
		id := slipway.UserID(ada.ID)
		session := w.session(t, "ada", "battery staple")
		token, err := w.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenPersonal, Name: "laptop", Actor: ada.Actor})
		if err != nil {
			t.Fatal(err)
		}
		wantCode(t, "disable", w.DisableUser(ctx, w.actor(), id), "")
		if p := w.by(t, session); p.Kind != slipway.ActorAnonymous {
			t.Errorf("the session goes on: %+v", p)
		}
		_, err = w.AuthenticateToken(ctx, token)
		wantCode(t, "a disabled user's token", err, slipway.CodeUnauthenticated)
		_, _, err = w.SignIn(ctx, "ada", "battery staple")
		wantCode(t, "a disabled user's password", err, slipway.CodeUnauthenticated)

		wantCode(t, "enable", w.EnableUser(ctx, w.actor(), id), "")
		if p := w.by(t, session); p.Kind != slipway.ActorAnonymous {
			t.Errorf("an ended session came back: %+v", p)
		}
		if p, err := w.AuthenticateToken(ctx, token); err != nil || p.ID != ada.ID {
			t.Errorf("an enabled user's token: %+v, %v", p, err)
		}
		w.session(t, "ada", "battery staple")
		wantCode(t, "disable nobody", w.DisableUser(ctx, w.actor(), "nobody"), slipway.CodeNotFound)
		wantCode(t, "enable nobody", w.EnableUser(ctx, w.actor(), "nobody"), slipway.CodeNotFound)
		wantCode(t, "disable oneself", w.DisableUser(ctx, w.actor(), w.admin.ID), slipway.CodeConflict)
	})
}

func TestLastAdministrator(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		ada := w.user(t, "ada")
		id := slipway.UserID(ada.ID)
		wantCode(t, "unmake the only one", w.SetAdministrator(ctx, ada.Actor, w.admin.ID, false), slipway.CodeConflict)
		wantCode(t, "disable the only one", w.DisableUser(ctx, ada.Actor, w.admin.ID), slipway.CodeConflict)
		wantCode(t, "make a second one", w.SetAdministrator(ctx, w.actor(), id, true), "")
		wantCode(t, "disable the second one", w.DisableUser(ctx, w.actor(), id), "")
		wantCode(t, "unmake the only one who can sign in", w.SetAdministrator(ctx, w.actor(), w.admin.ID, false), slipway.CodeConflict)
		wantCode(t, "enable", w.EnableUser(ctx, w.actor(), id), "")
		wantCode(t, "make nobody one", w.SetAdministrator(ctx, w.actor(), "nobody", true), slipway.CodeNotFound)

		// Both at the same time: one of the two must stay.
		var both sync.WaitGroup
		errs := make([]error, 2)
		for n, user := range []slipway.UserID{w.admin.ID, id} {
			both.Go(func() { errs[n] = w.SetAdministrator(ctx, slipway.System, user, false) })
		}
		both.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Errorf("unmaking both at once: %v", errors.Join(errs...))
		}
	})
}

func TestMembers(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		owner, ada := w.user(t, "owner"), w.user(t, "ada")
		p, err := w.CreateProject(ctx, owner.Actor, "Shop", "")
		if err != nil {
			t.Fatal(err)
		}
		set := func(user identity.Principal, role identity.Role) error {
			return w.SetRole(ctx, owner.Actor, p.ID, slipway.UserID(user.ID), role)
		}
		wantCode(t, "remove who is no member", set(ada, identity.RoleNone), slipway.CodeNotFound)
		wantCode(t, "add nobody", set(identity.Principal{Actor: slipway.Actor{ID: "nobody"}}, identity.RoleReader), slipway.CodeNotFound)
		wantCode(t, "add", set(ada, identity.RoleReader), "")
		wantCode(t, "demote the only administrator", set(owner, identity.RoleContributor), slipway.CodeConflict)
		wantCode(t, "remove the only administrator", set(owner, identity.RoleNone), slipway.CodeConflict)
		wantCode(t, "a second administrator", set(ada, identity.RoleAdministrator), "")
		wantCode(t, "disable the second", w.DisableUser(ctx, w.actor(), slipway.UserID(ada.ID)), "")
		wantCode(t, "remove the only one who can sign in", set(owner, identity.RoleNone), slipway.CodeConflict)
		wantCode(t, "enable the second", w.EnableUser(ctx, w.actor(), slipway.UserID(ada.ID)), "")
		wantCode(t, "remove the first", set(owner, identity.RoleNone), "")
		members, err := w.Members(ctx, p.ID)
		if err != nil || len(members) != 1 || members[0].Name != "ada" || members[0].Role != identity.RoleAdministrator {
			t.Errorf("members %+v, %v", members, err)
		}
	})
}
