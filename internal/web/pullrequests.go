package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
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

const (
	maxPullForm    = 256 << 10 // bytes of the forms about pull requests
	maxResolveForm = 8 << 20   // of those that may hold the texts of files
)

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
	ReviewApps  []reviewRow
	State       string
	Shows       string          // overview, files, commits
	Text        templ.Component // nil without a description
	Reviewers   []reviewerRow
	Iterations  []iterationRow
	Items       []pullItemRow
	Runs        []pullRunRow // of the trial merge, newest first
	Threads     []threadView
	Ask         askView     // a thread about the whole
	Drafts      []draftNote // the reader's comments that wait to be submitted
	Commits     []pullCommit
	MoreCommits bool
	Files       filesView
	Failed      []testLink // tests that fail in the trial merge and not on the target
	FailedURL   string     // of the run
	TraceURL    string
	MergedURL   string // the page of the commit that the target got
	MayVote     bool
	MayWrite    bool     // comments, title and description
	MayDelete   bool     // the source branch
	Keeps       bool     // the source branch stays, since it is its repository's default one
	Targets     []string // branches that can get it instead
	ForkAt      crumb    // of one from a fork, for who may read that
	Policies    []repos.Evaluation
	People      []identity.Member // who can be asked to review
	MayBypass   bool
	Resolving   conflictsView
	Labels      []string
	Gone        bool // the source branch is not there any more
	Unlinked    int  // commits that name no work item
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
	labels, err := p.repos.Labels(r.Context(), pull.ID)
	if err != nil {
		return err
	}
	view := pullView{codeView: c, PullRequest: pull, State: pullState(pull), Shows: r.FormValue("_a"), MayVote: c.MayEdit && v.SignedIn(),
		TraceURL: v.URL("_trace") + "?thing=" + url.QueryEscape(slipway.Ref(slipway.RefPullRequest, pull.ID).String())}
	view.MayWrite = mayTakePart(c, pull) && v.SignedIn()
	if pull.FromFork() {
		if view.ForkAt, err = p.place(r.Context(), v, pull.Fork); err != nil {
			return err
		}
	}
	if view.MayDelete, err = p.repos.MayPushSource(r.Context(), pull, v.Caller.Actor); err != nil {
		return err
	}
	view.Keeps = !pull.FromFork() && pull.SourceBranch() == c.Default
	if pull.Status == repos.PullRequestCompleted {
		view.MergedURL = c.CommitURL(pull.MergeCommit)
	}
	for _, l := range labels[pull.ID] {
		view.Labels = append(view.Labels, l.Name)
	}
	switch view.Shows {
	case "files":
		var done bool
		if done, err = p.pullFiles(w, r, &view); done {
			return err
		}
	case "commits":
		err = p.addPullCommits(r, &view)
	case "conflicts":
		view.Resolving, err = p.conflicts(r, pull)
	case "", "overview":
		view.Shows = "overview"
		err = p.addPullOverview(r, &view)
	default:
		err = slipway.NotFound("a pull request has an overview, files, commits and conflicts, but no %q", view.Shows)
	}
	if err != nil {
		return err
	}
	return p.Render(w, r, v.Titled(pull.Title, "repos"), pullPage(view))
}

func (p codePages) addPullCommits(r *http.Request, view *pullView) error {
	commits, more, err := p.repos.PullRequestCommits(r.Context(), view.PullRequest)
	if err != nil {
		return err
	}
	view.MoreCommits = more
	for _, one := range commits {
		row := pullCommit{commitRow: view.row(one)}
		for _, m := range workItemMention.FindAllStringSubmatch(one.Message, -1) {
			row.Items = append(row.Items, crumb{m[0], view.URL("_workitems", "edit", m[1])})
		}
		if len(row.Items) == 0 {
			view.Unlinked++
		}
		view.Commits = append(view.Commits, row)
	}
	return nil
}

// pullCommit is a commit of a pull request with the work items that its message names.
type pullCommit struct {
	commitRow
	Items []crumb
}

func (p codePages) addPullOverview(r *http.Request, view *pullView) error {
	ctx := r.Context()
	if view.Status != repos.PullRequestActive {
		there, err := p.repos.HasSource(ctx, view.PullRequest)
		if err != nil {
			return err
		}
		view.Gone = !there
	}
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
	if view.MayVote && view.Status == repos.PullRequestActive {
		branches, err := p.repos.Branches(ctx, view.id)
		if err != nil {
			return err
		}
		for _, b := range branches[:min(len(branches), 1000)] {
			if b.Full != view.Target && (b.Full != view.Source || view.FromFork()) {
				view.Targets = append(view.Targets, b.Name)
			}
		}
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
	if err := p.addDiscussion(ctx, view, iterations); err != nil {
		return err
	}
	if p.reviewApps != nil {
		apps, err := p.reviewApps(ctx, view.ID, 0)
		if err != nil {
			return err
		}
		view.ReviewApps = reviewRows(view.View, apps)
	}
	if view.Failed, view.FailedURL, err = p.failedTests(ctx, view); err != nil {
		return err
	}
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

// addDiscussion fills in the threads, and what of the reader's waits to be submitted.
func (p codePages) addDiscussion(ctx context.Context, view *pullView, iterations []repos.Iteration) error {
	span, err := repos.SpanOf(iterations, 0, 0)
	if err != nil {
		return err
	}
	if view.Threads, err = p.threadsIn(ctx, view, span); err != nil {
		return err
	}
	view.Ask = view.newAsk("")
	if !view.SignedIn() {
		return nil
	}
	drafts, err := p.repos.Drafts(ctx, view.Caller.Actor, view.PullRequest, span)
	for _, d := range p.addAnswers(view, view.Threads, drafts) {
		view.Drafts = append(view.Drafts, p.draftNote(view, d))
	}
	return err
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
	r.Body = http.MaxBytesReader(w, r.Body, maxResolveForm)
	c, pull, err := p.openPull(r, v)
	if err != nil {
		return err
	}
	if !c.MayEdit && !(ownFork(c, pull) && ofAuthors[r.FormValue("do")]) {
		return p.identity.Authorize(r.Context(), v.Caller, identity.Contribute, v.Project.ID)
	}
	ctx, by := r.Context(), v.Caller.Actor
	update := func(change repos.PullRequestChange) error {
		_, err := p.repos.UpdatePullRequest(ctx, by, pull.ID, change)
		return err
	}
	status := func(s repos.PullRequestStatus) error { return update(repos.PullRequestChange{Status: &s}) }
	if slices.Contains(discussed, r.FormValue("do")) {
		return p.discuss(w, r, c, v, pull)
	}
	switch do := r.FormValue("do"); do {
	case "vote":
		err = p.vote(r, v, pull.ID)
	case "viewed":
		return p.markViewed(w, r, v, c, pull)
	case "complete":
		err = p.completePull(r, v, pull)
	case "auto", "auto-cancel":
		err = p.autoComplete(r, v, pull, do == "auto")
	case "add-reviewer":
		err = p.repos.SetReviewer(ctx, by, pull.ID, r.FormValue("reviewer"), r.FormValue("required") != "")
	case "remove-reviewer":
		err = p.repos.RemoveReviewer(ctx, by, pull.ID, r.FormValue("reviewer"))
	case "add-label":
		_, err = p.repos.AddLabel(ctx, by, pull.ID, r.FormValue("label"))
	case "remove-label":
		err = p.repos.RemoveLabel(ctx, by, pull, r.FormValue("label"))
	case "restore":
		err = p.repos.RestoreSource(ctx, by, pull.ID)
	case "resolve":
		err = p.resolveConflicts(r, v, pull)
	case "abandon":
		err = status(repos.PullRequestAbandoned)
	case "reactivate":
		err = status(repos.PullRequestActive)
	case "retarget":
		target := r.FormValue("target")
		err = update(repos.PullRequestChange{Target: &target})
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
