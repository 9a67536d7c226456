package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/coder/websocket"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
)

func (b buildRoutes) addPauseRoutes() {
	b.project("GET", "/slipway/pauses", identity.Read, b.listPauses)
	b.project("PATCH", "/slipway/jobs/{job}/pause", identity.Contribute, b.decidePause)
	b.project("GET", "/slipway/terminals", identity.Read, b.listTerminals)
	b.project("GET", "/slipway/jobs/{job}/terminal", identity.Contribute, b.openTerminal)
	b.project("POST", "/distributedtask/hubs/{hub}/plans/{plan}/jobs/{job}/oidctoken", identity.Contribute, b.identityToken)
}

// Pause is a job's wait at a step that failed.
type Pause struct {
	ID        int64      `json:"id"`
	Run       int64      `json:"run"`
	Job       int64      `json:"job"`
	Number    int        `json:"number"` // of the job's attempt, from 1
	Step      int        `json:"step"`
	Title     string     `json:"title"`
	Reason    string     `json:"reason"`
	Status    string     `json:"status"`             // waiting, decided, expired, canceled
	Decision  string     `json:"decision,omitempty"` // rerun, continue, succeed, end
	DecidedBy string     `json:"decidedBy,omitempty"`
	StartedOn *time.Time `json:"startedOn,omitempty"`
	ExpiresOn *time.Time `json:"expiresOn,omitempty"`
	EndedOn   *time.Time `json:"endedOn,omitempty"`
}

func pause(p pipelines.Pause) Pause {
	return Pause{ID: p.ID, Run: int64(p.Run), Job: int64(p.Job), Number: p.Number, Step: p.Step, Title: p.Title, Reason: p.Reason, Status: string(p.State),
		Decision: string(p.Decision), DecidedBy: p.Actor.Name, StartedOn: when(p.Started), ExpiresOn: when(p.Expires), EndedOn: when(p.Ended)}
}

// runOfQuery is the run that ?run= names, if it is one of the project.
func (b buildRoutes) runOfQuery(r request) (slipway.RunID, error) {
	id, err := strconv.ParseInt(r.URL.Query().Get("run"), 10, 64)
	if err != nil {
		return 0, slipway.Invalid("run %q is not a number", r.URL.Query().Get("run"))
	}
	run, err := b.pipelines.Get(r.Context(), slipway.RunID(id))
	if err == nil && run.Project != r.project.ID {
		err = slipway.NotFound("there is no run %d", id)
	}
	return run.ID, err
}

// listPauses lists what waits in the project, or all of ?run=.
func (b buildRoutes) listPauses(w http.ResponseWriter, r request) error {
	var found []pipelines.Pause
	var err error
	if r.URL.Query().Has("run") {
		var run slipway.RunID
		if run, err = b.runOfQuery(r); err == nil {
			found, err = b.pipelines.Pauses(r.Context(), run)
		}
	} else {
		found, err = b.pipelines.WaitingPauses(r.Context(), r.project.ID)
	}
	if err != nil {
		return err
	}
	var out []Pause
	for _, one := range found {
		out = append(out, pause(one))
	}
	return list(w, out)
}

// decidePause says what a job does that waits at a step that failed.
func (b buildRoutes) decidePause(w http.ResponseWriter, r request) error {
	j, _, err := b.job(r)
	if err != nil {
		return err
	}
	var body struct {
		Decision string `json:"decision"`
	}
	if err := httpx.ReadJSON(w, r.Request, 64<<10, &body); err != nil {
		return err
	}
	decided, err := b.pipelines.DecidePause(r.Context(), r.caller.Actor, j.ID, job.Decision(body.Decision))
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, pause(decided))
	return nil
}

// Terminal is one that somebody had in a job.
type Terminal struct {
	ID       int64      `json:"id"`
	Run      int64      `json:"run"`
	Job      int64      `json:"job"`
	Step     int        `json:"step"`
	User     string     `json:"user"`
	OpenedOn *time.Time `json:"openedOn,omitempty"`
	ClosedOn *time.Time `json:"closedOn,omitempty"`
	Typed    int64      `json:"typed"` // bytes
	Shown    int64      `json:"shown"`
	Note     string     `json:"note,omitempty"` // why it ended
}

// listTerminals lists those of ?run=.
func (b buildRoutes) listTerminals(w http.ResponseWriter, r request) error {
	run, err := b.runOfQuery(r)
	if err != nil {
		return err
	}
	found, err := b.pipelines.Terminals(r.Context(), run)
	if err != nil {
		return err
	}
	var out []Terminal
	for _, t := range found {
		out = append(out, Terminal{ID: t.ID, Run: int64(t.Run), Job: int64(t.Job), Step: t.Step, User: t.Actor.Name, OpenedOn: when(t.Opened),
			ClosedOn: when(t.Closed), Typed: t.Typed, Shown: t.Shown, Note: t.Note})
	}
	return list(w, out)
}

// openTerminal serves a terminal in a job that waits, as a web socket: binary messages are what is typed and shown, text messages
// job.TerminalControl.
func (b buildRoutes) openTerminal(w http.ResponseWriter, r request) error {
	j, _, err := b.job(r)
	if err != nil {
		return err
	}
	t, err := b.pipelines.OpenTerminal(r.Context(), r.caller.Actor, j.ID)
	if err != nil {
		return err
	}
	conn, err := websocket.Accept(w, r.Request, nil)
	if err != nil {
		t.Abandon(r.Context())
		return nil // it has answered
	}
	t.Serve(r.Context(), conn)
	return nil
}
