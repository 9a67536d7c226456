package web

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/repos"
	"slipway/internal/repos/policy"
)

// policyPages are the page Branch policies of a repository, and what pull requests ask of policies.
type policyPages struct {
	codePages
	pipelines pipelineNames
	validate  Validate
}

// pipelineNames is what these pages need of pipelines.
type pipelineNames interface {
	Definitions(ctx context.Context, project slipway.ProjectID) ([]pipelines.Definition, error)
}

// Validate queues the run that a branch policy wants; the loop does.
type Validate func(ctx context.Context, w repos.WantedBuild, by slipway.Actor) (slipway.RunID, error)

// AddPolicies serves branch policies.
func (s *Server) AddPolicies(r *repos.Service, p pipelineNames, validate Validate) {
	pages := policyPages{codePages{Server: s, repos: r}, p, validate}
	s.Project("GET", "/_git/{repo}/policies", identity.Read, pages.show)
	s.Project("POST", "/_git/{repo}/policies", identity.Administer, pages.change)
	s.Project("POST", "/_git/{repo}/pullrequest/{pull}/validate", identity.Contribute, pages.queue)
}

// policyRow is a policy as its form shows it; ID is 0 for a new one.
type policyRow struct {
	ID                int64
	Kind              policy.Kind
	Title, Branches   string
	Branch            string // as people write it: main, release/*, empty for the default branch
	All               bool   // of all repositories of the project
	Enabled, Blocking bool
	policy.Settings
}

type choice struct {
	ID, Name string
	Chosen   bool
}

type policiesView struct {
	codeView
	Rows      []policyRow
	New       []policyRow // a form for each kind
	Pipelines []pipelines.Definition
	People    []identity.Member // who can review
	Bypasses  []repos.Bypass
	MayChange bool
}

// Action is where the forms go.
func (v policiesView) Action() string { return v.URL("_git", v.Repo) + "/policies" }

// Reviewers are the people to choose for a policy.
func (v policiesView) Reviewers(chosen []string) []choice {
	var all []choice
	for _, m := range v.People {
		all = append(all, choice{string(m.ID), m.Name, slices.Contains(chosen, string(m.ID))})
	}
	return all
}

// Posters are those whose statuses a policy may go by alone: people, and runs of pipelines.
func (v policiesView) Posters(chosen string) []choice {
	all := v.Reviewers([]string{chosen})
	for _, d := range v.Pipelines {
		id := "pipeline:" + d.ID.String()
		all = append(all, choice{id, "runs of the pipeline " + d.Name + " for the pull request", id == chosen})
	}
	return all
}

func (p policyPages) show(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.open(r, v, "policies")
	if err != nil {
		return err
	}
	view := policiesView{codeView: c, MayChange: p.identity.Authorize(r.Context(), v.Caller, identity.Administer, v.Project.ID) == nil}
	all, err := p.repos.Policies(r.Context(), v.Project.ID)
	if err != nil {
		return err
	}
	for _, one := range all {
		if one.Scope.Repository == "" || one.Scope.Repository == c.id {
			view.Rows = append(view.Rows, newPolicyRow(one))
		}
	}
	for _, kind := range policy.Kinds() {
		s := policy.Settings{MinimumApproverCount: 1, AllowNoFastForward: true, QueueOnSourceUpdateOnly: true, ValidDuration: 720}
		if kind != policy.MinimumReviewers {
			s.MinimumApproverCount = 0
		}
		view.New = append(view.New, policyRow{Kind: kind, Title: kind.Title(), Enabled: true, Blocking: true, Settings: s})
	}
	if view.Pipelines, err = p.pipelines.Definitions(r.Context(), v.Project.ID); err != nil {
		return err
	}
	view.Pipelines = slices.DeleteFunc(view.Pipelines, func(d pipelines.Definition) bool { return d.Repository != c.id })
	if view.People, err = p.contributors(r, v); err != nil {
		return err
	}
	if view.Bypasses, err = p.repos.Bypasses(r.Context(), c.id); err != nil {
		return err
	}
	return p.Render(w, r, v.Titled("Branch policies", "repos"), policiesPage(view))
}

// contributors are those who can review.
func (p codePages) contributors(r *http.Request, v View) ([]identity.Member, error) {
	all, err := p.identity.Members(r.Context(), v.Project.ID)
	return slices.DeleteFunc(all, func(m identity.Member) bool { return m.Disabled || m.Role == identity.RoleReader && !m.Administrator }), err
}

func newPolicyRow(p policy.Policy) policyRow {
	row := policyRow{ID: p.ID, Kind: p.Kind, Title: p.Title(), Branches: p.Scope.String(), All: p.Scope.Repository == "", Enabled: p.Enabled, Blocking: p.Blocking,
		Settings: p.Settings}
	if p.Scope.Match != policy.DefaultBranch {
		row.Branch = p.Scope.String()
	}
	return row
}

// change does what the page's forms ask for.
func (p policyPages) change(w http.ResponseWriter, r *http.Request, v View) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxPullForm)
	c, err := p.open(r, v, "policies")
	if err != nil {
		return err
	}
	ctx, by := r.Context(), v.Caller.Actor
	id, _ := strconv.ParseInt(r.FormValue("policy"), 10, 64)
	switch do := r.FormValue("do"); do {
	case "save":
		one := formPolicy(r, v, c)
		if err = p.nameBuild(r.Context(), v, &one); err != nil {
			return err
		}
		if one.ID = id; id == 0 {
			_, err = p.repos.CreatePolicy(ctx, by, one)
		} else {
			_, err = p.repos.UpdatePolicy(ctx, by, one)
		}
	case "delete":
		err = p.repos.DeletePolicy(ctx, by, v.Project.ID, id)
	case "bypass":
		err = p.repos.SetBypass(ctx, by, c.id, slipway.UserID(r.FormValue("user")), r.FormValue("completion") != "", r.FormValue("push") != "")
	default:
		err = slipway.Invalid("%q is nothing that can be done with policies", do)
	}
	if err != nil {
		return err
	}
	return p.Redirect(w, r, c.URL("_git", c.Repo)+"/policies")
}

// nameBuild gives a build policy its pipeline's name when the form has none.
func (p policyPages) nameBuild(ctx context.Context, v View, one *policy.Policy) error {
	if one.Kind != policy.Build || one.Settings.DisplayName != "" {
		return nil
	}
	list, err := p.pipelines.Definitions(ctx, v.Project.ID)
	for _, d := range list {
		if int64(d.ID) == one.Settings.BuildDefinitionID {
			one.Settings.DisplayName = d.Name
		}
	}
	return err
}

// formPolicy is what a form of the page says.
func formPolicy(r *http.Request, v View, c codeView) policy.Policy {
	text := func(name string) string { return strings.TrimSpace(r.FormValue(name)) }
	number := func(name string) int {
		n, _ := strconv.Atoi(text(name)) // what is no number is refused as 0 where it matters
		return n
	}
	on := func(name string) bool { return r.FormValue(name) != "" }
	p := policy.Policy{Project: v.Project.ID, Kind: policy.Kind(text("kind")), Enabled: on("enabled"), Blocking: on("blocking")}
	if p.Scope.Repository = c.id; on("all") {
		p.Scope.Repository = ""
	}
	branch := text("branch")
	switch prefix, isPrefix := strings.CutSuffix(branch, "*"); {
	case branch == "":
		p.Scope.Match = policy.DefaultBranch
	case isPrefix:
		p.Scope.Match, p.Scope.Ref = policy.Prefix, "refs/heads/"+strings.TrimPrefix(prefix, "refs/heads/")
	default:
		p.Scope.Match, p.Scope.Ref = policy.Exact, "refs/heads/"+strings.TrimPrefix(branch, "refs/heads/")
	}
	p.Settings = policy.Settings{
		MinimumApproverCount: number("approvers"), CreatorVoteCounts: on("creator"), AllowDownvotes: on("downvotes"), ResetOnSourcePush: text("reset") == "approvals",
		ResetRejectionsOnSourcePush: text("reset") == "all", RequireVoteOnLastIteration: on("last"), BlockLastPusherVote: on("pusher"),
		BuildDefinitionID: int64(number("pipeline")), DisplayName: text("display"), ManualQueueOnly: on("manual"), QueueOnSourceUpdateOnly: p.Kind == policy.Build && text("valid") != "now",
		FilenamePatterns: patterns(r.FormValue("paths")), StatusName: text("status"), StatusGenre: text("genre"), InvalidateOnSourceUpdate: on("invalidate"),
		AuthorID: text("author"), DefaultDisplayName: text("statusDisplay"), AllowNoFastForward: on("noFastForward"), AllowSquash: on("squash"), AllowRebase: on("rebase"),
		AllowRebaseMerge: on("rebaseMerge"), RequiredReviewerIDs: r.Form["reviewer"], Message: text("message"),
	}
	if on("posted") {
		p.Settings.PolicyApplicability = 1
	}
	if text("valid") == "hours" {
		p.Settings.ValidDuration = float64(number("hours")) * 60
	}
	return p
}

// patterns are path filters, a line or a semicolon between them.
func patterns(text string) []string {
	var all []string
	for _, one := range strings.FieldsFunc(text, func(c rune) bool { return c == ';' || c == '\n' || c == '\r' }) {
		if one = strings.TrimSpace(one); one != "" {
			all = append(all, one)
		}
	}
	return all
}

// queue queues a build that validates a pull request.
func (p policyPages) queue(w http.ResponseWriter, r *http.Request, v View) error {
	c, pull, err := p.openPull(r, v)
	if err != nil {
		return err
	}
	id, err := uuid.Parse(r.FormValue("evaluation"))
	if err != nil {
		return slipway.NotFound("there is no evaluation %q", r.FormValue("evaluation"))
	}
	e, of, err := p.repos.Evaluation(r.Context(), id)
	if err != nil {
		return err
	}
	if of.ID != pull.ID {
		return slipway.NotFound("pull request %s has no evaluation %s", chi.URLParam(r, "pull"), id)
	}
	wanted, err := p.repos.BuildAgain(r.Context(), e, pull)
	if err != nil {
		return err
	}
	if _, err := p.validate(r.Context(), wanted, v.Caller.Actor); err != nil {
		return err
	}
	return p.Redirect(w, r, c.pullURL(pull.ID))
}
