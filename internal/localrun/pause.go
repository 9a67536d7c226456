package localrun

import (
	"context"
	"net/http"
	"strconv"

	"github.com/coder/websocket"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/terminal"
)

// Stopped is a job that waits at a step that failed.
type Stopped struct {
	Job    string // its name, "" for the only one
	Step   string
	Reason string // why the step failed

	url, token string
}

// Terminal opens a terminal in the job, which ends when its shell or the connection does.
func (s Stopped) Terminal(ctx context.Context) (*websocket.Conn, error) {
	options := &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + s.token}}}
	conn, _, err := websocket.Dial(ctx, s.url, options) //nolint:bodyclose // the library does
	return conn, err
}

// putPause keeps what the agent tells and asks what the job does. What was decided counts.
func (d *door) putPause(w http.ResponseWriter, r *http.Request, j *work) error {
	var p job.Pause
	if err := httpx.ReadJSON(w, r, maxBody, &p); err != nil {
		return err
	}
	number, err := strconv.Atoi(r.PathValue("number"))
	if err != nil || d.decide == nil {
		return slipway.Invalid("this run does not stop at failures")
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.pause.Number != number:
		j.pause, j.news = p, make(chan struct{})
		j.pause.Number = number
		var ctx context.Context
		ctx, j.forget = context.WithCancel(context.WithoutCancel(r.Context()))
		go d.ask(ctx, j, Stopped{Job: title(j.instance), Step: p.Title, Reason: p.Reason, url: "http://" + r.Host + "/_slipway/jobs/" + r.PathValue("job") + "/person", token: d.token}, number)
	case j.pause.State == job.PauseWaiting:
		if j.pause.State = p.State; p.State != job.PauseWaiting {
			j.forget()
		}
	}
	httpx.WriteJSON(w, http.StatusOK, j.pause)
	return nil
}

// ask lets somebody decide about one job at a time.
func (d *door) ask(ctx context.Context, j *work, s Stopped, number int) {
	d.asking.Lock()
	defer d.asking.Unlock()
	if ctx.Err() != nil {
		return // it was canceled meanwhile
	}
	decision := d.decide(ctx, s)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.pause.Number == number && j.pause.State == job.PauseWaiting {
		j.pause.State, j.pause.Decision, j.pause.By = job.PauseDecided, decision, "you"
		j.forget()
		close(j.news)
	}
}

// getPause answers when somebody has decided or wants a terminal, and else after some seconds.
func (d *door) getPause(w http.ResponseWriter, r *http.Request, j *work) error {
	ctx, cancel := context.WithTimeout(r.Context(), maxWait)
	defer cancel()
	for {
		j.mu.Lock()
		p, news := j.pause, j.news
		j.mu.Unlock()
		if p.Terminals = d.terminals.Waiting(j.assignment.Job); p.State != job.PauseWaiting || len(p.Terminals) > 0 || ctx.Err() != nil {
			httpx.WriteJSON(w, http.StatusOK, p)
			return nil
		}
		select {
		case <-ctx.Done():
		case <-news:
		}
	}
}

// openTerminal takes the person's end of a terminal.
func (d *door) openTerminal(w http.ResponseWriter, r *http.Request, j *work) error {
	session, err := d.terminals.Open(j.assignment.Job)
	if err != nil {
		return err
	}
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		session.Close()
		return nil // it has answered
	}
	j.mu.Lock()
	if j.pause.State == job.PauseWaiting {
		close(j.news) // the agent opens the other end
		j.news = make(chan struct{})
	}
	j.mu.Unlock()
	session.Serve(r.Context(), conn, func(terminal.End) { session.Close() })
	return nil
}

// attendTerminal takes the shell's end.
func (d *door) attendTerminal(w http.ResponseWriter, r *http.Request, j *work) error {
	id := r.PathValue("terminal")
	if err := d.terminals.Expected(j.assignment.Job, id); err != nil {
		return err
	}
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return nil // it has answered
	}
	defer conn.CloseNow()
	_ = d.terminals.Attend(r.Context(), j.assignment.Job, id, conn)
	return nil
}
