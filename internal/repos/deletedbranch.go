package repos

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
)

const (
	// restorable is how long a deleted branch can be restored.
	restorable = 90 * 24 * time.Hour
	// keptPrefix is where git keeps what deleted branches named from being collected. Clients do not see it.
	keptPrefix = "refs/slipway/deleted/"
	// maxDeletedBranches bounds the list of them.
	maxDeletedBranches = 500
)

// DeletedBranch is a branch that was deleted and can be restored.
type DeletedBranch struct {
	Name    string
	Commit  slipway.CommitID // where it was
	Deleted time.Time
	By      slipway.Actor
}

// DeletedBranches lists the branches that were deleted in the last 90 days and are not there again, the latest deletion first, at most 500.
func (s *Service) DeletedBranches(ctx context.Context, id slipway.RepositoryID) ([]DeletedBranch, error) {
	const query = `
		SELECT d.name, d.commit_id, d.deleted, d.actor FROM deleted_branches d
		WHERE d.repository = $1 AND d.deleted > $2
			AND NOT EXISTS (SELECT 1 FROM repository_refs r WHERE r.repository = d.repository AND r.name = 'refs/heads/' || d.name)
			AND NOT EXISTS (SELECT 1 FROM deleted_branches l WHERE l.repository = d.repository AND l.name = d.name AND l.id > d.id)
		ORDER BY d.deleted DESC, d.id DESC LIMIT $3`
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, b *DeletedBranch) error {
		var deleted int64
		var actor string
		if err := row.Scan(&b.Name, (*string)(&b.Commit), &deleted, &actor); err != nil {
			return err
		}
		b.Deleted = db.Time(deleted)
		return json.Unmarshal([]byte(actor), &b.By)
	}, query, string(id), db.Micros(s.clock.Now().Add(-restorable)), maxDeletedBranches)
	if err != nil {
		return nil, fmt.Errorf("list deleted branches of repository %s: %w", id, err)
	}
	return list, nil
}

// RestoreBranch makes a deleted branch again where it was when it was deleted last.
func (s *Service) RestoreBranch(ctx context.Context, id slipway.RepositoryID, actor slipway.Actor, name string) error {
	list, err := s.DeletedBranches(ctx, id)
	if err != nil {
		return err
	}
	for _, b := range list {
		if b.Name == name {
			return s.CreateBranch(ctx, id, actor, name, b.Commit)
		}
	}
	return slipway.NotFound("no branch %s was deleted in the last 90 days that is not there again", name)
}

// keepDeleted makes git keep the commits of deleted branches. It comes before their rows go: after a crash it is done again.
func (s *Service) keepDeleted(ctx context.Context, id slipway.RepositoryID, changes []change) error {
	var commits []string
	for _, c := range changes {
		if c.deletedBranch() != "" {
			commits = append(commits, string(c.before.Commit))
		}
	}
	if len(commits) == 0 {
		return nil
	}
	slices.Sort(commits)
	commits = slices.Compact(commits)
	there, err := s.present(ctx, id, commits)
	if err != nil {
		return err
	}
	var moves []refMove
	for i, c := range commits {
		if there[i] {
			moves = append(moves, refMove{Ref: keptPrefix + c, After: slipway.CommitID(c), Anywhere: true})
		}
	}
	if err := s.setRefs(ctx, id, moves); err != nil {
		return fmt.Errorf("keep the commits of deleted branches of repository %s: %w", id, err)
	}
	return nil
}

// deletedBranch is the name of the branch that the change deletes, empty when it does not.
func (c change) deletedBranch() string {
	if c.after.Target != "" || c.before.Commit.IsZero() || c.before.Full != branchPrefix+c.before.Name {
		return ""
	}
	return c.before.Name
}

// expireDeleted forgets branches that were deleted too long ago to be restored: git may collect what nothing else names.
func (s *Service) expireDeleted(ctx context.Context, id slipway.RepositoryID) error {
	limit := db.Micros(s.clock.Now().Add(-restorable))
	const query = `
		SELECT DISTINCT o.commit_id FROM deleted_branches o WHERE o.repository = $1 AND o.deleted <= $2
			AND NOT EXISTS (SELECT 1 FROM deleted_branches n WHERE n.repository = o.repository AND n.commit_id = o.commit_id AND n.deleted > $2)
		LIMIT 10000`
	old, err := db.List(ctx, s.db, db.Value[string], query, string(id), limit)
	if err != nil {
		return fmt.Errorf("list old deleted branches of repository %s: %w", id, err)
	}
	var moves strings.Builder
	for _, commit := range old {
		fmt.Fprintf(&moves, "delete %s%s\n", keptPrefix, commit)
	}
	if _, err := s.git.run(ctx, command{dir: s.dir(id), args: []string{"update-ref", "--stdin"}, stdin: strings.NewReader(moves.String()), time: collectTimeout}); err != nil {
		return fmt.Errorf("forget deleted branches of repository %s: %w", id, err)
	}
	if _, err := s.db.ExecContext(ctx, `DELETE FROM deleted_branches WHERE repository = $1 AND deleted <= $2`, string(id), limit); err != nil {
		return fmt.Errorf("forget deleted branches of repository %s: %w", id, err)
	}
	return nil
}
