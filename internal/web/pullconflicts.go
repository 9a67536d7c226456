package web

import (
	"net/http"
	"strings"

	"slipway"
	"slipway/internal/repos"
)

// conflictsView is the page on which conflicts are resolved.
type conflictsView struct {
	Source, Target string
	Files          []conflictFile
}

type conflictFile struct {
	Path     string
	Text     string // with git's marks; empty where the file cannot be edited here
	Editable bool
	What     string // what the two branches did to it, in words
}

// conflicts lists what keeps a pull request from being merged.
func (p codePages) conflicts(r *http.Request, pull repos.PullRequest) (conflictsView, error) {
	view := conflictsView{Source: string(pull.SourceCommit), Target: string(pull.TargetCommit)}
	if pull.Status != repos.PullRequestActive || pull.MergeStatus != repos.MergeConflicts {
		return view, nil
	}
	found, err := p.repos.PullRequestConflicts(r.Context(), pull)
	for _, f := range found.Files {
		one := conflictFile{Path: f.Path, Text: string(f.Text), Editable: f.Text != nil}
		switch {
		case f.Source.Missing():
			one.What = pull.SourceBranch() + " deleted it, and " + pull.TargetBranch() + " changed it"
		case f.Target.Missing():
			one.What = pull.TargetBranch() + " deleted it, and " + pull.SourceBranch() + " changed it"
		case f.Base.Missing():
			one.What = "both branches added it"
		default:
			one.What = "both branches changed it"
		}
		view.Files = append(view.Files, one)
	}
	return view, err
}

// resolveConflicts makes a merge commit of what the form chose for each file.
func (p codePages) resolveConflicts(r *http.Request, v View, pull repos.PullRequest) error {
	who, err := p.author(r, v)
	if err != nil {
		return err
	}
	ask := repos.ResolveRequest{PullRequest: pull.ID, Source: slipway.CommitID(r.FormValue("source")), Target: slipway.CommitID(r.FormValue("target")),
		Message: formText(r, "message"), Author: who, Actor: v.Caller.Actor}
	for _, path := range r.Form["path"] {
		one := repos.Resolution{Path: path}
		switch choice := r.FormValue("choose:" + path); choice {
		case "source":
			one.Choose = repos.Right
		case "target":
			one.Choose = repos.Left
		case "edit":
			one.Text = []byte(strings.ReplaceAll(r.FormValue("text:"+path), "\r\n", "\n"))
		default:
			return slipway.Invalid("choose what becomes of %s", path)
		}
		ask.Files = append(ask.Files, one)
	}
	_, err = p.repos.ResolveConflicts(r.Context(), ask)
	return err
}
