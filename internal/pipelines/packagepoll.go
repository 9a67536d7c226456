package pipelines

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/plan"
)

const (
	packageTick     = 30 * time.Second
	packageInterval = 10 * time.Minute // between looks at one package
	maxPackageWait  = 12 * time.Hour   // between looks at one whose registry keeps failing
	maxPollProblem  = 500              // bytes
)

// packagePoll is a package that is looked at.
type packagePoll struct {
	pipeline slipway.PipelineID
	alias    string
	seen     string
	next     int64 // microseconds
	failures int
}

// keepPoll keeps what is known of a package whose new versions start a run.
func (s *Service) keepPoll(ctx context.Context, tx *db.Tx, pipeline slipway.PipelineID, r plan.ResourceTrigger) error {
	if r.Kind != plan.ResourcePackage {
		return nil
	}
	key := strings.ToLower(strings.Join([]string{string(r.Package.Kind), r.Package.Endpoint, r.Package.Name, r.Package.Tag}, "\n"))
	const upsert = `
		INSERT INTO pipeline_package_polls (pipeline, alias, resource_key, seen, next, failures, problem) VALUES ($1, $2, $3, '', $4, 0, '')
		ON CONFLICT (pipeline, alias) DO UPDATE SET resource_key = excluded.resource_key, seen = '', next = excluded.next, failures = 0, problem = ''
		WHERE pipeline_package_polls.resource_key <> excluded.resource_key`
	if _, err := tx.ExecContext(ctx, upsert, int64(pipeline), strings.ToLower(r.Alias), key, db.Micros(s.clock.Now())); err != nil {
		return fmt.Errorf("keep that package %s is looked at: %w", r.Alias, err)
	}
	return nil
}

// pollPackages looks at the packages whose time has come, and starts the runs of those that have a new version. What is there at the
// first look starts none.
func (s *Service) pollPackages(ctx context.Context) error {
	const query = `SELECT pipeline, alias, seen, next, failures FROM pipeline_package_polls WHERE next <= $1 ORDER BY next LIMIT 100`
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, p *packagePoll) error {
		return row.Scan((*int64)(&p.pipeline), &p.alias, &p.seen, &p.next, &p.failures)
	}, query, db.Micros(s.clock.Now()))
	if err != nil {
		return fmt.Errorf("list packages to look at: %w", err)
	}
	var errs []error
	for _, one := range list {
		if err := s.pollPackage(ctx, one); err != nil && !errors.Is(err, errOvertaken) {
			errs = append(errs, fmt.Errorf("package %s of pipeline %d: %w", one.alias, one.pipeline, err))
		}
	}
	return errors.Join(errs...)
}

// pollPackage looks at one package. Its next time is set first, so that of two servers one looks, and one that is killed leaves it
// to be looked at again.
func (s *Service) pollPackage(ctx context.Context, one packagePoll) error {
	l, err := s.packageListener(ctx, one)
	if slipway.CodeOf(err) == slipway.CodeNotFound { // the file has it no more
		_, err = s.db.ExecContext(ctx, `DELETE FROM pipeline_package_polls WHERE pipeline = $1 AND alias = $2 AND next = $3`, int64(one.pipeline), one.alias, one.next)
		return err
	}
	if err != nil {
		return err
	}
	wait := min(packageInterval<<min(one.failures, 10), maxPackageWait)
	claimed := db.Micros(s.clock.Now().Add(wait))
	result, err := s.db.ExecContext(ctx, `UPDATE pipeline_package_polls SET next = $1 WHERE pipeline = $2 AND alias = $3 AND next = $4`, claimed, int64(one.pipeline), one.alias, one.next)
	if err != nil {
		return fmt.Errorf("set the next time: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, errOvertaken)
	}
	version, err := s.latestPackage(ctx, l)
	if err != nil {
		return s.endPoll(ctx, one, claimed, one.seen, one.failures+1, err.Error())
	}
	if one.seen != "" && version != one.seen {
		if err := s.startForPackage(ctx, l, version); err != nil {
			return errors.Join(err, s.endPoll(ctx, one, claimed, one.seen, one.failures+1, err.Error()))
		}
	}
	return s.endPoll(ctx, one, claimed, version, 0, "")
}

// endPoll writes down what a look came to, unless the file was changed meanwhile.
func (s *Service) endPoll(ctx context.Context, one packagePoll, claimed int64, seen string, failures int, problem string) error {
	if len(problem) > maxPollProblem {
		problem = strings.ToValidUTF8(problem[:maxPollProblem], "")
	}
	if problem != "" {
		s.Logger.Warn("a package could not be looked at", "pipeline", one.pipeline, "package", one.alias, "failures", failures, "problem", problem)
	}
	const update = `UPDATE pipeline_package_polls SET seen = $1, failures = $2, problem = $3 WHERE pipeline = $4 AND alias = $5 AND next = $6`
	if _, err := s.db.ExecContext(ctx, update, seen, failures, problem, int64(one.pipeline), one.alias, claimed); err != nil {
		return fmt.Errorf("write down the look: %w", err)
	}
	return nil
}

// packageListener is the pipeline that a package starts; CodeNotFound if its file names the package no more.
func (s *Service) packageListener(ctx context.Context, one packagePoll) (listener, error) {
	const query = `SELECT f.pipeline, d.project, f.section FROM pipeline_resources f JOIN pipeline_definitions d ON d.id = f.pipeline
		WHERE f.pipeline = $1 AND f.kind = $2 AND f.alias = $3`
	l, err := db.One(ctx, s.db, func(row interface{ Scan(...any) error }, l *listener) error {
		var section string
		if err := row.Scan((*int64)(&l.pipeline), (*string)(&l.project), &section); err != nil {
			return err
		}
		return decodeColumns(column{section, &l.section})
	}, query, int64(one.pipeline), string(plan.ResourcePackage), one.alias)
	if db.IsNoRows(err) {
		return l, slipway.NotFound("no package %s starts pipeline %d", one.alias, one.pipeline)
	}
	if err != nil {
		return l, fmt.Errorf("find the pipeline: %w", err)
	}
	return l, nil
}

// latestPackage is the version that a package has now, whatever version its resource names for other runs.
func (s *Service) latestPackage(ctx context.Context, l listener) (string, error) {
	source, err := s.packageSource(ctx, l.project, l.pipeline, l.section.Package, nil)
	if err != nil {
		return "", err
	}
	v, err := s.feeds.Find(ctx, source, "", l.section.Package.Tag)
	return v.Number, err
}

func (s *Service) startForPackage(ctx context.Context, l listener, version string) error {
	d, err := s.Definition(ctx, l.pipeline)
	if err != nil || d.Disabled {
		return err
	}
	e := resourceEvent{vars: map[string]string{plan.PackageVariable(l.section.Alias, "version"): version}}
	_, err = s.startFor(ctx, l, e, fmt.Sprintf("package/%s/%s", strings.ToLower(l.section.Alias), version), slipway.System)
	return err
}
