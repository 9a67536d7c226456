package identity_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"regexp"
	"testing"
	"time"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/identity"
)

// movable is a clock that a test sets.
type movable struct{ now time.Time }

func (m *movable) Now() time.Time { return m.now }

type world struct {
	*identity.Service
	clock *movable
	admin identity.User
}

func setup(t *testing.T, d *db.DB) world {
	t.Helper()
	ctx := context.Background()
	c := &movable{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	log, err := events.Open(ctx, d, clock.System{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s, err := identity.Open(ctx, d, log, c)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := s.CreateUser(ctx, slipway.System, identity.NewUser{Name: "Admin", Password: "correct horse", Administrator: true})
	if err != nil {
		t.Fatal(err)
	}
	return world{s, c, admin}
}

func (w world) user(t *testing.T, name string) identity.Principal {
	t.Helper()
	u, err := w.CreateUser(context.Background(), slipway.System, identity.NewUser{Name: name, Password: "battery staple"})
	if err != nil {
		t.Fatal(err)
	}
	return identity.Principal{Actor: slipway.Actor{Kind: slipway.ActorUser, ID: string(u.ID), Name: u.Name}}
}

func TestAuthorize(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		owner, reader, contributor, stranger := w.user(t, "owner"), w.user(t, "reader"), w.user(t, "contributor"), w.user(t, "stranger")
		p, err := w.CreateProject(ctx, owner.Actor, "Shop", "")
		if err != nil {
			t.Fatal(err)
		}
		other, err := w.CreateProject(ctx, owner.Actor, "Other", "")
		if err != nil {
			t.Fatal(err)
		}
		for user, role := range map[string]identity.Role{reader.ID: identity.RoleReader, contributor.ID: identity.RoleContributor} {
			if err := w.SetRole(ctx, owner.Actor, p.ID, slipway.UserID(user), role); err != nil {
				t.Fatal(err)
			}
		}
		admin := identity.Principal{Actor: slipway.Actor{Kind: slipway.ActorUser, ID: string(w.admin.ID)}, Administrator: true}
		job := identity.Principal{Actor: slipway.Actor{Kind: slipway.ActorJob, ID: "1"}, Project: p.ID}
		w.Elsewhere = func(_ context.Context, run slipway.RunID) (bool, error) { return run == 7, nil }
		farther := job
		farther.Binding.Run = 7
		node := identity.Principal{Actor: slipway.Actor{Kind: slipway.ActorNode}}
		workload := identity.Principal{Actor: slipway.Actor{Kind: slipway.ActorWorkload}, Project: p.ID}
		const ok = slipway.Code("")
		for _, c := range []struct {
			name                         string
			who                          identity.Principal
			project                      slipway.ProjectID
			read, contribute, administer slipway.Code
		}{
			{"anonymous", identity.Anonymous, p.ID, slipway.CodeUnauthenticated, slipway.CodeUnauthenticated, slipway.CodeUnauthenticated},
			{"stranger", stranger, p.ID, slipway.CodeNotFound, slipway.CodeNotFound, slipway.CodeNotFound},
			{"reader", reader, p.ID, ok, slipway.CodeForbidden, slipway.CodeForbidden},
			{"contributor", contributor, p.ID, ok, ok, slipway.CodeForbidden},
			{"project's creator", owner, p.ID, ok, ok, ok},
			{"installation's administrator", admin, p.ID, ok, ok, ok},
			{"user on the installation", reader, "", ok, slipway.CodeForbidden, slipway.CodeForbidden},
			{"job in its project", job, p.ID, ok, ok, slipway.CodeForbidden},
			{"job in another project", job, other.ID, slipway.CodeForbidden, slipway.CodeForbidden, slipway.CodeForbidden},
			{"job that reaches others", farther, other.ID, ok, slipway.CodeForbidden, slipway.CodeForbidden},
			{"node", node, p.ID, ok, slipway.CodeForbidden, slipway.CodeForbidden},
			{"workload", workload, p.ID, slipway.CodeForbidden, slipway.CodeForbidden, slipway.CodeForbidden},
			{"zero principal", identity.Principal{}, p.ID, slipway.CodeUnauthenticated, slipway.CodeUnauthenticated, slipway.CodeUnauthenticated},
		} {
			for action, want := range map[identity.Action]slipway.Code{identity.Read: c.read, identity.Contribute: c.contribute, identity.Administer: c.administer} {
				if got := slipway.CodeOf(w.Authorize(ctx, c.who, action, c.project)); got != want {
					t.Errorf("%s, %s: %q, want %q", c.name, action, got, want)
				}
			}
		}
	})
}

func TestTokens(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		u := w.user(t, "ada")
		issue := func(life time.Duration) string {
			t.Helper()
			token, err := w.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenPersonal, Name: "laptop", Actor: u.Actor, Life: life})
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		token := issue(time.Hour)
		// azure-devops-node-api takes only 52 characters of this alphabet for a personal access token.
		if !regexp.MustCompile(`^[a-z2-7]{52}$`).MatchString(token) {
			t.Errorf("token %q is not of the known shape", token)
		}
		for _, name := range []string{"", "ada", "PAT"} { // Azure DevOps clients send any user name
			r := httptest.NewRequest("GET", "/", nil)
			r.SetBasicAuth(name, token)
			p, err := w.Authenticate(r)
			if err != nil || p.ID != u.ID || p.Name != "ada" || p.Token != identity.TokenPersonal {
				t.Errorf("basic with user %q: %+v, %v", name, p, err)
			}
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		if p, err := w.Authenticate(r); err != nil || p.ID != u.ID {
			t.Errorf("bearer: %+v, %v", p, err)
		}
		if p, err := w.Authenticate(httptest.NewRequest("GET", "/", nil)); err != nil || p.Kind != slipway.ActorAnonymous {
			t.Errorf("no credentials: %+v, %v", p, err)
		}
		refused := func(what, token string) {
			t.Helper()
			if _, err := w.AuthenticateToken(ctx, token); slipway.CodeOf(err) != slipway.CodeUnauthenticated {
				t.Errorf("%s: %v, want unauthenticated", what, err)
			}
		}
		refused("a wrong token", "a"+token[1:len(token)-1]+"zz")
		var from [32]byte
		derived := identity.TokenRequest{Kind: identity.TokenWorkload, Actor: slipway.Actor{Kind: slipway.ActorWorkload, ID: "1"}}
		first, err := w.EnsureToken(ctx, from, derived)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := w.EnsureToken(ctx, from, derived); err != nil || again != first {
			t.Errorf("the same bytes again: %q, %v, want %q", again, err, first)
		}
		if p, err := w.AuthenticateToken(ctx, first); err != nil || p.Token != identity.TokenWorkload {
			t.Errorf("derived token: %+v, %v", p, err)
		}
		revoked := issue(0)
		list, err := w.Tokens(ctx, slipway.UserID(u.ID))
		if err != nil || len(list) != 2 {
			t.Fatalf("tokens: %v, %v", list, err)
		}
		for _, one := range list {
			if one.Expires.IsZero() {
				if err := w.RevokeToken(ctx, slipway.UserID(u.ID), one.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		refused("a revoked token", revoked)
		w.clock.now = w.clock.now.Add(61 * time.Minute)
		refused("an expired token", token)
	})
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	w, ctx := setup(t, dbtest.SQLite(t)), context.Background()
	secret, user, err := w.SignIn(ctx, "ADMIN", "correct horse")
	if err != nil || user.ID != w.admin.ID {
		t.Fatalf("sign in: %+v, %v", user, err)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(identity.SessionCookie(secret, false))
	if p, err := w.Authenticate(r); err != nil || p.ID != string(w.admin.ID) || !p.Administrator {
		t.Errorf("session: %+v, %v", p, err)
	}
	if err := w.SignOut(ctx, secret); err != nil {
		t.Fatal(err)
	}
	if p, err := w.Authenticate(r); err != nil || p.Kind != slipway.ActorAnonymous {
		t.Errorf("after signing out: %+v, %v", p, err)
	}
	if _, _, err := w.SignIn(ctx, "nobody", "correct horse"); slipway.CodeOf(err) != slipway.CodeUnauthenticated {
		t.Errorf("unknown name: %v", err)
	}
	for range 10 {
		if _, _, err := w.SignIn(ctx, "admin", "wrong"); slipway.CodeOf(err) != slipway.CodeUnauthenticated {
			t.Fatalf("wrong password: %v", err)
		}
	}
	if _, _, err := w.SignIn(ctx, "admin", "correct horse"); slipway.CodeOf(err) != slipway.CodeLimit {
		t.Errorf("after ten failures: %v, want limit", err)
	}
	w.clock.now = w.clock.now.Add(6 * time.Minute)
	if _, _, err := w.SignIn(ctx, "admin", "correct horse"); err != nil {
		t.Errorf("after the wait: %v", err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	w, ctx := setup(t, dbtest.SQLite(t)), context.Background()
	for name, want := range map[string]slipway.Code{
		"sample": "", "a b": slipway.CodeInvalid, "-a": slipway.CodeInvalid, "a/b": slipway.CodeInvalid,
		"": slipway.CodeInvalid, "v2": slipway.CodeInvalid, "Library": slipway.CodeInvalid, "_apis": slipway.CodeInvalid,
	} {
		if _, err := w.CreateProject(ctx, slipway.System, name, ""); slipway.CodeOf(err) != want {
			t.Errorf("project %q: %v, want code %q", name, err, want)
		}
	}
	if _, err := w.CreateProject(ctx, slipway.System, "SAMPLE", ""); slipway.CodeOf(err) != slipway.CodeConflict {
		t.Errorf("the same name in capitals: %v, want conflict", err)
	}
	if p, err := w.ProjectByName(ctx, "Sample"); err != nil || p.Name != "sample" {
		t.Errorf("by name in another case: %+v, %v", p, err)
	}
	if _, err := w.CreateUser(ctx, slipway.System, identity.NewUser{Name: "admin", Password: "long enough"}); slipway.CodeOf(err) != slipway.CodeConflict {
		t.Errorf("user name taken: %v", err)
	}
	if _, err := w.CreateUser(ctx, slipway.System, identity.NewUser{Name: "short", Password: "1234567"}); slipway.CodeOf(err) != slipway.CodeInvalid {
		t.Errorf("short password: %v", err)
	}
}
