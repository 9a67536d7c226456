package pipelines

import (
	"context"
	"fmt"
	"strings"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/job"
)

// NumberedTest is a test's result with its number in its publication.
type NumberedTest struct {
	Number int
	job.TestResult
}

// TestRun is one publication of test results, and the run that it is of.
func (s *Service) TestRun(ctx context.Context, id int64) (TestRun, slipway.RunID, error) {
	run, err := db.One(ctx, s.db, db.Value[int64], `SELECT run FROM pipeline_test_runs WHERE id = $1`, id)
	if db.IsNoRows(err) {
		return TestRun{}, 0, slipway.NotFound("there is no test run %d", id)
	}
	if err != nil {
		return TestRun{}, 0, fmt.Errorf("read test run %d: %w", id, err)
	}
	list, err := s.TestRuns(ctx, slipway.RunID(run))
	for _, t := range list {
		if t.ID == id {
			return t, slipway.RunID(run), nil
		}
	}
	if err == nil {
		err = slipway.NotFound("there is no test run %d", id)
	}
	return TestRun{}, 0, err
}

// NumberedTests lists results of one publication in their order, those of some outcomes if any are named, up to 1000 after the first ones.
func (s *Service) NumberedTests(ctx context.Context, testRun int64, outcomes []job.TestOutcome, skip, limit int) ([]NumberedTest, error) {
	args := []any{testRun, min(limit, 1000), skip}
	condition := ``
	if len(outcomes) > 0 {
		var places []string
		for _, outcome := range outcomes {
			args = append(args, string(outcome))
			places = append(places, fmt.Sprintf("$%d", len(args)))
		}
		condition = ` AND outcome IN (` + strings.Join(places, ", ") + `)`
	}
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, r *NumberedTest) error {
		return row.Scan(&r.Number, &r.Suite, &r.Name, (*string)(&r.Outcome), &r.Duration, &r.Message, &r.Detail)
	}, `SELECT number, suite, name, outcome, duration, message, detail FROM pipeline_test_results WHERE test_run = $1`+condition+` ORDER BY number LIMIT $2 OFFSET $3`, args...)
	if err != nil {
		return nil, fmt.Errorf("list test results: %w", err)
	}
	return list, nil
}
