package identity

import (
	"context"
	"fmt"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// DisableUser keeps a user out: their sessions end and their tokens are refused until EnableUser; what they did stays.
// Conflict for oneself, and for the installation's last administrator. Callers have authorized the administrator.
func (s *Service) DisableUser(ctx context.Context, by slipway.Actor, user slipway.UserID) error {
	if by.ID == string(user) {
		return slipway.Conflict("you cannot disable yourself: ask another administrator")
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := anotherAdministrator(ctx, tx, user); err != nil {
			return err
		}
		if err := s.updateUser(ctx, tx, `UPDATE users SET disabled = TRUE WHERE id = $1`, string(user)); err != nil {
			return err
		}
		if err := endSessions(ctx, tx, user, ""); err != nil {
			return err
		}
		return s.log.Append(ctx, tx, &events.Event{Kind: EventUserDisabled, Actor: by, Subject: slipway.Ref(slipway.RefUser, user)}, nil)
	})
}

// EnableUser lets a disabled user in again, with the password and the tokens that they had.
func (s *Service) EnableUser(ctx context.Context, by slipway.Actor, user slipway.UserID) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := s.updateUser(ctx, tx, `UPDATE users SET disabled = FALSE WHERE id = $1`, string(user)); err != nil {
			return err
		}
		return s.log.Append(ctx, tx, &events.Event{Kind: EventUserEnabled, Actor: by, Subject: slipway.Ref(slipway.RefUser, user)}, nil)
	})
}

// SetAdministrator makes a user an administrator of the whole installation, or one no more. Conflict for the last one.
func (s *Service) SetAdministrator(ctx context.Context, by slipway.Actor, user slipway.UserID, administrator bool) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		if !administrator {
			if err := anotherAdministrator(ctx, tx, user); err != nil {
				return err
			}
		}
		if err := s.updateUser(ctx, tx, `UPDATE users SET administrator = $1 WHERE id = $2`, administrator, string(user)); err != nil {
			return err
		}
		return s.log.Append(ctx, tx, &events.Event{Kind: EventAdministratorChanged, Actor: by, Subject: slipway.Ref(slipway.RefUser, user)},
			map[string]bool{"administrator": administrator})
	})
}

// anotherAdministrator refuses to lose the installation's last administrator who can sign in. Writing their rows first
// makes two such changes at the same time go one after the other on either engine.
func anotherAdministrator(ctx context.Context, tx *db.Tx, user slipway.UserID) error {
	if _, err := tx.ExecContext(ctx, `UPDATE users SET administrator = TRUE WHERE administrator = TRUE`); err != nil {
		return fmt.Errorf("look for other administrators: %w", err)
	}
	const query = `
		SELECT count(*) FROM users WHERE administrator = TRUE AND disabled = FALSE AND id <> $1`
	others, err := db.One(ctx, tx, db.Value[int64], query, string(user))
	if err != nil {
		return fmt.Errorf("look for other administrators: %w", err)
	}
	if others == 0 {
		return slipway.Conflict("this is the last administrator of the installation: make another user one first")
	}
	return nil
}

// updateUser runs an UPDATE of one user's row, after which callers are looked up anew; NotFound when there is none.
func (s *Service) updateUser(ctx context.Context, tx *db.Tx, query string, args ...any) error {
	result, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("change user: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return slipway.NotFound("there is no such user")
	}
	tx.AfterCommit(s.recent.forget)
	return nil
}
