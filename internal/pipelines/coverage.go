package pipelines

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"strings"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/coverage"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/variable"
)

// maxUnpacked bounds what stored coverage is when it is unpacked, in bytes.
const maxUnpacked = 128 << 20

// PutCoverage stores what a step publishes, and adds up the run's coverage anew. The same step again replaces it.
func (s *Service) PutCoverage(ctx context.Context, id slipway.JobID, c job.Coverage) error {
	if err := checkCoverage(&c); err != nil {
		return err
	}
	data, err := pack(c.Files)
	if err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		j, err := getJob(ctx, tx, id)
		if err != nil {
			return err
		}
		// Steps of several jobs publish at the same time; the update changes nothing and locks the run on either engine.
		if _, err := tx.ExecContext(ctx, `UPDATE pipeline_runs SET state = state WHERE id = $1`, int64(j.Run)); err != nil {
			return fmt.Errorf("lock run %d: %w", j.Run, err)
		}
		const upsert = `
			INSERT INTO pipeline_coverage (job, step, run, tool, data, created) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (job, step) DO UPDATE SET tool = excluded.tool, data = excluded.data, created = excluded.created`
		if _, err := tx.ExecContext(ctx, upsert, int64(id), c.Step, int64(j.Run), cut(c.Tool, 100), data, db.Micros(s.clock.Now())); err != nil {
			return fmt.Errorf("record coverage: %w", err)
		}
		tx.AfterCommit(func() { s.changed(j.Run) })
		return sumCoverage(ctx, tx, j.Run)
	})
}

func checkCoverage(c *job.Coverage) error {
	if len(c.Files) > coverage.MaxFiles {
		return slipway.Limit("coverage of at most %d files at once", coverage.MaxFiles)
	}
	lines := 0
	for i := range c.Files {
		f := &c.Files[i]
		f.Path, f.Package = cut(f.Path, maxTestName), cut(f.Package, maxTestName)
		lines += len(f.Lines)
		last := 0
		for _, l := range f.Lines {
			if l.Number <= last || l.Hits < 0 || l.Branches < l.Taken || l.Taken < 0 {
				return slipway.Invalid("coverage of %s: line %d is out of order or has counts that cannot be", f.Path, l.Number)
			}
			last = l.Number
		}
		if f.Path == "" {
			return slipway.Invalid("coverage of a file without a path")
		}
	}
	if lines > coverage.MaxLines {
		return slipway.Limit("coverage of at most %d lines at once", coverage.MaxLines)
	}
	return nil
}

// sumCoverage merges what the latest attempts of a run's jobs published.
func sumCoverage(ctx context.Context, tx *db.Tx, run slipway.RunID) error {
	const query = `
		SELECT c.data FROM pipeline_coverage c JOIN pipeline_jobs j ON j.id = c.job
		WHERE c.run = $1 AND j.attempt = (SELECT MAX(k.attempt) FROM pipeline_jobs k WHERE k.run = j.run AND k.instance = j.instance)
		ORDER BY c.job, c.step LIMIT 1000`
	published, err := db.List(ctx, tx, db.Value[[]byte], query, int64(run))
	if err != nil {
		return fmt.Errorf("read coverage of run %d: %w", run, err)
	}
	var all []coverage.File
	for _, data := range published {
		files, err := unpack(data)
		if err != nil {
			return err
		}
		if all = coverage.Merge(all, files); len(all) > coverage.MaxFiles {
			return slipway.Limit("the coverage of a run has at most %d files", coverage.MaxFiles)
		}
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM pipeline_coverage_files WHERE run = $1`, int64(run)); err != nil {
		return fmt.Errorf("add up coverage of run %d: %w", run, err)
	}
	for i := range all {
		f := &all[i]
		sum := f.Sum()
		const insert = `INSERT INTO pipeline_coverage_files (run, path, package, lines, covered, branches, taken, data) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
		if _, err := tx.ExecContext(ctx, insert, int64(run), f.Path, f.Folder(), sum.Lines, sum.Covered, sum.Branches, sum.Taken, coverage.EncodeLines(f.Lines)); err != nil {
			return fmt.Errorf("record coverage of %s: %w", f.Path, err)
		}
	}
	sum := coverage.SumOf(all)
	const upsert = `
		INSERT INTO pipeline_coverage_sums (run, lines, covered, branches, taken) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (run) DO UPDATE SET lines = excluded.lines, covered = excluded.covered, branches = excluded.branches, taken = excluded.taken`
	if _, err := tx.ExecContext(ctx, upsert, int64(run), sum.Lines, sum.Covered, sum.Branches, sum.Taken); err != nil {
		return fmt.Errorf("add up coverage of run %d: %w", run, err)
	}
	return nil
}

// pack is files as they are stored.
func pack(files []coverage.File) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err == nil {
		_, err = z.Write(coverage.Encode(files))
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("encode coverage: %w", err)
	}
	return b.Bytes(), nil
}

func unpack(data []byte) ([]coverage.File, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err == nil {
		data, err = io.ReadAll(io.LimitReader(z, maxUnpacked))
	}
	if err != nil {
		return nil, fmt.Errorf("decode coverage: %w", err)
	}
	return coverage.Decode(data)
}

// Coverage is the code coverage of a run.
type Coverage struct {
	coverage.Sum
	// Before is that of the run that this one is compared with, BeforeRun; 0 when there is none. A pull request's run is
	// compared with the last one of its target, others with the last one of their branch.
	Before    coverage.Sum
	BeforeRun slipway.RunID
	Packages  []PartCoverage // in order of names
}

// PartCoverage is the code coverage of a package, or of a file.
type PartCoverage struct {
	coverage.Sum
	Name   string        // the package, or the file's path
	Before *coverage.Sum // of the same in BeforeRun, nil when it was not there
}

// Coverage returns the code coverage of a run; NotFound when nothing published any.
func (s *Service) Coverage(ctx context.Context, run *Run) (Coverage, error) {
	var c Coverage
	var err error
	if c.Sum, err = s.coverageSum(ctx, run.ID); err != nil {
		return c, err
	}
	if c.BeforeRun, err = s.comparedRun(ctx, run); err != nil {
		return c, err
	}
	if c.BeforeRun != 0 {
		if c.Before, err = s.coverageSum(ctx, c.BeforeRun); err != nil {
			return c, err
		}
	}
	const query = `SELECT package, CAST(SUM(lines) AS BIGINT), CAST(SUM(covered) AS BIGINT), CAST(SUM(branches) AS BIGINT), CAST(SUM(taken) AS BIGINT) FROM pipeline_coverage_files WHERE run = $1
		GROUP BY package ORDER BY package LIMIT 20000`
	c.Packages, err = s.comparedParts(ctx, query, run.ID, c.BeforeRun)
	return c, err
}

// CoverageFiles lists the files of a run in order of paths, compared with those of another, 0 for none.
func (s *Service) CoverageFiles(ctx context.Context, run, before slipway.RunID) ([]PartCoverage, error) {
	const query = `SELECT path, lines, covered, branches, taken FROM pipeline_coverage_files WHERE run = $1 ORDER BY path LIMIT 20000`
	return s.comparedParts(ctx, query, run, before)
}

func (s *Service) comparedParts(ctx context.Context, query string, run, before slipway.RunID) ([]PartCoverage, error) {
	read := func(run slipway.RunID) ([]PartCoverage, error) {
		list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, p *PartCoverage) error {
			return row.Scan(&p.Name, &p.Lines, &p.Covered, &p.Branches, &p.Taken)
		}, query, int64(run))
		if err != nil {
			return nil, fmt.Errorf("list coverage of run %d: %w", run, err)
		}
		return list, nil
	}
	list, err := read(run)
	if err != nil || before == 0 {
		return list, err
	}
	old, err := read(before)
	if err != nil {
		return nil, err
	}
	sums := map[string]*coverage.Sum{}
	for i := range old {
		sums[old[i].Name] = &old[i].Sum
	}
	for i := range list {
		list[i].Before = sums[list[i].Name]
	}
	return list, nil
}

// comparedRun is the run with whose coverage a run's is compared, 0 when there is none.
func (s *Service) comparedRun(ctx context.Context, run *Run) (slipway.RunID, error) {
	ref, err := s.comparedRef(ctx, run)
	if err != nil {
		return 0, err
	}
	const query = `
		SELECT r.id FROM pipeline_runs r JOIN pipeline_coverage_sums c ON c.run = r.id
		WHERE r.pipeline = $1 AND r.ref = $2 AND r.id < $3 AND r.state = 'completed' ORDER BY r.id DESC LIMIT 1`
	before, err := db.One(ctx, s.db, db.Value[int64], query, int64(run.Pipeline), ref, int64(run.ID))
	if db.IsNoRows(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("find a run to compare run %d with: %w", run.ID, err)
	}
	return slipway.RunID(before), nil
}

// comparedRef is the branch with whose last run a run is compared.
func (s *Service) comparedRef(ctx context.Context, run *Run) (string, error) {
	if _, ok := run.PullRequest(); !ok {
		return run.Ref, nil
	}
	sealed, err := db.One(ctx, s.db, db.Value[[]byte], `SELECT variables FROM pipeline_runs WHERE id = $1`, int64(run.ID))
	if err != nil {
		return "", fmt.Errorf("read variables of run %d: %w", run.ID, err)
	}
	vars, err := s.openVariables(sealed, "run")
	if err != nil {
		return "", err
	}
	return vars.Text(variable.SystemPullRequestTarget), nil
}

func (s *Service) coverageSum(ctx context.Context, run slipway.RunID) (coverage.Sum, error) {
	sum, err := db.One(ctx, s.db, func(row interface{ Scan(...any) error }, c *coverage.Sum) error {
		return row.Scan(&c.Lines, &c.Covered, &c.Branches, &c.Taken)
	}, `SELECT lines, covered, branches, taken FROM pipeline_coverage_sums WHERE run = $1`, int64(run))
	if db.IsNoRows(err) {
		return sum, slipway.NotFound("run %d has published no code coverage", run)
	}
	if err != nil {
		return sum, fmt.Errorf("read coverage of run %d: %w", run, err)
	}
	return sum, nil
}

// CoverageLines are the lines of a file that a run could cover.
func (s *Service) CoverageLines(ctx context.Context, run slipway.RunID, path string) ([]coverage.Line, error) {
	data, err := db.One(ctx, s.db, db.Value[[]byte], `SELECT data FROM pipeline_coverage_files WHERE run = $1 AND path = $2`, int64(run), strings.TrimSpace(path))
	if db.IsNoRows(err) {
		return nil, slipway.NotFound("run %d has published no code coverage of %q", run, path)
	}
	if err != nil {
		return nil, fmt.Errorf("read coverage of run %d: %w", run, err)
	}
	return coverage.DecodeLines(data)
}
