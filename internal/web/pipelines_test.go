package web

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/pipelinestest"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

// pipelineSite is the pages of pipelines with a signed-in administrator.
type pipelineSite struct {
	*testing.T
	*pipelines.Service
	server *httptest.Server
	client *http.Client
	source *pipelinestest.FakeRepository
	pushes int64
}

func newPipelineSite(t *testing.T) *pipelineSite {
	t.Helper()
	w := pipelinestest.Open(t, "Shop", "")
	w.Source.Message = "Sell <b>hats</b>\n"
	session, _, err := w.Identity.SignIn(context.Background(), w.Administrator.Name, pipelinestest.Password)
	if err != nil {
		t.Fatal(err)
	}
	s := &pipelineSite{T: t, Service: w.Pipelines, source: w.Source}
	pages := New(w.Identity, w.Log, w.Logger, "http://slipway")
	pages.AddPipelines(s.Service, Things{})
	s.server = httptest.NewServer(pages.Handler())
	t.Cleanup(s.server.Close)
	s.client = &http.Client{Transport: withSession{identity.SessionCookie(session, false)}}
	return s
}

// withSession sends a session's cookie with every request.
type withSession struct{ cookie *http.Cookie }

func (w withSession) RoundTrip(r *http.Request) (*http.Response, error) {
	r.AddCookie(w.cookie)
	return http.DefaultTransport.RoundTrip(r)
}

func (s *pipelineSite) push(text string) slipway.RunID {
	s.Helper()
	s.source.Text = text
	s.pushes++
	runs, err := s.Pushed(context.Background(), pipelines.Push{Event: s.pushes, Repository: pipelinestest.RepositoryID, Ref: "refs/heads/main", After: pipelinestest.Commit, PathsUnknown: true,
		Actor: slipway.Actor{Kind: slipway.ActorUser, Name: "Ada"}})
	if err != nil || len(runs) != 1 {
		s.Fatalf("%d runs, %v", len(runs), err)
	}
	return runs[0].ID
}

// get is the page below the project, which must have the texts.
func (s *pipelineSite) get(path string, texts ...string) string {
	s.Helper()
	resp, err := s.client.Get(s.server.URL + "/Shop" + path)
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.Fatalf("%s: %s, %v\n%s", path, resp.Status, err, b)
	}
	for _, text := range texts {
		if !strings.Contains(string(b), text) {
			s.Errorf("%s has no %q:\n%s", path, text, b)
		}
	}
	return string(b)
}

func (s *pipelineSite) post(path string, form url.Values) {
	s.Helper()
	resp, err := s.client.PostForm(s.server.URL+"/Shop"+path, form)
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(resp.Body)
		s.Fatalf("post %s: %s\n%s", path, resp.Status, b)
	}
}

// job starts the run's job of that instance as an agent does.
func (s *pipelineSite) job(run slipway.RunID, instance string) slipway.JobID {
	s.Helper()
	t, err := s.Timeline(context.Background(), run)
	if err != nil {
		s.Fatal(err)
	}
	for _, st := range t.Stages {
		for _, j := range st.Jobs {
			if j.Instance == instance {
				if _, err := s.Assign(context.Background(), j.ID); err != nil {
					s.Fatal(err)
				}
				return j.ID
			}
		}
	}
	s.Fatalf("no job %s", instance)
	return 0
}

func TestRunPages(t *testing.T) {
	t.Parallel()
	s, ctx := newPipelineSite(t), context.Background()
	run := s.push("stages:\n- stage: Build\n  jobs:\n  - job: make\n    steps:\n    - bash: make\n- stage: Ship\n  jobs:\n  - job: go\n    steps:\n    - bash: go\n")
	id := s.job(run, "Build.make")
	page := fmt.Sprintf("/_build/results?buildId=%d", run)
	// What people wrote is text, never HTML.
	if body := s.get("/_build", "Sell &lt;b&gt;hats&lt;/b&gt;", "running"); strings.Contains(body, "<b>hats") {
		t.Error("the commit's message is HTML in the list")
	}
	if err := s.Report(ctx, id, job.Report{Tags: []string{"nightly"}, Steps: []job.StepRecord{{ID: 1, DisplayName: "Make it", State: schedule.Running, Started: 1,
		Issues: []job.Issue{{Kind: job.IssueError, Message: "no rule <x>", At: &slipway.Position{File: "Makefile", Line: 3, Column: 1}}}}}}); err != nil {
		t.Fatal(err)
	}
	const stamp = "2026-03-01T12:00:00.0000000Z "
	if _, err := s.AppendLog(ctx, id, 1, 0, []byte(stamp+"hello <world>\n"+stamp+"##[error]broken\n")); err != nil {
		t.Fatal(err)
	}
	s.get(page, "Make it", "no rule &lt;x&gt;", "Makefile:3:1", "nightly", "sse-connect", "Cancel", "Build", "Ship", "1 job")
	log := fmt.Sprintf("%s&j=%d&s=1", page, id)
	s.get(log, "hello &lt;world&gt;", `class="line bad"`, "12:00:00")
	s.get(fmt.Sprintf("/_build/log?buildId=%d&j=%d&s=1", run, id), stamp+"hello <world>\n")

	var tarred bytes.Buffer
	w := tar.NewWriter(&tarred)
	if err := w.WriteHeader(&tar.Header{Name: "a/b.txt", Size: 3, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutArtifact(ctx, id, "drop", &tarred); err != nil {
		t.Fatal(err)
	}
	if err := s.PutTests(ctx, id, job.TestRun{Step: 1, Title: "unit", Platform: "x64", Configuration: "Debug", Results: []job.TestResult{{Name: "good", Outcome: job.TestPassed}, {Name: "bad", Outcome: job.TestFailed, Message: "1 < 2", Detail: "at line 7"}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.PutSummary(ctx, id, job.Summary{Step: 1, Name: "report.md", Text: "**fine** <script>alert(1)</script>"}); err != nil {
		t.Fatal(err)
	}
	if body := s.get(page, "a/b.txt", "unit", "<strong>fine</strong>"); strings.Contains(body, "<script>alert") {
		t.Error("a summary's script is in the page")
	}
	if got := s.get(fmt.Sprintf("/_build/artifact?buildId=%d&name=drop&path=a/b.txt", run)); got != "abc" {
		t.Errorf("file %q", got)
	}
	if err := s.PutTestAttachment(ctx, id, 1, "unit", "r.html", strings.NewReader("<script>")); err != nil {
		t.Fatal(err)
	}
	s.get(page, "x64 Debug")
	s.get(fmt.Sprintf("/_build/tests?buildId=%d&testRun=1", run), "bad", "1 &lt; 2", "at line 7", "x64 Debug", "r.html", "8 B")
	attached, err := s.client.Get(fmt.Sprintf("%s/Shop/_build/tests/attachment?buildId=%d&testRun=1&id=1", s.server.URL, run))
	if err != nil {
		t.Fatal(err)
	}
	attached.Body.Close()
	if kind, as := attached.Header.Get("Content-Type"), attached.Header.Get("Content-Disposition"); kind != "application/octet-stream" || !strings.HasPrefix(as, "attachment;") {
		t.Errorf("a file of test results is sent as %s, %s", kind, as)
	}
	s.get("/_build/test?definitionId=1&suite=&name=bad&platform=x64&configuration=Debug", "For x64 Debug, in the runs of", "1 failed")
	s.get("/_build/test?definitionId=1&suite=&name=bad", "x64 Debug", "0 failed")

	if err := s.Complete(ctx, id, job.Completion{Result: schedule.Failed, Reason: "it broke"}); err != nil {
		t.Fatal(err)
	}
	if body := s.get(page, "it broke", "Retry failed jobs", "skipped", `value="retry-stage"`, `value="rerun-job"`); strings.Contains(body, "sse-connect") {
		t.Error("the page of a run that is over still waits for news")
	}
	s.post("/_build/results", url.Values{"buildId": {run.String()}, "do": {"retry"}})
	s.get(page, "attempt 2", "Cancel")
	// The first attempt is below it, with its log.
	s.get(page, "Attempt 1", "it broke", fmt.Sprintf("j=%d&amp;s=1#log", id))
	s.get(fmt.Sprintf("%s&j=%d&s=1", page, id), `class="earlier" open`)
	if err := s.Complete(ctx, s.job(run, "Build.make"), job.Completion{Result: schedule.Failed}); err != nil {
		t.Fatal(err)
	}
	s.post("/_build/results", url.Values{"buildId": {run.String()}, "do": {"rerun-job"}, "stage": {"Build"}, "job": {"make"}})
	s.get(page, "attempt 3", "Cancel")
	s.post("/_build/results", url.Values{"buildId": {run.String()}, "do": {"cancel"}})
	s.get(page, "Canceled by", "ada")
}

// The live log sends what is there from an offset on, then what comes, with the offset after it as the event's id, and says
// when it is over.
func TestLiveLog(t *testing.T) {
	t.Parallel()
	s, ctx := newPipelineSite(t), context.Background()
	run := s.push("steps:\n- bash: talk\n")
	id := s.job(run, "__default.Job")
	const stamp = "2026-03-01T12:00:00.0000000Z "
	first := stamp + "one\n"
	if _, err := s.AppendLog(ctx, id, 1, 0, []byte(first)); err != nil {
		t.Fatal(err)
	}
	resp, err := s.client.Get(fmt.Sprintf("%s/Shop/_build/log/live?buildId=%d&j=%d&s=1", s.server.URL, run, id))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	until := func(text string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), text) {
				return
			}
		}
		t.Fatalf("the stream ended before %q", text)
	}
	until(fmt.Sprintf("id: %d-2", len(first)))
	until("one</span>")
	second := stamp + "two\n"
	if _, err := s.AppendLog(ctx, id, 1, int64(len(first)), []byte(second)); err != nil {
		t.Fatal(err)
	}
	until(fmt.Sprintf("id: %d-3", len(first)+len(second)))
	until("two</span>")
	if err := s.Complete(ctx, id, job.Completion{Result: schedule.Succeeded}); err != nil {
		t.Fatal(err)
	}
	until("event: done")
}

func TestPipelineSettings(t *testing.T) {
	t.Parallel()
	s := newPipelineSite(t)
	s.push("steps:\n- bash: talk\n")
	s.get("/_build?definitionId=1", "Retry jobs whose pod is lost", `name="retryLost" type="number" min="0" max="10" value=""`)
	s.post("/_build", url.Values{"definitionId": {"1"}, "disabled": {"on"}, "retryLost": {"4"}})
	s.get("/_build?definitionId=1", `max="10" value="4"`, `name="disabled" checked`)
	if d, err := s.Definition(context.Background(), 1); err != nil || !d.Disabled || d.RetryLost == nil || *d.RetryLost != 4 {
		t.Errorf("pipeline %+v, %v", d, err)
	}
	s.post("/_build", url.Values{"definitionId": {"1"}})
	if d, err := s.Definition(context.Background(), 1); err != nil || d.Disabled || d.RetryLost != nil {
		t.Errorf("pipeline %+v, %v", d, err)
	}
}

func TestBrokenPipelinePage(t *testing.T) {
	t.Parallel()
	s := newPipelineSite(t)
	run := s.push("steps:\n- scripd: x\n")
	s.get(fmt.Sprintf("/_build/results?buildId=%d", run), "could not be read", "azure-pipelines.yml:2:3", "failed")
}

func TestVariableGroups(t *testing.T) {
	t.Parallel()
	s := newPipelineSite(t)
	s.post("/_library", url.Values{"group": {"shared"}, "name": {"COLOUR"}, "value": {"blue"}})
	s.post("/_library", url.Values{"group": {"shared"}, "name": {"KEY"}, "value": {"hunter2hunter2"}, "secret": {"1"}})
	if body := s.get("/_library", "shared", "COLOUR", "blue", "KEY"); strings.Contains(body, "hunter2") {
		t.Error("a secret is shown")
	}
	s.post("/_library", url.Values{"group": {"shared"}, "name": {"COLOUR"}, "do": {"delete"}})
	if body := s.get("/_library"); strings.Contains(body, "COLOUR") {
		t.Error("the variable is still there")
	}
}

func TestTriggersOnPages(t *testing.T) {
	t.Parallel()
	s := newPipelineSite(t)
	run := s.push("trigger: {batch: true, branches: {include: [main]}}\nschedules:\n- {cron: 0 3 * * *, displayName: Nightly <build>, branches: {include: [main]}}\n" +
		"- {cron: 0 4 1 * *, always: true, batch: true, branches: {include: [main]}}\nsteps:\n- bash: x\n")
	s.pushes++
	if _, err := s.Pushed(context.Background(), pipelines.Push{Event: s.pushes, Repository: pipelinestest.RepositoryID, Ref: "refs/heads/main", After: pipelinestest.Commit, PathsUnknown: true}); err != nil {
		t.Fatal(err)
	}
	s.get("/_build?definitionId=1", "Nightly &lt;build&gt;", "0 3 * * *", "if something changed", "A push to main waits", "03:00:00 UTC")
	s.get("/_build", "scheduled")
	s.get(fmt.Sprintf("/_build/results?buildId=%d", run), "1 warning of the pipeline", "azure-pipelines.yml:4:3", "batch of the schedule has no effect", "batched push")
}

func TestRunForm(t *testing.T) {
	t.Parallel()
	s, ctx := newPipelineSite(t), context.Background()
	s.push(`
parameters:
- {name: target, displayName: Where <to>, type: string, values: [dev, prod], default: prod}
- {name: replicas, type: number, default: 2}
- {name: fast, type: boolean, default: true}
- {name: regions, type: object, default: [eu]}
- {name: note, type: string}
stages:
- stage: Build
  isSkippable: false
  jobs: [{job: make, steps: [{bash: "make ${{ parameters.target }} ${{ parameters.replicas }} ${{ parameters.fast }} ${{ length(parameters.regions) }} ${{ parameters.note }}"}]}]
- stage: Ship
  jobs: [{job: go, steps: [{bash: go}]}]
`)
	s.get("/_build?definitionId=1", "/Shop/_build/queue?definitionId=1")
	s.get("/_build/queue?definitionId=1", "Where &lt;to&gt;", `<option value="prod" selected`, `value="2"`, `[&#34;eu&#34;]`, `name="parameter.note" value="" required`, `name="stages" value="Ship"`, "is always in it", `<option value="main">`)
	form := url.Values{"full": {"1"}, "pipeline": {"1"}, "branch": {"main"}, "parameter.target": {"dev"}, "parameter.replicas": {"many"}, "parameter.fast": {"false"},
		"parameter.regions": {"[eu, us]"}, "parameter.note": {"hello"}, "stages": {"Ship"}, "variable-name-0": {"colour"}, "variable-value-0": {"blue"},
		"variable-name-1": {"key"}, "variable-value-1": {"hunter2hunter2"}, "variable-secret-1": {"1"}}
	resp, err := s.client.PostForm(s.server.URL+"/Shop/_build/queue", form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	// A mistake leaves the form as it was filled in.
	for _, text := range []string{"parameter &#34;replicas&#34; is a number", `<option value="dev" selected`, `value="many"`, "[eu, us]", `value="colour"`, `value="hello"`} {
		if !strings.Contains(string(body), text) {
			t.Errorf("the form after a mistake has no %q:\n%s", text, body)
		}
	}
	if strings.Contains(string(body), "hunter2") {
		t.Error("a secret is shown")
	}
	form.Set("parameter.replicas", "3")
	s.post("/_build/queue", form)
	runs, err := s.List(ctx, pipelines.RunFilter{})
	if err != nil || len(runs) != 2 || runs[0].Reason != variable.ReasonManual {
		t.Fatalf("runs %+v, %v", runs, err)
	}
	tl, err := s.Timeline(ctx, runs[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Assign(ctx, tl.Stages[0].Jobs[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if got := a.Steps[len(a.Steps)-1].Script.Text; got != "make dev 3 False 2 hello" || a.Variables.Text("colour") != "blue" || !tl.Stages[1].Unwanted {
		t.Errorf("script %q, variables %v, stages %+v", got, a.Variables, tl.Stages)
	}
}

func TestRunAfterAnotherOnPages(t *testing.T) {
	t.Parallel()
	s, ctx := newPipelineSite(t), context.Background()
	first := s.push("steps:\n- bash: x\n")
	if err := s.Complete(ctx, s.job(first, "__default.Job"), job.Completion{Result: schedule.Succeeded}); err != nil {
		t.Fatal(err)
	}
	second := s.push("resources:\n  pipelines:\n  - {pipeline: lib, source: shop}\nsteps:\n- download: lib\n")
	s.get(fmt.Sprintf("/_build/results?buildId=%d", second), "Takes from, as lib", fmt.Sprintf("/Shop/_build/results?buildId=%d", first))
}
