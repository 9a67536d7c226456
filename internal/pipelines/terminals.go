package pipelines

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/coder/websocket"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/pipelines/terminal"
)

// Terminal is one that somebody had in a job that waited at a step that failed.
type Terminal struct {
	ID     int64
	Run    slipway.RunID
	Job    slipway.JobID
	Step   int
	Actor  slipway.Actor
	Opened time.Time
	Closed time.Time // zero while it is open
	Typed  int64     // bytes
	Shown  int64
	Note   string // why it ended
}

func scanTerminal(row interface{ Scan(...any) error }, t *Terminal) error {
	var actor string
	var opened, closed int64
	if err := row.Scan(&t.ID, (*int64)(&t.Run), (*int64)(&t.Job), &t.Step, &actor, &opened, &closed, &t.Typed, &t.Shown, &t.Note); err != nil {
		return err
	}
	t.Opened, t.Closed = db.Time(opened), db.Time(closed)
	return decodeColumns(column{actor, &t.Actor})
}

// Terminals lists those of a run, oldest first, at most 1000.
func (s *Service) Terminals(ctx context.Context, run slipway.RunID) ([]Terminal, error) {
	const query = `SELECT id, run, job, step, actor, opened, closed, typed, shown, note FROM pipeline_terminals WHERE run = $1 ORDER BY id LIMIT 1000`
	list, err := db.List(ctx, s.db, scanTerminal, query, int64(run))
	if err != nil {
		return nil, fmt.Errorf("list terminals of run %d: %w", run, err)
	}
	return list, nil
}

// OpenTerminal is a terminal that waits for a person's web socket.
type OpenTerminal struct {
	service *Service
	session *terminal.Session
	row     Terminal
}

// OpenTerminal asks the agent of a job that waits at a step that failed for a terminal. The caller may queue runs of the project; it
// has to be a person. Serve must be called on what is returned. A job that has one open is a conflict.
func (s *Service) OpenTerminal(ctx context.Context, by slipway.Actor, id slipway.JobID) (*OpenTerminal, error) {
	if by.Kind != slipway.ActorUser {
		return nil, slipway.Forbidden("a terminal is for a person")
	}
	p, err := s.WaitingPause(ctx, id)
	if err != nil {
		return nil, err
	}
	session, err := s.terminals.Open(id)
	if err != nil {
		return nil, err
	}
	t := &OpenTerminal{service: s, session: session, row: Terminal{Run: p.Run, Job: id, Step: p.Step, Actor: by, Opened: s.clock.Now()}}
	if err := s.db.Tx(ctx, func(tx *db.Tx) error { return t.insert(ctx, tx, &p) }); err != nil {
		session.Close()
		return nil, err
	}
	s.changed(p.Run) // the agent's long poll
	return t, nil
}

func (t *OpenTerminal) insert(ctx context.Context, tx *db.Tx, p *Pause) error {
	const end = `UPDATE pipeline_terminals SET closed = $1, note = 'the server stopped' WHERE job = $2 AND closed = 0`
	if _, err := tx.ExecContext(ctx, end, db.Micros(t.row.Opened), int64(t.row.Job)); err != nil {
		return fmt.Errorf("end terminals of job %d: %w", t.row.Job, err)
	}
	actor, err := json.Marshal(t.row.Actor)
	if err != nil {
		return err
	}
	const insert = `INSERT INTO pipeline_terminals (run, job, step, actor, opened, closed, typed, shown, note) VALUES ($1, $2, $3, $4, $5, 0, 0, 0, '') RETURNING id`
	err = tx.QueryRowContext(ctx, insert, int64(t.row.Run), int64(t.row.Job), t.row.Step, string(actor), db.Micros(t.row.Opened)).Scan(&t.row.ID)
	if err != nil {
		return fmt.Errorf("record terminal of job %d: %w", t.row.Job, err)
	}
	return t.announce(ctx, tx, EventTerminalOpened, p.Title)
}

func (t *OpenTerminal) announce(ctx context.Context, tx *db.Tx, kind events.Kind, title string) error {
	run, err := getRun(ctx, tx, t.row.Run)
	if err != nil {
		return err
	}
	p := TerminalPayload{Run: run.ID, Number: run.Number, Job: t.row.Job, Terminal: t.row.ID, Step: t.row.Step, Title: title, Note: t.row.Note}
	if !t.row.Closed.IsZero() {
		p.Seconds = t.row.Closed.Sub(t.row.Opened).Seconds()
	}
	return t.service.announce(ctx, tx, &run, kind, t.row.Actor, p)
}

// Abandon records that the person's web socket never came.
func (t *OpenTerminal) Abandon(ctx context.Context) {
	t.close(ctx, terminal.End{Reason: "it was not opened"})
}

// Serve joins the person's web socket with a shell in the job until one of them ends, and records how long that was.
func (t *OpenTerminal) Serve(ctx context.Context, person *websocket.Conn) {
	t.session.Serve(ctx, person, func(end terminal.End) { t.close(ctx, end) })
}

func (t *OpenTerminal) close(ctx context.Context, end terminal.End) {
	t.session.Close()
	t.row.Closed, t.row.Typed, t.row.Shown, t.row.Note = t.service.clock.Now(), end.In, end.Out, cut(end.Reason, 500)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := t.service.db.Tx(ctx, func(tx *db.Tx) error {
		const update = `UPDATE pipeline_terminals SET closed = $1, typed = $2, shown = $3, note = $4 WHERE id = $5`
		if _, err := tx.ExecContext(ctx, update, db.Micros(t.row.Closed), t.row.Typed, t.row.Shown, t.row.Note, t.row.ID); err != nil {
			return err
		}
		return t.announce(ctx, tx, EventTerminalClosed, "")
	})
	if err != nil {
		t.service.Logger.Error("the end of a terminal is not recorded", "job", t.row.Job, "terminal", t.row.ID, "error", err)
	}
	t.service.changed(t.row.Run)
}

// ExpectTerminal refuses an agent's call for a terminal that nobody waits for.
func (s *Service) ExpectTerminal(id slipway.JobID, terminal string) error {
	return s.terminals.Expected(id, terminal)
}

// AttendTerminal gives a terminal its shell's end, and returns when it is over.
func (s *Service) AttendTerminal(ctx context.Context, id slipway.JobID, terminal string, conn *websocket.Conn) error {
	return s.terminals.Attend(ctx, id, terminal, conn)
}
