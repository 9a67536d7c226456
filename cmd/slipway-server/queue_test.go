package main

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/commandline"
	"slipway/internal/commandline/commandlinetest"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/pipelinestest"
	"slipway/internal/pipelines/schedule"
)

// served is a server of pipelines with the pipeline shop of a file, and the data folder by which commands reach it.
func served(t *testing.T, text string) (*pipelines.Service, string) {
	t.Helper()
	w := pipelinestest.Open(t, "sample", text)
	_, err := w.Pipelines.CreateDefinition(context.Background(), pipelines.Definition{Project: w.Project.ID, Name: "shop", Repository: pipelinestest.RepositoryID, Path: pipelines.DefaultPath})
	if err != nil {
		t.Fatal(err)
	}
	server := api.New(w.Identity, w.Logger, "http://localhost:8080")
	server.AddPipelines(w.Pipelines)
	server.AddMachines(w.Pipelines, nil) // of pools
	server.AddUsers()
	server.AddAudit(w.Log)
	listener := httptest.NewServer(server.Handler())
	t.Cleanup(listener.Close)
	data := t.TempDir()
	if err := (access{URL: listener.URL, Token: w.Token(t)}).write(data); err != nil {
		t.Fatal(err)
	}
	return w.Pipelines, data
}

// startedJob starts a run of the pipeline, and its first job.
func startedJob(t *testing.T, s *pipelines.Service) (slipway.RunID, slipway.JobID) {
	t.Helper()
	ctx := context.Background()
	runs, err := s.Pushed(ctx, pipelines.Push{Event: 1, Repository: pipelinestest.RepositoryID, Ref: "refs/heads/main", After: pipelinestest.Commit, PathsUnknown: true, Actor: slipway.System})
	if err != nil || len(runs) != 1 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	timeline, err := s.Timeline(ctx, runs[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	id := timeline.Stages[0].Jobs[0].ID
	if _, err := s.Assign(ctx, id); err != nil {
		t.Fatal(err)
	}
	return runs[0].ID, id
}

// run runs a command and gives what it printed.
func run(args ...string) (string, error) { return commandlinetest.Run(command(), args...) }

const shipped = "trigger: none\nparameters:\n- {name: target, default: dev}\n- {name: list, type: object, default: []}\nstages:\n- stage: Build\n  jobs:\n  - job: make\n    steps:\n    - bash: make ${{ parameters.target }} ${{ length(parameters.list) }} $(colour)\n      displayName: Make it\n- stage: Ship\n  jobs:\n  - job: go\n    steps:\n    - bash: go\n"

func TestQueueFollows(t *testing.T) {
	t.Parallel()
	for _, end := range []schedule.Result{schedule.Succeeded, schedule.Failed} {
		t.Run(string(end), func(t *testing.T) {
			t.Parallel()
			s, data := served(t, shipped)
			done := make(chan struct{})
			agentDone := make(chan error, 1)
			go func() { agentDone <- agent(s, end, done) }()
			out, err := run("queue", "--data", data, "--branch", "main", "--parameter", "target=prod", "--parameter", "list=[a, b]", "--variable", "colour=blue", "--skip-stage", "ship", "--follow")
			close(done)
			if err := <-agentDone; err != nil {
				t.Fatal(err)
			}
			code := 0
			var exit *commandline.ExitError
			if errors.As(err, &exit) {
				code = exit.Code
			} else if err != nil {
				t.Fatal(err)
			}
			if want := map[schedule.Result]int{schedule.Succeeded: 0, schedule.Failed: 1}[end]; code != want {
				t.Errorf("exit code %d, want %d", code, want)
			}
			for _, text := range []string{"run 1, ", "http://localhost:8080/sample/_build/results?buildId=1\n", "##[group]Make it\n2026-03-01T12:00:00.0000000Z one\n2026-03-01T12:00:00.0000000Z two\n",
				"##[section]Build.make: ", "##[section]Ship: skipped", "##[section]run 1: " + strings.ToLower(string(end))} {
				if !strings.Contains(out, text) {
					t.Errorf("the output has no %q:\n%s", text, out)
				}
			}
		})
	}
}

// agent does the first job of run 1 once it is there.
func agent(s *pipelines.Service, end schedule.Result, done <-chan struct{}) error {
	ctx := context.Background()
	for {
		select {
		case <-done:
			return errors.New("the command ended before the job was decided about")
		case <-time.After(5 * time.Millisecond): // no event tells of a run that is not there yet
		}
		t, err := s.Timeline(ctx, 1)
		if slipway.CodeOf(err) == slipway.CodeNotFound {
			continue
		}
		if err != nil {
			return err
		}
		id := t.Stages[0].Jobs[0].ID
		a, err := s.Assign(ctx, id)
		if err != nil {
			return err
		}
		script := a.Steps[len(a.Steps)-1].Script.Text
		if script != "make prod 2 $(colour)" || a.Variables.Text("colour") != "blue" {
			return errors.New("the job is " + script)
		}
		steps := []job.StepRecord{{ID: 2, DisplayName: "Make it", State: schedule.Running, Started: 1}}
		if err := s.Report(ctx, id, job.Report{Steps: steps}); err != nil {
			return err
		}
		const stamp = "2026-03-01T12:00:00.0000000Z "
		for _, line := range []string{"one\n", "two\n"} {
			if _, err := s.AppendLog(ctx, id, 2, map[string]int64{"one\n": 0, "two\n": int64(len(stamp) + 4)}[line], []byte(stamp+line)); err != nil {
				return err
			}
		}
		return s.Complete(ctx, id, job.Completion{Result: end})
	}
}

func TestQueuePreviewAndMistakes(t *testing.T) {
	t.Parallel()
	s, data := served(t, shipped)
	out, err := run("queue", "SHOP", "--data", data, "--preview", "--parameter", "target=prod")
	if err != nil || !strings.Contains(out, "make prod 0 $(colour)") {
		t.Errorf("preview: %v\n%s", err, out)
	}
	f := func(want string, args ...string) {
		t.Helper()
		if _, err := run(append([]string{"queue", "--data", data}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
	f(`there is no pipeline "shoe" in the project; it has: shop`, "shoe")
	f(`--parameter "target": write NAME=VALUE`, "--parameter", "target")
	f("--variable: a is given twice", "--variable", "a=1", "--variable", "a=2")
	f("resources.repositories.self.refName: ", "--branch", "none")
	f(`did you mean "target"?`, "--parameter", "targt=prod")
	f(`stagesToSkip: there is no stage "Shop"`, "--skip-stage", "Shop")
	if runs, err := s.List(context.Background(), pipelines.RunFilter{}); err != nil || len(runs) != 0 {
		t.Errorf("%d runs, %v", len(runs), err)
	}
}
