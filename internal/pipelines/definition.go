package pipelines

import (
	"context"
	"fmt"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/variable"
)

// DefaultPath is the file that makes a pipeline by itself when it is pushed.
const DefaultPath = "azure-pipelines.yml"

// Definition is a pipeline: a file of a repository.
type Definition struct {
	ID         slipway.PipelineID
	Project    slipway.ProjectID
	Name       string // unique in the project in any case
	Repository slipway.RepositoryID
	Path       string // of the file, from the repository's root
	Disabled   bool   // nothing but a person's request starts a run
	// RetryLost is how often a job whose pod is lost after its first step is started again; nil is as the job's pool says.
	RetryLost *int
	Created   time.Time
}

const definitionColumns = `id, project, name, repository, path, disabled, created, retry_lost`

func scanDefinition(row interface{ Scan(...any) error }, d *Definition) error {
	var created int64
	var retries int
	err := row.Scan((*int64)(&d.ID), (*string)(&d.Project), &d.Name, (*string)(&d.Repository), &d.Path, &d.Disabled, &created, &retries)
	if d.Created = db.Time(created); retries >= 0 {
		d.RetryLost = &retries
	}
	return err
}

// Definition returns one pipeline.
func (s *Service) Definition(ctx context.Context, id slipway.PipelineID) (Definition, error) {
	d, err := db.One(ctx, s.db, scanDefinition, `SELECT `+definitionColumns+` FROM pipeline_definitions WHERE id = $1`, int64(id))
	if db.IsNoRows(err) {
		return d, slipway.NotFound("there is no pipeline %d", id)
	}
	if err != nil {
		return d, fmt.Errorf("get pipeline %d: %w", id, err)
	}
	return d, nil
}

// FindDefinition returns the project's pipeline of that name in any case.
func (s *Service) FindDefinition(ctx context.Context, project slipway.ProjectID, name string) (Definition, error) {
	d, err := db.One(ctx, s.db, scanDefinition, `SELECT `+definitionColumns+` FROM pipeline_definitions WHERE project = $1 AND name_key = $2`,
		string(project), strings.ToLower(name))
	if db.IsNoRows(err) {
		return d, slipway.NotFound("there is no pipeline %q in this project", name)
	}
	if err != nil {
		return d, fmt.Errorf("find pipeline %q: %w", name, err)
	}
	return d, nil
}

// Definitions lists up to 1000 pipelines of the project by name.
func (s *Service) Definitions(ctx context.Context, project slipway.ProjectID) ([]Definition, error) {
	list, err := db.List(ctx, s.db, scanDefinition, `SELECT `+definitionColumns+` FROM pipeline_definitions WHERE project = $1 ORDER BY name_key LIMIT 1000`, string(project))
	if err != nil {
		return nil, fmt.Errorf("list pipelines: %w", err)
	}
	return list, nil
}

// CreateDefinition makes a pipeline of a file.
func (s *Service) CreateDefinition(ctx context.Context, d Definition) (Definition, error) {
	d.Name, d.Path = strings.TrimSpace(d.Name), strings.TrimPrefix(d.Path, "/")
	if d.Name == "" || len(d.Name) > 200 || strings.ContainsAny(d.Name, `\/:*?"<>|`) {
		return d, slipway.Invalid(`pipeline name %q: use up to 200 characters without \ / : * ? " < > |`, d.Name)
	}
	if d.Path == "" || len(d.Path) > 400 || strings.Contains("/"+d.Path+"/", "/../") {
		return d, slipway.Invalid("path %q: give the path of a file in the repository", d.Path)
	}
	d.Created = s.clock.Now()
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		tx.AfterCommit(s.Wake) // its schedules are read
		const insert = `
			INSERT INTO pipeline_definitions (project, name, name_key, repository, path, disabled, created)
			VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id`
		err := tx.QueryRowContext(ctx, insert, string(d.Project), d.Name, strings.ToLower(d.Name), string(d.Repository), d.Path, d.Disabled,
			db.Micros(d.Created)).Scan((*int64)(&d.ID))
		if db.IsUniqueViolation(err) {
			return slipway.Conflict("there is a pipeline called %q, or one of the file %s, already", d.Name, d.Path)
		}
		return err
	})
	if err != nil {
		return d, fmt.Errorf("create pipeline %q: %w", d.Name, err)
	}
	return d, nil
}

// SetDisabled switches a pipeline's triggers off or on. Pushes that wait are forgotten.
func (s *Service) SetDisabled(ctx context.Context, id slipway.PipelineID, disabled bool) error {
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE pipeline_definitions SET disabled = $1 WHERE id = $2`, disabled, int64(id)); err != nil || !disabled {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE pipeline_pushes SET run = -1 WHERE run = 0 AND pipeline = $1`, int64(id))
		return err
	})
	if err != nil {
		return fmt.Errorf("change pipeline %d: %w", id, err)
	}
	return nil
}

// ChangeDefinition sets Disabled and RetryLost of a pipeline.
func (s *Service) ChangeDefinition(ctx context.Context, d Definition) error {
	retries := -1
	if d.RetryLost != nil {
		retries = *d.RetryLost
		if retries < 0 || retries > variable.MaxRetryLost {
			return slipway.Invalid("retry lost jobs %d times: write 0 to %d, or nothing for what the pool says", retries, variable.MaxRetryLost)
		}
	}
	if _, err := s.db.ExecContext(ctx, `UPDATE pipeline_definitions SET retry_lost = $1 WHERE id = $2`, retries, int64(d.ID)); err != nil {
		return fmt.Errorf("change pipeline %d: %w", d.ID, err)
	}
	return s.SetDisabled(ctx, d.ID, d.Disabled)
}

// definitionsOf lists the pipelines of a repository.
func (s *Service) definitionsOf(ctx context.Context, repository slipway.RepositoryID) ([]Definition, error) {
	list, err := db.List(ctx, s.db, scanDefinition, `SELECT `+definitionColumns+` FROM pipeline_definitions WHERE repository = $1 ORDER BY id LIMIT 1000`, string(repository))
	if err != nil {
		return nil, fmt.Errorf("list pipelines of repository %s: %w", repository, err)
	}
	return list, nil
}

// ensureDefault makes the pipeline of a repository that has none, named as the repository, or with a number after it
// when that name is taken.
func (s *Service) ensureDefault(ctx context.Context, r Repository) (Definition, error) {
	for i := 1; ; i++ {
		name := r.Name
		if i > 1 {
			name = fmt.Sprintf("%s (%d)", r.Name, i)
		}
		d, err := s.CreateDefinition(ctx, Definition{Project: r.Project, Name: name, Repository: r.ID, Path: DefaultPath})
		if slipway.CodeOf(err) != slipway.CodeConflict || i == 20 {
			return d, err
		}
		list, err := s.definitionsOf(ctx, r.ID)
		if err != nil {
			return Definition{}, err
		}
		for _, d := range list {
			if d.Path == DefaultPath {
				return d, nil // somebody else was faster
			}
		}
	}
}

// nextCount takes the next value of a counter of the pipeline; the first is seed.
func nextCount(ctx context.Context, tx *db.Tx, pipeline slipway.PipelineID, prefix string, seed int) (int, error) {
	const upsert = `
		INSERT INTO pipeline_counters (pipeline, prefix, value) VALUES ($1, $2, $3)
		ON CONFLICT (pipeline, prefix) DO UPDATE SET value = pipeline_counters.value + 1 RETURNING value`
	var value int
	if err := tx.QueryRowContext(ctx, upsert, int64(pipeline), prefix, seed).Scan(&value); err != nil {
		return 0, fmt.Errorf("count %q of pipeline %d: %w", prefix, pipeline, err)
	}
	return value, nil
}
