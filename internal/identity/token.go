package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// TokenRequest says what token to issue.
type TokenRequest struct {
	Kind    TokenKind
	Name    string // what a user calls it
	Actor   slipway.Actor
	Project slipway.ProjectID // for job, workload and registry tokens
	Binding Binding
	Life    time.Duration // 0 means until revoked
}

// Token is an issued token as lists show it: without its secret.
type Token struct {
	ID      string
	Kind    TokenKind
	Name    string
	Scope   TokenScope
	Created time.Time
	Expires time.Time // zero: never
}

// encodeSecret writes 52 lower-case base32 characters: the shape by which Azure DevOps clients know a personal access token.
func encodeSecret(random [32]byte) string {
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(random[:]))
}

// hashSecret needs no salt or slowness: a token has 256 random bits.
func hashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// IssueToken makes a token and returns it; this is the only time that it can be read.
func (s *Service) IssueToken(ctx context.Context, r TokenRequest) (string, error) {
	var random [32]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", fmt.Errorf("make token: %w", err)
	}
	secret := encodeSecret(random)
	return secret, s.storeToken(ctx, secret, r)
}

// EnsureToken makes the token that stands for 32 secret bytes, unless it is there already, and returns it. It is for
// credentials that are derived rather than kept, such as those of an environment's workloads.
func (s *Service) EnsureToken(ctx context.Context, from [32]byte, r TokenRequest) (string, error) {
	secret := encodeSecret(from)
	err := s.storeToken(ctx, secret, r)
	if db.IsUniqueViolation(err) {
		return secret, nil
	}
	return secret, err
}

func (s *Service) storeToken(ctx context.Context, secret string, r TokenRequest) error {
	actor, err := json.Marshal(r.Actor)
	if err != nil {
		return fmt.Errorf("issue token: %w", err)
	}
	binding, err := json.Marshal(r.Binding)
	if err != nil {
		return fmt.Errorf("issue token: %w", err)
	}
	user := ""
	if r.Kind == TokenPersonal {
		if r.Actor.Kind != slipway.ActorUser || strings.TrimSpace(r.Name) == "" || len(r.Name) > 100 {
			return slipway.Invalid("a personal access token belongs to a user and has a name of up to 100 characters")
		}
		user = r.Actor.ID
		if _, err := ParseTokenScope(string(r.Binding.Scope)); err != nil {
			return err
		}
	}
	now := s.clock.Now()
	expires := time.Time{}
	if r.Life > 0 {
		expires = now.Add(r.Life)
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		const insert = `
			INSERT INTO tokens (id, hash, kind, name, actor, user_id, project_id, binding, created, expires)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`
		if _, err := tx.ExecContext(ctx, insert, uuid.NewString(), hashSecret(secret), string(r.Kind), r.Name, string(actor), user,
			string(r.Project), string(binding), db.Micros(now), db.Micros(expires)); err != nil {
			return fmt.Errorf("issue token: %w", err)
		}
		if r.Kind != TokenPersonal {
			return nil
		}
		return s.log.Append(ctx, tx, &events.Event{Kind: EventTokenIssued, Actor: r.Actor, Subject: slipway.Ref(slipway.RefUser, user)},
			map[string]string{"name": r.Name, "scope": string(r.Binding.Scope)})
	})
}

// Tokens lists a user's personal access tokens that are still good, newest first.
func (s *Service) Tokens(ctx context.Context, user slipway.UserID) ([]Token, error) {
	const query = `
		SELECT id, kind, name, binding, created, expires FROM tokens
		WHERE user_id = $1 AND revoked = 0 AND (expires = 0 OR expires > $2) ORDER BY created DESC LIMIT 1000`
	return db.List(ctx, s.db, func(row interface{ Scan(...any) error }, t *Token) error {
		var created, expires int64
		var text string
		if err := row.Scan(&t.ID, (*string)(&t.Kind), &t.Name, &text, &created, &expires); err != nil {
			return err
		}
		var binding Binding
		err := json.Unmarshal([]byte(text), &binding)
		t.Scope, t.Created, t.Expires = binding.Scope, db.Time(created), db.Time(expires)
		return err
	}, query, string(user), db.Micros(s.clock.Now()))
}

// RevokeToken ends one of the user's personal access tokens.
func (s *Service) RevokeToken(ctx context.Context, user slipway.UserID, id string) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE tokens SET revoked = $1 WHERE id = $2 AND user_id = $3 AND revoked = 0`,
			db.Micros(s.clock.Now()), id, string(user))
		if err != nil {
			return fmt.Errorf("revoke token: %w", err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return slipway.NotFound("there is no such token")
		}
		tx.AfterCommit(s.recent.forget)
		return s.log.Append(ctx, tx, &events.Event{Kind: EventTokenRevoked, Actor: slipway.Actor{Kind: slipway.ActorUser, ID: string(user)},
			Subject: slipway.Ref(slipway.RefUser, user)}, nil)
	})
}

// RevokeSecret ends the token itself: for a job that is over, or a deployment that was replaced.
func (s *Service) RevokeSecret(ctx context.Context, secret string) error {
	defer s.recent.forget()
	_, err := s.db.ExecContext(ctx, `UPDATE tokens SET revoked = $1 WHERE hash = $2 AND revoked = 0`, db.Micros(s.clock.Now()), hashSecret(secret))
	if err != nil {
		return fmt.Errorf("revoke token: %w", err)
	}
	return nil
}

// RevokeBound ends all tokens of a kind that are bound to just that.
func (s *Service) RevokeBound(ctx context.Context, kind TokenKind, b Binding) error {
	binding, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("revoke tokens: %w", err)
	}
	defer s.recent.forget()
	if _, err := s.db.ExecContext(ctx, `UPDATE tokens SET revoked = $1 WHERE kind = $2 AND binding = $3 AND revoked = 0`, db.Micros(s.clock.Now()), string(kind), string(binding)); err != nil {
		return fmt.Errorf("revoke tokens: %w", err)
	}
	return nil
}

// RevokeJob ends all tokens of a job, whatever else they are bound to: an earlier release may have bound them to less.
func (s *Service) RevokeJob(ctx context.Context, job slipway.JobID) error {
	const revoke = `
		UPDATE tokens SET revoked = $1
		WHERE kind = $2 AND expires > $1 AND revoked = 0 AND (binding LIKE $3 OR binding LIKE $4)`
	defer s.recent.forget()
	field := fmt.Sprintf(`"job":%d`, job)
	if _, err := s.db.ExecContext(ctx, revoke, db.Micros(s.clock.Now()), string(TokenJob), "%"+field+",%", "%"+field+"}%"); err != nil {
		return fmt.Errorf("revoke the tokens of job %d: %w", job, err)
	}
	return nil
}

// AuthenticateToken returns whom the token belongs to, Unauthenticated when it is unknown, expired or revoked.
func (s *Service) AuthenticateToken(ctx context.Context, secret string) (Principal, error) {
	bad := slipway.Unauthenticated("this token is unknown, expired or revoked: issue a new one")
	if len(secret) < 20 || len(secret) > 200 {
		return Principal{}, bad
	}
	key := sha256.Sum256([]byte(secret))
	now := s.clock.Now()
	p, known, changes := s.recent.get(key, now)
	if known {
		return p, nil
	}
	p, expires, err := s.lookUp(ctx, secret)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return Principal{}, bad
	}
	if err != nil {
		return Principal{}, err
	}
	until := now.Add(recentLife)
	if !expires.IsZero() && expires.Before(until) {
		until = expires
	}
	s.recent.put(key, caller{p, until}, changes)
	return p, nil
}

// lookUp reads whom the token belongs to and when it ends, the zero time for never; NotFound when it is not good.
func (s *Service) lookUp(ctx context.Context, secret string) (p Principal, expires time.Time, err error) {
	row, err := s.goodToken(ctx, `hash = $1`, hashSecret(secret))
	if err != nil {
		return p, expires, err
	}
	p.TokenID, p.Token, p.Project, expires = row.id, TokenKind(row.kind), slipway.ProjectID(row.project), row.expires
	if err := errors.Join(json.Unmarshal([]byte(row.actor), &p.Actor), json.Unmarshal([]byte(row.binding), &p.Binding)); err != nil {
		return p, expires, fmt.Errorf("look up token: %w", err)
	}
	if p.Binding.Parent != "" {
		parent, err := s.goodToken(ctx, `id = $1`, p.Binding.Parent)
		if err != nil {
			return p, expires, err
		}
		if expires.IsZero() || !parent.expires.IsZero() && parent.expires.Before(expires) {
			expires = parent.expires
		}
	}
	if p.Kind != slipway.ActorUser {
		return p, expires, nil
	}
	u, err := s.User(ctx, slipway.UserID(p.ID))
	if err == nil && u.Disabled {
		err = slipway.NotFound("user %s is disabled", u.Name)
	}
	p.Administrator, p.Name = u.Administrator, u.Name
	return p, expires, err
}

type tokenRow struct {
	id, kind, actor, project, binding string
	expires                           time.Time // zero: never
}

// goodToken reads the token that the condition finds; NotFound when there is none, or it was revoked, or has expired.
func (s *Service) goodToken(ctx context.Context, where, arg string) (t tokenRow, err error) {
	var expires, revoked int64
	err = s.db.QueryRowContext(ctx, `SELECT id, kind, actor, project_id, binding, expires, revoked FROM tokens WHERE `+where, arg).
		Scan(&t.id, &t.kind, &t.actor, &t.project, &t.binding, &expires, &revoked)
	if err != nil && !db.IsNoRows(err) {
		return t, fmt.Errorf("look up token: %w", err)
	}
	if t.expires = db.Time(expires); err != nil || revoked != 0 || s.expired(t.expires) {
		return t, slipway.NotFound("there is no such token")
	}
	return t, nil
}

// purgeInterval is how often what has expired is removed.
const purgeInterval = 10 * time.Minute

// Run removes expired tokens and sessions until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	ticker := time.NewTicker(purgeInterval)
	defer ticker.Stop()
	for {
		if err := s.purge(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (s *Service) purge(ctx context.Context) error {
	now := db.Micros(s.clock.Now())
	if _, err := s.db.ExecContext(ctx, `DELETE FROM tokens WHERE expires > 0 AND expires < $1`, now); err != nil {
		return fmt.Errorf("remove expired tokens: %w", err)
	}
	if _, err := s.db.ExecContext(ctx, `DELETE FROM sessions WHERE expires < $1`, now); err != nil {
		return fmt.Errorf("remove expired sessions: %w", err)
	}
	return nil
}
