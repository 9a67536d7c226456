package web

import (
	"bytes"
	"net/http"
	"strings"

	"slipway"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/diagnostic"
	"slipway/internal/pipelines/graph"
)

// draftView is what the editor says of a text while somebody types it.
type draftView struct {
	pipelines.Draft
	Path             string // of the file in the editor
	Errors, Warnings int
	Graph            string // of stages and jobs, "" if mistakes keep it from being drawn
}

// Verdict is the whole in a sentence.
func (v draftView) Verdict() string {
	if len(v.Pipelines) == 0 {
		return "No pipeline of this branch reads this file."
	}
	read := " Read by " + strings.Join(v.Pipelines, ", ") + "."
	switch {
	case v.Errors > 0:
		return "No run could start: " + plural(v.Errors, "mistake") + "." + read
	case v.Warnings > 0:
		return "It would run, with " + plural(v.Warnings, "warning") + "." + read
	default:
		return "It would run." + read
	}
}

// checkDraft answers with what would become of the pipelines if the form's text were committed.
func (p pipelinesPages) checkDraft(w http.ResponseWriter, r *http.Request, v View) error {
	r.Body = http.MaxBytesReader(w, r.Body, 4*maxEdited)
	c, err := codePages{Server: p.Server, repos: p.repos}.open(r, v, "files")
	if err != nil {
		return err
	}
	if c.Branch == "" {
		return slipway.Invalid("only a branch can be changed: choose one first")
	}
	if c.Empty || c.Path == "" {
		return nil // nothing to say yet
	}
	text := strings.ReplaceAll(r.FormValue("content"), "\r\n", "\n")
	draft, err := p.pipelines.CheckDraft(r.Context(), c.id, "refs/heads/"+c.Branch, c.Path, text, v.Caller.Actor)
	if err != nil {
		return err
	}
	view := draftView{Draft: draft, Path: c.Path}
	view.Errors, view.Warnings = diagnostic.Count(draft.Diagnostics)
	if draft.Plan != nil {
		var drawn bytes.Buffer
		if err := graph.Write(&drawn, graph.Text, graph.Of(draft.Plan)); err != nil {
			return err
		}
		view.Graph = drawn.String()
	}
	return draftPanel(view).Render(r.Context(), w)
}
