package web

import (
	"net/http"
	"slices"

	"slipway"
	"slipway/internal/repos"
	"slipway/internal/repos/policy"
)

// addPolicies fills in what policies say of a pull request, and who may do what about it.
func (p codePages) addPolicies(r *http.Request, view *pullView) error {
	if view.Status != repos.PullRequestActive {
		return nil
	}
	var err error
	if view.Policies, err = p.repos.Evaluations(r.Context(), view.PullRequest); err != nil {
		return err
	}
	if view.People, err = p.contributors(r, view.View); err != nil {
		return err
	}
	bypasses, err := p.repos.Bypasses(r.Context(), view.id)
	for _, b := range bypasses {
		view.MayBypass = view.MayBypass || b.Completion && string(b.User) == view.Caller.ID
	}
	return err
}

// Holds says that no policy keeps the pull request from being completed now.
func (v pullView) Holds() bool {
	return !slices.ContainsFunc(v.Policies, func(e repos.Evaluation) bool { return !e.State.Holds() && e.Policy.Blocking })
}

// Strategies are the ways in which the pull request may be completed by its policies; all for who may bypass those.
func (v pullView) Strategies() []string {
	all := []string{"noFastForward", "squash", "rebase", "rebaseMerge"}
	for _, e := range v.Policies {
		if e.Policy.Kind == policy.MergeTypes && e.Policy.Blocking && !v.MayBypass {
			allowed := e.Policy.Settings.Strategies()
			all = slices.DeleteFunc(all, func(s string) bool { return !slices.Contains(allowed, s) })
		}
	}
	return all
}

// formCompletion is how the form wants a pull request completed.
func formCompletion(r *http.Request) repos.Completion {
	return repos.Completion{Strategy: repos.MergeStrategy(r.FormValue("strategy")), Message: formText(r, "message"), DeleteSource: r.FormValue("delete") != "",
		ResolveItems: r.FormValue("resolve-items") != "",
		Bypass:       r.FormValue("bypass")}
}

func (p codePages) completePull(r *http.Request, v View, pull repos.PullRequest) error {
	who, err := p.author(r, v)
	if err != nil {
		return err
	}
	_, err = p.repos.CompletePullRequest(r.Context(), pull.ID, repos.CompleteRequest{Actor: v.Caller.Actor, Committer: who,
		Expect: slipway.CommitID(r.FormValue("expect")), Completion: formCompletion(r)})
	return err
}

// autoComplete asks that a pull request is completed when its policies hold, or no more.
func (p codePages) autoComplete(r *http.Request, v View, pull repos.PullRequest, on bool) error {
	if err := userCaller(v); err != nil {
		return err
	}
	var ask *repos.AutoComplete
	if on {
		who, err := p.author(r, v)
		if err != nil {
			return err
		}
		ask = &repos.AutoComplete{Completion: formCompletion(r), By: v.Caller.Actor, Committer: who}
		if r.FormValue("ignore-optional") != "" {
			evaluations, err := p.repos.Evaluations(r.Context(), pull)
			if err != nil {
				return err
			}
			for _, e := range evaluations {
				if !e.Policy.Blocking {
					ask.Ignore = append(ask.Ignore, e.Policy.ID)
				}
			}
		}
	}
	_, err := p.repos.SetAutoComplete(r.Context(), v.Caller.Actor, pull.ID, ask)
	return err
}
