package identity

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
)

const (
	sessionLife   = 14 * 24 * time.Hour
	sessionCookie = "slipway_session"
	maxFailures   = 10 // sign-ins gone wrong by name in failureWindow before it must wait
	failureWindow = 5 * time.Minute
)

type failures struct {
	count int
	since time.Time
}

// SignIn checks a name and password and returns a session's secret for the cookie. Ten failures for one name in
// five minutes close it for the rest of them.
func (s *Service) SignIn(ctx context.Context, name, password string) (secret string, user User, err error) {
	wrong := slipway.Unauthenticated("that name and password do not go together")
	if s.tooManyFailures(name) {
		return "", User{}, slipway.Limit("too many failed sign-ins for this name: wait five minutes")
	}
	var hash string
	err = s.db.QueryRowContext(ctx, `SELECT password_hash FROM users WHERE name_key = $1 AND disabled = FALSE`, strings.ToLower(name)).Scan(&hash)
	if err != nil && !db.IsNoRows(err) {
		return "", User{}, fmt.Errorf("sign in: %w", err)
	}
	if hash == "" {
		hash = absentHash // take the same time for a name that does not exist
	}
	ok, err := matches(password, hash)
	if err != nil {
		return "", User{}, fmt.Errorf("sign in: %w", err)
	}
	if !ok || hash == absentHash {
		s.failed(name)
		return "", User{}, wrong
	}
	if user, err = s.UserByName(ctx, name); err != nil {
		return "", User{}, err
	}
	var random [32]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", User{}, fmt.Errorf("make session: %w", err)
	}
	secret = encodeSecret(random)
	now := s.clock.Now()
	_, err = s.db.ExecContext(ctx, `INSERT INTO sessions (hash, user_id, created, expires) VALUES ($1, $2, $3, $4)`,
		hashSecret(secret), string(user.ID), db.Micros(now), db.Micros(now.Add(sessionLife)))
	if err != nil {
		return "", User{}, fmt.Errorf("sign in: %w", err)
	}
	return secret, user, nil
}

// absentHash is a hash of a random password with the default parameters.
const absentHash = "$argon2id$v=19$m=65536,t=1,p=2$c2xpcHdheS1hYnNlbnQwMA$GWcXyY4F0dZlZr1TgT2ScNyPyf2Wr0Rt7gsMoM6Yq4k"

func (s *Service) tooManyFailures(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.fails[strings.ToLower(name)]
	return f.count >= maxFailures && s.clock.Now().Sub(f.since) < failureWindow
}

func (s *Service) failed(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.fails) > 10_000 { // names come from outside: do not remember without end
		clear(s.fails)
	}
	f := s.fails[strings.ToLower(name)]
	if now := s.clock.Now(); now.Sub(f.since) >= failureWindow {
		f = failures{since: now}
	}
	f.count++
	s.fails[strings.ToLower(name)] = f
}

// SignOut ends a session.
func (s *Service) SignOut(ctx context.Context, secret string) error {
	_, err := s.db.ExecContext(ctx, `DELETE FROM sessions WHERE hash = $1`, hashSecret(secret))
	return err
}

func (s *Service) session(ctx context.Context, secret string) (Principal, error) {
	var id string
	var expires int64
	err := s.db.QueryRowContext(ctx, `SELECT user_id, expires FROM sessions WHERE hash = $1`, hashSecret(secret)).Scan(&id, &expires)
	if db.IsNoRows(err) || err == nil && s.expired(db.Time(expires)) {
		return Anonymous, nil
	}
	if err != nil {
		return Principal{}, fmt.Errorf("look up session: %w", err)
	}
	u, err := s.User(ctx, slipway.UserID(id))
	if err != nil {
		return Principal{}, err
	}
	if u.Disabled {
		return Anonymous, nil
	}
	return Principal{Actor: slipway.Actor{Kind: slipway.ActorUser, ID: string(u.ID), Name: u.Name}, Administrator: u.Administrator, MustChange: u.MustChange}, nil
}

// Authenticate says who sends the request: by a token as the password of Basic authentication (with any user
// name) or as a Bearer, or by the session's cookie. Without credentials it is Anonymous; wrong ones are
// Unauthenticated. Sessions of the cookie are for pages: doors of programs use AuthenticateToken's kinds alone.
func (s *Service) Authenticate(r *http.Request) (Principal, error) {
	if h := r.Header.Get("Authorization"); h != "" {
		if _, password, ok := r.BasicAuth(); ok {
			return s.AuthenticateToken(r.Context(), password)
		}
		scheme, token, _ := strings.Cut(h, " ")
		if strings.EqualFold(scheme, "Bearer") {
			return s.AuthenticateToken(r.Context(), strings.TrimSpace(token))
		}
		return Principal{}, slipway.Unauthenticated("the Authorization header must be Basic or Bearer")
	}
	if c, err := r.Cookie(sessionCookie); err == nil {
		return s.session(r.Context(), c.Value)
	}
	return Anonymous, nil
}

// SessionCookie is the cookie for a session's secret, or the one that removes it when secret is empty.
func SessionCookie(secret string, secure bool) *http.Cookie {
	c := &http.Cookie{Name: sessionCookie, Value: secret, Path: "/", HttpOnly: true, Secure: secure,
		SameSite: http.SameSiteLaxMode, MaxAge: int(sessionLife / time.Second)}
	if secret == "" {
		c.MaxAge = -1
	}
	return c
}

// SessionSecret reads the session's secret from the request, "" without one.
func SessionSecret(r *http.Request) string {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return ""
	}
	return c.Value
}
