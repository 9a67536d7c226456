// Package loop joins the domains in the order of the ten steps: what happened in one becomes the work of the next.
//
// It is a table of contents. Each entry is one kind of event and one call; the rules are in the domains. Deliveries
// may be repeated, and every call made here is idempotent.
package loop

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/boards"
	"slipway/internal/clusters"
	"slipway/internal/environments"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/insights"
	"slipway/internal/lineage"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/registry"
	"slipway/internal/repos"
	"slipway/internal/scans"
	"slipway/internal/secret"
	"slipway/internal/signing"
)

// Loop has all domains.
type Loop struct {
	Identity     *identity.Service
	Repos        *repos.Service
	Pipelines    *pipelines.Service
	Registry     *registry.Service
	Environments *environments.Service
	Clusters     *clusters.Service
	Insights     *insights.Service
	Boards       *boards.Service
	Lineage      *lineage.Service
	Signing      *signing.Service
	Scans        *scans.Service
	Secrets      *secret.Box
	Logger       *slog.Logger

	ClusterURL   string // by which pods reach the server
	RegistryHost string // of the registry in image names
}

// Subscribe states the loop. The names are kept in the log of deliveries: they never change.
func (l *Loop) Subscribe(log *events.Log) {
	// 1, 2. A change is pushed; its messages may name work items.
	log.Subscribe("boards.link_commits", l.linkCommits, repos.EventPushed)
	// So may the pull request that it belongs to, which follows its branches.
	log.Subscribe("repos.follow_push", l.followPush, repos.EventPushed)
	log.Subscribe("repos.follow_many", l.followMany, repos.EventPushedMany)
	log.Subscribe("boards.link_pull_request", l.linkPullRequest, repos.EventPullRequestCreated, repos.EventPullRequestUpdated, repos.EventPullRequestCompleted)
	// 3. The push starts the pipelines whose triggers match.
	log.Subscribe("pipelines.run_push", l.runPush, repos.EventPushed)
	// Of many branches at once the first hundred do; of the others the schedules are kept.
	log.Subscribe("pipelines.keep_schedules", l.keepSchedules, repos.EventPushedMany)
	// So does a pull request, by what it would make of its target.
	log.Subscribe("pipelines.run_pull_request", l.runPullRequest, repos.EventPullRequestCreated, repos.EventPullRequestUpdated)
	// One from a fork waits until somebody who may push has said /azp run.
	log.Subscribe("pipelines.run_commanded", l.runCommanded, repos.EventPullRequestCommented)
	// What its policies ask for is asked of people, builds and boards, until they let it through.
	l.subscribeReview(log)
	// Its run, or a stage of it, may start those of other pipelines.
	log.Subscribe("pipelines.run_followers", l.runFollowers, pipelines.EventRunCompleted, pipelines.EventJobCompleted)
	// 4. The image is in the registry: lineage joins it to its run and commit, below, and it may start runs.
	log.Subscribe("pipelines.run_image", l.runImage, registry.EventPushed)
	// Where it comes from is signed and kept with it.
	log.Subscribe("signing.attest_image", l.attestImage, registry.EventPushed)
	// What is in it is read, and which known vulnerabilities that has.
	log.Subscribe("scans.want_image", l.wantInventory, registry.EventPushed)
	// What is said about an image goes with it.
	log.Subscribe("registry.forget_image", l.forgetImage, registry.EventDeleted)
	// A job's image that is pushed anew is in the pods of the next jobs.
	log.Subscribe("pipelines.renew_warm", l.renewWarm, registry.EventPushed)
	// 5. A stage that deploys asks its environments; their answer lets it start, and its jobs are deployments.
	log.Subscribe("environments.request_checks", l.requestChecks, pipelines.EventStageWaiting)
	log.Subscribe("pipelines.complete_checks", l.completeChecks, environments.ChecksCompleted)
	log.Subscribe("environments.cancel_checks", l.releaseChecks, pipelines.EventStageOver)
	log.Subscribe("environments.start_deployment", l.startDeployment, pipelines.EventJobStarted)
	// 6, 7. The job applies its manifests through Deploy; when it has ended, so has the deployment.
	log.Subscribe("environments.complete_deployment", l.completeDeployment, pipelines.EventJobCompleted)
	// What an environment runs, and would go back to, is kept.
	log.Subscribe("pipelines.hold_deployed", l.holdDeployed, environments.DeploymentCompleted)
	// A review app goes with its pull request.
	log.Subscribe("environments.close_reviews", l.closeReviews, repos.EventPullRequestCompleted, repos.EventPullRequestAbandoned)
	log.Subscribe("clusters.revoke_access", l.revokeAccess, pipelines.EventJobCompleted)
	// 8. A project's telemetry is watched by rules from the beginning, for each deployment on its own.
	log.Subscribe("insights.announce_deployment", l.announceDeployment, environments.DeploymentStarted, environments.DeploymentCompleted)
	log.Subscribe("insights.default_rules", l.defaultRules, identity.EventProjectCreated)
	// 9, 10. What went wrong becomes a bug with its evidence; what reached production moves its work items on.
	log.Subscribe("boards.open_bug", l.openBug, insights.EventAlertFired)
	log.Subscribe("boards.comment_bug", l.commentBug, insights.EventAlertResolved)
	log.Subscribe("boards.move_on", l.moveOn, environments.DeploymentCompleted)
	// All of it hangs together.
	log.Subscribe("lineage.record", l.Lineage.Record, lineage.Events()...)
}

func (l *Loop) runPush(ctx context.Context, e events.Event) error {
	var push repos.Pushed
	if err := e.Decode(&push); err != nil || push.Copied {
		return err
	}
	p := pipelines.Push{Event: e.ID, Repository: push.Repository, Ref: push.Ref, Before: push.Before, After: push.After, Actor: e.Actor,
		Paths: push.Paths, PathsUnknown: push.MorePaths}
	if len(push.Commits) > 0 {
		p.Message = push.Commits[0].Message
	}
	_, err := l.Pipelines.Pushed(ctx, p)
	return err
}

func (l *Loop) keepSchedules(ctx context.Context, e events.Event) error {
	var many repos.PushedMany
	if err := e.Decode(&many); err != nil || many.Copied {
		return err
	}
	list := make([]pipelines.Push, 0, len(many.Updates))
	for _, u := range many.Updates {
		list = append(list, pipelines.Push{Event: e.ID, Repository: many.Repository, Ref: u.Ref, Before: u.Before, After: u.After, Actor: e.Actor})
	}
	return l.Pipelines.PushedMany(ctx, many.Repository, list)
}

func (l *Loop) renewWarm(ctx context.Context, e events.Event) error {
	var push registry.Pushed
	if err := e.Decode(&push); err != nil || push.Tag == "" {
		return err
	}
	return l.Pipelines.RenewWarm(ctx, l.RegistryHost+"/"+push.Repository+":"+push.Tag)
}

// maxPulledPaths bounds the changed files of a pull request that path filters are asked about.
const maxPulledPaths = 10_000

func (l *Loop) runPullRequest(ctx context.Context, e events.Event) error {
	id, err := strconv.ParseInt(e.Subject.ID, 10, 64)
	if err != nil {
		return fmt.Errorf("read the pull request of event %d: %w", e.ID, err)
	}
	p, err := l.Repos.PullRequest(ctx, slipway.PullRequestID(id)) // as it is now: the event may be late
	if err != nil || p.Status != repos.PullRequestActive || p.MergeStatus != repos.MergeSucceeded {
		return err
	}
	ask, err := l.pulled(ctx, p, e.Actor)
	if err != nil {
		return err
	}
	_, err = l.Pipelines.PullRequested(ctx, ask)
	return err
}

// runFollowers starts the runs of pipelines that follow the event's.
func (l *Loop) runFollowers(ctx context.Context, e events.Event) error {
	id, err := strconv.ParseInt(e.Subject.ID, 10, 64)
	if err != nil {
		return fmt.Errorf("read the run of event %d: %w", e.ID, err)
	}
	return l.Pipelines.Advanced(ctx, slipway.RunID(id))
}

// runImage starts the runs that wait for an image.
func (l *Loop) runImage(ctx context.Context, e events.Event) error {
	var p registry.Pushed
	if err := e.Decode(&p); err != nil || e.Project == "" || p.Subject != "" { // Slipway's own images, and what is said about others
		return err
	}
	push := pipelines.ImagePush{Event: e.ID, Project: e.Project, Repository: p.Repository, Tag: p.Tag, Digest: p.Digest, Actor: e.Actor}
	if id, ok := e.Reference(slipway.RefRun); ok {
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil {
			return fmt.Errorf("read the run of event %d: %w", e.ID, err)
		}
		push.Run = slipway.RunID(n)
	}
	_, err := l.Pipelines.ImagePushed(ctx, push)
	return err
}

// linkCommits links the work items that the pushed commits' messages name.
func (l *Loop) linkCommits(ctx context.Context, e events.Event) error {
	var push repos.Pushed
	if err := e.Decode(&push); err != nil || push.Copied { // of a fork they name work items of another project, and did before
		return err
	}
	project, err := l.Identity.Project(ctx, e.Project)
	if err != nil {
		return err
	}
	for _, c := range push.Commits {
		link := boards.Link{To: slipway.Ref(slipway.RefCommit, c.ID), Title: firstLine(c.Message), By: e.Actor, Time: e.Time,
			URL: fmt.Sprintf("/%s/_git/%s/commit/%s", project.Name, push.Name, c.ID)}
		_, err := l.Boards.LinkMentions(ctx, boards.Mentioned{Project: e.Project, By: e.Actor, Text: c.Message, Link: link, Final: push.DefaultRef})
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *Loop) followPush(ctx context.Context, e events.Event) error {
	var push repos.Pushed
	if err := e.Decode(&push); err != nil {
		return err
	}
	return l.Repos.FollowPush(ctx, e.Actor, push)
}

func (l *Loop) followMany(ctx context.Context, e events.Event) error {
	var many repos.PushedMany
	if err := e.Decode(&many); err != nil {
		return err
	}
	return l.Repos.FollowMany(ctx, e.Actor, many)
}

// linkPullRequest links the work items that a pull request's title and description name. Completed into the default branch it moves
// those that it fixes.
func (l *Loop) linkPullRequest(ctx context.Context, e events.Event) error {
	var p repos.PullRequestPayload
	if err := e.Decode(&p); err != nil {
		return err
	}
	project, err := l.Identity.Project(ctx, e.Project)
	if err != nil {
		return err
	}
	link := boards.Link{To: e.Subject, Title: p.Title, By: e.Actor, Time: e.Time,
		URL: fmt.Sprintf("/%s/_git/%s/pullrequest/%s", project.Name, p.Name, e.Subject.ID)}
	_, err = l.Boards.LinkMentions(ctx, boards.Mentioned{Project: e.Project, By: e.Actor, Text: p.Title + "\n\n" + p.Description, Link: link,
		Final: p.Status == repos.PullRequestCompleted && p.DefaultTarget})
	if err != nil || !p.ResolveItems {
		return err
	}
	_, err = l.Boards.ResolveLinked(ctx, e.Actor, e.Project, e.Subject)
	return err
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

func (l *Loop) requestChecks(ctx context.Context, e events.Event) error {
	var stage pipelines.StagePayload
	if err := e.Decode(&stage); err != nil {
		return err
	}
	run, err := l.Pipelines.Get(ctx, stage.Run)
	if err != nil {
		return err
	}
	if run.Untrusted() {
		return l.Pipelines.ChecksCompleted(ctx, run.ID, stage.Stage, stage.Attempt, schedule.ChecksRejected, errUntrusted.Error())
	}
	project, err := l.Identity.Project(ctx, run.Project)
	if err != nil {
		return err
	}
	return l.Environments.RequestChecks(ctx, environments.CheckRequest{Project: run.Project, ProjectName: project.Name, Run: run.ID,
		Stage: stage.Stage, Attempt: stage.Attempt, Environments: stage.Environments, RequestedBy: run.Actor, Commit: run.Commit,
		Pipeline: run.Pipeline, LockBehavior: stage.LockBehavior})
}

func (l *Loop) completeChecks(ctx context.Context, e events.Event) error {
	var checks environments.ChecksPayload
	if err := e.Decode(&checks); err != nil {
		return err
	}
	outcome, ok := map[environments.State]schedule.CheckState{environments.Approved: schedule.ChecksApproved, environments.Rejected: schedule.ChecksRejected,
		environments.TimedOut: schedule.ChecksTimedOut, environments.Cancelled: schedule.ChecksCanceled}[checks.State]
	if !ok {
		return fmt.Errorf("checks of event %d came to %q", e.ID, checks.State)
	}
	return l.Pipelines.ChecksCompleted(ctx, checks.Run, checks.Stage, checks.Attempt, outcome, checks.Reason)
}

// releaseChecks gives the locks of a stage that is over to the next one.
func (l *Loop) releaseChecks(ctx context.Context, e events.Event) error {
	var stage pipelines.StagePayload
	if err := e.Decode(&stage); err != nil {
		return err
	}
	return l.Environments.ReleaseChecks(ctx, stage.Run, stage.Stage, stage.Attempt)
}

func (l *Loop) startDeployment(ctx context.Context, e events.Event) error {
	var job pipelines.JobPayload
	if err := e.Decode(&job); err != nil || job.Environment == nil {
		return err
	}
	_, err := l.deployment(ctx, job.JobID)
	return unlessUntrusted(err)
}

func (l *Loop) completeDeployment(ctx context.Context, e events.Event) error {
	var job pipelines.JobPayload
	if err := e.Decode(&job); err != nil || job.Environment == nil {
		return err
	}
	// Each hook is a job, on each machine; the deployment is over with the last of them.
	state, result, err := l.Pipelines.JobOutcome(ctx, job.JobID)
	if err != nil || state != schedule.Completed {
		return err
	}
	d, err := l.deployment(ctx, job.JobID)
	if err != nil {
		return unlessUntrusted(err)
	}
	_, err = l.Environments.CompleteDeployment(ctx, d.ID, deploymentResult(string(result)), job.Reason)
	return err
}

// holdDeployed retains the runs of what an environment runs now and of what it would go back to.
func (l *Loop) holdDeployed(ctx context.Context, e events.Event) error {
	var p environments.DeploymentPayload
	if err := e.Decode(&p); err != nil {
		return err
	}
	var runs []slipway.RunID
	current, err := l.Environments.Current(ctx, p.EnvironmentID)
	if err == nil {
		runs = append(runs, current.Run)
		var before environments.Deployment
		if before, err = l.Environments.Previous(ctx, current.ID); err == nil {
			runs = append(runs, before.Run)
		}
	}
	if err != nil && slipway.CodeOf(err) != slipway.CodeNotFound {
		return err
	}
	return l.Pipelines.Hold(ctx, e.Project, "Environment:"+p.Environment, runs)
}

// announceDeployment puts a deployment, or a way back, on the charts and under the health rules.
func (l *Loop) announceDeployment(ctx context.Context, e events.Event) error {
	id, err := strconv.ParseInt(e.Subject.ID, 10, 64)
	if err != nil {
		return fmt.Errorf("read the deployment of event %d: %w", e.ID, err)
	}
	d, err := l.Environments.Deployment(ctx, slipway.DeploymentID(id))
	if err != nil {
		return err
	}
	return l.Insights.Announce(ctx, announced(d))
}

// production is the environment whose deployments move work items on.
const production = "production"

// moveOn tells the work items of what a deployment ships that it runs somewhere, and in production that they are done.
func (l *Loop) moveOn(ctx context.Context, e events.Event) error {
	var p environments.DeploymentPayload
	if err := e.Decode(&p); err != nil || p.Result != environments.Succeeded {
		return err
	}
	project, err := l.Identity.Project(ctx, e.Project)
	if err != nil {
		return err
	}
	shipped, err := l.shipped(ctx, p)
	if err != nil {
		return err
	}
	_, err = l.Boards.MoveOn(ctx, boards.Shipped{Project: e.Project, By: e.Actor, Production: strings.EqualFold(p.Environment, production),
		Deployment: boards.Link{To: e.Subject, Title: fmt.Sprintf("Deployed to %s by run %d", p.Environment, p.Run), Time: e.Time, By: e.Actor,
			URL: fmt.Sprintf("/%s/_environments/%s", project.Name, url.PathEscape(p.Environment))},
		Because: shipped})
	return err
}

// maxShipped bounds the commits of one deployment that are looked at for work items.
const maxShipped = 1000

// shipped are the commits that a deployment brings for the first time, those since the deployment before it, and the pull requests
// that were completed by them: a squashed one's own commits are not among them.
func (l *Loop) shipped(ctx context.Context, p environments.DeploymentPayload) ([]slipway.Reference, error) {
	run, err := l.Pipelines.Get(ctx, p.Run)
	if err != nil {
		return nil, err
	}
	ids := []slipway.CommitID{p.Commit}
	if p.Previous != 0 {
		before, err := l.Environments.Deployment(ctx, p.Previous)
		if err != nil {
			return nil, err
		}
		commits, _, err := l.Repos.Commits(ctx, run.Repository, before.Commit, p.Commit, maxShipped)
		if err != nil && slipway.CodeOf(err) != slipway.CodeNotFound { // a commit is gone after a forced push
			return nil, err
		}
		for _, c := range commits {
			ids = append(ids, c.ID)
		}
	}
	var refs []slipway.Reference
	for _, id := range ids {
		refs = append(refs, slipway.Ref(slipway.RefCommit, id))
	}
	pulls, err := l.Repos.PullRequestsMerged(ctx, run.Repository, ids)
	for _, p := range pulls {
		refs = append(refs, slipway.Ref(slipway.RefPullRequest, p.ID))
	}
	return refs, err
}

func (l *Loop) defaultRules(ctx context.Context, e events.Event) error {
	return l.Insights.CreateDefaultRules(ctx, slipway.ProjectID(e.Subject.ID))
}

// commentBug tells an alert's bug that the rule holds again. Whether it is done with, people decide.
func (l *Loop) commentBug(ctx context.Context, e events.Event) error {
	var a insights.AlertPayload
	if err := e.Decode(&a); err != nil {
		return err
	}
	text := fmt.Sprintf("Alert %d is over since %s: deployment %d keeps the rule %s again, or serves no more.",
		a.Alert, e.Time.UTC().Format("2006-01-02 15:04:05 MST"), a.Deployment, a.RuleName)
	return l.Boards.CommentBug(ctx, slipway.System, e.Project, a.Key, text)
}

// openBug opens a bug with the evidence of an alert.
func (l *Loop) openBug(ctx context.Context, e events.Event) error {
	var a insights.AlertPayload
	if err := e.Decode(&a); err != nil {
		return err
	}
	evidence := boards.Evidence{Project: e.Project, Key: a.Key, Title: a.EnvironmentName + ": " + a.Message, Text: evidenceText(a), Tags: []string{"alert"},
		Links: []boards.Link{{To: e.Subject, Title: a.Message, Time: e.Time, By: e.Actor}}}
	for _, ref := range e.References {
		if ref.Kind == slipway.RefDeployment || ref.Kind == slipway.RefCommit || ref.Kind == slipway.RefRun {
			evidence.Links = append(evidence.Links, boards.Link{To: ref, Title: ref.String(), Time: e.Time, By: e.Actor})
		}
	}
	_, _, err := l.Boards.OpenBug(ctx, slipway.System, evidence)
	return err
}
