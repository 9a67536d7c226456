package web

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/repos"
)

// pickView is the form for a cherry-pick or a revert.
type pickView struct {
	codeView
	Kind        repos.PickKind
	Commit      string // what is picked
	Pull        slipway.PullRequestID
	What        string // in words
	Branches    []string
	Onto, Named string
	Failed      string // why it did not work; empty before
	Conflicts   []string
}

// Verb is the kind in people's words.
func (v pickView) Verb() string {
	if v.Kind == repos.Revert {
		return "Revert"
	}
	return "Cherry-pick"
}

// pickURL is the form for a cherry-pick or a revert of a commit, or of a pull request.
func (c codeView) pickURL(kind repos.PickKind, commit slipway.CommitID, pull slipway.PullRequestID) string {
	address := c.URL("_git", c.Repo, "pick") + "?kind=" + string(kind)
	if pull != 0 {
		return address + "&pull=" + pull.String()
	}
	return address + "&commit=" + string(commit)
}

// newPick reads what the address or the form names.
func (p codePages) newPick(r *http.Request, v View) (pickView, error) {
	c, err := p.open(r, v, "commits")
	if err != nil {
		return pickView{}, err
	}
	view := pickView{codeView: c, Kind: repos.PickKind(r.FormValue("kind")), Commit: r.FormValue("commit"), Onto: branchName(r.FormValue("onto")), Named: r.FormValue("branch")}
	if view.Kind != repos.Revert && view.Kind != repos.CherryPick {
		return view, slipway.Invalid("changes are reverted or cherry-picked, not %q", string(view.Kind))
	}
	name := "revert-"
	if view.Kind == repos.CherryPick {
		name = "cherry-pick-"
	}
	if number, err := strconv.ParseInt(r.FormValue("pull"), 10, 64); err == nil {
		pull, err := p.repos.PullRequest(r.Context(), slipway.PullRequestID(number))
		if err == nil && pull.Repository != c.id {
			err = slipway.NotFound("repository %s has no pull request %d", c.Repo, number)
		}
		if err != nil {
			return view, err
		}
		view.Pull, view.What = pull.ID, pull.Title
		name += pull.ID.String()
		if view.Onto == "" && view.Kind == repos.Revert {
			view.Onto = pull.TargetBranch()
		}
	} else {
		id, err := slipway.ParseCommitID(view.Commit)
		if err != nil {
			return view, err
		}
		commit, err := p.repos.Commit(r.Context(), c.id, id)
		if err != nil {
			return view, err
		}
		view.What = commit.Subject()
		name += id.Short()
	}
	if view.Onto == "" {
		view.Onto = c.Default
	}
	if view.Named == "" {
		view.Named = name
	}
	branches, err := p.repos.Branches(r.Context(), c.id)
	for _, b := range branches[:min(len(branches), 1000)] {
		view.Branches = append(view.Branches, b.Name)
	}
	return view, err
}

func (p codePages) pickForm(w http.ResponseWriter, r *http.Request, v View) error {
	view, err := p.newPick(r, v)
	if err != nil {
		return err
	}
	return p.Render(w, r, v.Titled(view.Verb(), "repos"), pickPage(view))
}

// pick makes the branch, and a pull request of it.
func (p codePages) pick(w http.ResponseWriter, r *http.Request, v View) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxPullForm)
	view, err := p.newPick(r, v)
	if err != nil {
		return err
	}
	who, err := p.author(r, v)
	if err != nil {
		return err
	}
	ask := repos.PickRequest{Repository: view.id, Kind: view.Kind, PullRequest: view.Pull, Onto: view.Onto, Branch: view.Named, Committer: who, Actor: v.Caller.Actor}
	text := fmt.Sprintf("%ss !%d.", view.Verb(), view.Pull)
	if view.Pull == 0 {
		ask.Commits = []slipway.CommitID{slipway.CommitID(view.Commit)}
		text = fmt.Sprintf("%ss %s.", view.Verb(), view.Commit)
	}
	done, err := p.repos.Pick(r.Context(), ask)
	if err != nil {
		return err
	}
	if done.Reason != "" {
		view.Failed, view.Conflicts = done.Reason, done.Conflicts
		return p.Render(w, r, v.Titled(view.Verb(), "repos"), pickPage(view))
	}
	title := view.What
	if view.Kind == repos.Revert {
		title = fmt.Sprintf("Revert %q", strings.TrimSpace(view.What))
	}
	pull, err := p.repos.CreatePullRequest(r.Context(), repos.NewPullRequest{Repository: view.id, Source: done.Branch, Target: done.Onto, Title: title, Description: text,
		Actor: v.Caller.Actor})
	if err != nil {
		return err
	}
	return p.Redirect(w, r, view.pullURL(pull.ID))
}
