package pipelines

import (
	"context"
	"encoding/json"
	"fmt"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/pipelines/plan"
)

// EventJobScopeChanged says that jobs reach other projects, or no longer. Its payload is a JobScopePayload, and its subject the project if it
// is one's.
const EventJobScopeChanged events.Kind = "pipelines.job_scope_changed"

// JobScopePayload is the payload of EventJobScopeChanged.
type JobScopePayload struct {
	Limited bool `json:"limited"`
}

// JobScope says what jobs reach ("Limit job authorization scope to current project", as Azure DevOps calls it). Both are true where nobody
// has said otherwise.
type JobScope struct {
	Installation bool // all projects' jobs reach their own project alone, whatever the projects say
	Project      bool
}

// Limited reports whether the project's jobs reach their own project alone.
func (j JobScope) Limited() bool { return j.Installation || j.Project }

// JobScope is what jobs of a project reach.
func (s *Service) JobScope(ctx context.Context, project slipway.ProjectID) (JobScope, error) {
	return jobScope(ctx, s.db, project)
}

func jobScope(ctx context.Context, q db.Querier, project slipway.ProjectID) (JobScope, error) {
	scope := JobScope{Installation: true, Project: true}
	_, err := db.List(ctx, q, func(row interface{ Scan(...any) error }, _ *struct{}) error {
		var of string
		var limited bool
		err := row.Scan(&of, &limited)
		if of == "" {
			scope.Installation = limited
		} else {
			scope.Project = limited
		}
		return err
	}, `SELECT project, limited FROM pipeline_job_scopes WHERE project = '' OR project = $1 ORDER BY project LIMIT 2`, string(project))
	if err != nil {
		return JobScope{true, true}, fmt.Errorf("read what jobs reach: %w", err)
	}
	return scope, nil
}

// SetJobScope says whether the jobs of a project, or with "" of all projects, reach their own project alone.
func (s *Service) SetJobScope(ctx context.Context, project slipway.ProjectID, limited bool, by slipway.Actor) error {
	who, err := json.Marshal(by)
	if err != nil {
		return fmt.Errorf("encode actor: %w", err)
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		const upsert = `INSERT INTO pipeline_job_scopes (project, limited, changed, changed_by) VALUES ($1, $2, $3, $4)
			ON CONFLICT (project) DO UPDATE SET limited = excluded.limited, changed = excluded.changed, changed_by = excluded.changed_by`
		if _, err := tx.ExecContext(ctx, upsert, string(project), limited, db.Micros(s.clock.Now()), string(who)); err != nil {
			return err
		}
		e := events.Event{Kind: EventJobScopeChanged, Project: project, Actor: by}
		if project != "" {
			e.Subject = slipway.Ref(slipway.RefProject, project)
		}
		return s.log.Append(ctx, tx, &e, JobScopePayload{limited})
	})
	if err != nil {
		return fmt.Errorf("set what jobs reach: %w", err)
	}
	return nil
}

// ReadsOtherProjects reports whether the jobs of a run may read other projects: never for one of a pull request from a fork.
func (s *Service) ReadsOtherProjects(ctx context.Context, id slipway.RunID) (bool, error) {
	run, err := s.Get(ctx, id)
	if err != nil || run.Fork != nil {
		return false, err
	}
	scope, err := s.JobScope(ctx, run.Project)
	return !scope.Limited(), err
}

// otherProject is the project that a place of a plan names, if the pipeline's jobs may read it: "" is the pipeline's own.
func (s *Service) otherProject(ctx context.Context, q db.Querier, own slipway.ProjectID, name, what string, fork *ForkAccess, at slipway.Position) (slipway.ProjectID, error) {
	if name == "" || s.Project == nil {
		return own, nil
	}
	id, err := s.Project(ctx, name)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return "", slipway.Invalid("%s is of a project %q, which is not there", what, name).At(at)
	}
	if err != nil || id == own {
		return id, err
	}
	return id, s.checkScope(ctx, q, own, name, what, fork, at)
}

// checkScope refuses what is of another project where jobs reach their own alone.
func (s *Service) checkScope(ctx context.Context, q db.Querier, own slipway.ProjectID, name, what string, fork *ForkAccess, at slipway.Position) error {
	if fork != nil {
		return slipway.Invalid("%s is of project %s: a pull request from a fork reads nothing of other projects", what, name).At(at)
	}
	scope, err := jobScope(ctx, q, own)
	if err != nil || !scope.Limited() {
		return err
	}
	who := "an administrator of this project"
	if scope.Installation {
		who = "an administrator of this installation, and then one of this project,"
	}
	return slipway.Invalid("%s is of project %s, and jobs here reach their own project alone: %s switches off \"Limit job authorization scope to current project\"", what, name, who).At(at)
}

// checkCheckouts refuses the checkout of repositories that the jobs may not read.
func (s *Service) checkCheckouts(ctx context.Context, d *Definition, req *QueueRequest, p *plan.Plan) error {
	for i := range p.Resources.Repositories {
		r := &p.Resources.Repositories[i]
		if r.Foreign() || !p.ChecksOut(r.Alias) {
			continue
		}
		other, err := s.Source.FindRepository(ctx, d.Project, r.Name)
		if slipway.CodeOf(err) == slipway.CodeNotFound {
			continue // the job says so
		}
		if err != nil {
			return err
		}
		if other.Project != d.Project {
			if err := s.checkScope(ctx, s.db, d.Project, other.ProjectName, "repository "+r.Alias, req.fork, r.At); err != nil {
				return err
			}
		}
	}
	return nil
}
