package web

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

type pullRow struct {
	ID                                 slipway.PullRequestID
	Title, URL, Source, Target, Author string
	State                              string
	Labels                             []string
	When                               time.Time
}

type pullsView struct {
	codeView
	Status       string // active, mine, review, completed, abandoned, all
	Query        url.Values
	Text         string
	Author       string // a user's id
	Target       string // a branch
	Label        string
	People       []identity.Member
	Rows         []pullRow
	Newer, Older string // addresses, empty when there are none
	NewURL       string // empty for those who may not
}

// ListURL is the list with another value.
func (v pullsView) ListURL(name, value string) string {
	q := url.Values{}
	for key, list := range v.Query {
		if key != "page" {
			q[key] = list
		}
	}
	q.Set(name, value)
	return v.URL("_git", v.Repo, "pullrequests") + "?" + q.Encode()
}

// pullLists are the lists in the order of the page, with Azure Repos' names in the address.
var pullLists = [][2]string{{"active", "active"}, {"mine", "mine"}, {"review", "to review"}, {"completed", "completed"}, {"abandoned", "abandoned"}, {"all", "all"}}

const pullsPerPage = 50

// pullFilter chooses what the address asks for.
func (p codePages) pullFilter(r *http.Request, view *pullsView) (repos.PullRequestFilter, error) {
	filter := repos.PullRequestFilter{Project: view.View.Project.ID, Repository: view.id, Creator: slipway.UserID(view.Author), Label: view.Label, Text: view.Text,
		Limit: pullsPerPage + 1}
	if view.Target != "" {
		filter.Target = "refs/heads/" + view.Target
	}
	switch view.Status {
	case "active", "":
		view.Status, filter.Status = "active", repos.PullRequestActive
	case "mine":
		filter.Status, filter.Creator = repos.PullRequestActive, slipway.UserID(view.Caller.ID)
	case "review":
		filter.Status, filter.Reviewer, filter.Waiting = repos.PullRequestActive, slipway.UserID(view.Caller.ID), true
	case "completed", "abandoned":
		filter.Status = repos.PullRequestStatus(view.Status)
	case "all":
	default:
		return filter, slipway.Invalid("pull requests are active, completed or abandoned, not %q", view.Status)
	}
	page, _ := strconv.Atoi(r.FormValue("page"))
	filter.Skip = max(page, 0) * pullsPerPage
	if page > 0 {
		view.Newer = view.ListURL("page", strconv.Itoa(page-1))
	}
	return filter, nil
}

// pulls is the list of pull requests.
func (p codePages) pulls(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.open(r, v, "pullrequests")
	if err != nil {
		return err
	}
	view := pullsView{codeView: c, Status: r.FormValue("_a"), Text: r.FormValue("q"), Author: r.FormValue("author"), Target: branchName(r.FormValue("target")),
		Label: r.FormValue("label"), Query: url.Values{}}
	for _, name := range []string{"_a", "q", "author", "target", "label"} {
		if value := r.FormValue(name); value != "" {
			view.Query.Set(name, value)
		}
	}
	filter, err := p.pullFilter(r, &view)
	if err != nil {
		return err
	}
	list, err := p.repos.PullRequests(r.Context(), filter)
	if err != nil {
		return err
	}
	if len(list) > pullsPerPage {
		list = list[:pullsPerPage]
		page, _ := strconv.Atoi(r.FormValue("page"))
		view.Older = view.ListURL("page", strconv.Itoa(max(page, 0)+1))
	}
	if err := p.addPullRows(r, &view, list); err != nil {
		return err
	}
	if view.People, err = p.contributors(r, v); err != nil {
		return err
	}
	if v.SignedIn() && !c.Empty {
		view.NewURL = c.URL("_git", c.Repo, "pullrequestcreate")
	}
	return p.Render(w, r, v.Titled("Pull requests", "repos"), pullsPage(view))
}

func (p codePages) addPullRows(r *http.Request, view *pullsView, list []repos.PullRequest) error {
	ids := make([]slipway.PullRequestID, len(list))
	for i, one := range list {
		ids[i] = one.ID
	}
	labels, err := p.repos.Labels(r.Context(), ids...)
	if err != nil {
		return err
	}
	for _, one := range list {
		row := pullRow{ID: one.ID, Title: one.Title, URL: view.pullURL(one.ID), Source: forkedName(one), Target: one.TargetBranch(), Author: one.CreatedBy.Name,
			State: pullState(one), When: one.Created}
		for _, l := range labels[one.ID] {
			row.Labels = append(row.Labels, l.Name)
		}
		view.Rows = append(view.Rows, row)
	}
	return nil
}

// forkedName is the source branch of a pull request, with the name of its fork before it as in git's hosts: Shop:topic.
func forkedName(p repos.PullRequest) string {
	if p.FromFork() {
		return p.ForkName + ":" + p.SourceBranch()
	}
	return p.SourceBranch()
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

// count is a number beside a name; empty for none.
func count(n int) string {
	if n == 0 {
		return ""
	}
	return " " + strconv.Itoa(n)
}
