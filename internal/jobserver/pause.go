package jobserver

import (
	"context"
	"net/http"
	"strconv"

	"github.com/coder/websocket"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/jobwire"
	"slipway/internal/pipelines/job"
)

func pauseNumber(r *http.Request) (int, error) {
	n, err := strconv.Atoi(r.PathValue("number"))
	if err != nil {
		return 0, slipway.Invalid("pause %q is no number", r.PathValue("number"))
	}
	return n, nil
}

func (s *server) putPause(w http.ResponseWriter, r *http.Request, c call) error {
	var p job.Pause
	if err := httpx.ReadJSON(w, r, maxQuery, &p); err != nil {
		return err
	}
	var err error
	if p.Number, err = pauseNumber(r); err != nil {
		return err
	}
	now, err := s.Pipelines.PutPause(r.Context(), c.id, p)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, now)
	return nil
}

// getPause answers when somebody has decided or asks for a terminal, and else after some seconds.
func (s *server) getPause(w http.ResponseWriter, r *http.Request, c call) error {
	number, err := pauseNumber(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), jobwire.WaitTime(r, maxWait))
	defer cancel()
	changes, end := s.Pipelines.Watch(c.principal.Binding.Run)
	defer end()
	for {
		news, err := s.Pipelines.PauseNews(r.Context(), c.id, number)
		if err != nil {
			return err
		}
		if news.State != job.PauseWaiting || len(news.Terminals) > 0 || ctx.Err() != nil {
			httpx.WriteJSON(w, http.StatusOK, news)
			return nil
		}
		nextLook(ctx, changes)
	}
}

// terminal takes the shell's end of a terminal that somebody waits for.
func (s *server) terminal(w http.ResponseWriter, r *http.Request, c call) error {
	id := r.PathValue("terminal")
	if err := s.Pipelines.ExpectTerminal(c.id, id); err != nil {
		return err
	}
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return nil // it has answered
	}
	defer conn.CloseNow()
	if err := s.Pipelines.AttendTerminal(r.Context(), c.id, id, conn); err != nil {
		_ = conn.Close(websocket.StatusPolicyViolation, "nobody waits for this terminal")
	}
	return nil
}
