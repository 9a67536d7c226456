package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"slipway/internal/pipelines"
	"slipway/internal/pipelines/schedule"
)

// maxReplayed is how many stages, jobs and steps a run may have whose decisions are shown unasked: to decide again takes longer than
// in proportion.
const maxReplayed = 2000

// explainedOnPage is how many stages, jobs and steps the page shows at once.
const explainedOnPage = 1000

type explainView struct {
	Title, Run string
	Problems   []pipelines.FileProblem // of a file that nothing could begin of
	Rows       []explainRow
	Shown      string // which of them, "" for all
	More       string // the page with those that follow, "" for none
	Decisions  []pipelines.Decision
	Differ     int
	Replay     string // the page with the decisions, where it leaves them out
}

type explainRow struct {
	Kind, Name, State, Reason, Condition string
}

// explain says why everything in a run is as it is, and what was decided when.
func (p pipelinesPages) explain(w http.ResponseWriter, r *http.Request, v View) error {
	t, err := p.found(r, v)
	if err != nil {
		return err
	}
	view := explainView{Title: t.Run.PipelineName + " " + t.Run.Number, Run: runURL(v, t.Run.ID), Problems: t.Run.Problems}
	list, err := p.pipelines.Explain(r.Context(), t.Run.ID)
	if err != nil {
		return err
	}
	stage := "" // how the stage of what follows ended
	for _, e := range list {
		row := explainRow{Kind: "stage", Name: e.Title, State: stateWord(string(e.State), string(e.Result)), Reason: e.Reason, Condition: e.Condition}
		switch {
		case e.Step != "":
			row.Kind = "step"
		case e.Job != "":
			row.Kind = "job"
			if e.State == schedule.Pending && stage != "" {
				row.State = stage // as the page of the run says of jobs of a stage that did not begin
			}
		case e.State == schedule.Completed:
			stage = row.State
		default:
			stage = ""
		}
		view.Rows = append(view.Rows, row)
	}
	view.page(r, v)
	if len(list) > maxReplayed && r.URL.Query().Get("replay") == "" {
		view.Replay = v.URL("_build", "explain") + "?buildId=" + t.Run.ID.String() + "&replay=true"
	} else if len(list) > 0 {
		if view.Decisions, err = p.pipelines.Replay(r.Context(), t.Run.ID); err != nil {
			return err
		}
	}
	for _, d := range view.Decisions {
		if d.Difference != "" {
			view.Differ++
		}
	}
	return p.Render(w, r, v.Titled("Why: "+view.Title, "pipelines"), explainPage(view))
}

// page leaves the rows from the one that the request names, as many as a page shows.
func (view *explainView) page(r *http.Request, v View) {
	all := len(view.Rows)
	if all <= explainedOnPage {
		return
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("from")) // what is no number is the first page
	from = min(max(from, 1), all)
	last := min(from+explainedOnPage-1, all)
	view.Rows, view.Shown = view.Rows[from-1:last], fmt.Sprintf("%d to %d of %d stages, jobs and steps", from, last, all)
	if last < all {
		view.More = fmt.Sprintf("%s?buildId=%s&from=%d", v.URL("_build", "explain"), url.QueryEscape(r.FormValue("buildId")), last+1)
	}
}
