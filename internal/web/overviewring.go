package web

import (
	"context"
	"fmt"
	"net/url"

	"slipway"
	"slipway/internal/environments"
	"slipway/internal/insights"
	"slipway/internal/lineage"
	"slipway/internal/pipelines"
	"slipway/internal/repos"
)

// ringStep is one of the ten steps of the loop, as far as the latest change has come.
type ringStep struct {
	Title  string
	Detail string // what it was this time, "" before
	State  string // as Badge shows it; "" for a step that is yet to come
	URL    string
}

// Done says that the change has taken the step.
func (s ringStep) Done() bool { return badgeTone(s.State) == "good" }

// ringView is the loop with the latest change on its way round it.
type ringView struct {
	Change, ChangeURL string // the change's title and run; "" before the first
	Steps             []ringStep
	Next              ringNext
}

// ringNext is what the reader is to do now.
type ringNext struct {
	Say         string
	URL, Action string // a link to it; "" for none
	Copy        string // to be typed in a terminal or file; "" for nothing
}

// ringTitles name the steps; ring fills in how far they are.
var ringTitles = [...]string{"Source", "Commit", "Pipeline", "Image", "Deployment", "Kubernetes", "Container", "Telemetry", "Review", "Work item"}

// The steps by their place in the ring.
const (
	stepSource = iota
	stepCommit
	stepPipeline
	stepImage
	stepDeployment
	stepApplied
	stepContainer
	stepTelemetry
	stepReview
	stepItem
)

// ring follows the change of the latest run, or tells what a project without runs needs.
func (o overviewPages) ring(ctx context.Context, v View, runs []pipelines.Run) (ringView, error) {
	view := ringView{Steps: make([]ringStep, len(ringTitles))}
	for i, path := range []string{"_git", "_git", "_build", "_images", "_environments", "_environments", "_environments", "_insights", "_insights/performance", "_boards"} {
		view.Steps[i] = ringStep{Title: ringTitles[i], URL: v.URL() + "/" + path}
	}
	list, err := o.things.Repos.List(ctx, v.Project.ID)
	if err != nil {
		return view, err
	}
	run := roundOf(runs)
	if run == nil {
		view.Next, err = o.firstStep(ctx, v, list, view.Steps)
		return view, err
	}
	view.Change, view.ChangeURL = run.Title, runURL(v, run.ID)
	view.done(stepSource, repositoryName(list, run.Repository))
	view.done(stepCommit, run.Commit.Short())
	view.Steps[stepCommit].URL = v.URL("_git", repositoryName(list, run.Repository), "commit", run.Commit)
	view.Steps[stepPipeline].Detail, view.Steps[stepPipeline].State, view.Steps[stepPipeline].URL = run.PipelineName+" "+run.Number, runState(run), runURL(v, run.ID)
	g, err := o.lineage.Trace(ctx, v.Project.ID, slipway.Ref(slipway.RefRun, run.ID))
	if err != nil {
		return view, err
	}
	if err := o.follow(ctx, v, &view, g); err != nil {
		return view, err
	}
	view.Next = view.advice(v, repositoryName(list, run.Repository))
	return view, nil
}

// roundOf is the run whose change goes round: the latest that is no trial of a pull request, if there is one.
func roundOf(runs []pipelines.Run) *pipelines.Run {
	for i := range runs {
		if runs[i].Reason != "PullRequest" {
			return &runs[i]
		}
	}
	if len(runs) > 0 {
		return &runs[0]
	}
	return nil
}

func repositoryName(list []repos.Repository, id slipway.RepositoryID) string {
	for i := range list {
		if list[i].ID == id {
			return list[i].Name
		}
	}
	return "a repository that is gone"
}

func (r *ringView) done(step int, detail string) {
	r.Steps[step].Detail, r.Steps[step].State = detail, "succeeded"
}

// follow fills in the steps behind the run from what is known of it.
func (o overviewPages) follow(ctx context.Context, v View, view *ringView, g lineage.Graph) error {
	if images := g.Of(slipway.RefImage); len(images) > 0 {
		image := o.things.describe(ctx, v, images[0].Reference)
		view.done(stepImage, image.Label)
		view.Steps[stepImage].URL = image.URL
	}
	if deployments := g.Of(slipway.RefDeployment); len(deployments) > 0 {
		if err := o.followDeployment(ctx, v, view, deployments[0].Reference); err != nil {
			return err
		}
	}
	if pods := g.Of(slipway.RefPod); len(pods) > 0 {
		view.done(stepContainer, plural(len(pods), "pod"))
	}
	if traces := g.Of(slipway.RefTrace); len(traces) > 0 {
		view.done(stepTelemetry, "is coming in")
	}
	if items := g.Of(slipway.RefWorkItem); len(items) > 0 {
		item := o.things.describe(ctx, v, items[0].Reference)
		view.done(stepItem, item.Label)
		view.Steps[stepItem].URL = item.URL
	}
	return nil
}

// followDeployment fills in how the run's latest deployment goes.
func (o overviewPages) followDeployment(ctx context.Context, v View, view *ringView, r slipway.Reference) error {
	d := o.things.describe(ctx, v, r)
	view.done(stepDeployment, d.Label)
	view.Steps[stepDeployment].URL, view.Steps[stepApplied].URL = d.URL, d.URL
	view.Steps[stepApplied].State, view.Steps[stepApplied].Detail = d.State, d.State
	if d.State != string(environments.Succeeded) {
		return nil
	}
	firing, err := o.things.Insights.Alerts(ctx, insights.AlertFilter{Project: v.Project.ID, Firing: true, Limit: 1})
	if err != nil {
		return err
	}
	step := &view.Steps[stepReview]
	switch {
	case len(firing) > 0:
		step.Detail, step.State, step.URL = firing[0].Rule.Name, "firing", v.URL("_insights", "alerts", firing[0].ID)
	case d.Detail != "": // pods or requests are seen
		step.Detail, step.State = "no rule fires", "healthy"
	}
	return nil
}

// firstStep advises a project in which nothing has run yet.
func (o overviewPages) firstStep(ctx context.Context, v View, list []repos.Repository, steps []ringStep) (ringNext, error) {
	if len(list) == 0 {
		return ringNext{Say: "Create a repository for your source, or import one from another host.", URL: v.URL("_git"), Action: "Create a repository"}, nil
	}
	repo := list[0]
	steps[stepSource].Detail, steps[stepSource].State, steps[stepSource].URL = repo.Name, "succeeded", v.URL("_git", repo.Name)
	branches, err := o.things.Repos.Branches(ctx, repo.ID)
	if err != nil {
		return ringNext{}, err
	}
	if len(branches) == 0 {
		return ringNext{Say: "Push your source. The password is a personal access token of your profile.", URL: v.URL("_git", repo.Name), Action: "Open " + repo.Name,
			Copy: fmt.Sprintf("git push %s%s HEAD:%s", o.url, v.URL("_git", repo.Name), repo.DefaultBranch)}, nil
	}
	steps[stepCommit].Detail, steps[stepCommit].State, steps[stepCommit].URL = "on "+branches[0].Name, "succeeded", v.URL("_git", repo.Name, "commits")
	return ringNext{Say: "Add a file azure-pipelines.yml: every push runs it. One of GitHub Actions or GitLab CI becomes one by slipway import.",
		URL: v.URL("_git", repo.Name, "edit") + "?new=1&version=GB" + url.QueryEscape(repo.DefaultBranch), Action: "Write it here"}, nil
}

// advice says what is next for the change.
func (r *ringView) advice(v View, repo string) ringNext {
	run := r.Steps[stepPipeline]
	switch badgeTone(run.State) {
	case "bad":
		return ringNext{Say: "The run failed: see which step, and what its log says.", URL: run.URL, Action: "Open the run"}
	case "waiting":
		if run.State == "waiting" {
			return ringNext{Say: "The run waits for somebody's decision.", URL: run.URL, Action: "Open the run"}
		}
	case "busy":
		return ringNext{Say: "The pipeline builds the change now. This page follows it.", URL: run.URL, Action: "Watch the run"}
	}
	switch applied := r.Steps[stepApplied]; {
	case !r.Steps[stepDeployment].Done() && !r.Steps[stepImage].Done():
		return ringNext{Say: "Have the pipeline build and push an image: add this task.", Copy: "- task: Docker@2\n  inputs:\n    command: buildAndPush\n    repository: " + repo,
			URL: run.URL, Action: "Open the run"}
	case !r.Steps[stepDeployment].Done():
		return ringNext{Say: "The image is there. Deploy it: add a deployment job with the task KubernetesManifest@1.", URL: r.Steps[stepDeployment].URL, Action: "Environments"}
	case badgeTone(applied.State) == "bad":
		return ringNext{Say: "The deployment failed: see why, or go back to the one before.", URL: applied.URL, Action: "Open the deployment"}
	case !applied.Done():
		return ringNext{Say: "The deployment is on its way.", URL: applied.URL, Action: "Watch the deployment"}
	case badgeTone(r.Steps[stepReview].State) == "bad":
		return ringNext{Say: "A health rule fires: look at what happened.", URL: r.Steps[stepReview].URL, Action: "Open the alert"}
	case !r.Steps[stepTelemetry].Done():
		return ringNext{Say: "It runs, but sends no telemetry yet: an OpenTelemetry or Application Insights SDK finds its settings in the container's environment.", URL: v.URL("_insights"), Action: "Insights"}
	case !r.Steps[stepItem].Done():
		return ringNext{Say: "Let a work item hear of it: write its number into the next commit's message.", Copy: "git commit -m \"Greet politely, AB#12\"", URL: v.URL("_boards"), Action: "Board"}
	}
	return ringNext{Say: "The change went all the way round. Review how it does, then change something.", URL: v.URL("_insights", "performance"), Action: "Review it"}
}
