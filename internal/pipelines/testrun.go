package pipelines

import (
	"context"
	"fmt"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/job"
)

// TestRun is one publication of test results.
type TestRun struct {
	ID            int64
	Job           slipway.JobID
	Step          int
	Title         string
	Platform      string // for which the tests were run, "" for none that was named
	Configuration string // likewise
	Total         int
	Passed        int
	Failed        int
	Skipped       int
	Duration      time.Duration // of all tests together
	Created       time.Time
}

const (
	maxTestName   = 1000
	maxTestFor    = 256 // bytes of a platform or configuration
	maxTestDetail = 32 << 10
)

// PutTests stores published test results; the same step and title again replaces them.
func (s *Service) PutTests(ctx context.Context, id slipway.JobID, t job.TestRun) error {
	if len(t.Results) > job.MaxTestResults {
		return slipway.Limit("at most %d test results at once", job.MaxTestResults)
	}
	row := TestRun{Job: id, Step: t.Step, Title: cut(t.Title, maxTestName), Platform: cut(t.Platform, maxTestFor), Configuration: cut(t.Configuration, maxTestFor), Total: len(t.Results), Created: s.clock.Now()}
	for _, r := range t.Results {
		switch r.Outcome {
		case job.TestPassed:
			row.Passed++
		case job.TestFailed:
			row.Failed++
		case job.TestSkipped:
			row.Skipped++
		default:
			return slipway.Invalid("test outcome %q is not known", r.Outcome)
		}
		row.Duration += time.Duration(r.Duration) * time.Microsecond
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		j, err := getJob(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := insertTestRun(ctx, tx, j.Run, &row); err != nil {
			return err
		}
		for i, r := range t.Results {
			const insert = `
				INSERT INTO pipeline_test_results (test_run, number, suite, name, outcome, duration, message, detail)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
			if _, err := tx.ExecContext(ctx, insert, row.ID, i+1, cut(r.Suite, maxTestName), cut(r.Name, maxTestName), string(r.Outcome), r.Duration,
				cut(r.Message, maxTestDetail), cut(r.Detail, maxTestDetail)); err != nil {
				return fmt.Errorf("record test results: %w", err)
			}
		}
		tx.AfterCommit(func() { s.changed(j.Run) })
		return s.noteFlaky(ctx, tx, &row, j.Run, t.Results)
	})
}

func insertTestRun(ctx context.Context, tx *db.Tx, run slipway.RunID, t *TestRun) error {
	const upsert = `
		INSERT INTO pipeline_test_runs (run, job, step, title, platform, configuration, total, passed, failed, skipped, duration, created)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		ON CONFLICT (job, step, title) DO UPDATE SET platform = excluded.platform, configuration = excluded.configuration, total = excluded.total,
			passed = excluded.passed, failed = excluded.failed, skipped = excluded.skipped, duration = excluded.duration RETURNING id`
	err := tx.QueryRowContext(ctx, upsert, int64(run), int64(t.Job), t.Step, t.Title, t.Platform, t.Configuration, t.Total, t.Passed, t.Failed, t.Skipped,
		t.Duration.Microseconds(), db.Micros(t.Created)).Scan(&t.ID)
	if err == nil {
		_, err = tx.ExecContext(ctx, `DELETE FROM pipeline_test_results WHERE test_run = $1`, t.ID)
	}
	if err != nil {
		return fmt.Errorf("record test run: %w", err)
	}
	return nil
}

// cut limits text from a test report, without the NUL that PostgreSQL cannot keep.
func cut(text string, limit int) string {
	if len(text) > limit {
		text = text[:limit]
	}
	return strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "")
}

// TestRuns lists the publications of test results in a run.
func (s *Service) TestRuns(ctx context.Context, run slipway.RunID) ([]TestRun, error) {
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, t *TestRun) error {
		var duration, created int64
		err := row.Scan(&t.ID, (*int64)(&t.Job), &t.Step, &t.Title, &t.Platform, &t.Configuration, &t.Total, &t.Passed, &t.Failed, &t.Skipped, &duration, &created)
		t.Duration, t.Created = time.Duration(duration)*time.Microsecond, db.Time(created)
		return err
	}, `SELECT id, job, step, title, platform, configuration, total, passed, failed, skipped, duration, created FROM pipeline_test_runs WHERE run = $1 ORDER BY id LIMIT 1000`, int64(run))
	if err != nil {
		return nil, fmt.Errorf("list test runs of run %d: %w", run, err)
	}
	return list, nil
}

// TestResults lists the results of one publication, at most 1000, failed ones first.
func (s *Service) TestResults(ctx context.Context, testRun int64) ([]job.TestResult, error) {
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, r *job.TestResult) error {
		return row.Scan(&r.Suite, &r.Name, (*string)(&r.Outcome), &r.Duration, &r.Message, &r.Detail)
	}, `SELECT suite, name, outcome, duration, message, detail FROM pipeline_test_results WHERE test_run = $1
		ORDER BY CASE outcome WHEN 'failed' THEN 0 WHEN 'skipped' THEN 1 ELSE 2 END, number LIMIT 1000`, testRun)
	if err != nil {
		return nil, fmt.Errorf("list test results: %w", err)
	}
	return list, nil
}

// PutSummary attaches a page in Markdown to the run.
func (s *Service) PutSummary(ctx context.Context, id slipway.JobID, m job.Summary) error {
	if len(m.Text) > job.MaxSummary {
		return slipway.Limit("a summary has at most %d bytes", job.MaxSummary)
	}
	j, err := s.Job(ctx, id)
	if err != nil {
		return err
	}
	const upsert = `
		INSERT INTO pipeline_summaries (run, job, step, name, text) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (run, job, step, name) DO UPDATE SET text = excluded.text`
	if _, err := s.db.ExecContext(ctx, upsert, int64(j.Run), int64(id), m.Step, cut(m.Name, 200), cut(m.Text, job.MaxSummary)); err != nil {
		return fmt.Errorf("record summary: %w", err)
	}
	s.changed(j.Run)
	return nil
}

// Summaries lists the pages attached to a run.
func (s *Service) Summaries(ctx context.Context, run slipway.RunID) ([]job.Summary, error) {
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, m *job.Summary) error {
		return row.Scan(&m.Step, &m.Name, &m.Text)
	}, `SELECT step, name, text FROM pipeline_summaries WHERE run = $1 ORDER BY job, step, name LIMIT 100`, int64(run))
	if err != nil {
		return nil, fmt.Errorf("list summaries of run %d: %w", run, err)
	}
	return list, nil
}
