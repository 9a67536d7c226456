package pipelines

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/pipelines/compile"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/trigger"
	"slipway/internal/pipelines/variable"
)

// PullRequest is what a pull request would bring to its target.
type PullRequest struct {
	ID           slipway.PullRequestID
	Repository   slipway.RepositoryID
	Title        string
	Source       string // full names of branches
	Target       string
	SourceCommit slipway.CommitID
	MergeRef     string           // refs/pull/12/merge, of which a run is
	MergeCommit  slipway.CommitID // what MergeRef is at
	Draft        bool
	Actor        slipway.Actor
	SourceURI    string      // of the repository with the source, for git in a job's pod
	Fork         *ForkSource // of one from a fork
	// Paths are the files that it changes; PathsUnknown says that there are too many to tell.
	Paths        []string
	PathsUnknown bool
}

// PullRequested starts the runs that a pull request triggers, by the files of its trial merge: those whose `pr` section names its
// target. Azure Repos leaves that to a branch's policies and hosts of GitHub's kind to the file; here it is the file, and one
// without the section starts nothing. Unless `autoCancel` is false, runs of what the source was before are canceled. Told
// again of the same commit of the source it starts nothing twice.
func (s *Service) PullRequested(ctx context.Context, p PullRequest) ([]Run, error) {
	definitions, err := s.definitionsOf(ctx, p.Repository)
	if err != nil {
		return nil, err
	}
	var runs []Run
	var errs []error
	for _, d := range definitions {
		run, started, err := s.pullRequested(ctx, d, p)
		if err != nil {
			errs = append(errs, fmt.Errorf("pipeline %q: %w", d.Name, err))
		}
		if started {
			runs = append(runs, run)
		}
	}
	return runs, errors.Join(errs...)
}

func (s *Service) pullRequested(ctx context.Context, d Definition, p PullRequest) (Run, bool, error) {
	if d.Disabled {
		return Run{}, false, nil
	}
	data, err := s.Source.ReadFile(ctx, d.Repository, p.MergeCommit, d.Path, maxFile)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return Run{}, false, nil
	}
	if err != nil {
		return Run{}, false, err
	}
	triggers, err := compile.Triggers(d.Path, data)
	if err != nil {
		if len(fileProblems(err, d.Path)) == 0 {
			return Run{}, false, err
		}
		return Run{}, false, nil // the push of the source has had the mistakes for an answer
	}
	if !triggers.PullRequest.Stated {
		return Run{}, false, nil
	}
	if starts, _ := trigger.MatchPullRequest(triggers.PullRequest, p.Target, p.Paths, p.PathsUnknown, p.Draft); !starts {
		return Run{}, false, nil
	}
	fork, err := s.forkAccess(ctx, &d, &p)
	if slipway.CodeOf(err) == slipway.CodeInvalid {
		return Run{}, false, nil
	}
	if err != nil {
		return Run{}, false, err
	}
	run, err := s.queue(ctx, d, QueueRequest{Pipeline: d.ID, Actor: p.Actor, Ref: p.MergeRef, Commit: p.MergeCommit, message: p.Title,
		reason: variable.ReasonPullRequest, pullRequest: &p, fork: fork, cause: fmt.Sprintf("pullrequest/%d/%s/%d", p.ID, p.SourceCommit, d.ID)})
	if err != nil {
		return Run{}, false, err
	}
	return run, true, s.supersede(ctx, triggers.PullRequest, run)
}

// ValidatePullRequest queues the run by which a branch policy validates a pull request, whatever the file's `pr` section says. again
// tells it from earlier ones of the same source; without it the run is the one that the section started, if it did. Runs of
// what the source was before are canceled.
func (s *Service) ValidatePullRequest(ctx context.Context, id slipway.PipelineID, p PullRequest, again string) (Run, error) {
	d, err := s.Definition(ctx, id)
	if err != nil {
		return Run{}, err
	}
	switch {
	case d.Repository != p.Repository:
		return Run{}, slipway.Invalid("pipeline %q is of another repository and cannot validate the pull request", d.Name)
	case d.Disabled:
		return Run{}, slipway.Invalid("pipeline %q is disabled", d.Name)
	}
	cause := fmt.Sprintf("pullrequest/%d/%s/%d", p.ID, p.SourceCommit, d.ID)
	if again != "" {
		cause += "/" + again
	}
	fork, err := s.forkAccess(ctx, &d, &p)
	if err != nil {
		return Run{}, err
	}
	run, err := s.queue(ctx, d, QueueRequest{Pipeline: d.ID, Actor: p.Actor, Ref: p.MergeRef, Commit: p.MergeCommit, message: p.Title,
		reason: variable.ReasonPullRequest, pullRequest: &p, fork: fork, cause: cause})
	if err != nil {
		return Run{}, err
	}
	return run, s.supersede(ctx, plan.PullRequest{}, run)
}

// supersede cancels the older runs of the run's pull request.
func (s *Service) supersede(ctx context.Context, t plan.PullRequest, run Run) error {
	if t.KeepRunning {
		return nil
	}
	older, err := s.List(ctx, RunFilter{Project: run.Project, Pipeline: run.Pipeline, Ref: run.Ref, Before: run.ID})
	if err != nil {
		return err
	}
	for _, o := range older {
		if o.State == RunCompleted || o.Reason != variable.ReasonPullRequest {
			continue
		}
		if err := s.cancel(ctx, o.ID, "run "+run.Number+", which is of a newer commit"); err != nil && slipway.CodeOf(err) != slipway.CodeConflict { // it has ended meanwhile
			return err
		}
	}
	return nil
}

// variables are what a run of a pull request knows of it.
func (p *PullRequest) variables() map[string]string {
	isFork := "False"
	if p.Fork != nil {
		isFork = "True"
	}
	return map[string]string{
		variable.SystemPullRequestID: p.ID.String(), variable.SystemPullRequestNumber: p.ID.String(), variable.SystemPullRequestIsFork: isFork,
		variable.SystemPullRequestSourceURI: p.SourceURI,
		variable.SystemPullRequestSource:    p.Source, variable.SystemPullRequestTarget: p.Target,
		variable.SystemPullRequestTargetName: strings.TrimPrefix(p.Target, "refs/heads/"), variable.SystemPullRequestSourceCommit: string(p.SourceCommit),
	}
}

// PullRequest is the pull request that a run is of.
func (r *Run) PullRequest() (slipway.PullRequestID, bool) {
	number, ok := strings.CutPrefix(r.Ref, "refs/pull/")
	if !ok {
		return 0, false
	}
	number, _, _ = strings.Cut(number, "/")
	id, err := strconv.ParseInt(number, 10, 64)
	return slipway.PullRequestID(id), err == nil && id > 0
}
