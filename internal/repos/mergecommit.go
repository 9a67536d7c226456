package repos

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
)

const (
	// mergeKept is how long a merge commit that was asked for is kept when nothing else names it.
	mergeKept = 30 * 24 * time.Hour
	// mergePrefix is where git keeps it from being collected. Clients do not see it.
	mergePrefix = "refs/slipway/merges/"
	mergeKind   = "merge" // in the table of picks
)

// MergeRequest asks for a merge commit of two commits, which moves no branch.
type MergeRequest struct {
	Repository slipway.RepositoryID
	Parents    []slipway.CommitID // two
	Message    string
	Committer  Signature // a zero time means now
	Actor      slipway.Actor
}

// Merge is what became of a MergeRequest.
type Merge struct {
	ID        int64
	Parents   []slipway.CommitID
	Commit    slipway.CommitID // zero when they conflict
	Conflicts []string         // paths
}

// MergeCommits merges two commits. The outcome is kept for 30 days, or as long as a branch or tag has it.
func (s *Service) MergeCommits(ctx context.Context, req MergeRequest) (Merge, error) {
	m := Merge{Parents: req.Parents, Conflicts: []string{}}
	if len(req.Parents) != 2 {
		return m, slipway.Invalid("name two parents: a merge is made of two commits")
	}
	if strings.TrimSpace(req.Message) == "" || len(req.Message) > maxNewMessage || strings.ContainsRune(req.Message, 0) {
		return m, slipway.Invalid("a commit needs a message of at most %d bytes", maxNewMessage)
	}
	if err := req.Committer.check("a committer"); err != nil {
		return m, err
	}
	if _, err := s.CommitList(ctx, req.Repository, req.Parents); err != nil {
		return m, err
	}
	if req.Committer.Time.IsZero() {
		req.Committer.Time = s.clock.Now()
	}
	tree, err := s.mergeTrees(ctx, req.Repository, req.Parents[0], req.Parents[1])
	if err != nil {
		return m, err
	}
	if m.Conflicts = append(m.Conflicts, tree.conflicts...); len(m.Conflicts) == 0 {
		m.Commit, err = s.writeCommit(ctx, req.Repository, newCommit{tree: tree.tree, parents: req.Parents, message: req.Message, author: req.Committer, committer: req.Committer})
		if err == nil {
			err = s.moveRefs(ctx, req.Repository, refMove{Ref: mergePrefix + string(m.Commit), After: m.Commit, Anywhere: true})
		}
		if err != nil {
			return m, err
		}
	}
	return s.keepMerge(ctx, m, req)
}

// keepMerge writes the row.
func (s *Service) keepMerge(ctx context.Context, m Merge, req MergeRequest) (Merge, error) {
	row := Pick{Repository: req.Repository, Kind: mergeKind, Commits: m.Parents, Conflicts: m.Conflicts, Created: s.clock.Now(), CreatedBy: req.Actor}
	if len(m.Conflicts) > 0 {
		row.Reason = "the commits conflict"
	} else {
		row.Branch = mergePrefix + string(m.Commit)
	}
	row, err := s.insertPick(ctx, row)
	m.ID = row.ID
	return m, err
}

// MergeByID returns the outcome of an earlier MergeCommits.
func (s *Service) MergeByID(ctx context.Context, id slipway.RepositoryID, number int64) (Merge, error) {
	const query = `SELECT commits, branch, conflicts FROM git_picks WHERE repository = $1 AND kind = $2 AND id = $3`
	m := Merge{ID: number}
	var parents, ref, conflicts string
	err := s.db.QueryRowContext(ctx, query, string(id), mergeKind, number).Scan(&parents, &ref, &conflicts)
	if db.IsNoRows(err) {
		return m, slipway.NotFound("the repository has no merge %d", number)
	}
	if err == nil {
		err = json.Unmarshal([]byte(parents), &m.Parents)
	}
	if err == nil {
		err = json.Unmarshal([]byte(conflicts), &m.Conflicts)
	}
	if err != nil {
		return m, fmt.Errorf("find merge %d: %w", number, err)
	}
	m.Commit = slipway.CommitID(strings.TrimPrefix(ref, mergePrefix))
	return m, nil
}

// expireMerges lets git collect merges that were asked for long ago.
func (s *Service) expireMerges(ctx context.Context, id slipway.RepositoryID) error {
	limit := db.Micros(s.clock.Now().Add(-mergeKept))
	const query = `
		SELECT DISTINCT o.branch FROM git_picks o WHERE o.repository = $1 AND o.kind = $2 AND o.created <= $3 AND o.branch <> ''
			AND NOT EXISTS (SELECT 1 FROM git_picks n WHERE n.repository = o.repository AND n.kind = o.kind AND n.branch = o.branch AND n.created > $3)
		LIMIT 10000`
	old, err := db.List(ctx, s.db, db.Value[string], query, string(id), mergeKind, limit)
	if err != nil {
		return fmt.Errorf("list old merges of repository %s: %w", id, err)
	}
	for _, ref := range old {
		if _, err := s.git.run(ctx, command{dir: s.dir(id), args: []string{"update-ref", "-d", ref}}); err != nil {
			return fmt.Errorf("forget a merge of repository %s: %w", id, err)
		}
	}
	if _, err := s.db.ExecContext(ctx, `DELETE FROM git_picks WHERE repository = $1 AND kind = $2 AND created <= $3`, string(id), mergeKind, limit); err != nil {
		return fmt.Errorf("forget merges of repository %s: %w", id, err)
	}
	return nil
}
