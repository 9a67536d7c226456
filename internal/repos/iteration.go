package repos

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
)

// Iteration is what the branches were after one push to the source.
type Iteration struct {
	Number       int
	SourceCommit slipway.CommitID
	TargetCommit slipway.CommitID
	BaseCommit   slipway.CommitID // their merge base; zero when they have none
	Created      time.Time
	CreatedBy    slipway.Actor
}

func (s *Service) addIteration(ctx context.Context, tx *db.Tx, p PullRequest, base slipway.CommitID, by slipway.Actor) error {
	actor, err := json.Marshal(by)
	if err != nil {
		return fmt.Errorf("encode actor: %w", err)
	}
	const insert = `
		INSERT INTO pull_request_iterations (pull_request, number, source_commit, target_commit, base_commit, created, created_by)
		SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5, $6 FROM pull_request_iterations WHERE pull_request = $1`
	_, err = tx.ExecContext(ctx, insert, int64(p.ID), string(p.SourceCommit), string(p.TargetCommit), string(base), db.Micros(s.clock.Now()), string(actor))
	return err
}

// Iterations lists a pull request's iterations, oldest first.
func (s *Service) Iterations(ctx context.Context, id slipway.PullRequestID) ([]Iteration, error) {
	scan := func(row interface{ Scan(...any) error }, i *Iteration) error {
		var created int64
		var by string
		err := row.Scan(&i.Number, (*string)(&i.SourceCommit), (*string)(&i.TargetCommit), (*string)(&i.BaseCommit), &created, &by)
		if err != nil {
			return err
		}
		i.Created = db.Time(created)
		return json.Unmarshal([]byte(by), &i.CreatedBy)
	}
	const query = `
		SELECT number, source_commit, target_commit, base_commit, created, created_by FROM pull_request_iterations
		WHERE pull_request = $1 ORDER BY number LIMIT $2`
	list, err := db.List(ctx, s.db, scan, query, int64(id), maxIterations)
	if err != nil {
		return nil, fmt.Errorf("list iterations of pull request %d: %w", id, err)
	}
	return list, nil
}

// IterationCommits lists the commits that an iteration brought, newest first: those that the iteration before it and the target had not. More says
// that there are more than 1000.
func (s *Service) IterationCommits(ctx context.Context, p PullRequest, all []Iteration, number int) (list []Commit, more bool, err error) {
	if number < 1 || number > len(all) {
		return nil, false, slipway.NotFound("the pull request has iterations 1 to %d", len(all))
	}
	i := all[number-1]
	not := []slipway.CommitID{i.TargetCommit}
	if number > 1 {
		not = append(not, all[number-2].SourceCommit)
	}
	ids, more, err := s.newCommits(ctx, p.Repository, i.SourceCommit, not, maxPullCommits)
	if err != nil {
		return nil, false, err
	}
	list, err = s.commits(ctx, p.Repository, ids)
	return list, more, err
}
