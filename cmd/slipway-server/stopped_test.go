package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"slipway"
	jobagent "slipway/internal/agent"
	"slipway/internal/api"
	"slipway/internal/commandline/commandlinetest"
	"slipway/internal/identity"
	"slipway/internal/jobserver"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/pipelinestest"
	"slipway/internal/pipelines/schedule"
)

// stopping is a server with a run that stops at failures and the agent of its job, and the data folder by which commands reach it.
func stopping(t *testing.T) (s *pipelines.Service, data string) {
	t.Helper()
	ctx := context.Background()
	w := pipelinestest.Open(t, "sample", "trigger: none\npool: x\nsteps:\n- checkout: none\n- bash: test -e fixed\n  displayName: look\n")
	_, err := w.Pipelines.CreateDefinition(ctx, pipelines.Definition{Project: w.Project.ID, Name: "shop", Repository: pipelinestest.RepositoryID, Path: pipelines.DefaultPath})
	if err != nil {
		t.Fatal(err)
	}
	server := api.New(w.Identity, w.Logger, "http://localhost:8080")
	server.AddPipelines(w.Pipelines)
	mux := http.NewServeMux()
	mux.Handle("/_slipway/", jobserver.New(jobserver.Deps{Pipelines: w.Pipelines, Identity: w.Identity, Logger: w.Logger}))
	mux.Handle("/", server.Handler())
	listener := httptest.NewServer(mux)
	t.Cleanup(listener.Close)
	data = t.TempDir()
	if err := (access{URL: listener.URL, Token: w.Token(t)}).write(data); err != nil {
		t.Fatal(err)
	}
	if out, err := run("stopped", "--data", data); err != nil || out != "no job waits at a step that failed\n" {
		t.Errorf("%q, %v", out, err)
	}
	if out, err := run("queue", "--data", data, "--branch", "main", "--stop-at-failure", "--stop-minutes", "5"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	token, err := w.Identity.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenJob, Project: w.Project.ID, Binding: identity.Binding{Run: 1, Job: 1},
		Actor: slipway.Actor{Kind: slipway.ActorJob, ID: "1"}})
	if err != nil {
		t.Fatal(err)
	}
	working, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	folder := t.TempDir()
	go func() {
		done <- jobagent.Run(working, jobagent.Config{URL: listener.URL, Job: 1, Token: token, Folder: folder, Patience: 10 * time.Second})
	}()
	t.Cleanup(func() { stop(); <-done })
	waitFor(t, w.Pipelines, 1, func() bool {
		_, err := w.Pipelines.WaitingPause(ctx, 1)
		return err == nil
	})
	return w.Pipelines, data
}

// waitFor waits for changes of a run until something is so.
func waitFor(t *testing.T, s *pipelines.Service, run slipway.RunID, is func() bool) {
	t.Helper()
	changes, end := s.Watch(run)
	defer end()
	for deadline := time.After(30 * time.Second); !is(); {
		select {
		case <-changes:
		case <-deadline:
			t.Fatal("it does not come to that")
		}
	}
}

func TestStopped(t *testing.T) {
	t.Parallel()
	s, data := stopping(t)
	out, err := run("stopped", "--data", data)
	if err != nil || !strings.Contains(out, "JOB  RUN  STEP  UNTIL") || !strings.Contains(out, "\n1    1    look  ") || !strings.Contains(out, "exited with code 1") {
		t.Errorf("%v\n%s", err, out)
	}
	var shown bytes.Buffer
	c := command()
	c.SetOut(&shown)
	c.SetErr(&shown)
	c.SetIn(strings.NewReader("touch fixed; pwd\rexit\r"))
	c.SetArgs([]string{"terminal", "1", "--data", data})
	if err := c.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text := shown.String(); !strings.Contains(text, "/1/s\r\n") || !strings.HasSuffix(text, "terminal: the shell ended\n") {
		t.Errorf("it shows %q", text)
	}
	if out, err := run("stopped", "1", "--do", "rerun", "--data", data); err != nil || out != "job 1 of run 1, look: rerun\n" {
		t.Errorf("%q, %v", out, err)
	}
	waitFor(t, s, 1, func() bool {
		r, err := s.Get(context.Background(), 1)
		return err == nil && r.State == pipelines.RunCompleted && r.Result == schedule.Succeeded
	})
	for want, args := range map[string][]string{
		"does not wait at a step that failed": {"terminal", "1", "--data", data},
		"write its number":                    {"terminal", "one", "--data", data},
		"say both which job":                  {"stopped", "1", "--data", data},
		"there is no job 7":                   {"stopped", "7", "--do", "end", "--data", data},
	} {
		if _, err := run(args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
	if _, err := run("queue", "--data", data, "--branch", "main", "--stop-minutes", "5"); err == nil || !strings.Contains(err.Error(), "stopMinutes: it goes with stopAtFailure: true") {
		t.Errorf("minutes alone: %v", err)
	}
}

// On a terminal, the one in the job has its size.
func TestTerminalSize(t *testing.T) {
	t.Parallel()
	_, data := stopping(t)
	shown, err := commandlinetest.OnTerminal(t, command(), pty.Winsize{Cols: 101, Rows: 33}, []string{"stty size; exit\r"}, "terminal", "1", "--data", data)
	if err != nil || !strings.Contains(shown, "\r33 101\r\n") || !strings.Contains(shown, "terminal: the shell ended") {
		t.Errorf("%v; it shows %q", err, shown)
	}
}
