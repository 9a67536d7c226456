package pipelines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/trigger"
	"slipway/internal/pipelines/variable"
)

// resourceEvent is what happened to a resource that starts a run.
type resourceEvent struct {
	kind  plan.ResourceKind
	alias string
	vars  map[string]string // what the run knows of it
	// commit of a repository, which its templates are read at.
	commit slipway.CommitID
	// payload of a webhook's call.
	payload any
	// run that pushed an image, 0 for none.
	run slipway.RunID
}

// is reports whether the event is of the resource of that kind and alias.
func (e *resourceEvent) is(kind plan.ResourceKind, alias string) bool {
	return e != nil && e.kind == kind && strings.EqualFold(e.alias, alias)
}

// sourceKey is the name by which events find the triggers of a resource; "" if there is none.
func (s *Service) sourceKey(r plan.ResourceTrigger, projectName string) string {
	switch r.Kind {
	case plan.ResourceContainer:
		name, _ := trigger.ImageRepository(r.Source, s.Registry)
		return name
	case plan.ResourceRepository:
		if !strings.Contains(r.Source, "/") {
			return strings.ToLower(projectName + "/" + r.Source)
		}
	}
	return strings.ToLower(r.Source)
}

// putResources keeps which resources start this pipeline.
func (s *Service) putResources(ctx context.Context, tx *db.Tx, pipeline slipway.PipelineID, projectName string, list []plan.ResourceTrigger) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM pipeline_resources WHERE pipeline = $1`, int64(pipeline)); err != nil {
		return err
	}
	for _, r := range list {
		key := s.sourceKey(r, projectName)
		if key == "" {
			continue // an image of another registry, of which the compiler warns
		}
		section, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if err := s.keepPoll(ctx, tx, pipeline, r); err != nil {
			return err
		}
		const insert = `INSERT INTO pipeline_resources (pipeline, kind, alias, source_key, section) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (pipeline, kind, alias) DO NOTHING`
		if _, err := tx.ExecContext(ctx, insert, int64(pipeline), string(r.Kind), strings.ToLower(r.Alias), key, string(section)); err != nil {
			return err
		}
	}
	return nil
}

// listener is a pipeline that a resource may start.
type listener struct {
	pipeline slipway.PipelineID
	project  slipway.ProjectID
	section  plan.ResourceTrigger
}

// listeners are the pipelines that events of a resource may start.
func (s *Service) listeners(ctx context.Context, kind plan.ResourceKind, key string) ([]listener, error) {
	const query = `SELECT f.pipeline, d.project, f.section FROM pipeline_resources f JOIN pipeline_definitions d ON d.id = f.pipeline
		WHERE f.kind = $1 AND f.source_key = $2 AND d.disabled = FALSE ORDER BY f.pipeline, f.alias LIMIT 1000`
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, l *listener) error {
		var section string
		if err := row.Scan((*int64)(&l.pipeline), (*string)(&l.project), &section); err != nil {
			return err
		}
		return decodeColumns(column{section, &l.section})
	}, query, string(kind), key)
	if err != nil {
		return nil, fmt.Errorf("list pipelines that %s %q starts: %w", kind, key, err)
	}
	return list, nil
}

// startFor starts the run of a pipeline for an event of a resource, of the default branch. cause is unique for the event.
func (s *Service) startFor(ctx context.Context, l listener, e resourceEvent, cause string, by slipway.Actor) (Run, error) {
	d, err := s.Definition(ctx, l.pipeline)
	if err != nil {
		return Run{}, err
	}
	e.kind, e.alias = l.section.Kind, l.section.Alias
	vars := map[string]string{"resources.triggeringAlias": e.alias, "resources.triggeringCategory": string(e.kind)}
	maps.Copy(vars, e.vars)
	e.vars = vars
	return s.queue(ctx, d, QueueRequest{Pipeline: d.ID, Actor: by, reason: variable.ReasonResourceTrigger, cause: fmt.Sprintf("%s/%d", cause, d.ID), resource: &e})
}

// ImagePush is a push of an image to this server's registry.
type ImagePush struct {
	Event      int64 // of the log
	Project    slipway.ProjectID
	Repository string
	Tag        string // "" when it was pushed by its digest alone
	Digest     slipway.Digest
	Run        slipway.RunID // that pushed it, 0 for none
	Actor      slipway.Actor
}

// ImagePushed starts the runs of the project that an image triggers (resources.containers, trigger). Told again it starts
// nothing twice; a run that pushes an image is not followed by another of its own pipeline.
func (s *Service) ImagePushed(ctx context.Context, p ImagePush) ([]Run, error) {
	list, err := s.listeners(ctx, plan.ResourceContainer, strings.ToLower(p.Repository))
	if err != nil {
		return nil, err
	}
	var runs []Run
	var errs []error
	for _, l := range list {
		if starts, _ := trigger.MatchImage(l.section, p.Tag); !starts || l.project != p.Project {
			continue
		}
		if p.Run != 0 {
			from, err := s.Get(ctx, p.Run)
			if err != nil {
				return runs, err
			}
			if from.Untrusted() {
				continue
			}
			if round, err := s.isRound(ctx, from.ID, from.Pipeline, l.pipeline); err != nil || round {
				errs = append(errs, err)
				continue
			}
		}
		run, err := s.startFor(ctx, l, resourceEvent{run: p.Run, vars: map[string]string{
			plan.ContainerVariable(l.section.Alias, "registry"): s.Registry, plan.ContainerVariable(l.section.Alias, "repository"): p.Repository,
			plan.ContainerVariable(l.section.Alias, "tag"): p.Tag, plan.ContainerVariable(l.section.Alias, "digest"): string(p.Digest),
			plan.ContainerVariable(l.section.Alias, "URI"): s.Registry + "/" + p.Repository + "@" + string(p.Digest),
		}}, fmt.Sprintf("image/%d", p.Event), p.Actor)
		if err != nil {
			errs = append(errs, fmt.Errorf("pipeline %d: %w", l.pipeline, err))
			continue
		}
		runs = append(runs, run)
	}
	return runs, errors.Join(errs...)
}

// pushedElsewhere starts the runs of pipelines of other repositories that a push triggers (resources.repositories, trigger).
func (s *Service) pushedElsewhere(ctx context.Context, p Push) ([]Run, error) {
	repo, err := s.Source.Repository(ctx, p.Repository)
	if err != nil {
		return nil, err
	}
	list, err := s.listeners(ctx, plan.ResourceRepository, strings.ToLower(repo.ProjectName+"/"+repo.Name))
	if err != nil || len(list) == 0 {
		return nil, err
	}
	if p.Message == "" {
		commit, err := s.Source.Commit(ctx, p.Repository, p.After)
		if err != nil {
			return nil, err
		}
		p.Message = commit.Message
	}
	var runs []Run
	var errs []error
	for _, l := range list {
		d, err := s.Definition(ctx, l.pipeline)
		if err != nil || d.Repository == p.Repository { // its own trigger is for that
			errs = append(errs, err)
			continue
		}
		if starts, _ := trigger.Match(l.section.Push, trigger.Event{Ref: p.Ref, Paths: p.Paths, PathsUnknown: p.PathsUnknown, Message: p.Message}); !starts {
			continue
		}
		e := resourceEvent{commit: p.After, vars: map[string]string{}}
		for key, text := range map[string]string{"id": string(repo.ID), "url": repo.URL, "version": string(p.After), "ref": p.Ref} {
			e.vars[plan.RepositoryVariable(l.section.Alias, key)] = text
		}
		run, err := s.startFor(ctx, l, e, fmt.Sprintf("push/%d/elsewhere", p.Event), p.Actor)
		if err != nil {
			errs = append(errs, fmt.Errorf("pipeline %q: %w", d.Name, err))
			continue
		}
		runs = append(runs, run)
	}
	return runs, errors.Join(errs...)
}
