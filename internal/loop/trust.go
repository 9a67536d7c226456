package loop

import (
	"context"
	"fmt"
	"strconv"

	"slipway"
	"slipway/internal/events"
	"slipway/internal/registry"
	"slipway/internal/scans"
	"slipway/internal/signing"
)

// attestImage signs what a run pushed and says where it comes from.
func (l *Loop) attestImage(ctx context.Context, e events.Event) error {
	var push registry.Pushed
	if err := e.Decode(&push); err != nil {
		return err
	}
	run, ok, err := runOf(e)
	if err != nil || !ok || e.Project == "" || push.Subject != "" {
		return err
	}
	if r, err := l.Pipelines.Get(ctx, run); err != nil || r.Untrusted() { // it would be signed in the name of the pipeline
		return unlessGone(err)
	}
	if due, err := l.Signing.Due(ctx, push.Repository, push.Digest, run); err != nil || !due {
		return err
	}
	repo, err := l.Registry.Repository(ctx, push.Repository)
	if err != nil {
		return unlessGone(err)
	}
	content, err := l.Registry.GetContent(ctx, repo, string(push.Digest))
	if err != nil || !content.Product() {
		return unlessGone(err)
	}
	var job slipway.JobID
	if n, err := strconv.ParseInt(e.Actor.ID, 10, 64); err == nil && e.Actor.Kind == slipway.ActorJob {
		job = slipway.JobID(n)
	}
	build, err := l.Build(ctx, run, job)
	if err != nil {
		return unlessGone(err)
	}
	build.Pushed = e.Time
	list, err := l.Signing.Attest(ctx, signing.Image{Name: l.RegistryHost + "/" + repo.Name, Digest: push.Digest}, build)
	if err != nil {
		return err
	}
	for _, a := range list {
		attachment := registry.Attachment{Type: a.MediaType, Content: a.Content, Annotations: a.Annotations(e.Time)}
		if _, err := l.Registry.Attach(ctx, repo, push.Digest, attachment, slipway.System); err != nil {
			return unlessGone(err)
		}
	}
	return l.Signing.Attested(ctx, push.Repository, push.Digest, run)
}

// forgetImage deletes what is kept about an image that was deleted.
func (l *Loop) forgetImage(ctx context.Context, e events.Event) error {
	var gone registry.Deleted
	if err := e.Decode(&gone); err != nil || gone.Tag != "" {
		return err
	}
	repo, err := l.Registry.Repository(ctx, gone.Repository)
	if err != nil {
		return unlessGone(err)
	}
	if _, err := l.Registry.GetContent(ctx, repo, string(gone.Digest)); slipway.CodeOf(err) != slipway.CodeNotFound {
		return err // it is there again
	}
	for _, kind := range []string{signing.BundleType, signing.StatementType, scans.TypeSPDX, scans.TypeCycloneDX} {
		list, err := l.Registry.Referrers(ctx, repo, gone.Digest, kind)
		if err != nil {
			return err
		}
		for _, d := range list {
			if err := unlessGone(l.Registry.DeleteManifest(ctx, repo, slipway.Digest(d.Digest), slipway.System)); err != nil {
				return err
			}
		}
	}
	if err := l.Scans.Forget(ctx, gone.Repository, gone.Digest); err != nil {
		return err
	}
	return l.Signing.Forget(ctx, gone.Repository, gone.Digest)
}

// runOf is the run that an event refers to.
func runOf(e events.Event) (run slipway.RunID, ok bool, err error) {
	id, ok := e.Reference(slipway.RefRun)
	if !ok {
		return 0, false, nil
	}
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return 0, false, fmt.Errorf("read the run of event %d: %w", e.ID, err)
	}
	return slipway.RunID(n), true, nil
}

// unlessGone lets an event rest whose image or run was deleted meanwhile.
func unlessGone(err error) error {
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return nil
	}
	return err
}

// Build is what is known of a job of a run; job 0 is one that is not known.
func (l *Loop) Build(ctx context.Context, id slipway.RunID, job slipway.JobID) (signing.Build, error) {
	run, err := l.Pipelines.Get(ctx, id)
	if err != nil {
		return signing.Build{}, err
	}
	definition, err := l.Pipelines.Definition(ctx, run.Pipeline)
	if err != nil {
		return signing.Build{}, err
	}
	repo, err := l.Repos.Get(ctx, run.Repository)
	if err != nil {
		return signing.Build{}, err
	}
	project, err := l.Identity.Project(ctx, repo.Project)
	if err != nil {
		return signing.Build{}, err
	}
	b := signing.Build{Project: project.Name, ProjectID: run.Project, Repository: repo.Name, RepositoryID: repo.ID, Ref: run.Ref, Commit: run.Commit,
		Pipeline: run.PipelineName, PipelineID: run.Pipeline, File: definition.Path, Run: run.ID, Number: run.Number, Reason: run.Reason,
		RequestedFor: run.Actor.Name, Parameters: run.Parameters, Started: run.Started}
	if job == 0 {
		return b, nil
	}
	j, err := l.Pipelines.Job(ctx, job)
	if err != nil {
		return b, err
	}
	if j.Run != run.ID {
		return b, slipway.Invalid("job %d is none of run %d", job, id)
	}
	b.Job, b.JobName, b.Stage, b.Attempt, b.Started = j.ID, j.Instance, j.Stage, j.Attempt, j.Started
	if j.Environment != nil {
		b.Environment = j.Environment.Name
	}
	return b, nil
}
