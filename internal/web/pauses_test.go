package web

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"slipway"
	"slipway/internal/agent"
	"slipway/internal/identity"
	"slipway/internal/jobserver"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/pipelinestest"
	"slipway/internal/pipelines/schedule"
)

// stoppingSite is the pages of pipelines with a run that stops at failures, whose only job has an agent of its own.
type stoppingSite struct {
	*pipelineSite
	run   slipway.RunID
	job   slipway.JobID
	agent chan error
}

func newStoppingSite(t *testing.T, steps string) *stoppingSite {
	t.Helper()
	ctx := context.Background()
	w := pipelinestest.Open(t, "Shop", "trigger: none\npool: x\nsteps:\n- checkout: none\n"+steps)
	session, _, err := w.Identity.SignIn(ctx, w.Administrator.Name, pipelinestest.Password)
	if err != nil {
		t.Fatal(err)
	}
	pages := New(w.Identity, w.Log, w.Logger, "http://slipway")
	pages.AddPipelines(w.Pipelines, Things{})
	mux := http.NewServeMux()
	mux.Handle("/_slipway/", jobserver.New(jobserver.Deps{Pipelines: w.Pipelines, Identity: w.Identity, Logger: w.Logger}))
	mux.Handle("/", pages.Handler())
	s := &stoppingSite{pipelineSite: &pipelineSite{T: t, Service: w.Pipelines, source: w.Source, server: httptest.NewServer(mux),
		client: &http.Client{Transport: withSession{identity.SessionCookie(session, false)}}}, agent: make(chan error, 1)}
	t.Cleanup(s.server.Close)
	d, err := w.Pipelines.CreateDefinition(ctx, pipelines.Definition{Project: w.Project.ID, Name: "shop", Repository: pipelinestest.RepositoryID, Path: pipelines.DefaultPath})
	if err != nil {
		t.Fatal(err)
	}
	s.get("/_build/queue?definitionId="+d.ID.String(), `name="stop"`, `name="stop-minutes"`)
	form := url.Values{"full": {"1"}, "pipeline": {d.ID.String()}, "branch": {"main"}, "stop": {"1"}, "stop-minutes": {"481"}}
	if body := s.posted("/_build/queue", form); !strings.Contains(body, "between 1 and 480 minutes") || !strings.Contains(body, `value="481"`) {
		t.Errorf("481 minutes:\n%s", body)
	}
	form.Set("stop-minutes", "45")
	s.posted("/_build/queue", form)
	runs, err := s.List(ctx, pipelines.RunFilter{})
	if err != nil || len(runs) != 1 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	s.run = runs[0].ID
	timeline, err := s.Timeline(ctx, s.run)
	if err != nil {
		t.Fatal(err)
	}
	s.job = timeline.Stages[0].Jobs[0].ID
	token, err := w.Identity.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenJob, Project: w.Project.ID, Binding: identity.Binding{Run: s.run, Job: s.job},
		Actor: slipway.Actor{Kind: slipway.ActorJob, ID: s.job.String()}})
	if err != nil {
		t.Fatal(err)
	}
	working, stop := context.WithCancel(ctx)
	folder := t.TempDir()
	go func() {
		s.agent <- agent.Run(working, agent.Config{URL: s.server.URL, Job: s.job, Token: token, Folder: folder, Patience: 10 * time.Second})
		close(s.agent)
	}()
	t.Cleanup(func() { stop(); <-s.agent })
	return s
}

// posted is the page that answers a form.
func (s *stoppingSite) posted(path string, form url.Values) string {
	s.Helper()
	resp, err := s.client.PostForm(s.server.URL+"/Shop"+path, form)
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.Fatal(err)
	}
	return string(b)
}

func (s *stoppingSite) waits() {
	s.until(s.run, func(*pipelines.Timeline) bool {
		_, err := s.WaitingPause(context.Background(), s.job)
		return err == nil
	})
}

// socket opens the web socket that a page of that origin opens.
func (s *stoppingSite) socket(path, origin string) (*websocket.Conn, error) {
	header := http.Header{}
	if origin != "" {
		header.Set("Origin", origin)
	}
	conn, _, err := websocket.Dial(context.Background(), s.server.URL+path, &websocket.DialOptions{HTTPClient: s.client, HTTPHeader: header})
	return conn, err
}

// shows reads from a terminal until it has shown the text, or ended with it.
func (s *stoppingSite) shows(conn *websocket.Conn, want string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for shown := ""; !strings.Contains(shown, want); {
		kind, data, err := conn.Read(ctx)
		if err != nil {
			s.Fatalf("%v; the terminal shows %q and not %q", err, shown, want)
		}
		var c job.TerminalControl
		if kind == websocket.MessageText {
			if err := json.Unmarshal(data, &c); err != nil || c.Type != "end" {
				s.Fatalf("%s, %v", data, err)
			}
			data = []byte(c.Reason)
		}
		shown += string(data)
	}
}

func TestTerminalOfPage(t *testing.T) {
	t.Parallel()
	s := newStoppingSite(t, "- bash: test -e fixed\n  displayName: Look <b>here</b>\n")
	s.waits()
	page := fmt.Sprintf("/_build/results?buildId=%d", s.run)
	s.get(page, "waits at a step that failed", "Look &lt;b&gt;here&lt;/b&gt;", "each job up to 45 minutes", "Open a terminal", `value="rerun"`, `value="continue"`, `value="succeed"`, `value="end"`)
	terminal := fmt.Sprintf("/_build/terminal?buildId=%d&j=%d", s.run, s.job)
	body := s.get(terminal, "Look &lt;b&gt;here&lt;/b&gt;", `id="terminal"`)
	for _, name := range []string{"xterm/xterm.js", "xterm/addon-fit.js", "xterm/xterm.css", "terminal.js"} {
		at := regexp.MustCompile(`"(/static/` + regexp.QuoteMeta(name) + `\?[0-9a-f]+)"`).FindStringSubmatch(body)
		if at == nil {
			t.Fatalf("the page has no %s:\n%s", name, body)
		}
		resp, err := s.client.Get(s.server.URL + at[1])
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %v, %v", name, resp, err)
		}
		resp.Body.Close()
	}
	socket := regexp.MustCompile(`data-socket="([^"]+)"`).FindStringSubmatch(body)[1]
	socket = strings.ReplaceAll(socket, "&amp;", "&")
	if conn, err := s.socket(socket, "http://evil.example.com"); err == nil {
		conn.CloseNow()
		t.Error("a page of another host has a terminal")
	}
	conn, err := s.socket(socket, s.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if err := conn.Write(t.Context(), websocket.MessageBinary, []byte("touch fixed; printf '%s\\n' open\"ed\"\r")); err != nil {
		t.Fatal(err)
	}
	s.shows(conn, "\ropened\r\n")
	second, err := s.socket(socket, s.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer second.CloseNow()
	s.shows(second, "has a terminal open already")
	s.post("/_build/results", url.Values{"buildId": {s.run.String()}, "job": {s.job.String()}, "do": {"decide"}, "decision": {"rerun"}})
	s.shows(conn, "the job's agent ended the connection") // with the job
	s.until(s.run, func(tl *pipelines.Timeline) bool { return tl.Run.State == pipelines.RunCompleted })
	if r, err := s.Get(context.Background(), s.run); err != nil || r.Result != schedule.Succeeded {
		t.Errorf("%s, %v", r.Result, err)
	}
	if body := s.get(page, "Done by hand", "ada", "ran the step again", "a terminal of ada"); strings.Contains(body, `value="rerun"`) {
		t.Error("the page still asks")
	}
	late, err := s.socket(socket, s.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer late.CloseNow()
	s.shows(late, "does not wait at a step that failed")
}
