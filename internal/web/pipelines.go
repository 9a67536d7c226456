package web

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/images/builds"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/repos"
)

type pipelinesPages struct {
	*Server
	pipelines *pipelines.Service
	repos     *repos.Service // nil: commits have no links
	markdown  markdown
	builds    *builds.Service // nil: runs do not show theirs
}

// AddPipelines serves the pages of pipelines: their list, runs, logs, artifacts, test results and variable groups.
func (s *Server) AddPipelines(svc *pipelines.Service, t Things) {
	p := pipelinesPages{s, svc, t.Repos, newMarkdown(), t.Builds}
	s.Project("GET", "/_build", identity.Read, p.list)
	s.Project("POST", "/_build", identity.Administer, p.changePipeline)
	s.Project("GET", "/_build/queue", identity.Contribute, p.askQueue)
	s.Project("POST", "/_build/queue", identity.Contribute, p.queue)
	s.Project("GET", "/_build/results", identity.Read, p.run)
	s.Project("GET", "/_build/explain", identity.Read, p.explain)
	s.Project("GET", "/_build/results/live", identity.Read, p.liveRun)
	s.Project("POST", "/_build/results", identity.Contribute, p.change)
	s.Project("GET", "/_build/log", identity.Read, p.logText)
	s.Project("GET", "/_build/log/live", identity.Read, p.liveLog)
	s.Project("GET", "/_build/logs", identity.Read, p.searchLogs)
	s.Project("GET", "/_build/logs/zip", identity.Read, p.zipLogs)
	s.Project("GET", "/_build/artifact", identity.Read, p.artifact)
	s.Project("GET", "/_build/attachment", identity.Read, p.attachment)
	s.Project("GET", "/_build/tests", identity.Read, p.tests)
	s.Project("GET", "/_build/tests/attachment", identity.Read, p.testAttachment)
	s.Project("GET", "/_build/test", identity.Read, p.test)
	p.addPausePages()
	p.addCachePages()
	p.addPools(s)
	p.addSecureFilePages()
	p.addTaskPages()
	p.addConnectionPages()
	p.addForkBuildPages()
	p.addLimitPages()
	p.addRetentionPages()
	p.addWebhookPages()
	s.Project("POST", "/_git/{repo}/check", identity.Contribute, p.checkDraft)
	s.Project("POST", "/_git/{repo}/suggest", identity.Contribute, p.suggest)
	s.Project("GET", "/_build/coverage", identity.Read, p.coverage)
	s.Project("GET", "/_library", identity.Read, p.groups)
	s.Project("POST", "/_library", identity.Administer, p.changeGroup)
}

// runURL is the page of a run.
func runURL(v View, id slipway.RunID) string {
	return fmt.Sprintf("%s?buildId=%d", v.URL("_build", "results"), id)
}

// pipelineURL is the page of a pipeline.
func pipelineURL(v View, id slipway.PipelineID) string {
	return fmt.Sprintf("%s?definitionId=%d", v.URL("_build"), id)
}

// stateWord is how far something is, or how it ended, as people say it.
func stateWord(state, result string) string {
	if result != "" {
		return strings.ToLower(strings.ReplaceAll(result, "SucceededWithIssues", "succeeded with issues"))
	}
	switch schedule.State(state) {
	case schedule.Pending:
		return "not started"
	case schedule.Checking:
		return "waiting"
	}
	return state
}

// branchName is a ref without its prefix.
func branchName(ref string) string {
	return strings.TrimPrefix(strings.TrimPrefix(ref, "refs/heads/"), "refs/")
}

type pipelinesView struct {
	Pipelines []pipelineRow
	Chosen    *pipelineRow // when the page is about one pipeline
	Runs      []runRow
	Schedules []scheduleRow // of the chosen one
	Waiting   []waitingRow
	Caches    cachesView // of the chosen one
	Tag       string     // that all listed runs have, "" for any
	Older     string     // URL of older runs, if there are any
	Library   string
	QueueURL  string
	Settings  string // form of the chosen one
	MayQueue  bool
	MayChange bool
}

type pipelineRow struct {
	ID            slipway.PipelineID
	Name, URL     string
	Path          string
	Disabled      bool
	RetryLost     string
	Latest        *runRow
	DefaultBranch string
	Next          time.Time // of its schedules
}

type scheduleRow struct {
	Name, Branch, Cron, When string
	Next, Passed             time.Time
	PassedReason             string
}

// waitingRow is a branch with pushes that wait for its run under way.
type waitingRow struct {
	Branch string
	Pushes int
}

type runRow struct {
	URL, Number, Title, Pipeline, Branch, Reason, State, Who string
	Commit                                                   slipway.CommitID
	CommitURL                                                string
	Queued                                                   time.Time
	Took                                                     string
}

const runsOnPage = 50

func (p pipelinesPages) list(w http.ResponseWriter, r *http.Request, v View) error {
	view := pipelinesView{Library: v.URL("_library"), QueueURL: v.URL("_build", "queue")}
	view.Settings, view.MayChange = v.URL("_build"), p.identity.Authorize(r.Context(), v.Caller, identity.Administer, v.Project.ID) == nil
	view.MayQueue = p.identity.Authorize(r.Context(), v.Caller, identity.Contribute, v.Project.ID) == nil
	filter := pipelines.RunFilter{Project: v.Project.ID, Limit: runsOnPage + 1}
	before, _ := strconv.ParseInt(r.URL.Query().Get("before"), 10, 64)
	filter.Before = slipway.RunID(before)
	if view.Tag = r.URL.Query().Get("tag"); view.Tag != "" {
		filter.Tags = []string{view.Tag}
	}
	definitions, err := p.pipelines.Definitions(r.Context(), v.Project.ID)
	if err != nil {
		return err
	}
	chosen, _ := strconv.ParseInt(r.URL.Query().Get("definitionId"), 10, 64)
	for _, d := range definitions {
		row, err := p.pipelineRow(r.Context(), v, d)
		if err != nil {
			return err
		}
		if d.ID == slipway.PipelineID(chosen) {
			view.Chosen, filter.Pipeline = &row, d.ID
		}
		view.Pipelines = append(view.Pipelines, row)
	}
	if chosen != 0 && view.Chosen == nil {
		return slipway.NotFound("there is no pipeline %d in this project", chosen)
	}
	if view.Chosen != nil {
		if err := p.addTriggers(r.Context(), &view); err != nil {
			return err
		}
		if err := p.addCaches(r.Context(), v, &view); err != nil {
			return err
		}
	}
	runs, err := p.pipelines.List(r.Context(), filter)
	if err != nil {
		return err
	}
	if len(runs) > runsOnPage {
		runs = runs[:runsOnPage]
		query := url.Values{"before": {runs[len(runs)-1].ID.String()}}
		if chosen != 0 {
			query.Set("definitionId", strconv.FormatInt(chosen, 10))
		}
		if view.Tag != "" {
			query.Set("tag", view.Tag)
		}
		view.Older = v.URL("_build") + "?" + query.Encode()
	}
	for i := range runs {
		view.Runs = append(view.Runs, p.runRow(r.Context(), v, &runs[i]))
	}
	return p.Render(w, r, v.Titled("Pipelines", "pipelines"), pipelinesPage(view))
}

func (p pipelinesPages) pipelineRow(ctx context.Context, v View, d pipelines.Definition) (pipelineRow, error) {
	row := pipelineRow{ID: d.ID, Name: d.Name, Path: d.Path, Disabled: d.Disabled, URL: pipelineURL(v, d.ID)}
	if d.RetryLost != nil {
		row.RetryLost = strconv.Itoa(*d.RetryLost)
	}
	runs, err := p.pipelines.List(ctx, pipelines.RunFilter{Pipeline: d.ID, Limit: 1})
	if err != nil {
		return row, err
	}
	if len(runs) > 0 {
		latest := p.runRow(ctx, v, &runs[0])
		row.Latest = &latest
	}
	schedules, err := p.pipelines.Schedules(ctx, d.ID)
	if err != nil {
		return row, err
	}
	if len(schedules) > 0 && !d.Disabled {
		row.Next = schedules[0].Next
	}
	return row, nil
}

// changePipeline changes the settings of a pipeline.
func (p pipelinesPages) changePipeline(w http.ResponseWriter, r *http.Request, v View) error {
	id, _ := strconv.ParseInt(r.FormValue("definitionId"), 10, 64)
	d, err := p.pipelines.Definition(r.Context(), slipway.PipelineID(id))
	if err == nil && d.Project != v.Project.ID {
		err = slipway.NotFound("there is no pipeline %d in this project", id)
	}
	if err != nil {
		return err
	}
	d.Disabled, d.RetryLost = r.FormValue("disabled") != "", nil
	if text := strings.TrimSpace(r.FormValue("retryLost")); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return slipway.Invalid("retry jobs whose pod is lost: %q is not a number", text)
		}
		d.RetryLost = &n
	}
	if err := p.pipelines.ChangeDefinition(r.Context(), d); err != nil {
		return err
	}
	return p.Redirect(w, r, fmt.Sprintf("%s?definitionId=%d", v.URL("_build"), d.ID))
}

// addTriggers shows what will start runs of the chosen pipeline: its schedules, and pushes that wait.
func (p pipelinesPages) addTriggers(ctx context.Context, view *pipelinesView) error {
	schedules, err := p.pipelines.Schedules(ctx, view.Chosen.ID)
	if err != nil {
		return err
	}
	for _, s := range schedules {
		row := scheduleRow{Name: s.DisplayName, Branch: branchName(s.Ref), Cron: s.Cron, When: "if something changed", Next: s.Next, Passed: s.Passed, PassedReason: s.PassedReason}
		switch {
		case s.Always:
			row.When = "always"
		case s.Batch:
			row.When = "if something changed and no run of it is under way"
		}
		view.Schedules = append(view.Schedules, row)
	}
	waiting, err := p.pipelines.WaitingPushes(ctx, view.Chosen.ID)
	for _, ref := range slices.Sorted(maps.Keys(waiting)) {
		view.Waiting = append(view.Waiting, waitingRow{Branch: branchName(ref), Pushes: waiting[ref]})
	}
	return err
}

func (p pipelinesPages) runRow(ctx context.Context, v View, run *pipelines.Run) runRow {
	return runRow{URL: runURL(v, run.ID), Number: run.Number, Title: run.Title, Pipeline: run.PipelineName, Branch: branchName(run.Ref), Reason: reasonWords(run),
		State: runState(run), Who: run.Actor.Name, Commit: run.Commit, CommitURL: p.commitURL(ctx, v, run.Repository, run.Commit), Queued: run.Queued, Took: span(run.Started, run.Finished)}
}

// commitURL is the page of a commit, "" if its repository is gone.
func (p pipelinesPages) commitURL(ctx context.Context, v View, repository slipway.RepositoryID, commit slipway.CommitID) string {
	if p.repos == nil {
		return ""
	}
	repo, err := p.repos.Get(ctx, repository)
	if err != nil {
		return ""
	}
	return v.URL("_git", repo.Name, "commit", commit)
}

func runState(run *pipelines.Run) string {
	if run.Result == "" && run.Canceled {
		return "canceling"
	}
	if run.Waiting {
		return "waiting"
	}
	return stateWord(string(run.State), string(run.Result))
}

func reasonWords(run *pipelines.Run) string {
	switch run.Reason {
	case "IndividualCI":
		return "push"
	case "BatchedCI":
		return "batched push"
	case "Schedule":
		return strings.TrimSpace("schedule " + run.ScheduleName)
	case "Manual":
		return "by hand"
	case "ResourceTrigger":
		return resourceWords(run.Trigger)
	case "PullRequest":
		return "pull request"
	}
	return strings.ToLower(run.Reason)
}

// resourceWords say what a resource did that started a run.
func resourceWords(trigger string) string {
	switch trigger {
	case "run":
		return "after another pipeline"
	case "image":
		return "new image"
	case "push":
		return "push to another repository"
	case "package":
		return "new package"
	case "webhook":
		return "webhook"
	}
	return "resource"
}

// span is the time from begin to end, or to now while something runs.
func span(begin, end time.Time) string {
	if begin.IsZero() {
		return ""
	}
	if end.IsZero() {
		end = time.Now()
	}
	return Duration(end.Sub(begin))
}

// found is the run that the request names, if it is one of the project.
func (p pipelinesPages) found(r *http.Request, v View) (*pipelines.Timeline, error) {
	text := r.FormValue("buildId")
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, slipway.Invalid("%q is no run's number", text)
	}
	t, err := p.pipelines.Timeline(r.Context(), slipway.RunID(id))
	if err == nil && t.Run.Project != v.Project.ID {
		err = slipway.NotFound("there is no run %d in this project", id)
	}
	return t, err
}

func (p pipelinesPages) change(w http.ResponseWriter, r *http.Request, v View) error {
	t, err := p.found(r, v)
	if err != nil {
		return err
	}
	switch do := r.FormValue("do"); do {
	case "cancel":
		err = p.pipelines.Cancel(r.Context(), t.Run.ID, v.Caller.Actor)
	case "retry":
		err = p.pipelines.RetryFailed(r.Context(), t.Run.ID, v.Caller.Actor)
	case "retry-stage":
		err = p.pipelines.Retry(r.Context(), t.Run.ID, schedule.Again{Stage: r.FormValue("stage")}, v.Caller.Actor)
	case "rerun-stage":
		err = p.pipelines.Retry(r.Context(), t.Run.ID, schedule.Again{Stage: r.FormValue("stage"), All: true}, v.Caller.Actor)
	case "rerun-job":
		err = p.pipelines.Retry(r.Context(), t.Run.ID, schedule.Again{Stage: r.FormValue("stage"), Job: r.FormValue("job")}, v.Caller.Actor)
	case "start-stage":
		err = p.pipelines.StartStage(r.Context(), t.Run.ID, r.FormValue("stage"))
	case "retain", "release":
		err = p.pipelines.Retain(r.Context(), &t.Run, v.Caller.Actor, do == "retain")
	case "add-tag":
		_, err = p.pipelines.ChangeTags(r.Context(), t.Run.ID, []string{r.FormValue("tag")}, nil)
	case "remove-tag":
		_, err = p.pipelines.ChangeTags(r.Context(), t.Run.ID, nil, []string{r.FormValue("tag")})
	case "delete":
		return p.deleteRun(w, r, v, &t.Run)
	case "decide":
		err = p.decide(r, v, t)
	case "resume", "reject":
		err = p.validate(r, v, t.Run.ID, do == "resume")
	default:
		err = slipway.Invalid("%q is nothing that can be done with a run", do)
	}
	if err != nil {
		return err
	}
	return p.Redirect(w, r, runURL(v, t.Run.ID))
}

// validate resumes or rejects a run that waits at a manual validation.
func (p pipelinesPages) validate(r *http.Request, v View, run slipway.RunID, resume bool) error {
	id, err := strconv.ParseInt(r.FormValue("validation"), 10, 64)
	if err != nil {
		return slipway.Invalid("%q is no validation's number", r.FormValue("validation"))
	}
	known, err := p.pipelines.Validation(r.Context(), id)
	if err == nil && known.Run != run {
		err = slipway.NotFound("there is no validation %d in this run", id)
	}
	if err != nil {
		return err
	}
	by := pipelines.Decider{Actor: v.Caller.Actor}
	if by.Kind == slipway.ActorUser {
		user, err := p.identity.User(r.Context(), slipway.UserID(by.ID))
		if err != nil {
			return err
		}
		by.Email = user.Email
	}
	_, err = p.pipelines.Validate(r.Context(), by, id, resume, r.FormValue("comment"))
	return err
}

type groupsView struct {
	Groups    []pipelines.Group
	URL       string
	MayChange bool
}

func (p pipelinesPages) groups(w http.ResponseWriter, r *http.Request, v View) error {
	view := groupsView{URL: v.URL("_library")}
	view.MayChange = p.identity.Authorize(r.Context(), v.Caller, identity.Administer, v.Project.ID) == nil
	var err error
	if view.Groups, err = p.pipelines.Groups(r.Context(), v.Project.ID); err != nil {
		return err
	}
	return p.Render(w, r, v.Titled("Variable groups", "pipelines"), groupsPage(view))
}

// changeGroup sets or removes one variable, or makes or removes a group.
func (p pipelinesPages) changeGroup(w http.ResponseWriter, r *http.Request, v View) error {
	groups, err := p.pipelines.Groups(r.Context(), v.Project.ID)
	if err != nil {
		return err
	}
	g := pipelines.Group{Project: v.Project.ID, Name: strings.TrimSpace(r.FormValue("group"))}
	for _, one := range groups {
		if strings.EqualFold(one.Name, g.Name) {
			g = one
		}
	}
	name := strings.TrimSpace(r.FormValue("name"))
	switch r.FormValue("do") {
	case "delete-group":
		if err := p.pipelines.DeleteGroup(r.Context(), v.Project.ID, g.ID, v.Caller.Actor); err != nil {
			return err
		}
		return p.Redirect(w, r, v.URL("_library"))
	case "delete":
		g.Variables = withoutVariable(g.Variables, name)
	default:
		if name != "" {
			g.Variables = append(withoutVariable(g.Variables, name), pipelines.GroupVariable{Name: name, Value: r.FormValue("value"), Secret: r.FormValue("secret") != ""})
		}
	}
	if _, err := p.pipelines.PutGroup(r.Context(), g, v.Caller.Actor); err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_library"))
}

func withoutVariable(list []pipelines.GroupVariable, name string) []pipelines.GroupVariable {
	kept := list[:0:0]
	for _, v := range list {
		if !strings.EqualFold(v.Name, name) {
			kept = append(kept, v)
		}
	}
	return kept
}

// stageTitle is the title of a stage as a box shows it.
func stageTitle(t *pipelines.TimelineStage) string {
	if t.Name == plan.DefaultStage {
		return "Jobs"
	}
	return t.Title
}
