package jobserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// person is somebody who looks at failures, by the REST API.
type person struct {
	*world
	slipway.Actor
	token string
}

func (w *world) person(name string, role identity.Role) *person {
	w.t.Helper()
	ctx := context.Background()
	u, err := w.id.CreateUser(ctx, slipway.System, identity.NewUser{Name: name, Password: "correct horse"})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.id.SetRole(ctx, slipway.System, w.source.repository.Project, u.ID, role); err != nil {
		w.t.Fatal(err)
	}
	p := &person{world: w, Actor: slipway.Actor{Kind: slipway.ActorUser, ID: string(u.ID), Name: u.Name}}
	if p.token, err = w.id.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenPersonal, Name: "test", Actor: p.Actor}); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// queue pushes a file and starts a run of it that stops at failures.
func (p *person) queue(file string, more ...string) slipway.RunID {
	p.t.Helper()
	p.push("trigger: none\n"+file, more...)
	all, err := p.Definitions(context.Background(), p.source.repository.Project)
	if err != nil || len(all) != 1 {
		p.t.Fatalf("%d pipelines, %v", len(all), err)
	}
	run, err := p.Queue(context.Background(), pipelines.QueueRequest{Pipeline: all[0].ID, Actor: p.Actor, StopMinutes: 30})
	if err != nil {
		p.t.Fatal(err)
	}
	return run.ID
}

// call sends a request as the person.
func (p *person) call(method, path string, in, out any) error {
	p.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		p.t.Fatal(err)
	}
	r, err := http.NewRequest(method, "http://"+p.address+"/Shop/_apis/slipway/"+path, bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.SetBasicAuth("", p.token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%d %s", resp.StatusCode, text)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

// stopped waits until a job of the run waits at a step that failed.
func (p *person) stopped(run slipway.RunID, number int) pipelines.Pause {
	p.t.Helper()
	var found pipelines.Pause
	p.until(run, fmt.Sprintf("at pause %d", number), func(*pipelines.Timeline) bool {
		all, err := p.Pauses(context.Background(), run)
		if err != nil {
			p.t.Fatal(err)
		}
		if len(all) >= number {
			found = all[number-1]
		}
		return len(all) >= number && found.State == job.PauseWaiting
	})
	return found
}

// approve lets a stage pass the checks of its environments.
func (w *world) approve(run slipway.RunID, stage string) {
	w.t.Helper()
	w.until(run, "waiting for checks", func(t *pipelines.Timeline) bool {
		for _, s := range t.Stages {
			if s.Name == stage && s.State == schedule.Checking {
				return true
			}
		}
		return false
	})
	if err := w.ChecksCompleted(context.Background(), run, stage, 1, schedule.ChecksApproved, ""); err != nil {
		w.t.Fatal(err)
	}
}

func (p *person) decide(id slipway.JobID, d job.Decision) {
	p.t.Helper()
	var decided api.Pause
	if err := p.call("PATCH", fmt.Sprintf("jobs/%d/pause", id), map[string]string{"decision": string(d)}, &decided); err != nil {
		p.t.Fatal(err)
	}
	if decided.Status != "decided" || decided.Decision != string(d) || decided.DecidedBy != p.Name {
		p.t.Errorf("%+v", decided)
	}
}

// dial opens a terminal in the job.
func (p *person) dial(id slipway.JobID) (*websocket.Conn, error) {
	header := http.Header{}
	r := http.Request{Header: header}
	r.SetBasicAuth("", p.token)
	conn, _, err := websocket.Dial(context.Background(), fmt.Sprintf("http://%s/Shop/_apis/slipway/jobs/%d/terminal", p.address, id), &websocket.DialOptions{HTTPHeader: header})
	return conn, err
}

// terminal opens a terminal, types the lines, and gives what it shows until it ends and why.
func (p *person) terminal(id slipway.JobID, lines ...string) (shown, reason string) {
	p.t.Helper()
	conn, err := p.dial(id)
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.CloseNow()
	return p.typed(conn, lines...)
}

func (p *person) typed(conn *websocket.Conn, lines ...string) (shown, reason string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn.SetReadLimit(1 << 20)
	if err := conn.Write(ctx, websocket.MessageText, []byte(`{"type":"size","columns":97,"rows":31}`)); err != nil {
		p.t.Fatal(err)
	}
	for _, line := range lines {
		if err := conn.Write(ctx, websocket.MessageBinary, []byte(line+"\r")); err != nil {
			p.t.Fatal(err)
		}
	}
	var out strings.Builder
	for {
		kind, data, err := conn.Read(ctx)
		if err != nil {
			p.t.Fatalf("%v after %q", err, out.String())
		}
		if kind == websocket.MessageBinary {
			out.Write(data)
			continue
		}
		var c job.TerminalControl
		if err := json.Unmarshal(data, &c); err != nil {
			p.t.Fatal(err)
		}
		return out.String(), c.Reason
	}
}

const failing = `
steps:
- checkout: none
- bash: echo "##vso[task.setvariable variable=key;isSecret=true]swordfish-2931"
  displayName: set
- bash: |
    echo "try of $COLOUR"
    test -e fixed
  displayName: check
  workingDirectory: $(Pipeline.Workspace)
  env: {COLOUR: blue, KEY: $(key)}
- bash: echo "after it"
  displayName: after
`

// A step that failed is looked at in a terminal, put right and run again, though the server is killed meanwhile.
func TestStopAtFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.person("ada", identity.RoleContributor)
	run := ada.queue(failing)
	stop := ada.stopped(run, 1)
	if stop.Title != "check" || !strings.Contains(stop.Reason, "exited with code 1") || stop.Expires.Sub(stop.Started).Round(time.Minute) != 30*time.Minute {
		t.Errorf("%+v", stop)
	}
	shown, reason := ada.terminal(stop.Job, `PS1="> "; echo "colour=$COLOUR key=[$KEY]"; stty size; pwd; printf 'Gr\303\274\303\237e\n'; for c in sword fish-2931; do printf $c; done; echo; exit`)
	for _, want := range []string{"\rcolour=blue key=[***]\r\n", "\r\n31 97\r\n", "/1\r\nGrüße\r\n***\r\n"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the terminal does not show %q:\n%q", want, shown)
		}
	}
	if strings.Contains(shown, "swordfish-2931") || reason != "the shell ended" {
		t.Errorf("it ended with %q and shows\n%s", reason, shown)
	}
	w.kill()
	w.start()
	if again := ada.stopped(run, 1); again.ID != stop.ID {
		t.Errorf("%+v", again)
	}
	open, err := ada.dial(stop.Job)
	if err != nil {
		t.Fatal(err)
	}
	defer open.CloseNow()
	if _, err := ada.dial(stop.Job); err == nil {
		t.Error("a second terminal opens")
	}
	if _, reason := ada.typed(open, "touch fixed", "exit 3"); reason != "the shell ended" {
		t.Errorf("it ended with %q", reason)
	}
	ada.decide(stop.Job, job.DecisionRerun)
	tl := w.completed(run)
	j := w.job(tl, "__default.Job")
	if tl.Run.Result != schedule.Succeeded {
		t.Errorf("result %s:\n%s", tl.Run.Result, w.describe(tl))
	}
	log := w.log(j, "check")
	for _, want := range []string{"job 1 waits until", "ada decided: the step runs again"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if strings.Count(log, "\ntry of blue\n") != 2 {
		t.Errorf("log:\n%s", log)
	}
	ada.audited(run, stop.Job)
}

// audited compares what is remembered of the run's handwork.
func (p *person) audited(run slipway.RunID, id slipway.JobID) {
	p.t.Helper()
	var terminals struct{ Value []api.Terminal }
	if err := p.call("GET", fmt.Sprintf("terminals?run=%d", run), nil, &terminals); err != nil {
		p.t.Fatal(err)
	}
	if len(terminals.Value) != 2 {
		p.t.Fatalf("%+v", terminals.Value)
	}
	for _, one := range terminals.Value {
		if one.User != "ada" || one.Job != int64(id) || one.ClosedOn == nil || one.Typed == 0 || one.Shown == 0 || one.Note != "the shell ended" {
			p.t.Errorf("%+v", one)
		}
	}
	rows, err := p.db.QueryContext(context.Background(), `SELECT kind FROM events WHERE kind LIKE 'pipelines.%' ORDER BY id`)
	if err != nil {
		p.t.Fatal(err)
	}
	defer rows.Close()
	var kinds []string
	for rows.Next() {
		var kind string
		if err := rows.Scan(&kind); err != nil {
			p.t.Fatal(err)
		}
		if regexp.MustCompile(`paused?_|paused$|terminal`).MatchString(kind) {
			kinds = append(kinds, strings.TrimPrefix(kind, "pipelines."))
		}
	}
	want := []string{"job_paused", "terminal_opened", "terminal_closed", "terminal_opened", "terminal_closed", "pause_decided"}
	if diff := cmp.Diff(want, kinds); diff != "" || rows.Err() != nil {
		p.t.Errorf("%v %s", rows.Err(), diff)
	}
}

func TestStopDecisions(t *testing.T) {
	t.Parallel()
	const file = `
steps:
- checkout: none
- bash: echo "##vso[task.logissue type=warning]odd"; exit 4
  displayName: check
- bash: echo after
  displayName: after
- bash: echo failed
  displayName: failed
  condition: failed()
- bash: echo always
  displayName: always
  condition: always()
`
	for _, c := range []struct {
		decision job.Decision // "" cancels the run
		run      schedule.Result
		reason   string
		steps    map[string]schedule.Result
	}{
		{job.DecisionContinue, schedule.Failed, "", map[string]schedule.Result{"check": schedule.Failed, "after": schedule.Skipped, "failed": schedule.Succeeded, "always": schedule.Succeeded}},
		{job.DecisionSucceed, schedule.SucceededWithIssues, "", map[string]schedule.Result{"check": schedule.SucceededWithIssues, "after": schedule.Succeeded, "failed": schedule.Skipped, "always": schedule.Succeeded}},
		{job.DecisionEnd, schedule.Failed, `ada ended the job at the step "check", which failed`, map[string]schedule.Result{"check": schedule.Failed, "after": schedule.Skipped, "failed": schedule.Skipped, "always": schedule.Succeeded}},
		{"", schedule.Canceled, "the run was canceled", map[string]schedule.Result{"check": schedule.Failed, "after": schedule.Skipped, "failed": schedule.Skipped, "always": schedule.Succeeded}},
	} {
		t.Run(string(c.decision), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			ada := w.person("ada", identity.RoleContributor)
			run := ada.queue(file)
			stop := ada.stopped(run, 1)
			if c.decision != "" {
				ada.decide(stop.Job, c.decision)
			} else if err := w.Cancel(context.Background(), run, ada.Actor); err != nil {
				t.Fatal(err)
			}
			tl := w.completed(run)
			j := w.job(tl, "__default.Job")
			got := map[string]schedule.Result{}
			for _, st := range j.Steps {
				if _, ok := c.steps[st.DisplayName]; ok {
					got[st.DisplayName] = st.Result
				}
			}
			if diff := cmp.Diff(c.steps, got); diff != "" {
				t.Error(diff)
			}
			if tl.Run.Result != c.run || j.Reason != c.reason {
				t.Errorf("run %s, job %q; want %s, %q", tl.Run.Result, j.Reason, c.run, c.reason)
			}
			all, err := w.Pauses(context.Background(), run)
			if err != nil || len(all) != 1 {
				t.Fatalf("%v, %v", all, err)
			}
			want := job.PauseDecided
			if c.decision == "" {
				want = job.PauseCanceled
			}
			if all[0].State != want || all[0].Ended.IsZero() {
				t.Errorf("%+v", all[0])
			}
			if err := ada.call("PATCH", fmt.Sprintf("jobs/%d/pause", stop.Job), map[string]string{"decision": "rerun"}, nil); err == nil || !strings.Contains(err.Error(), "404") {
				t.Errorf("a decision about a job that is over: %v", err)
			}
		})
	}
}

// Only people who may queue runs decide and have terminals; jobs that deploy do not stop, and nothing deploys that was worked on by hand.
func TestStopIsLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada, bob := w.person("ada", identity.RoleContributor), w.person("bob", identity.RoleReader)
	run := ada.queue(`
stages:
- stage: Build
  jobs:
  - job: make
    steps:
    - checkout: none
    - bash: exit 5
      displayName: may fail
      continueOnError: true
    - bash: test -e fixed
      displayName: check
- stage: Ship
  jobs:
  - deployment: ship
    environment: dev
    strategy: {runOnce: {deploy: {steps: [{bash: echo shipped}]}}}
`)
	stop := ada.stopped(run, 1)
	if stop.Title != "check" {
		t.Errorf("it stopped at %q", stop.Title)
	}
	jobs := &person{world: w, token: w.executor.get(pipelines.PodName(run, stop.Job)).pod.Token}
	for who, p := range map[string]*person{"a reader": bob, "the job": jobs} {
		if conn, err := p.dial(stop.Job); err == nil {
			conn.CloseNow()
			t.Errorf("%s has a terminal", who)
		}
		if err := p.call("PATCH", fmt.Sprintf("jobs/%d/pause", stop.Job), map[string]string{"decision": "succeed"}, nil); err == nil || !strings.Contains(err.Error(), "403") {
			t.Errorf("%s decides: %v", who, err)
		}
	}
	ada.terminal(stop.Job, "touch fixed; exit")
	ada.decide(stop.Job, job.DecisionRerun)
	w.approve(run, "Ship")
	tl := w.completed(run)
	ship := w.job(tl, "Ship.ship.deploy")
	if tl.Run.Result != schedule.Failed || !strings.Contains(ship.Reason, "worked by hand") {
		t.Errorf("%s, %q\n%s", tl.Run.Result, ship.Reason, w.describe(tl))
	}
	for _, c := range []struct {
		req  pipelines.QueueRequest
		want string
	}{
		{pipelines.QueueRequest{StopMinutes: 481}, "between 1 and 480 minutes"},
		{pipelines.QueueRequest{StopMinutes: -1}, "between 1 and 480 minutes"},
		{pipelines.QueueRequest{StopMinutes: 1, Ref: "refs/pull/7/merge"}, "a run of a pull request does not stop"},
		{pipelines.QueueRequest{StopMinutes: 1, Actor: slipway.Actor{Kind: slipway.ActorJob, ID: "1"}}, "a person has to ask"},
	} {
		c.req.Pipeline = tl.Run.Pipeline
		if c.req.Actor.Kind == "" {
			c.req.Actor = ada.Actor
		}
		if _, err := w.Queue(context.Background(), c.req); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.req, err)
		}
	}
}

// A deployment job of a run that stops at failures fails as always.
func TestDeploymentDoesNotStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.person("ada", identity.RoleContributor)
	run := ada.queue("jobs:\n- deployment: ship\n  environment: dev\n  strategy: {runOnce: {deploy: {steps: [{bash: exit 6}]}}}\n")
	w.approve(run, "__default")
	tl := w.completed(run)
	all, err := w.Pauses(context.Background(), tl.Run.ID)
	if err != nil || len(all) != 0 || tl.Run.Result != schedule.Failed {
		t.Errorf("%v, %v, %s", all, err, tl.Run.Result)
	}
}
