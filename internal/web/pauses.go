package web

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/coder/websocket"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/terminal"
)

func (p pipelinesPages) addPausePages() {
	s := p.Server
	s.Project("GET", "/_build/terminal", identity.Contribute, p.terminal)
	s.Project("GET", "/_build/terminal/socket", identity.Contribute, p.terminalSocket)
}

// pauseRow is a job's wait at a step that failed.
type pauseRow struct {
	Job              slipway.JobID
	Where, Step, Why string
	State            string // how it ended
	Who              string // decided
	Terminal         string // URL
	Started, Expires time.Time
	MayDecide        bool
}

// terminalRow is a terminal that somebody had.
type terminalRow struct {
	Where, Who, Took, Note string
	Opened                 time.Time
	Open                   bool
}

// pausesView is what people did by hand in a run that stops at failures.
type pausesView struct {
	Minutes   int // for which a job waits in all; 0 when the run does not stop
	Waiting   []pauseRow
	Over      []pauseRow
	Terminals []terminalRow
}

// decisionWords say in the past what somebody decided.
var decisionWords = map[job.Decision]string{
	job.DecisionRerun: "ran the step again", job.DecisionContinue: "let the job go on", job.DecisionSucceed: "let the step count as succeeded",
	job.DecisionEnd: "ended the job",
}

func (p pipelinesPages) pausesOf(ctx context.Context, v View, t *pipelines.Timeline, mayDecide bool) (pausesView, error) {
	minutes, err := p.pipelines.StopMinutes(ctx, t.Run.ID)
	view := pausesView{Minutes: minutes}
	if err != nil || minutes == 0 {
		return view, err
	}
	titles := map[slipway.JobID]string{}
	for i := range t.Stages {
		for k := range t.Stages[i].Jobs {
			titles[t.Stages[i].Jobs[k].ID] = t.Stages[i].Jobs[k].Title
		}
	}
	where := func(id slipway.JobID) string {
		if title, ok := titles[id]; ok {
			return title
		}
		return "an earlier attempt, job " + id.String()
	}
	pauses, err := p.pipelines.Pauses(ctx, t.Run.ID)
	if err != nil {
		return view, err
	}
	terminals, err := p.pipelines.Terminals(ctx, t.Run.ID)
	if err != nil {
		return view, err
	}
	for i := range pauses {
		one := &pauses[i]
		row := pauseRow{Job: one.Job, Where: where(one.Job), Step: one.Title, Why: one.Reason, State: string(one.State), Started: one.Started, Expires: one.Expires,
			MayDecide: mayDecide, Terminal: fmt.Sprintf("%s?buildId=%d&j=%d", v.URL("_build", "terminal"), one.Run, one.Job)}
		switch one.State {
		case job.PauseDecided:
			row.Who, row.State = one.Actor.Name, decisionWords[one.Decision]
		case job.PauseExpired:
			row.State = "nobody decided in time"
		case job.PauseCanceled:
			row.State = "the job ended"
		}
		if one.State != job.PauseWaiting {
			view.Over = append(view.Over, row)
			continue
		}
		view.Waiting = append(view.Waiting, row)
	}
	for i := range terminals {
		one := &terminals[i]
		row := terminalRow{Where: where(one.Job), Who: one.Actor.Name, Note: one.Note, Opened: one.Opened, Open: one.Closed.IsZero()}
		if !row.Open {
			row.Took = Duration(one.Closed.Sub(one.Opened))
		}
		view.Terminals = append(view.Terminals, row)
	}
	return view, nil
}

// decide says what a job does that waits at a step that failed.
func (p pipelinesPages) decide(r *http.Request, v View, t *pipelines.Timeline) error {
	id, err := jobOf(r, t, "job")
	if err != nil {
		return err
	}
	_, err = p.pipelines.DecidePause(r.Context(), v.Caller.Actor, id, job.Decision(r.FormValue("decision")))
	return err
}

// jobOf is the job that the request names, if it is one of the run.
func jobOf(r *http.Request, t *pipelines.Timeline, name string) (slipway.JobID, error) {
	id, _ := strconv.ParseInt(r.FormValue(name), 10, 64)
	for i := range t.Stages {
		for k := range t.Stages[i].Jobs {
			if j := &t.Stages[i].Jobs[k]; id != 0 && j.ID == slipway.JobID(id) {
				return j.ID, nil
			}
		}
	}
	return 0, slipway.NotFound("this run has no such job")
}

type terminalView struct {
	Title, Run, Number, Socket, Step string
	Script, Fit, Style, Main         string
}

// terminal is the page with a terminal in a job that waits.
func (p pipelinesPages) terminal(w http.ResponseWriter, r *http.Request, v View) error {
	t, err := p.found(r, v)
	if err != nil {
		return err
	}
	id, err := jobOf(r, t, "j")
	if err != nil {
		return err
	}
	waiting, err := p.pipelines.WaitingPause(r.Context(), id)
	if err != nil {
		return err
	}
	view := terminalView{Title: "Terminal in job " + id.String(), Run: runURL(v, t.Run.ID), Number: t.Run.PipelineName + " " + t.Run.Number, Step: waiting.Title,
		Socket: fmt.Sprintf("%s?buildId=%d&j=%d", v.URL("_build", "terminal", "socket"), t.Run.ID, id),
		Script: asset("xterm/xterm.js"), Fit: asset("xterm/addon-fit.js"), Style: asset("xterm/xterm.css"), Main: asset("terminal.js")}
	return p.Render(w, r, v.Titled(view.Title, "pipelines"), terminalPage(view))
}

// terminalSocket joins the page's web socket with a shell in the job. The page cannot read why a socket is refused, so it is told
// through one.
func (p pipelinesPages) terminalSocket(w http.ResponseWriter, r *http.Request, v View) error {
	t, err := p.found(r, v)
	if err != nil {
		return err
	}
	id, err := jobOf(r, t, "j")
	if err != nil {
		return err
	}
	opened, refused := p.pipelines.OpenTerminal(r.Context(), v.Caller.Actor, id)
	conn, err := websocket.Accept(w, r, nil) // which refuses pages of other hosts
	switch {
	case err != nil && refused == nil:
		opened.Abandon(r.Context())
	case err != nil: // it has answered
	case refused != nil:
		httpx.LogError(p.logger, r, refused)
		terminal.Finish(conn, httpx.Problem(r, refused).Message)
	default:
		opened.Serve(r.Context(), conn)
	}
	return nil
}

// stopMinutes is what the form says about stopping at failures.
func stopMinutes(stop, minutes string) int {
	if stop == "" {
		return 0
	}
	if minutes == "" {
		return job.DefaultStopMinutes
	}
	n, err := strconv.Atoi(minutes)
	if err != nil || n == 0 {
		return -1 // which the request's check refuses
	}
	return n
}
