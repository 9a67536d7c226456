package identity

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"strings"

	"github.com/alexedwards/argon2id"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

const (
	minPassword = 8
	maxPassword = 1024 // argon2id reads all of it: bound the work
)

// GeneratePassword returns a random password of 20 letters and digits that are easy to tell apart.
func GeneratePassword() (string, error) {
	var b [13]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("make password: %w", err)
	}
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))[:20], nil
}

func hashPassword(password string) (string, error) {
	if len(password) < minPassword || len(password) > maxPassword {
		p := slipway.Invalid("a password has %d to %d characters", minPassword, maxPassword)
		p.Field = "password"
		return "", p
	}
	hash, err := argon2id.CreateHash(password, argon2id.DefaultParams)
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return hash, nil
}

// ChangePassword gives a user the password that they chose, and ends their sessions but the one whose secret is
// keep. Invalid when old is not the present password; as with signing in, ten wrong ones make it wait. Personal
// access tokens stay good: they are ended one by one.
func (s *Service) ChangePassword(ctx context.Context, user slipway.UserID, old, chosen, keep string) error {
	u, err := s.User(ctx, user)
	if err != nil {
		return err
	}
	if s.tooManyFailures(u.Name) {
		return slipway.Limit("too many wrong passwords: wait five minutes")
	}
	hash, err := db.One(ctx, s.db, db.Value[string], `SELECT password_hash FROM users WHERE id = $1`, string(user))
	if err != nil {
		return fmt.Errorf("change password: %w", err)
	}
	if ok, err := matches(old, hash); err != nil {
		return fmt.Errorf("change password: %w", err)
	} else if !ok {
		s.failed(u.Name)
		p := slipway.Invalid("the old password is not right")
		p.Field = "old"
		return p
	}
	if chosen == old {
		p := slipway.Invalid("choose a password that is not the old one")
		p.Field = "password"
		return p
	}
	by := slipway.Actor{Kind: slipway.ActorUser, ID: string(user), Name: u.Name}
	return s.setPassword(ctx, by, user, chosen, false, keep)
}

func matches(password, hash string) (bool, error) {
	if len(password) > maxPassword {
		return false, nil
	}
	return argon2id.ComparePasswordAndHash(password, hash)
}

// ResetPassword gives a user a password that an administrator of the installation chose; callers have authorized that.
// All sessions of the user end, and the next one begins with choosing another password.
func (s *Service) ResetPassword(ctx context.Context, by slipway.Actor, user slipway.UserID, password string) error {
	return s.setPassword(ctx, by, user, password, string(user) != by.ID, "")
}

func (s *Service) setPassword(ctx context.Context, by slipway.Actor, user slipway.UserID, password string, mustChange bool, keep string) error {
	hash, err := hashPassword(password)
	if err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := s.updateUser(ctx, tx, `UPDATE users SET password_hash = $1, must_change = $2 WHERE id = $3`, hash, mustChange, string(user)); err != nil {
			return err
		}
		if err := endSessions(ctx, tx, user, keep); err != nil {
			return err
		}
		return s.log.Append(ctx, tx, &events.Event{Kind: EventPasswordChanged, Actor: by, Subject: slipway.Ref(slipway.RefUser, user)}, nil)
	})
}

// endSessions ends a user's sessions but the one whose secret is keep.
func endSessions(ctx context.Context, tx *db.Tx, user slipway.UserID, keep string) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE user_id = $1 AND hash <> $2`, string(user), hashSecret(keep)); err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	return nil
}
