package pipelines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/trigger"
	"slipway/internal/pipelines/variable"
)

// RunSource is a run of another pipeline that a run takes artifacts from (resources.pipelines).
type RunSource struct {
	Alias     string // in lower case
	Source    slipway.RunID
	Triggered bool // that one started the run
}

// Sources lists the runs that a run takes artifacts from.
func (s *Service) Sources(ctx context.Context, run slipway.RunID) ([]RunSource, error) {
	return sourcesOf(ctx, s.db, run)
}

func sourcesOf(ctx context.Context, q db.Querier, run slipway.RunID) ([]RunSource, error) {
	list, err := db.List(ctx, q, func(row interface{ Scan(...any) error }, r *RunSource) error {
		return row.Scan(&r.Alias, (*int64)(&r.Source), &r.Triggered)
	}, `SELECT alias, source, triggered FROM pipeline_run_sources WHERE run = $1 ORDER BY alias LIMIT 1000`, int64(run))
	if err != nil {
		return nil, fmt.Errorf("list the runs that run %d takes from: %w", run, err)
	}
	return list, nil
}

// putSources keeps which pipelines start this one.
func putSources(ctx context.Context, tx *db.Tx, pipeline slipway.PipelineID, sources []plan.Pipeline) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM pipeline_sources WHERE pipeline = $1`, int64(pipeline)); err != nil {
		return err
	}
	for _, one := range sources {
		section, err := json.Marshal(one.Trigger)
		if err != nil {
			return err
		}
		const insert = `INSERT INTO pipeline_sources (pipeline, alias, source_key, section, source_project) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (pipeline, alias) DO NOTHING`
		if _, err := tx.ExecContext(ctx, insert, int64(pipeline), strings.ToLower(one.Alias), strings.ToLower(one.Source), string(section), one.Project); err != nil {
			return err
		}
	}
	return nil
}

// follower is a pipeline that runs after another one.
type follower struct {
	pipeline slipway.PipelineID
	alias    string
	section  plan.PipelineTrigger
	own      slipway.ProjectID // of the pipeline
	project  string            // of the other one, as the file names it; "" for the same
}

func scanFollower(row interface{ Scan(...any) error }, f *follower) error {
	var section string
	if err := row.Scan((*int64)(&f.pipeline), &f.alias, &section, (*string)(&f.own), &f.project); err != nil {
		return err
	}
	return decodeColumns(column{section, &f.section})
}

// Advanced starts the runs that wait for a run of another pipeline, or for stages of it (resources.pipelines, trigger). It is
// called when a run is over or a job of it is; called again, it starts nothing twice.
func (s *Service) Advanced(ctx context.Context, id slipway.RunID) error {
	run, err := s.Get(ctx, id)
	if err != nil {
		return err
	}
	if run.Untrusted() { // what its jobs made is what anybody wanted
		return nil
	}
	const query = `SELECT f.pipeline, f.alias, f.section, d.project, f.source_project FROM pipeline_sources f JOIN pipeline_definitions d ON d.id = f.pipeline
		WHERE f.source_key = $1 AND (d.project = $2 OR f.source_project <> '') AND d.disabled = FALSE ORDER BY f.pipeline, f.alias LIMIT 1000`
	list, err := db.List(ctx, s.db, scanFollower, query, strings.ToLower(run.PipelineName), string(run.Project))
	if err != nil {
		return fmt.Errorf("list pipelines that run after %q: %w", run.PipelineName, err)
	}
	if len(list) == 0 {
		return nil
	}
	c, err := s.completion(ctx, &run)
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range list {
		if starts, _ := trigger.MatchCompletion(f.section, c); !starts {
			continue
		}
		if follows, err := s.follows(ctx, &run, f); err != nil || !follows {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, s.follow(ctx, &run, f))
	}
	return errors.Join(errs...)
}

// follows reports whether the run's pipeline is the one that the follower means: of its own project, or of the one that its file names, which its
// jobs may read.
func (s *Service) follows(ctx context.Context, run *Run, f follower) (bool, error) {
	project, err := s.otherProject(ctx, s.db, f.own, f.project, "pipeline "+run.PipelineName, nil, slipway.Position{})
	if slipway.CodeOf(err) == slipway.CodeInvalid {
		return false, nil // a run of the follower would be refused
	}
	return project == run.Project, err
}

// completion is how far a run is.
func (s *Service) completion(ctx context.Context, run *Run) (trigger.Completion, error) {
	good := func(r schedule.Result) bool { return r == schedule.Succeeded || r == schedule.SucceededWithIssues }
	c := trigger.Completion{Ref: run.Ref, Tags: run.Tags, Succeeded: run.State == RunCompleted && good(run.Result)}
	stages, err := stagesOf(ctx, s.db, run.ID)
	if err != nil {
		return c, err
	}
	latest := map[string]schedule.Result{} // attempts are in order
	for _, st := range stages {
		latest[st.Name] = st.Result
	}
	for name, result := range latest {
		if good(result) {
			c.Stages = append(c.Stages, name)
		}
	}
	return c, nil
}

// follow starts the run of a pipeline after another's: of the same commit if both are of one repository, else of the default
// branch.
func (s *Service) follow(ctx context.Context, run *Run, f follower) error {
	d, err := s.Definition(ctx, f.pipeline)
	if err != nil {
		return err
	}
	round, err := s.isRound(ctx, run.ID, run.Pipeline, d.ID)
	if err != nil {
		return err
	}
	if round {
		s.Logger.Info("a pipeline that started a run is not started by it", "pipeline", d.Name, "run", run.ID)
		return nil
	}
	req := QueueRequest{Pipeline: d.ID, Actor: run.Actor, reason: variable.ReasonResourceTrigger,
		cause: fmt.Sprintf("run/%d/%d", run.ID, d.ID), source: RunSource{Alias: f.alias, Source: run.ID, Triggered: true}}
	if d.Repository == run.Repository {
		req.Ref, req.Commit = run.Ref, run.Commit
	}
	_, err = s.queue(ctx, d, req)
	return err
}

// maxChain bounds how many runs may start one another in a row.
const maxChain = 20

// isRound reports whether a run of the pipeline is among those that led to a run, itself included, so that pipelines which
// name one another do not run for ever.
func (s *Service) isRound(ctx context.Context, run slipway.RunID, of, pipeline slipway.PipelineID) (bool, error) {
	for range maxChain {
		if of == pipeline {
			return true, nil
		}
		const before = `SELECT r.id, r.pipeline FROM pipeline_run_sources s JOIN pipeline_runs r ON r.id = s.source WHERE s.run = $1 AND s.triggered = TRUE`
		err := s.db.QueryRowContext(ctx, before, int64(run)).Scan((*int64)(&run), (*int64)(&of))
		if db.IsNoRows(err) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("find what started run %d: %w", run, err)
		}
	}
	return true, nil
}

// pinSources chooses the runs that a new run takes artifacts from, for all of its jobs, and gives their variables. Those that a download
// task names with macros are chosen when the run's variables are known, the others before that.
func (s *Service) pinSources(ctx context.Context, tx *db.Tx, run *Run, p *plan.Plan, req *QueueRequest, known *variable.Set) (map[string]string, error) {
	vars := map[string]string{}
	if e := req.resource; e != nil && e.run != 0 { // so that pipelines which push images for one another do not run for ever
		const insert = `INSERT INTO pipeline_run_sources (run, alias, source, triggered) VALUES ($1, $2, $3, TRUE) ON CONFLICT (run, alias) DO NOTHING`
		if _, err := tx.ExecContext(ctx, insert, int64(run.ID), strings.ToLower(e.alias), int64(e.run)); err != nil {
			return nil, fmt.Errorf("record what run %d takes from: %w", run.ID, err)
		}
	}
	for _, r := range p.Resources.Pipelines {
		if r.Implied && strings.Contains(r.Alias, "$(") != (known != nil) || !r.Implied && known != nil {
			continue
		}
		if known != nil {
			r.Alias, r.Source, r.Branch, r.Project = known.Expand(r.Alias), known.Expand(r.Source), known.Expand(r.Branch), known.Expand(r.Project)
		}
		project, err := s.otherProject(ctx, tx, run.Project, r.Project, "pipeline "+r.Source, run.Fork, r.At)
		if err != nil {
			return nil, err
		}
		pin := RunSource{Alias: strings.ToLower(r.Alias)}
		if pin.Triggered = pin.Alias == req.source.Alias && req.source.Triggered; pin.Triggered {
			pin.Source = req.source.Source
			vars["resources.triggeringAlias"], vars["resources.triggeringCategory"] = r.Alias, "pipeline"
		} else {
			id, err := resolvePipeline(ctx, tx, project, r)
			if slipway.CodeOf(err) == slipway.CodeNotFound {
				continue // the step that downloads says so
			}
			if err != nil {
				return nil, err
			}
			pin.Source = id
		}
		const insert = `INSERT INTO pipeline_run_sources (run, alias, source, triggered) VALUES ($1, $2, $3, $4) ON CONFLICT (run, alias) DO NOTHING`
		if _, err := tx.ExecContext(ctx, insert, int64(run.ID), pin.Alias, int64(pin.Source), pin.Triggered); err != nil {
			return nil, fmt.Errorf("record what run %d takes from: %w", run.ID, err)
		}
		source, err := getRun(ctx, tx, pin.Source)
		if err != nil {
			return nil, err
		}
		for name, text := range map[string]string{
			"projectID": string(source.Project), "pipelineName": source.PipelineName, "pipelineID": source.Pipeline.String(), "runName": source.Number,
			"runID": source.ID.String(), "runURI": "vstfs:///Build/Build/" + source.ID.String(), "sourceBranch": source.Ref,
			"sourceCommit": string(source.Commit), "sourceProvider": "TfsGit", "requestedFor": source.Actor.Name, "requestedForID": source.Actor.ID,
		} {
			vars["resources.pipeline."+r.Alias+"."+name] = text
		}
	}
	return vars, nil
}
