package pipelines_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/joblog"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

// goOn does what is due for agentless jobs, with the calls that it takes.
func (w *world) goOn() {
	w.Helper()
	if err := w.GoOnAgentless(context.Background()); err != nil {
		w.Fatal(err)
	}
}

// steps are the states of the steps of a job, or how they ended.
func (w *world) steps(run slipway.RunID, instance string) string {
	w.Helper()
	var words []string
	for _, st := range w.timeline(run)[instance].Steps {
		word := string(st.Result)
		if word == "" {
			word = string(st.State)
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// logOf is the log of a step without its times.
func (w *world) logOf(run slipway.RunID, instance string, step int) string {
	w.Helper()
	l, err := w.ReadLog(context.Background(), w.timeline(run)[instance].ID, step, 0, 0)
	if err != nil {
		w.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(l.Data)) {
		b.WriteString(line[joblog.TimeLength:])
	}
	return b.String()
}

func (w *world) ended(run slipway.RunID, instance string, result schedule.Result, reason, steps string) {
	w.Helper()
	j := w.timeline(run)[instance]
	if j.State != schedule.Completed || j.Result != result || j.Reason != reason || w.steps(run, instance) != steps {
		w.Errorf("%s is %s %s (%s) with steps %s, want %s (%s) with steps %s", instance, j.State, j.Result, j.Reason, w.steps(run, instance), result, reason, steps)
	}
}

func (w *world) pending() pipelines.Validation {
	w.Helper()
	list, err := w.PendingValidations(context.Background(), "p")
	if err != nil || len(list) != 1 {
		w.Fatalf("%d validations are pending, %v", len(list), err)
	}
	return list[0]
}

var (
	ada   = pipelines.Decider{Actor: slipway.Actor{Kind: slipway.ActorUser, ID: "1", Name: "Ada"}}
	grace = pipelines.Decider{Actor: slipway.Actor{Kind: slipway.ActorUser, ID: "2", Name: "grace"}, Email: "grace@example.com"}
)

const asking = `
variables: {where: production}
jobs:
- job: ask
  pool: server
  timeoutInMinutes: 2880
  steps:
  - task: ManualValidation@1
    displayName: Ship to $(where)?
    timeoutInMinutes: 1440
    inputs:
      notifyUsers: |
        grace@example.com
        Ada
      approvers: grace@example.com
      allowApproversToApproveTheirOwnRuns: false
      instructions: Look at **$(where)** with $(password)
      onTimeout: ANSWER
  - task: Delay@1
    inputs: {delayForMinutes: 0}
- job: ship
  dependsOn: ask
  steps:
  - bash: ship
`

func TestManualValidation(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		now := &hand{}
		now.set("2026-03-01 12:00")
		w, ctx := setupAt(t, d, now), context.Background()
		secret := variable.Set{}
		secret.Put("password", variable.Value{Text: "hunter2", Secret: true})
		ask := func(answer string) slipway.RunID {
			w.push(strings.Replace(asking, "ANSWER", answer, 1))
			run, err := w.Queue(ctx, pipelines.QueueRequest{Pipeline: 1, Actor: ada.Actor, Variables: secret})
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Cancel(ctx, run.ID-1, slipway.System); err != nil { // the push's own
				t.Fatal(err)
			}
			w.goOn()
			return run.ID
		}
		run := ask("reject")
		v := w.pending()
		if v.Run != run || v.Title != "Ship to production?" || v.Instructions != "Look at **production** with ***" || !v.Expires.Equal(now.Now().Add(24*time.Hour)) {
			t.Errorf("validation %+v", v)
		}
		if diff := cmp.Diff([]string{"grace@example.com", "Ada"}, v.Notify); diff != "" {
			t.Error(diff)
		}
		if got, err := w.Get(ctx, run); err != nil || !got.Waiting {
			t.Errorf("waiting %v, %v", got.Waiting, err)
		}
		w.restart()
		w.goOn()
		for name, by := range map[string]pipelines.Decider{
			"the one who asked for the run": {Actor: ada.Actor, Email: "grace@example.com"},
			"no approver":                   {Actor: slipway.Actor{Kind: slipway.ActorUser, ID: "3", Name: "eve"}},
			"a job":                         {Actor: slipway.Actor{Kind: slipway.ActorJob, ID: "2", Name: "grace@example.com"}},
		} {
			if _, err := w.Validate(ctx, by, v.ID, true, ""); slipway.CodeOf(err) != slipway.CodeForbidden {
				t.Errorf("%s decides: %v", name, err)
			}
		}
		if _, err := w.Validate(ctx, grace, v.ID, true, "well tested"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Validate(ctx, grace, v.ID, false, ""); slipway.CodeOf(err) != slipway.CodeConflict {
			t.Errorf("a second decision: %v", err)
		}
		w.goOn()
		w.ended(run, "__default.ask", schedule.Succeeded, "", "Succeeded Succeeded")
		if j := w.timeline(run)["__default.ship"]; j.State != schedule.Queued {
			t.Errorf("the job after it: %+v", j)
		}
		log := w.logOf(run, "__default.ask", 1)
		for _, text := range []string{"##[section]Starting: Ship to production?\n", "Look at **production** with ***\n", "\ngrace resumed the run: well tested\n##[section]Finishing: "} {
			if !strings.Contains(log, text) {
				t.Errorf("the log has no %q:\n%s", text, log)
			}
		}
		if n := w.kinds(); n[pipelines.EventValidationRequested] != 1 || n[pipelines.EventValidationDecided] != 1 {
			t.Errorf("events %v", n)
		}

		rejected := ask("resume")
		if _, err := w.Validate(ctx, grace, w.pending().ID, false, "no"); err != nil {
			t.Fatal(err)
		}
		w.goOn()
		w.ended(rejected, "__default.ask", schedule.Failed, "", "Failed Skipped")
		if w.result(rejected) != schedule.Failed {
			t.Errorf("the rejected run: %s", w.result(rejected))
		}

		late := ask("reject")
		known := w.pending().ID
		now.set("2026-03-02 11:59")
		w.goOn()
		if w.steps(late, "__default.ask") != "running " {
			t.Errorf("a minute before its time: %s", w.steps(late, "__default.ask"))
		}
		now.set("2026-03-02 12:00")
		if _, err := w.Validate(ctx, grace, known, true, ""); slipway.CodeOf(err) != slipway.CodeConflict {
			t.Errorf("a decision when the time is over: %v", err)
		}
		w.goOn()
		w.ended(late, "__default.ask", schedule.Failed, "", "Failed Skipped")
		resumed := ask("resume")
		now.set("2026-03-03 12:00")
		w.restart()
		w.goOn()
		w.ended(resumed, "__default.ask", schedule.Succeeded, "", "Succeeded Succeeded")

		canceled := ask("resume")
		if err := w.Cancel(ctx, canceled, ada.Actor); err != nil {
			t.Fatal(err)
		}
		w.goOn()
		w.ended(canceled, "__default.ask", schedule.Canceled, "the run was canceled", "Canceled Skipped")
		if list, err := w.Validations(ctx, canceled); err != nil || len(list) != 1 || list[0].State != pipelines.ValidationCanceled {
			t.Errorf("%+v, %v", list, err)
		}
		if w.result(canceled) != schedule.Canceled {
			t.Errorf("the canceled run: %s", w.result(canceled))
		}
	})
}

func TestAgentlessJobs(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		now := &hand{}
		now.set("2026-03-01 12:00")
		w, ctx := setupAt(t, d, now), context.Background()
		run := w.push(`
pool: server
strategy:
  maxParallel: 1
  matrix: {short: {minutes: 5}, long: {minutes: 90}}
steps:
- task: Delay@1
  displayName: Wait for $(minutes)
  inputs: {delayForMinutes: $(minutes)}
- task: Delay@1
  inputs: {delayForMinutes: $(nothing)}
  continueOnError: true
  condition: and(succeeded(), eq(variables.minutes, 5))
- task: Delay@1
  enabled: false
`)[0].ID
		w.goOn()
		short, long := "__default.Job.short", "__default.Job.long"
		if got := w.steps(run, short) + "|" + w.steps(run, long); got != "running  |" {
			t.Errorf("at once: %q", got)
		}
		id := w.timeline(run)[short].ID
		if _, err := w.Assign(ctx, id); slipway.CodeOf(err) != slipway.CodeForbidden {
			t.Errorf("an agent takes it: %v", err)
		}
		if err := w.Complete(ctx, id, job.Completion{Result: schedule.Succeeded}); slipway.CodeOf(err) != slipway.CodeForbidden {
			t.Errorf("an agent ends it: %v", err)
		}
		w.restart()
		now.set("2026-03-01 12:04")
		w.goOn()
		if got := w.steps(run, short); got != "running  " {
			t.Errorf("before its time: %q", got)
		}
		now.set("2026-03-01 12:05")
		w.goOn()
		w.ended(run, short, schedule.SucceededWithIssues, "", "Succeeded SucceededWithIssues Skipped")
		if log := w.logOf(run, short, 2); !strings.Contains(log, "##[error]input delayForMinutes: \"$(nothing)\" is no whole number of minutes from 0 to 86400\n") {
			t.Errorf("log %s", log)
		}
		w.goOn()
		now.set("2026-03-01 18:00") // the server was away, and the job's hour is over
		w.restart()
		w.goOn()
		w.ended(run, long, schedule.Failed, "the job ran longer than its limit of 60 minutes", "Canceled Skipped Skipped")
		if w.result(run) != schedule.Failed {
			t.Errorf("the run: %s", w.result(run))
		}

		after := w.push("pool: server\nsteps:\n- task: Delay@1\n  inputs: {delayForMinutes: 10}\n- task: Delay@1\n  condition: always()\n  inputs: {delayForMinutes: 1}\n")[0].ID
		w.goOn()
		if err := w.Cancel(ctx, after, ada.Actor); err != nil {
			t.Fatal(err)
		}
		w.goOn()
		if got := w.steps(after, "__default.Job"); got != "Canceled running" {
			t.Errorf("after a cancel: %q", got)
		}
		now.set("2026-03-01 18:01")
		w.goOn()
		w.ended(after, "__default.Job", schedule.Canceled, "the run was canceled", "Canceled Succeeded")
		waiting := w.push("pool: server\nsteps: [{task: Delay@1}]\n")[0].ID
		if err := w.Cancel(ctx, waiting, ada.Actor); err != nil {
			t.Fatal(err)
		}
		w.goOn()
		if j := w.timeline(waiting)["__default.Job"]; j.Result != schedule.Canceled {
			t.Errorf("canceled before it began: %+v", j)
		}
	})
}

// An agentless job is not in the way of what needs a pod, and Run goes on with it by itself.
func TestAgentlessJobsRunByThemselves(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	w.reconcile()
	run := w.push("jobs:\n- job: a\n  pool: server\n  steps: [{task: Delay@1}]\n- deployment: b\n  environment: e\n  dependsOn: a\n  strategy:\n    runOnce:\n      preDeploy:\n        pool: server\n        steps: [{task: Delay@1}]\n      deploy:\n        steps: [{bash: x}]\n")[0].ID
	if err := w.ChecksCompleted(context.Background(), run, "__default", 1, schedule.ChecksApproved, ""); err != nil {
		t.Fatal(err)
	}
	w.until(run, "__default.b.preDeploy", over)
	w.until(run, "__default.b.deploy", func(j pipelines.TimelineJob) bool { return j.State == schedule.Queued })
	<-w.cluster.began
}

// callee is a service that agentless jobs call.
type callee struct {
	*httptest.Server
	mu     sync.Mutex
	calls  []string
	header http.Header
	hold   chan struct{} // nil: it answers at once
	called chan struct{} // has a value when a call came since it was looked at
}

func newCallee(t *testing.T, answer func(*http.Request) (int, string)) *callee {
	t.Helper()
	c := &callee{called: make(chan struct{}, 1)}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		c.mu.Lock()
		c.calls, c.header = append(c.calls, r.Method+" "+r.URL.String()+" "+string(body)), r.Header
		hold := c.hold
		c.mu.Unlock()
		select {
		case c.called <- struct{}{}:
		default:
		}
		if hold != nil {
			<-hold
		}
		code, text := answer(r)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *callee) made() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.calls...)
}

func invoking(c *callee, inputs string) string {
	return fmt.Sprintf("variables: {key: abc}\npool: server\nsteps:\n- task: InvokeRESTAPI@1\n  displayName: Call\n  inputs:\n    serviceConnection: %s/api\n%s", c.URL, inputs)
}

var local = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func TestInvokeRESTAPI(t *testing.T) {
	t.Parallel()
	c := newCallee(t, func(r *http.Request) (int, string) {
		switch r.URL.Path {
		case "/api/bad":
			return http.StatusTeapot, "no"
		case "/api/text":
			return http.StatusOK, "fine"
		}
		return http.StatusOK, `{"status": "ok", "items": [{"n": 1}, {"n": 2}], "token": "` + r.Header.Get("Key") + `"}`
	})
	const job = "__default.Job"
	for name, one := range map[string]struct {
		inputs string
		call   string
		result schedule.Result
		log    []string
	}{
		"a plain call": {inputs: "    urlSuffix: /x?a=$(key)\n    body: '{\"b\": \"$(key)\"}'\n", call: `POST /api/x?a=abc {"b": "abc"}`, result: schedule.Succeeded,
			log: []string{"POST " + c.URL + "/api/x?a=abc\n", "AuthToken: ***\n", "Answer: 200 OK\n"}},
		"a body for GET":            {inputs: "    method: get\n    body: x\n", call: "GET /api ", result: schedule.Succeeded},
		"criteria that hold":        {inputs: "    method: GET\n    successCriteria: and(eq(root['status'], 'ok'), eq(root.items[1].n, 2))\n", call: "GET /api ", result: schedule.Succeeded},
		"criteria that do not hold": {inputs: "    method: GET\n    successCriteria: eq(root['status'], 'no')\n", call: "GET /api ", result: schedule.Failed, log: []string{"##[error]the success criteria do not hold: eq(root['status'], 'no') is False: root['status'] is 'ok'\n"}},
		"criteria without JSON":     {inputs: "    method: GET\n    urlSuffix: /text\n    successCriteria: eq(root['status'], 'no')\n", call: "GET /api/text ", result: schedule.Failed, log: []string{"##[error]the success criteria are about JSON, which the answer is not: "}},
		"no success":                {inputs: "    urlSuffix: /bad\n", call: "POST /api/bad ", result: schedule.Failed, log: []string{"Answer: 418 I'm a teapot\nno\n##[error]the answer is 418 I'm a teapot, which is no success\n"}},
		"a secret":                  {inputs: "    method: GET\n    headers: '{\"Key\": \"$(password)\"}'\n", call: "GET /api ", result: schedule.Succeeded, log: []string{"Key: ***\n", `"token": "***"`}},
		"wrong once macros are in":  {inputs: "    headers: '$(key)'\n", result: schedule.Failed, log: []string{"##[error]input headers: it is no JSON object of names and texts: "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, ctx := setup(t, dbtest.SQLite(t)), context.Background()
			w.deps.Networks = local
			w.restart()
			w.push(invoking(c, one.inputs))
			secret := variable.Set{}
			secret.Put("password", variable.Value{Text: "hunter2", Secret: true})
			run, err := w.Queue(ctx, pipelines.QueueRequest{Pipeline: 1, Actor: ada.Actor, Variables: secret})
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Cancel(ctx, run.ID-1, slipway.System); err != nil {
				t.Fatal(err)
			}
			w.goOn() // makes the call
			w.goOn() // ends the job
			w.ended(run.ID, job, one.result, "", string(one.result))
			if made := strings.Join(c.made(), "\n"); one.call != "" && !strings.Contains(made, one.call) {
				t.Errorf("calls:\n%s\nwant %s", made, one.call)
			}
			log := w.logOf(run.ID, job, 1)
			for _, text := range one.log {
				if !strings.Contains(log, text) {
					t.Errorf("the log has no %q:\n%s", text, log)
				}
			}
			if strings.Contains(log, "hunter2") {
				t.Errorf("the log has the secret:\n%s", log)
			}
		})
	}
	t.Run("a network that is not allowed", func(t *testing.T) {
		t.Parallel()
		w := setup(t, dbtest.SQLite(t))
		run := w.push(invoking(c, "    urlSuffix: /denied\n"))[0].ID
		w.goOn()
		w.goOn()
		w.ended(run, job, schedule.Failed, "", "Failed")
		if log := w.logOf(run, job, 1); !strings.Contains(log, "127.0.0.1 is no public address") || strings.Contains(strings.Join(c.made(), ""), "/denied") {
			t.Errorf("log %s\ncalls %v", log, c.made())
		}
	})
}

// The called one tells the end with the token that it was sent, which is worth nothing afterwards.
func TestInvokeRESTAPICallback(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := newCallee(t, func(*http.Request) (int, string) { return http.StatusAccepted, "" })
		w, ctx := setup(t, d), context.Background()
		w.deps.Networks = local
		w.restart()
		for word, result := range map[string]schedule.Result{"failed": schedule.Failed, "succeeded": schedule.Succeeded} {
			run := w.push(invoking(c, "    waitForCompletion: true\n"))[0].ID
			w.goOn()
			w.restart()
			w.goOn()
			id := w.timeline(run)["__default.Job"].ID
			if got := w.steps(run, "__default.Job"); got != "running" {
				t.Errorf("before the event: %s", got)
			}
			want := map[string]string{"Planurl": "http://slipway/", "Projectid": "p", "Hubname": "build", "Planid": run.String(), "Jobid": id.String(), "Taskinstanceid": "1"}
			for name, text := range want {
				if got := c.header.Get(name); got != text {
					t.Errorf("header %s is %q, want %q", name, got, text)
				}
			}
			p, err := w.people.AuthenticateToken(ctx, c.header.Get("AuthToken"))
			if err != nil || p.Token != identity.TokenJob || p.Binding.Job != id || p.Project != "p" {
				t.Errorf("token of %+v, %v", p, err)
			}
			if err := w.TaskCompleted(ctx, id, 2, result); slipway.CodeOf(err) != slipway.CodeConflict {
				t.Errorf("%s of another step: %v", word, err)
			}
			if err := w.TaskCompleted(ctx, id, 1, result); err != nil {
				t.Fatal(err)
			}
			if err := w.TaskCompleted(ctx, id, 1, result); slipway.CodeOf(err) != slipway.CodeConflict {
				t.Errorf("%s again: %v", word, err)
			}
			w.goOn()
			w.ended(run, "__default.Job", result, "", string(result))
			if _, err := w.people.AuthenticateToken(ctx, c.header.Get("AuthToken")); slipway.CodeOf(err) != slipway.CodeUnauthenticated {
				t.Errorf("the token after the end: %v", err)
			}
		}
	})
}

// A server that is killed while it calls leaves a call of which nobody knows whether it arrived.
func TestInvokeRESTAPIAfterAKill(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		now := &hand{}
		now.set("2026-03-01 12:00")
		c := newCallee(t, func(*http.Request) (int, string) { return http.StatusOK, "" })
		w, ctx := setupAt(t, d, now), context.Background()
		w.deps.Networks = local
		w.restart()
		for i, inputs := range []string{"    method: POST\n", "    method: PUT\n", "    method: POST\n    waitForCompletion: true\n"} {
			hold := make(chan struct{})
			c.mu.Lock()
			c.hold, c.calls = hold, nil
			c.mu.Unlock()
			run := w.push(invoking(c, inputs))[0].ID
			killed := w.Service
			if err := killed.BeginAgentless(ctx); err != nil {
				t.Fatal(err)
			}
			for len(c.made()) == 0 {
				<-c.called
			}
			c.mu.Lock()
			c.hold = nil
			c.mu.Unlock()
			w.restart()
			w.goOn()
			if got := w.steps(run, "__default.Job"); got != "running" {
				t.Errorf("while another server may be calling: %s", got)
			}
			now.set(fmt.Sprintf("2026-03-01 12:0%d", i+1))
			w.goOn()
			w.goOn()
			close(hold) // the first answer comes, and is no news any more
			if err := killed.GoOnAgentless(ctx); err != nil {
				t.Fatal(err)
			}
			made, log := len(c.made()), w.logOf(run, "__default.Job", 1)
			switch i {
			case 0:
				w.ended(run, "__default.Job", schedule.Failed, "", "Failed")
				if made != 1 || !strings.Contains(log, "nobody knows whether the call arrived: a POST is not repeated by itself.") {
					t.Errorf("%d calls, log %s", made, log)
				}
				continue
			case 2:
				if got := w.steps(run, "__default.Job"); got != "running" || made != 1 {
					t.Errorf("%d calls, and the step that waits for an event is %s", made, got)
				}
				if err := w.TaskCompleted(ctx, w.timeline(run)["__default.Job"].ID, 1, schedule.Succeeded); err != nil {
					t.Fatal(err)
				}
				w.goOn()
				w.ended(run, "__default.Job", schedule.Succeeded, "", "Succeeded")
				continue
			}
			w.ended(run, "__default.Job", schedule.Succeeded, "", "Succeeded")
			if made != 2 || !strings.Contains(log, "The server stopped while it called: the call is repeated.\n") {
				t.Errorf("%d calls, log %s", made, log)
			}
		}
	})
}

// What a file says in JSON is what its plan keeps.
func TestServerPoolIsKept(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	run := w.push("pool: server\nsteps: [{task: Delay@1, inputs: {delayForMinutes: 1}}]\n")[0].ID
	text, err := db.One(context.Background(), w.deps.DB, db.Value[string], `SELECT plan FROM pipeline_plans WHERE run = $1`, int64(run))
	if err != nil {
		t.Fatal(err)
	}
	var p struct {
		Stages []struct {
			Jobs []struct {
				Kind string
				Pool struct{ Server bool }
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil || p.Stages[0].Jobs[0].Kind != "server" || !p.Stages[0].Jobs[0].Pool.Server {
		t.Errorf("%s, %v", text, err)
	}
}
