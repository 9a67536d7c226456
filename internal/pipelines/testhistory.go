package pipelines

import (
	"context"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/variable"
)

// TestName names a test of a pipeline. One name in one suite, run for two platforms or configurations, is two tests.
type TestName struct {
	Suite, Name             string
	Platform, Configuration string // "" for none that was named
}

// TestChanges are what a run's tests came to beside those of the run that it is compared with. Of a job that ran several
// times the last attempt counts.
type TestChanges struct {
	// Baseline is the latest run before it, with tests, of the branch that a pull request goes to, or else of its own
	// branch, or else of the default branch; 0 if there is none. Without one nothing is New or Fixed.
	Baseline slipway.RunID
	// New failed here and not there, Fixed the other way round.
	New, Fixed []TestName
	// Flaky are those of this run that, in the last 30 days, failed and passed on the same commit.
	Flaky []TestName
}

const (
	flakyFor     = 30 * 24 * time.Hour
	maxCompared  = 2000 // failed tests of a run
	historyDepth = 50

	maxConfigurations = 20 // of one test
)

// CompareTests compares a run's tests with those that its branch had before.
func (s *Service) CompareTests(ctx context.Context, id slipway.RunID) (TestChanges, error) {
	var c TestChanges
	run, err := s.Get(ctx, id)
	if err != nil {
		return c, err
	}
	failed, err := s.failedTests(ctx, id)
	if err != nil {
		return c, err
	}
	if c.Flaky, err = s.flakyTests(ctx, &run); err != nil {
		return c, err
	}
	if c.Baseline, err = s.testBaseline(ctx, &run); err != nil || c.Baseline == 0 {
		return c, err
	}
	before, err := s.failedTests(ctx, c.Baseline)
	if err != nil {
		return c, err
	}
	c.New = without(failed, before)
	gone := without(before, failed)
	if len(gone) == 0 {
		return c, nil
	}
	// One that did not run here is not fixed.
	for _, t := range gone {
		passed, err := s.testPassed(ctx, id, t)
		if err != nil {
			return c, err
		}
		if passed {
			c.Fixed = append(c.Fixed, t)
		}
	}
	return c, nil
}

// without is a without what is in b.
func without(a, b []TestName) []TestName {
	in := map[TestName]bool{}
	for _, t := range b {
		in[t] = true
	}
	var list []TestName
	for _, t := range a {
		if !in[t] {
			list = append(list, t)
		}
	}
	return list
}

// latestAttempt is a condition on the job j of a publication.
const latestAttempt = `j.attempt = (SELECT MAX(k.attempt) FROM pipeline_jobs k WHERE k.run = j.run AND k.instance = j.instance)`

func scanTestName(row interface{ Scan(...any) error }, t *TestName) error {
	return row.Scan(&t.Suite, &t.Name, &t.Platform, &t.Configuration)
}

// testNameColumns are what scanTestName reads of a result r in a publication t.
const testNameColumns = `r.suite, r.name, t.platform, t.configuration`

func (s *Service) failedTests(ctx context.Context, run slipway.RunID) ([]TestName, error) {
	list, err := db.List(ctx, s.db, scanTestName, `SELECT DISTINCT `+testNameColumns+` FROM pipeline_test_results r
		JOIN pipeline_test_runs t ON t.id = r.test_run JOIN pipeline_jobs j ON j.id = t.job
		WHERE t.run = $1 AND r.outcome = 'failed' AND `+latestAttempt+` ORDER BY `+testNameColumns+` LIMIT $2`, int64(run), maxCompared)
	if err != nil {
		return nil, fmt.Errorf("list the failed tests of run %d: %w", run, err)
	}
	return list, nil
}

func (s *Service) testPassed(ctx context.Context, run slipway.RunID, test TestName) (bool, error) {
	n, err := db.One(ctx, s.db, db.Value[int], `SELECT COUNT(*) FROM pipeline_test_results r
		JOIN pipeline_test_runs t ON t.id = r.test_run JOIN pipeline_jobs j ON j.id = t.job
		WHERE t.run = $1 AND r.name = $2 AND r.suite = $3 AND t.platform = $4 AND t.configuration = $5 AND r.outcome = 'passed' AND `+latestAttempt,
		int64(run), test.Name, test.Suite, test.Platform, test.Configuration)
	if err != nil {
		return false, fmt.Errorf("look for test %s in run %d: %w", test.Name, run, err)
	}
	return n > 0, nil
}

// testBaseline is the run that a run's tests are compared with, 0 without one.
func (s *Service) testBaseline(ctx context.Context, run *Run) (slipway.RunID, error) {
	sealed, err := db.One(ctx, s.db, db.Value[[]byte], `SELECT variables FROM pipeline_runs WHERE id = $1`, int64(run.ID))
	if err != nil {
		return 0, fmt.Errorf("read variables of run %d: %w", run.ID, err)
	}
	vars, err := s.openVariables(sealed, "run")
	if err != nil {
		return 0, err
	}
	refs := []string{run.Ref}
	if target := vars.Text(variable.SystemPullRequestTarget); target != "" {
		refs = []string{target}
	} else if repo, err := s.Source.Repository(ctx, run.Repository); err == nil && repo.DefaultBranch != run.Ref {
		refs = append(refs, repo.DefaultBranch)
	}
	for _, ref := range refs {
		id, err := db.One(ctx, s.db, db.Value[int64], `SELECT r.id FROM pipeline_runs r WHERE r.pipeline = $1 AND r.ref = $2 AND r.id < $3 AND r.state = $4
			AND EXISTS (SELECT 1 FROM pipeline_test_runs t WHERE t.run = r.id) ORDER BY r.id DESC LIMIT 1`,
			int64(run.Pipeline), ref, int64(run.ID), string(RunCompleted))
		if err == nil {
			return slipway.RunID(id), nil
		}
		if !db.IsNoRows(err) {
			return 0, fmt.Errorf("look for a run before run %d: %w", run.ID, err)
		}
	}
	return 0, nil
}

func (s *Service) flakyTests(ctx context.Context, run *Run) ([]TestName, error) {
	list, err := db.List(ctx, s.db, scanTestName, `SELECT DISTINCT `+testNameColumns+` FROM pipeline_flaky_tests f
		JOIN pipeline_test_results r ON r.name = f.name AND r.suite = f.suite
		JOIN pipeline_test_runs t ON t.id = r.test_run AND t.platform = f.platform AND t.configuration = f.configuration
		WHERE f.pipeline = $1 AND f.seen > $2 AND t.run = $3 ORDER BY `+testNameColumns+` LIMIT $4`,
		int64(run.Pipeline), db.Micros(s.clock.Now().Add(-flakyFor)), int64(run.ID), maxCompared)
	if err != nil {
		return nil, fmt.Errorf("list the flaky tests of run %d: %w", run.ID, err)
	}
	return list, nil
}

// noteFlaky remembers tests of a publication that have the other outcome in an earlier one of the same title, platform, configuration,
// pipeline and commit: nothing but chance has changed between them.
func (s *Service) noteFlaky(ctx context.Context, tx *db.Tx, t *TestRun, run slipway.RunID, results []job.TestResult) error {
	r, err := getRun(ctx, tx, run)
	if err != nil {
		return err
	}
	// Few tests fail: so both sides are looked up by the failures.
	const others = `FROM pipeline_test_results r JOIN pipeline_test_runs t ON t.id = r.test_run JOIN pipeline_runs p ON p.id = t.run
		WHERE p.pipeline = $1 AND p.commit_id = $2 AND t.title = $3 AND t.platform = $4 AND t.configuration = $5 AND t.id <> $6`
	failedBefore, err := db.List(ctx, tx, scanTestName, `SELECT DISTINCT `+testNameColumns+` `+others+` AND r.outcome = 'failed' LIMIT $7`,
		int64(r.Pipeline), string(r.Commit), t.Title, t.Platform, t.Configuration, t.ID, maxCompared)
	if err != nil {
		return fmt.Errorf("look for flaky tests: %w", err)
	}
	failing := map[TestName]bool{}
	for _, name := range failedBefore {
		failing[name] = true
	}
	flaky := map[TestName]bool{}
	failed := 0
	for _, one := range results {
		name := TestName{cut(one.Suite, maxTestName), cut(one.Name, maxTestName), t.Platform, t.Configuration}
		switch {
		case one.Outcome == job.TestPassed && failing[name]:
			flaky[name] = true
		case one.Outcome == job.TestFailed && failed < maxCompared:
			failed++
			passed, err := db.One(ctx, tx, db.Value[int], `SELECT COUNT(*) `+others+` AND r.outcome = 'passed' AND r.name = $7 AND r.suite = $8`,
				int64(r.Pipeline), string(r.Commit), t.Title, t.Platform, t.Configuration, t.ID, name.Name, name.Suite)
			if err != nil {
				return fmt.Errorf("look for flaky tests: %w", err)
			}
			if passed > 0 {
				flaky[name] = true
			}
		}
	}
	for name := range flaky {
		const upsert = `INSERT INTO pipeline_flaky_tests (pipeline, suite, name, platform, configuration, run, seen) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (pipeline, name, suite, platform, configuration) DO UPDATE SET run = excluded.run, seen = excluded.seen`
		if _, err := tx.ExecContext(ctx, upsert, int64(r.Pipeline), name.Suite, name.Name, name.Platform, name.Configuration, int64(run), db.Micros(s.clock.Now())); err != nil {
			return fmt.Errorf("remember a flaky test: %w", err)
		}
	}
	return nil
}

// TestOutcome is one result of a test in a run.
type TestOutcome struct {
	Run      slipway.RunID
	Number   string // of the run
	Ref      string
	Commit   slipway.CommitID
	Attempt  int // of the job
	Outcome  job.TestOutcome
	Duration time.Duration
	Message  string
	Finished time.Time // when it was published
}

// TestHistory lists the latest results of a test in the runs of a pipeline, at most 50, newest first. ref, if not "", is the
// full name of the only branch that counts.
func (s *Service) TestHistory(ctx context.Context, pipeline slipway.PipelineID, test TestName, ref string) ([]TestOutcome, error) {
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, o *TestOutcome) error {
		var duration, created int64
		err := row.Scan((*int64)(&o.Run), &o.Number, &o.Ref, (*string)(&o.Commit), &o.Attempt, (*string)(&o.Outcome), &duration, &o.Message, &created)
		o.Duration, o.Finished = time.Duration(duration)*time.Microsecond, db.Time(created)
		return err
	}, `SELECT p.id, p.number, p.ref, p.commit_id, j.attempt, r.outcome, r.duration, r.message, t.created
		FROM pipeline_test_results r JOIN pipeline_test_runs t ON t.id = r.test_run JOIN pipeline_jobs j ON j.id = t.job JOIN pipeline_runs p ON p.id = t.run
		WHERE r.name = $1 AND r.suite = $2 AND t.platform = $3 AND t.configuration = $4 AND p.pipeline = $5 AND ($6 = '' OR p.ref = $6)
		ORDER BY t.id DESC LIMIT $7`,
		test.Name, test.Suite, test.Platform, test.Configuration, int64(pipeline), ref, historyDepth)
	if err != nil {
		return nil, fmt.Errorf("read the history of test %s: %w", test.Name, err)
	}
	return list, nil
}

// TestConfigurations lists the tests of a pipeline that have the suite and the name of the given one, for other platforms or configurations, at most 20.
func (s *Service) TestConfigurations(ctx context.Context, pipeline slipway.PipelineID, test TestName) ([]TestName, error) {
	list, err := db.List(ctx, s.db, scanTestName, `SELECT DISTINCT `+testNameColumns+` FROM pipeline_test_results r
		JOIN pipeline_test_runs t ON t.id = r.test_run JOIN pipeline_runs p ON p.id = t.run
		WHERE r.name = $1 AND r.suite = $2 AND p.pipeline = $3 AND NOT (t.platform = $4 AND t.configuration = $5) ORDER BY `+testNameColumns+` LIMIT $6`,
		test.Name, test.Suite, int64(pipeline), test.Platform, test.Configuration, maxConfigurations)
	if err != nil {
		return nil, fmt.Errorf("list for what test %s runs: %w", test.Name, err)
	}
	return list, nil
}

// TestDuration is how long a test took in a run.
type TestDuration struct {
	TestName
	Duration time.Duration
}

// SlowestTests lists the results of a run that took longest, at most limit.
func (s *Service) SlowestTests(ctx context.Context, run slipway.RunID, limit int) ([]TestDuration, error) {
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, t *TestDuration) error {
		var duration int64
		err := row.Scan(&t.Suite, &t.Name, &t.Platform, &t.Configuration, &duration)
		t.Duration = time.Duration(duration) * time.Microsecond
		return err
	}, `SELECT `+testNameColumns+`, r.duration FROM pipeline_test_results r JOIN pipeline_test_runs t ON t.id = r.test_run
		WHERE t.run = $1 AND r.duration > 0 ORDER BY r.duration DESC LIMIT $2`, int64(run), limit)
	if err != nil {
		return nil, fmt.Errorf("list the slowest tests of run %d: %w", run, err)
	}
	return list, nil
}
