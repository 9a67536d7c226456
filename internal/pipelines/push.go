package pipelines

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/compile"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/trigger"
	"slipway/internal/pipelines/variable"
)

// Push is a change of one branch or tag.
type Push struct {
	// Event is the number of the event that told of the push: the same push told twice starts its runs once.
	Event      int64
	Repository slipway.RepositoryID
	Ref        string // full name
	Before     slipway.CommitID
	After      slipway.CommitID // zero when the ref was deleted
	Message    string           // of After, "" if not known
	Actor      slipway.Actor
	// Paths are the changed files, from the root; PathsUnknown says that there are too many to tell, so that path
	// filters let the push through.
	Paths        []string
	PathsUnknown bool
}

// Pushed starts the runs that a push triggers, by the files of the pushed commit, and keeps the schedules of the branch. A
// repository without pipelines whose commit has an azure-pipelines.yml gets one. A file that is broken gives a run that has
// failed and says where. Pipelines of other repositories that name this one as a resource may start too. With trigger.batch a push may wait for the run under way: Run starts what waits.
func (s *Service) Pushed(ctx context.Context, p Push) ([]Run, error) {
	if p.After.IsZero() {
		definitions, err := s.definitionsOf(ctx, p.Repository)
		if err != nil {
			return nil, err
		}
		return nil, s.deleted(ctx, p, definitions)
	}
	if !strings.HasPrefix(p.Ref, "refs/heads/") && !strings.HasPrefix(p.Ref, "refs/tags/") {
		return nil, nil
	}
	definitions, err := s.definitionsOf(ctx, p.Repository)
	if err != nil {
		return nil, err
	}
	elsewhere, elsewhereErr := s.pushedElsewhere(ctx, p)
	if len(definitions) == 0 {
		if _, err := s.Source.ReadFile(ctx, p.Repository, p.After, DefaultPath, maxFile); err != nil {
			if slipway.CodeOf(err) == slipway.CodeNotFound {
				return elsewhere, elsewhereErr
			}
			return nil, err
		}
		repo, err := s.Source.Repository(ctx, p.Repository)
		if err != nil {
			return nil, err
		}
		d, err := s.ensureDefault(ctx, repo)
		if err != nil {
			return nil, err
		}
		definitions = []Definition{d}
	}
	runs, errs := elsewhere, []error{elsewhereErr}
	for _, d := range definitions {
		run, started, err := s.pushed(ctx, d, p)
		if err != nil {
			errs = append(errs, fmt.Errorf("pipeline %q: %w", d.Name, err))
		}
		if started {
			runs = append(runs, run)
		}
	}
	return runs, errors.Join(errs...)
}

// PushedMany keeps the schedules of a repository's branches that changed together, more than runs are started for: the files of no other are looked
// for, and a repository without pipelines gets none.
func (s *Service) PushedMany(ctx context.Context, id slipway.RepositoryID, list []Push) error {
	definitions, err := s.definitionsOf(ctx, id)
	if err != nil || len(definitions) == 0 {
		return err
	}
	for _, p := range list {
		if p.After.IsZero() {
			if err := s.deleted(ctx, p, definitions); err != nil {
				return err
			}
			continue
		}
		if !strings.HasPrefix(p.Ref, "refs/heads/") {
			continue
		}
		for _, d := range definitions {
			if _, _, err := s.pushedFile(ctx, d, p); err != nil {
				return fmt.Errorf("pipeline %q: %w", d.Name, err)
			}
		}
	}
	return nil
}

// deleted forgets what waits for a branch that is gone, and its schedules.
func (s *Service) deleted(ctx context.Context, p Push, definitions []Definition) error {
	if !strings.HasPrefix(p.Ref, "refs/heads/") {
		return nil
	}
	for _, d := range definitions {
		err := s.keepTriggers(ctx, d, p.Ref, p.Event, plan.Triggers{})
		if slipway.CodeOf(err) == slipway.CodeNotFound { // the repository is gone too
			err = nil
		}
		err = errors.Join(err, takePushes(ctx, s.db, d.ID, p.Ref, p.Event, -1))
		if err != nil {
			return err
		}
	}
	return nil
}

// pushedFile reads a pipeline's file as a push left it, and keeps the schedules that a branch has by it.
func (s *Service) pushedFile(ctx context.Context, d Definition, p Push) (data []byte, there bool, err error) {
	branch := strings.HasPrefix(p.Ref, "refs/heads/")
	data, err = s.Source.ReadFile(ctx, d.Repository, p.After, d.Path, maxFile)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		if branch {
			return nil, false, s.keepTriggers(ctx, d, p.Ref, p.Event, plan.Triggers{})
		}
		return nil, false, nil
	}
	if err == nil && branch {
		err = s.readTriggers(ctx, d, p.Ref, p.Event, data)
	}
	return data, err == nil, err
}

// pushed judges a push for one pipeline.
func (s *Service) pushed(ctx context.Context, d Definition, p Push) (Run, bool, error) {
	branch := strings.HasPrefix(p.Ref, "refs/heads/")
	data, there, err := s.pushedFile(ctx, d, p)
	if err != nil || !there {
		return Run{}, false, err
	}
	if d.Disabled {
		return Run{}, false, nil
	}
	commit, err := s.Source.Commit(ctx, d.Repository, p.After)
	if err != nil {
		return Run{}, false, err
	}
	if p.Message == "" {
		p.Message = commit.Message
	}
	req := QueueRequest{Pipeline: d.ID, Actor: p.Actor, Ref: p.Ref, Commit: p.After, message: p.Message,
		reason: variable.ReasonIndividualCI, cause: pushCause(p.Event, d.ID)}
	// A run of the push builds what waited too.
	req.claimed = func(ctx context.Context, tx *db.Tx, run slipway.RunID) error {
		return takePushes(ctx, tx, d.ID, p.Ref, p.Event, run)
	}
	triggers, err := compile.Triggers(d.Path, data)
	if err == nil {
		event := trigger.Event{Ref: p.Ref, Paths: p.Paths, PathsUnknown: p.PathsUnknown, Message: p.Message}
		batched := triggers.Push.Batch && branch
		event.PathsUnknown = event.PathsUnknown || batched // those of all pushes in the batch count, once it begins
		if starts, _ := trigger.Match(triggers.Push, event); !starts {
			return Run{}, false, nil
		}
		if batched {
			return s.batch(ctx, d, p, triggers.Push)
		}
	} else if len(fileProblems(err, d.Path)) == 0 {
		return Run{}, false, err
	}
	run, err := s.queue(ctx, d, req)
	return run, err == nil, err
}
