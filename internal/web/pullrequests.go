package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/boards"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/repos"
)

// newPullURL is the form for a pull request of the branch.
func (c codeView) newPullURL(source string) string {
	return c.URL("_git", c.Repo, "pullrequestcreate") + "?" + url.Values{"sourceRef": {source}}.Encode()
}

// pullURL is the page of a pull request.
func (c codeView) pullURL(id slipway.PullRequestID) string {
	return c.URL("_git", c.Repo, "pullrequest", id)
}

type pullRow struct {
	ID                                 slipway.PullRequestID
	Title, URL, Source, Target, Author string
	State                              string
	When                               time.Time
}

type pullsView struct {
	codeView
	Status string // active, completed, abandoned, all
	Rows   []pullRow
	NewURL string // empty for those who may not
}

// StatusURL is the list of the other state.
func (v pullsView) StatusURL(status string) string {
	return v.URL("_git", v.Repo, "pullrequests") + "?_a=" + status
}

const pullsShown = 200

func (p codePages) pulls(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.open(r, v, "pullrequests")
	if err != nil {
		return err
	}
	view := pullsView{codeView: c, Status: r.FormValue("_a")}
	filter := repos.PullRequestFilter{Project: v.Project.ID, Repository: c.id, Limit: pullsShown}
	switch view.Status {
	case "", "active", "mine": // Azure Repos' addresses
		view.Status, filter.Status = "active", repos.PullRequestActive
	case "completed", "abandoned":
		filter.Status = repos.PullRequestStatus(view.Status)
	case "all":
	default:
		return slipway.Invalid("pull requests are active, completed or abandoned, not %q", view.Status)
	}
	list, err := p.repos.PullRequests(r.Context(), filter)
	if err != nil {
		return err
	}
	for _, one := range list {
		view.Rows = append(view.Rows, pullRow{ID: one.ID, Title: one.Title, URL: c.pullURL(one.ID), Source: one.SourceBranch(), Target: one.TargetBranch(),
			Author: one.CreatedBy.Name, State: pullState(one), When: one.Created})
	}
	if c.MayEdit && !c.Empty {
		view.NewURL = c.URL("_git", c.Repo, "pullrequestcreate")
	}
	return p.Render(w, r, v.Titled("Pull requests", "repos"), pullsPage(view))
}

// pullState is a pull request's state in one word for a badge.
func pullState(p repos.PullRequest) string {
	switch {
	case p.Status != repos.PullRequestActive:
		return string(p.Status)
	case p.Draft:
		return "draft"
	case p.MergeStatus == repos.MergeConflicts:
		return "conflicts"
	}
	return string(p.Status)
}

type newPullView struct {
	codeView
	Source, Target     string
	Branches           []string
	Title, Description string
	Commits            []commitRow
	More               bool
	Diff               diffView
	Why                string // nothing can be asked for; empty when it can
}

// newPull is the form, with what the pull request would bring.
func (p codePages) newPull(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.open(r, v, "pullrequests")
	if err != nil {
		return err
	}
	view := newPullView{codeView: c, Source: branchName(r.FormValue("sourceRef")), Target: branchName(r.FormValue("targetRef"))}
	if view.Target == "" {
		view.Target = c.Default
	}
	branches, err := p.repos.Branches(r.Context(), c.id)
	if err != nil {
		return err
	}
	for _, b := range branches[:min(len(branches), 1000)] {
		view.Branches = append(view.Branches, b.Name)
	}
	if err := p.compare(r, &view); err != nil {
		return err
	}
	return p.Render(w, r, v.Titled("New pull request", "repos"), newPullPage(view))
}

// compare fills in what the source has and the target has not.
func (p codePages) compare(r *http.Request, view *newPullView) error {
	if view.Source == "" || view.Source == view.Target {
		view.Why = "Choose the branch with your changes, and the one that is to get them."
		return nil
	}
	ctx := r.Context()
	source, err := p.repos.Resolve(ctx, view.id, "refs/heads/"+view.Source)
	if err != nil {
		return err
	}
	target, err := p.repos.Resolve(ctx, view.id, "refs/heads/"+view.Target)
	if err != nil {
		return err
	}
	would := repos.PullRequest{Repository: view.id, SourceCommit: source, TargetCommit: target}
	commits, more, err := p.repos.PullRequestCommits(ctx, would)
	if err != nil {
		return err
	}
	if len(commits) == 0 {
		view.Why = "Branch " + view.Source + " has no commit that " + view.Target + " has not."
		return nil
	}
	view.More = more
	for _, one := range commits {
		view.Commits = append(view.Commits, view.row(one))
	}
	view.Title = view.Source
	if len(commits) == 1 {
		view.Title, view.Description = commits[0].Subject(), commits[0].Body()
	}
	d, err := p.repos.PullRequestDiff(ctx, would)
	if err != nil {
		return err
	}
	at := view.codeView
	at.Version = "GB" + view.Source
	view.Diff = at.newDiff(d)
	return nil
}

func (p codePages) createPull(w http.ResponseWriter, r *http.Request, v View) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxPullForm)
	c, err := p.open(r, v, "pullrequests")
	if err != nil {
		return err
	}
	pull, err := p.repos.CreatePullRequest(r.Context(), repos.NewPullRequest{Repository: c.id, Source: r.FormValue("sourceRef"), Target: r.FormValue("targetRef"),
		Title: r.FormValue("title"), Description: formText(r, "description"), Draft: r.FormValue("draft") != "", Actor: v.Caller.Actor})
	if err != nil {
		return err
	}
	return p.Redirect(w, r, c.pullURL(pull.ID))
}

// maxPullForm bounds the forms about pull requests, in bytes.
const maxPullForm = 256 << 10

// formText is a text area's text with the line ends of files.
func formText(r *http.Request, name string) string {
	return strings.TrimSpace(strings.ReplaceAll(r.FormValue(name), "\r\n", "\n"))
}

type reviewerRow struct {
	ID, Name, Vote, Tone string
	Required, Removable  bool
}

type iterationRow struct {
	Number            int
	Commit, CommitURL string
	By                string
	When              time.Time
}

type pullItemRow struct{ Label, Title, State, URL string }

type pullRunRow struct{ Label, State, URL string }

type pullView struct {
	codeView
	repos.PullRequest
	State       string
	Shows       string          // overview, files, commits
	Text        templ.Component // nil without a description
	Reviewers   []reviewerRow
	Iterations  []iterationRow
	Items       []pullItemRow
	Runs        []pullRunRow // of the trial merge, newest first
	Threads     []threadView
	Ask         askView // a thread about the whole
	Commits     []commitRow
	MoreCommits bool
	Diff        diffView
	TraceURL    string
	MergedURL   string // the page of the commit that the target got
	MayVote     bool
	Policies    []repos.Evaluation
	People      []identity.Member // who can be asked to review
	MayBypass   bool
}

// PartURL is another part of the page.
func (v pullView) PartURL(part string) string { return v.pullURL(v.ID) + "?_a=" + part }

// openPull finds the pull request of the address.
func (p codePages) openPull(r *http.Request, v View) (codeView, repos.PullRequest, error) {
	c, err := p.open(r, v, "pullrequests")
	if err != nil {
		return c, repos.PullRequest{}, err
	}
	id, err := strconv.ParseInt(chi.URLParam(r, "pull"), 10, 64)
	if err != nil {
		return c, repos.PullRequest{}, slipway.NotFound("there is no pull request %q", chi.URLParam(r, "pull"))
	}
	pull, err := p.repos.PullRequest(r.Context(), slipway.PullRequestID(id))
	if err == nil && pull.Repository != c.id {
		err = slipway.NotFound("repository %s has no pull request %d", c.Repo, id)
	}
	return c, pull, err
}

func (p codePages) pull(w http.ResponseWriter, r *http.Request, v View) error {
	c, pull, err := p.openPull(r, v)
	if err != nil {
		return err
	}
	view := pullView{codeView: c, PullRequest: pull, State: pullState(pull), Shows: r.FormValue("_a"), MayVote: c.MayEdit && v.SignedIn(),
		TraceURL: v.URL("_trace") + "?thing=" + url.QueryEscape(slipway.Ref(slipway.RefPullRequest, pull.ID).String())}
	if pull.Status == repos.PullRequestCompleted {
		view.MergedURL = c.CommitURL(pull.MergeCommit)
	}
	switch view.Shows {
	case "files":
		err = p.addPullDiff(r, &view)
	case "commits":
		err = p.addPullCommits(r, &view)
	case "", "overview":
		view.Shows = "overview"
		err = p.addPullOverview(r, &view)
	default:
		err = slipway.NotFound("a pull request has an overview, files and commits, but no %q", view.Shows)
	}
	if err != nil {
		return err
	}
	return p.Render(w, r, v.Titled(pull.Title, "repos"), pullPage(view))
}

func (p codePages) addPullDiff(r *http.Request, view *pullView) error {
	d, err := p.repos.PullRequestDiff(r.Context(), view.PullRequest)
	if err != nil {
		return err
	}
	at := view.codeView
	at.Version = "GC" + string(view.SourceCommit)
	view.Diff = at.newDiff(d)
	if err := p.addLineCoverage(r.Context(), view); err != nil {
		return err
	}
	return p.addLineThreads(r, view)
}

func (p codePages) addPullCommits(r *http.Request, view *pullView) error {
	commits, more, err := p.repos.PullRequestCommits(r.Context(), view.PullRequest)
	if err != nil {
		return err
	}
	view.MoreCommits = more
	for _, one := range commits {
		view.Commits = append(view.Commits, view.row(one))
	}
	return nil
}

func (p codePages) addPullOverview(r *http.Request, view *pullView) error {
	ctx := r.Context()
	if view.Description != "" {
		view.Text = p.markdown.render(linkedMentions(view.View, view.Description))
	}
	voters, err := p.repos.Reviewers(ctx, view.ID)
	if err != nil {
		return err
	}
	for _, one := range voters {
		view.Reviewers = append(view.Reviewers, reviewerRow{ID: one.Actor.ID, Name: one.Actor.Name, Vote: one.Vote.String(), Tone: voteTone(one.Vote),
			Required: one.Required, Removable: view.MayVote && one.Policy == 0 && view.Status == repos.PullRequestActive})
	}
	if err := p.addPolicies(r, view); err != nil {
		return err
	}
	iterations, err := p.repos.Iterations(ctx, view.ID)
	if err != nil {
		return err
	}
	for i := len(iterations) - 1; i >= 0; i-- { // newest first
		one := iterations[i]
		view.Iterations = append(view.Iterations, iterationRow{one.Number, one.SourceCommit.Short(), view.CommitURL(one.SourceCommit), one.CreatedBy.Name, one.Created})
	}
	items, err := p.boards.List(ctx, boards.Filter{Project: view.View.Project.ID, Reference: slipway.Ref(slipway.RefPullRequest, view.ID), Limit: 100})
	if err != nil {
		return err
	}
	if view.Threads, err = p.threads(ctx, view); err != nil {
		return err
	}
	view.Ask = askView{Action: view.pullURL(view.ID)}
	runs, err := p.runs.List(ctx, pipelines.RunFilter{Project: view.View.Project.ID, Ref: view.MergeRef(), Limit: 20})
	if err != nil {
		return err
	}
	for _, run := range runs {
		view.Runs = append(view.Runs, pullRunRow{run.PipelineName + " " + run.Number, runState(&run), fmt.Sprintf("%s?buildId=%d", view.URL("_build", "results"), run.ID)})
	}
	for _, i := range items {
		view.Items = append(view.Items, pullItemRow{string(i.Type) + " " + i.ID.String(), i.Title, string(i.State), view.URL("_workitems", "edit", i.ID)})
	}
	return nil
}

// linkedMentions makes Markdown links of the work items that a text mentions.
func linkedMentions(v View, text string) string {
	return workItemMention.ReplaceAllStringFunc(text, func(mention string) string {
		return "[" + mention + "](" + v.URL("_workitems", "edit", strings.TrimPrefix(mention, "AB#")) + ")"
	})
}

func voteTone(v repos.Vote) string {
	switch {
	case v > 0:
		return "good"
	case v == repos.VoteWaitingForAuthor:
		return "waiting"
	case v < 0:
		return "bad"
	}
	return "plain"
}

// changePull does what the page's buttons ask for.
func (p codePages) changePull(w http.ResponseWriter, r *http.Request, v View) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxPullForm)
	c, pull, err := p.openPull(r, v)
	if err != nil {
		return err
	}
	ctx, by := r.Context(), v.Caller.Actor
	update := func(change repos.PullRequestChange) error {
		_, err := p.repos.UpdatePullRequest(ctx, by, pull.ID, change)
		return err
	}
	status := func(s repos.PullRequestStatus) error { return update(repos.PullRequestChange{Status: &s}) }
	switch do := r.FormValue("do"); do {
	case "vote":
		err = p.vote(r, v, pull.ID)
	case "thread", "comment", "delete-comment", "thread-status":
		return p.discuss(w, r, c, v, pull)
	case "complete":
		err = p.completePull(r, v, pull)
	case "auto", "auto-cancel":
		err = p.autoComplete(r, v, pull, do == "auto")
	case "add-reviewer":
		err = p.repos.SetReviewer(ctx, by, pull.ID, r.FormValue("reviewer"), r.FormValue("required") != "")
	case "remove-reviewer":
		err = p.repos.RemoveReviewer(ctx, by, pull.ID, r.FormValue("reviewer"))
	case "abandon":
		err = status(repos.PullRequestAbandoned)
	case "reactivate":
		err = status(repos.PullRequestActive)
	case "publish", "draft":
		draft := do == "draft"
		err = update(repos.PullRequestChange{Draft: &draft})
	case "edit":
		title, description := strings.TrimSpace(r.FormValue("title")), formText(r, "description")
		err = update(repos.PullRequestChange{Title: &title, Description: &description})
	default:
		err = slipway.Invalid("%q is nothing that can be done with a pull request", do)
	}
	if err != nil {
		return err
	}
	return p.Redirect(w, r, c.pullURL(pull.ID))
}

func (p codePages) vote(r *http.Request, v View, id slipway.PullRequestID) error {
	if err := userCaller(v); err != nil {
		return err
	}
	vote, err := strconv.Atoi(r.FormValue("vote"))
	if err != nil {
		return slipway.Invalid("%q is no vote", r.FormValue("vote"))
	}
	return p.repos.VotePullRequest(r.Context(), v.Caller.Actor, id, repos.Vote(vote))
}
