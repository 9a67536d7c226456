package loop

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"slipway"
	"slipway/internal/clusters"
	"slipway/internal/environments"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/insights"
	"slipway/internal/insights/telemetry"
	"slipway/internal/jobserver"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/registry"
)

// Deploy implements jobserver.Deployer: a deployment job's manifests go to its environment's cluster and namespace.
func (l *Loop) Deploy(ctx context.Context, d jobserver.Deployment, progress func(line string)) error {
	if d.Environment == nil {
		return slipway.Unsupported("only a deployment job deploys: give the job an environment (`- deployment:` in place of `- job:`), or name a service connection of type kubernetes")
	}
	if d.Action != "deploy" {
		return slipway.Unsupported("action %q is not there yet: use deploy, which also removes what the manifests no longer name", d.Action)
	}
	deployment, err := l.deployment(ctx, d.JobID)
	if err != nil {
		return err
	}
	target, err := l.target(ctx, deployment)
	if err != nil {
		return err
	}
	if d.Namespace != "" && d.Namespace != target.Namespace {
		return slipway.Invalid("namespace %q: environment %s deploys to its own namespace %s; leave the input out", d.Namespace, target.EnvironmentName, target.Namespace)
	}
	target.Set = fmt.Sprintf("pipeline-%d-%s", d.Pipeline, strings.ToLower(d.Instance))
	options, err := l.options(ctx, target)
	if err != nil {
		return err
	}
	parameters, err := l.Pipelines.Parameters(ctx, d.JobID)
	if err != nil {
		return err
	}
	options.Mask = parameters.Secrets()
	options.ImagePullSecrets, options.Annotations = d.PullSecrets, d.Annotations
	options.Timeout = time.Duration(d.TimeoutInSeconds) * time.Second
	options.Admit = func(ctx context.Context, images []clusters.Image) error {
		return l.admit(ctx, target, images, progress)
	}
	for _, image := range d.Images {
		options.Images = append(options.Images, l.ownImage(image))
	}
	var files []clusters.File
	for _, m := range d.Manifests {
		files = append(files, clusters.File{Name: m.Path, Content: []byte(m.Text)})
	}
	result, err := l.Clusters.Apply(ctx, target, files, options, func(p clusters.Progress) { progress(p.Message) })
	if updateErr := l.Environments.UpdateDeployment(context.WithoutCancel(ctx), deployment.ID, update(result, err)); updateErr != nil && err == nil {
		err = updateErr
	}
	return err
}

// Access implements jobserver.Deployer: kubectl and helm in a deployment job reach its environment's namespace, until the job
// ends.
func (l *Loop) Access(ctx context.Context, d jobserver.Deployment) (job.ClusterAccess, error) {
	if d.Environment == nil {
		return job.ClusterAccess{}, slipway.Unsupported("only a deployment job reaches the cluster: give the job an environment (`- deployment:` in place of `- job:`)")
	}
	deployment, err := l.deployment(ctx, d.JobID)
	if err != nil {
		return job.ClusterAccess{}, err
	}
	target, err := l.target(ctx, deployment)
	if err != nil {
		return job.ClusterAccess{}, err
	}
	a, err := l.Clusters.GrantAccess(ctx, target, d.JobID)
	if err != nil {
		return job.ClusterAccess{}, err
	}
	// A job that ended meanwhile has been revoked what it did not have yet.
	if j, err := l.Pipelines.Job(ctx, d.JobID); err != nil || j.State == schedule.Completed {
		return job.ClusterAccess{}, errors.Join(slipway.Conflict("job %d is over", d.JobID), err,
			l.Clusters.RevokeAccess(context.WithoutCancel(ctx), target.Cluster, target.Namespace, d.JobID))
	}
	return job.ClusterAccess{Server: a.Server, Namespace: a.Namespace, Token: a.Token, Kubeconfig: a.Kubeconfig}, nil
}

// revokeAccess ends what Access gave to a job, whatever ended the job.
func (l *Loop) revokeAccess(ctx context.Context, e events.Event) error {
	var j pipelines.JobPayload
	if err := e.Decode(&j); err != nil || j.Environment == nil {
		return err
	}
	d, err := l.deployment(ctx, j.JobID)
	if err != nil {
		return unlessUntrusted(err)
	}
	target, err := l.target(ctx, d)
	if errors.Is(err, errReviewClosed) { // with the namespace went the access
		return nil
	}
	if err != nil {
		return err
	}
	return l.Clusters.RevokeAccess(ctx, target.Cluster, target.Namespace, j.JobID)
}

func update(r clusters.Result, failure error) environments.DeploymentUpdate {
	u := environments.DeploymentUpdate{}
	if failure != nil {
		reason := failure.Error()
		u.Reason = &reason
	}
	if r.ManifestsHash != "" {
		u.ManifestsHash = &r.ManifestsHash
	}
	for _, i := range r.Images {
		u.Images = append(u.Images, environments.Image{Repository: i.Repository, Reference: i.Reference, Digest: i.Digest})
	}
	return u
}

// Rollback brings an environment back to an earlier successful deployment, as a new deployment that says so.
func (l *Loop) Rollback(ctx context.Context, to slipway.DeploymentID, by slipway.Actor, progress func(line string)) (environments.Deployment, error) {
	d, err := l.Environments.StartRollback(ctx, to, by)
	if err != nil {
		return d, err
	}
	target, err := l.target(ctx, d)
	if err != nil {
		return d, err
	}
	options, err := l.options(ctx, target)
	if err != nil {
		return d, err
	}
	// Whatever stops it, its end is recorded.
	ending := context.WithoutCancel(ctx)
	result, applyErr := l.Clusters.Rollback(ctx, target, d.RollbackTo, options, func(p clusters.Progress) { progress(p.Message) })
	if err := l.Environments.UpdateDeployment(ending, d.ID, update(result, nil)); err != nil && applyErr == nil {
		applyErr = err
	}
	if applyErr != nil {
		failed, err := l.Environments.CompleteDeployment(ending, d.ID, environments.Failed, applyErr.Error())
		if err != nil {
			return failed, err
		}
		return failed, applyErr
	}
	return l.Environments.CompleteDeployment(ending, d.ID, environments.Succeeded, "")
}

// FinishRollbacks ends the rollbacks that a server which was killed had under way, so that they can be asked for again.
func (l *Loop) FinishRollbacks(ctx context.Context) error {
	running, err := l.Environments.RunningDeployments(ctx)
	if err != nil {
		return err
	}
	for _, d := range running {
		if d.RollbackTo == 0 { // a job's: its end is the deployment's
			continue
		}
		if _, err := l.Environments.CompleteDeployment(ctx, d.ID, environments.Failed, "the server stopped in the middle of it: roll back again"); err != nil {
			return err
		}
	}
	return nil
}

// deployment is the deployment that a job is; the first call records it.
func (l *Loop) deployment(ctx context.Context, id slipway.JobID) (environments.Deployment, error) {
	job, err := l.Pipelines.Job(ctx, id)
	if err != nil {
		return environments.Deployment{}, err
	}
	run, err := l.Pipelines.Get(ctx, job.Run)
	if err != nil {
		return environments.Deployment{}, err
	}
	if run.Untrusted() {
		return environments.Deployment{}, errUntrusted
	}
	env, err := l.environment(ctx, run, job)
	if err != nil {
		return environments.Deployment{}, err
	}
	vars, err := l.Pipelines.Parameters(ctx, id)
	if err != nil {
		return environments.Deployment{}, err
	}
	var parameters []environments.Parameter
	for _, name := range vars.Names() {
		v, _ := vars.Get(name)
		parameters = append(parameters, environments.Parameter{Name: name, Value: v.Text, Secret: v.Secret})
	}
	return l.Environments.StartDeployment(ctx, environments.NewDeployment{Environment: env.ID, Run: run.ID, Stage: job.Stage, Job: job.Name,
		Attempt: job.Attempt, Commit: run.Commit, Parameters: parameters, By: run.Actor})
}

func (l *Loop) environment(ctx context.Context, run pipelines.Run, job pipelines.Job) (environments.Environment, error) {
	project, err := l.Identity.Project(ctx, run.Project)
	if err != nil {
		return environments.Environment{}, err
	}
	e, err := l.Environments.Ensure(ctx, environments.NewEnvironment{Project: project.ID, ProjectName: project.Name, Name: job.Environment.Name}, run.Actor)
	if pull, ok := run.PullRequest(); err == nil && ok && job.Environment.Review {
		return l.reviewApp(ctx, e, project.Name, pull, run.Actor)
	}
	return e, err
}

func (l *Loop) target(ctx context.Context, d environments.Deployment) (clusters.Target, error) {
	env, err := l.Environments.Get(ctx, d.Environment)
	if err != nil {
		return clusters.Target{}, err
	}
	if !env.Removed.IsZero() {
		return clusters.Target{}, errReviewClosed
	}
	project, err := l.Identity.Project(ctx, d.Project)
	if err != nil {
		return clusters.Target{}, err
	}
	return clusters.Target{Cluster: env.Cluster, Namespace: env.Namespace, Project: project.ID, ProjectName: project.Name, Environment: env.ID,
		EnvironmentName: env.Name, Deployment: d.ID, Run: d.Run, Commit: d.Commit}, nil
}

// options gives an environment's workloads their credentials for telemetry: always the same ones, so that pods that a
// deployment does not touch go on.
func (l *Loop) options(ctx context.Context, t clusters.Target) (clusters.Options, error) {
	origin := telemetry.Origin{Project: t.Project, Environment: t.Environment, EnvironmentName: t.EnvironmentName}
	name := "telemetry of environment " + string(t.Project) + "/" + t.EnvironmentName
	derived, err := l.Secrets.Derive(name)
	if err != nil {
		return clusters.Options{}, err
	}
	token, err := l.Identity.EnsureToken(ctx, [32]byte(derived), identity.TokenRequest{Kind: identity.TokenWorkload, Name: name,
		Actor:   slipway.Actor{Kind: slipway.ActorWorkload, ID: t.Namespace, Name: t.ProjectName + " " + t.EnvironmentName},
		Project: t.Project, Binding: identity.Binding{Environment: t.Environment}})
	if err != nil {
		return clusters.Options{}, err
	}
	if derived, err = l.Secrets.Derive(name + " key"); err != nil {
		return clusters.Options{}, err
	}
	key, err := l.Insights.EnsureKey(ctx, [16]byte(derived[:16]), origin)
	if err != nil {
		return clusters.Options{}, err
	}
	return clusters.Options{Telemetry: clusters.Telemetry{Endpoint: l.ClusterURL, Token: token, InstrumentationKey: key}}, nil
}

// ownImage gives an image without a host the host of Slipway's registry.
func (l *Loop) ownImage(name string) string {
	first, _, _ := strings.Cut(name, "/")
	if strings.Contains(name, "/") && (strings.ContainsAny(first, ".:") || first == "localhost") {
		return name
	}
	return l.RegistryHost + "/" + name
}

// ResolveImage implements clusters.Resolver over the registry: images with its host, and those without a host or of
// Docker Hub that it has.
func ResolveImage(images *registry.Service, host string) clusters.Resolver {
	return func(ctx context.Context, reference string) (string, error) {
		rest, own := strings.CutPrefix(reference, host+"/")
		if !own {
			rest = strings.TrimPrefix(rest, "docker.io/")
			if first, _, _ := strings.Cut(rest, "/"); strings.Contains(rest, "/") && (strings.ContainsAny(first, ".:") || first == "localhost") {
				return "", nil // another registry's
			}
			if !strings.Contains(rest, "/") {
				rest = "library/" + rest
			}
		}
		name, tag := rest, "latest"
		if i := strings.LastIndex(rest, ":"); i > strings.LastIndex(rest, "/") {
			name, tag = rest[:i], rest[i+1:]
		}
		repository, err := images.Repository(ctx, name)
		if err == nil {
			var digest slipway.Digest
			if digest, err = images.Resolve(ctx, repository, tag); err == nil {
				return host + "/" + name + "@" + string(digest), nil
			}
		}
		if slipway.CodeOf(err) == slipway.CodeNotFound && !own {
			return "", nil
		}
		return "", err
	}
}

// deploymentResult is what a job's result means for the deployment that it is.
func deploymentResult(result string) environments.DeploymentState {
	switch schedule.Result(result) {
	case schedule.Succeeded, schedule.SucceededWithIssues:
		return environments.Succeeded
	case schedule.Canceled:
		return environments.DeploymentCancelled
	}
	return environments.Failed
}

// announced tells insights of a deployment, for its charts and rules.
func announced(d environments.Deployment) insights.Deployment {
	label := "run " + d.Run.String()
	if d.RollbackTo != 0 {
		label = "back to deployment " + d.RollbackTo.String()
	}
	return insights.Deployment{ID: d.ID, Project: d.Project, Environment: d.Environment, EnvironmentName: d.EnvironmentName, Commit: d.Commit,
		Run: d.Run, Label: label, Started: d.Started, Completed: d.Completed, Succeeded: d.State == environments.Succeeded}
}
