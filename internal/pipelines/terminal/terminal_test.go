package terminal_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/coder/websocket"

	"slipway"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/terminal"
)

// site serves the two ends of the terminals of a hub.
type site struct {
	*testing.T
	hub  *terminal.Hub
	url  string
	ends chan terminal.End
}

func newSite(t *testing.T, hub *terminal.Hub) *site {
	s := &site{T: t, hub: hub, ends: make(chan terminal.End, 10)}
	mux := http.NewServeMux()
	mux.HandleFunc("/person", func(w http.ResponseWriter, r *http.Request) {
		session, err := hub.Open(7)
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		session.Serve(r.Context(), conn, func(e terminal.End) { session.Close(); s.ends <- e })
	})
	mux.HandleFunc("/agent/{id}", func(w http.ResponseWriter, r *http.Request) {
		if err := hub.Expected(7, r.PathValue("id")); err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		_ = hub.Attend(r.Context(), 7, r.PathValue("id"), conn)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *site) dial(path string) *websocket.Conn {
	s.Helper()
	conn, _, err := websocket.Dial(s.Context(), s.url+path, nil)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { conn.CloseNow() })
	return conn
}

// waiting is the id of the terminal that waits for its agent.
func (s *site) waiting() string {
	for {
		if ids := s.hub.Waiting(7); len(ids) == 1 {
			return ids[0]
		}
		if s.Context().Err() != nil {
			s.Fatal("nobody waits")
		}
		runtime.Gosched()
	}
}

func (s *site) want(conn *websocket.Conn, kind websocket.MessageType, text string) {
	s.Helper()
	got, data, err := conn.Read(s.Context())
	if err != nil || got != kind || string(data) != text {
		s.Fatalf("%v %q, %v; want %v %q", got, data, err, kind, text)
	}
}

func (s *site) send(conn *websocket.Conn, kind websocket.MessageType, text string) {
	s.Helper()
	if err := conn.Write(s.Context(), kind, []byte(text)); err != nil {
		s.Fatal(err)
	}
}

func end(reason string) string {
	b, _ := json.Marshal(job.TerminalControl{Type: "end", Reason: reason})
	return string(b)
}

func TestTerminal(t *testing.T) {
	t.Parallel()
	s := newSite(t, &terminal.Hub{})
	person := s.dial("/person")
	id := s.waiting()
	agent := s.dial("/agent/" + id)
	s.send(person, websocket.MessageText, `{"type":"size","columns":97,"rows":31}`)
	s.want(agent, websocket.MessageText, `{"type":"size","columns":97,"rows":31}`)
	s.send(person, websocket.MessageBinary, "ls\r")
	s.want(agent, websocket.MessageBinary, "ls\r")
	s.send(agent, websocket.MessageBinary, "\xc3")
	s.send(agent, websocket.MessageBinary, "\xbc\r\n")
	s.want(person, websocket.MessageBinary, "\xc3")
	s.want(person, websocket.MessageBinary, "\xbc\r\n")
	if ids := s.hub.Waiting(7); len(ids) != 0 {
		t.Errorf("%v wait for an agent", ids)
	}
	for _, path := range []string{"/person", "/agent/" + id, "/agent/other"} {
		if conn, _, err := websocket.Dial(t.Context(), s.url+path, nil); err == nil {
			conn.CloseNow()
			t.Errorf("%s is let in twice", path)
		}
	}
	s.send(agent, websocket.MessageText, end("the shell ended"))
	s.want(person, websocket.MessageText, end("the shell ended"))
	if got, want := <-s.ends, (terminal.End{Reason: "the shell ended", In: 3, Out: 4, Attended: true}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestPersonLeaves(t *testing.T) {
	t.Parallel()
	s := newSite(t, &terminal.Hub{})
	person := s.dial("/person")
	agent := s.dial("/agent/" + s.waiting())
	if err := person.Close(websocket.StatusGoingAway, ""); err != nil {
		t.Error(err)
	}
	if _, _, err := agent.Read(t.Context()); err == nil {
		t.Error("the agent is not told")
	}
	if got := <-s.ends; got.Reason != "the person left" {
		t.Errorf("%+v", got)
	}
	again := s.dial("/person") // which another may open now
	s.dial("/agent/" + s.waiting())
	again.CloseNow()
	<-s.ends
}

func TestLimits(t *testing.T) {
	t.Parallel()
	s := newSite(t, &terminal.Hub{Patience: time.Millisecond, Idle: time.Millisecond})
	s.want(s.dial("/person"), websocket.MessageText, end("the job's agent did not call: the job is over, or its agent has lost the server"))
	if got := <-s.ends; got.Attended {
		t.Errorf("%+v", got)
	}
	idle := newSite(t, &terminal.Hub{Idle: time.Millisecond})
	person := idle.dial("/person")
	idle.dial("/agent/" + idle.waiting())
	idle.want(person, websocket.MessageText, end("nothing happened for 1ms"))
	if got := <-idle.ends; !got.Attended {
		t.Errorf("%+v", got)
	}
}

func TestServerEnds(t *testing.T) {
	t.Parallel()
	hub := &terminal.Hub{}
	session, err := hub.Open(7)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hub.Open(7); slipway.CodeOf(err) != slipway.CodeConflict {
		t.Errorf("a second one: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := make(chan terminal.End, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := websocket.Accept(w, r, nil); err == nil {
			session.Serve(ctx, conn, func(e terminal.End) { got <- e })
		}
	}))
	t.Cleanup(server.Close)
	conn, _, err := websocket.Dial(t.Context(), server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if _, data, err := conn.Read(t.Context()); err != nil || string(data) != end("the server ended the terminal") {
		t.Errorf("%s, %v", data, err)
	}
	if e := <-got; e.Reason != "the server ended the terminal" {
		t.Errorf("%+v", e)
	}
}
