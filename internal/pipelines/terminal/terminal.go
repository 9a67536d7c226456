// Package terminal joins the two ends of a terminal in a job: the web socket of a person and that of the job's agent, which calls,
// since the server cannot reach a job's pod. Both ends must call the same server. It keeps nothing: who had a terminal is the domain's
// to remember.
package terminal

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"slipway"
	"slipway/internal/pipelines/job"
)

// Hub knows the terminals that are open. It is safe for concurrent use; the zero value has the usual limits.
type Hub struct {
	// Idle is how long a terminal stays open in which nothing happens, 0 for 15 minutes. Patience is how long its agent may take to
	// call, 0 for 30 seconds.
	Idle, Patience time.Duration

	mu       sync.Mutex
	sessions map[slipway.JobID]*Session
}

// Session is one terminal.
type Session struct {
	ID  string
	Job slipway.JobID

	hub      *Hub
	agent    chan *websocket.Conn // takes the agent's end, once
	attended bool                 // guarded by hub.mu
	done     chan struct{}        // closed when it is over
}

// End is what became of a terminal.
type End struct {
	Reason   string
	In, Out  int64 // bytes typed and shown
	Attended bool  // a shell was there
}

const (
	pingInterval = 20 * time.Second
	pingLimit    = 15 * time.Second
)

// Open makes a terminal that waits for the job's agent. A job has one at a time.
func (h *Hub) Open(id slipway.JobID) (*Session, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sessions[id] != nil {
		return nil, slipway.Conflict("job %d has a terminal open already: close that one first", id)
	}
	if h.sessions == nil {
		h.sessions = map[slipway.JobID]*Session{}
	}
	s := &Session{ID: rand.Text(), Job: id, hub: h, agent: make(chan *websocket.Conn, 1), done: make(chan struct{})}
	h.sessions[id] = s
	return s, nil
}

// Close forgets the terminal. It is called once, by who opened it.
func (s *Session) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	delete(s.hub.sessions, s.Job)
	close(s.done)
}

// Waiting are the ids of the job's terminals that wait for its agent.
func (h *Hub) Waiting(id slipway.JobID) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.sessions[id]; s != nil && !s.attended {
		return []string{s.ID}
	}
	return nil
}

// Expected refuses an agent that nobody waits for.
func (h *Hub) Expected(job slipway.JobID, id string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.sessions[job]; s == nil || s.ID != id || s.attended {
		return slipway.NotFound("nobody waits for this terminal")
	}
	return nil
}

// Attend gives a terminal its agent's end, and returns when the terminal is over.
func (h *Hub) Attend(ctx context.Context, job slipway.JobID, id string, conn *websocket.Conn) error {
	h.mu.Lock()
	s := h.sessions[job]
	if s == nil || s.ID != id || s.attended {
		h.mu.Unlock()
		return slipway.NotFound("nobody waits for this terminal")
	}
	s.attended = true
	s.agent <- conn
	h.mu.Unlock()
	select {
	case <-s.done:
	case <-ctx.Done():
	}
	return nil
}

// Serve joins the person's end with the agent's until one of them ends, nothing happens for too long, or ctx ends. Then it calls over,
// tells the person why, and closes both ends.
func (s *Session) Serve(ctx context.Context, person *websocket.Conn, over func(End)) {
	person.SetReadLimit(job.MaxTerminalMessage)
	patience := time.NewTimer(cmp.Or(s.hub.Patience, 30*time.Second))
	defer patience.Stop()
	var end End
	select {
	case agent := <-s.agent:
		s.join(ctx, person, agent, over)
		return
	case <-patience.C:
		end.Reason = "the job's agent did not call: the job is over, or its agent has lost the server"
	case <-ctx.Done():
		end.Reason = "the server ended the terminal"
	}
	over(end)
	Finish(person, end.Reason)
}

// Finish tells the person why there is no terminal, or no longer, and closes the web socket.
func Finish(person *websocket.Conn, reason string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if text, err := json.Marshal(job.TerminalControl{Type: "end", Reason: reason}); err == nil && person.Write(ctx, websocket.MessageText, text) == nil {
		_ = person.Close(websocket.StatusNormalClosure, "")
	}
	person.CloseNow()
}

// join carries messages both ways.
func (s *Session) join(ctx context.Context, person, agent *websocket.Conn, over func(End)) {
	ctx, cancel := context.WithCancel(ctx)
	agent.SetReadLimit(job.MaxTerminalMessage)
	var in, out atomic.Int64
	reasons := make(chan string, 4) // the first one counts
	active := make(chan struct{}, 1)
	var group sync.WaitGroup
	group.Go(func() { reasons <- pass(ctx, person, agent, &in, active, "the person left") })
	group.Go(func() { reasons <- pass(ctx, agent, person, &out, active, "the job's agent ended the connection") })
	group.Go(func() { reasons <- alive(ctx, person, agent) })
	end := End{Reason: s.untilEnd(ctx, reasons, active), Attended: true}
	end.In, end.Out = in.Load(), out.Load()
	agent.CloseNow()
	over(end)
	Finish(person, end.Reason) // before ctx ends: that ends connections at once
	cancel()
	group.Wait()
}

// untilEnd waits for a reason to end.
func (s *Session) untilEnd(ctx context.Context, reasons <-chan string, active <-chan struct{}) string {
	limit := cmp.Or(s.hub.Idle, 15*time.Minute)
	idle := time.NewTimer(limit)
	defer idle.Stop()
	for {
		select {
		case reason := <-reasons:
			return reason
		case <-active:
			idle.Reset(limit)
		case <-idle.C:
			return fmt.Sprintf("nothing happened for %v", limit)
		case <-ctx.Done():
			return "the server ended the terminal"
		}
	}
}

// pass carries messages one way and returns why that ended.
func pass(ctx context.Context, from, to *websocket.Conn, count *atomic.Int64, active chan<- struct{}, gone string) string {
	for {
		kind, data, err := from.Read(ctx)
		if err != nil {
			return gone
		}
		select {
		case active <- struct{}{}:
		default:
		}
		if kind == websocket.MessageBinary {
			if count.Add(int64(len(data))) > job.MaxTerminalOutput {
				return fmt.Sprintf("more than %d MiB went through it", job.MaxTerminalOutput>>20)
			}
		} else {
			var c job.TerminalControl
			if json.Unmarshal(data, &c) == nil && c.Type == "end" {
				return c.Reason
			}
		}
		if err := to.Write(ctx, kind, data); err != nil {
			return "the other end is gone"
		}
	}
}

// alive asks both ends for a sign of life again and again.
func alive(ctx context.Context, ends ...*websocket.Conn) string {
	ticker := time.NewTicker(pingInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ""
		case <-ticker.C:
		}
		for _, end := range ends {
			limited, cancel := context.WithTimeout(ctx, pingLimit)
			err := end.Ping(limited)
			cancel()
			if err != nil {
				return "the connection was lost"
			}
		}
	}
}
