package repos

import (
	"context"
	"fmt"

	"slipway"
	"slipway/internal/db"
)

// maxViewed bounds the files of one pull request that one user has marked.
const maxViewed = 10_000

// SetViewed notes that a user has looked at the content of a file, or takes the mark away. object is the content's name; empty for a file that is deleted.
func (s *Service) SetViewed(ctx context.Context, user slipway.UserID, id slipway.PullRequestID, path, object string, viewed bool) error {
	if err := checkPath(path); err != nil {
		return err
	}
	if object != "" && !hexName().MatchString(object) {
		return slipway.Invalid("%q is no object's name", shorten(object, 80))
	}
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		if !viewed {
			_, err := tx.ExecContext(ctx, `DELETE FROM pull_request_viewed WHERE pull_request = $1 AND user_id = $2 AND path = $3`, int64(id), string(user), path)
			return err
		}
		n, err := db.One(ctx, tx, db.Value[int64], `SELECT count(*) FROM pull_request_viewed WHERE pull_request = $1 AND user_id = $2`, int64(id), string(user))
		if err != nil {
			return err
		}
		if n >= maxViewed {
			return slipway.Limit("you have marked %d files already", n)
		}
		const upsert = `
			INSERT INTO pull_request_viewed (pull_request, user_id, path, object) VALUES ($1, $2, $3, $4)
			ON CONFLICT (pull_request, user_id, path) DO UPDATE SET object = excluded.object`
		_, err = tx.ExecContext(ctx, upsert, int64(id), string(user), path, object)
		return err
	})
	if err != nil {
		return fmt.Errorf("mark a file of pull request %d: %w", id, err)
	}
	return nil
}

// Viewed returns the contents that a user has looked at, by their files' paths. A file with another content now was changed since.
func (s *Service) Viewed(ctx context.Context, user slipway.UserID, id slipway.PullRequestID) (map[string]string, error) {
	type mark struct{ path, object string }
	scan := func(row interface{ Scan(...any) error }, m *mark) error { return row.Scan(&m.path, &m.object) }
	list, err := db.List(ctx, s.db, scan, `SELECT path, object FROM pull_request_viewed WHERE pull_request = $1 AND user_id = $2 LIMIT $3`, int64(id), string(user), maxViewed)
	if err != nil {
		return nil, fmt.Errorf("list marked files of pull request %d: %w", id, err)
	}
	viewed := map[string]string{}
	for _, m := range list {
		viewed[m.path] = m.object
	}
	return viewed, nil
}

// Visit notes that a user looks at an iteration, and returns the one that was the newest when they looked before: 0 when they never did.
func (s *Service) Visit(ctx context.Context, user slipway.UserID, id slipway.PullRequestID, iteration int) (previous int, err error) {
	const upsert = `
		INSERT INTO pull_request_visits (pull_request, user_id, iteration, previous) VALUES ($1, $2, $3, 0)
		ON CONFLICT (pull_request, user_id) DO UPDATE SET iteration = excluded.iteration,
			previous = CASE WHEN pull_request_visits.iteration < excluded.iteration THEN pull_request_visits.iteration ELSE pull_request_visits.previous END
		RETURNING previous`
	if err := s.db.QueryRowContext(ctx, upsert, int64(id), string(user), iteration).Scan(&previous); err != nil {
		return 0, fmt.Errorf("note who looks at pull request %d: %w", id, err)
	}
	return previous, nil
}
