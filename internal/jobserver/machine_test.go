package jobserver_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/schedule"
)

// agentProgram is the real slipway-agent, built once.
var agentProgram = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "slipway-agent-")
	if err != nil {
		return "", err
	}
	forgetAfterTests = append(forgetAfterTests, folder)
	path := filepath.Join(folder, "slipway-agent")
	cmd := exec.Command("go", "build", "-o", path, "slipway/cmd/slipway-agent")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

// machine is a slipway-agent machine that runs as a process, with a folder that outlives it.
type machine struct {
	w      *world
	name   string
	folder string
	cmd    *exec.Cmd
	out    *bytes.Buffer
	done   chan struct{}
}

// machine registers a machine and starts its agent.
func (w *world) machine(of pipelines.MachineTarget, name string, args ...string) *machine {
	w.t.Helper()
	r, err := w.NewRegistration(context.Background(), of, slipway.Actor{Kind: slipway.ActorUser, ID: "1", Name: "Ada"})
	if err != nil {
		w.t.Fatal(err)
	}
	m := &machine{w: w, name: name, folder: filepath.Join(w.folder, "machines", name)}
	token := filepath.Join(w.folder, "token-"+name)
	w.write(token, r.Token+"\n", 0o600)
	m.start(append([]string{"--server", w.agentURL, "--token-file", token, "--name", name}, args...)...)
	w.t.Cleanup(m.kill)
	return m
}

func (m *machine) start(args ...string) {
	m.w.t.Helper()
	program, err := agentProgram()
	if err != nil {
		m.w.t.Fatal(err)
	}
	m.out, m.done = &bytes.Buffer{}, make(chan struct{})
	m.cmd = exec.Command(program, append([]string{"machine", "--folder", m.folder}, args...)...)
	m.cmd.Stdout, m.cmd.Stderr = m.out, m.out
	// What the steps of a job do with a step's own folder for temporary files.
	m.cmd.Env = append(os.Environ(), "MACHINE_FOLDER="+m.folder)
	if err := m.cmd.Start(); err != nil {
		m.w.t.Fatal(err)
	}
	go func() { defer close(m.done); _ = m.cmd.Wait() }()
}

// kill ends the agent as a loss of power would.
func (m *machine) kill() {
	_ = m.cmd.Process.Kill()
	<-m.done
}

// ends waits until the agent has ended by itself, and gives what it said.
func (m *machine) ends() string {
	m.w.t.Helper()
	select {
	case <-m.done:
	case <-time.After(60 * time.Second):
		m.w.t.Fatalf("the agent of %s does not end", m.name)
	}
	return m.out.String()
}

// pool makes a pool of machines.
func (w *world) pool(name string) pipelines.MachineTarget {
	w.t.Helper()
	if _, _, err := w.PutPool(context.Background(), name, pipelines.PoolSettings{Machines: true}, slipway.System); err != nil {
		w.t.Fatal(err)
	}
	return pipelines.MachineTarget{Pool: name}
}

// approved lets the only stage of a run's attempt begin.
func (w *world) approved(run slipway.RunID, attempt int) slipway.RunID {
	w.t.Helper()
	if err := w.ChecksCompleted(context.Background(), run, "__default", attempt, schedule.ChecksApproved, ""); err != nil {
		w.t.Fatal(err)
	}
	return run
}

func (w *world) environment(name string) pipelines.MachineTarget {
	return pipelines.MachineTarget{Project: w.source.repository.Project, ProjectName: "Shop", Environment: name}
}

// eventually waits for what happens outside of the server.
func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	deadline := time.After(60 * time.Second)
	for !is() {
		select {
		case <-time.After(20 * time.Millisecond): // processes come and go without telling
		case <-deadline:
			w.t.Fatalf("never: %s", what)
		}
	}
}

// lives reports whether the process of the file's number is there and no zombie.
func lives(file string) bool {
	text, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(text)) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// A job of a pool of machines waits, and says why, until a machine is there that meets its demands. The machine keeps the workspace of
// the pipeline for its next run, and nothing that a job started outlives the job.
func TestMachineOfPool(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	metal := w.pool("Metal")
	const file = `
pool: {name: metal, demands: [wheels -equals 4, git]}
steps:
- checkout: self
- bash: |
    echo "I am $AGENT_NAME on $SYSTEM_COLLECTIONURI"; cat README
    ls $(Pipeline.Workspace)/kept $(Build.ArtifactStagingDirectory)
    touch $(Pipeline.Workspace)/kept $(Build.ArtifactStagingDirectory)/built
    setsid bash -c 'echo $$ > "$MACHINE_FOLDER/daemon"; exec sleep 1000' > /dev/null 2>&1 &
    until [ -s "$MACHINE_FOLDER/daemon" ]; do sleep 0.01; done
    rm -rf .git/index.lock; touch .git/index.lock
  displayName: say
`
	first := w.one(w.push(file, "README", "one\n"))
	w.until(first, "waiting for a machine", func(tl *pipelines.Timeline) bool {
		return w.job(tl, "__default.Job").PodNote == "waits for a machine: the pool metal has none"
	})
	m := w.machine(metal, "truck", "--capability", "wheels=4", "--pool", "metal")
	tl := w.completed(first)
	j := w.job(tl, "__default.Job")
	if log := w.log(j, "say"); j.Result != schedule.Succeeded || !strings.Contains(log, "I am truck on ") || !strings.Contains(log, "one\n") || !strings.Contains(log, "kept': No such file") {
		t.Fatalf("the first job:\n%s\n%s", w.describe(tl), log)
	}
	w.eventually("the daemon of the job ends", func() bool { return !lives(filepath.Join(m.folder, "daemon")) })
	os.Remove(filepath.Join(m.folder, "daemon"))
	tl = w.completed(w.one(w.push(file, "README", "two\n")))
	j = w.job(tl, "__default.Job")
	if log := w.log(j, "say"); j.Result != schedule.Succeeded || !strings.Contains(log, "two\n") || !strings.Contains(log, "/kept\n") || strings.Contains(log, "\nbuilt\n") {
		t.Errorf("the second job:\n%s\n%s", w.describe(tl), log)
	}
	if info, err := os.Stat(filepath.Join(m.folder, "credentials.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the credentials: %v, %v", info, err)
	}
	list, err := w.Machines(context.Background(), metal)
	if err != nil || len(list) != 1 || !list[0].Online || list[0].Capabilities["Agent.OS"] != "Linux" || list[0].Capabilities["git"] == "" {
		t.Fatalf("machines %+v, %v", list, err)
	}
	// One that was removed ends by itself, and says what to do.
	if err := w.RemoveMachine(context.Background(), list[0].ID, slipway.System); err != nil {
		t.Fatal(err)
	}
	if said := m.ends(); !strings.Contains(said, "this machine was removed") {
		t.Errorf("the agent says %s", said)
	}
}

// What an agent that was killed leaves behind is ended by the next one, and the job is lost then and says so.
func TestMachineKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.machine(w.pool("metal"), "truck")
	run := w.one(w.push("pool: metal\nsteps:\n- bash: echo $$ > \"$MACHINE_FOLDER/pid\"; sleep 1000\n"))
	pid := filepath.Join(m.folder, "pid")
	w.eventually("the step runs", func() bool { return lives(pid) })
	m.kill()
	m.start() // as systemd does; it is registered
	tl := w.completed(run)
	if j := w.job(tl, "__default.Job"); j.Result != schedule.Failed || !strings.Contains(j.Reason, "machine truck was lost in the middle of the job") {
		t.Errorf("the job:\n%s", w.describe(tl))
	}
	if lives(pid) {
		t.Error("the step of the lost job runs on")
	}
	if again := w.completed(w.one(w.push("pool: metal\nsteps:\n- bash: echo on\n"))); again.Run.Result != schedule.Succeeded {
		t.Errorf("the next job:\n%s", w.describe(again))
	}
}

// An agent does its job while the server is away, and the next server has the result.
func TestMachineWithoutServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.machine(w.pool("metal"), "truck")
	run := w.one(w.push("pool: metal\nsteps:\n- bash: cd \"$MACHINE_FOLDER\"; touch began; until [ -e go ]; do sleep 0.01; done; touch did\n- bash: echo after\n  displayName: after\n"))
	exists := func(name string) func() bool {
		return func() bool { _, err := os.Stat(filepath.Join(m.folder, name)); return err == nil }
	}
	w.eventually("the step runs", exists("began"))
	w.kill()
	w.write(filepath.Join(m.folder, "go"), "", 0o644)
	w.eventually("the step ends", exists("did"))
	w.start()
	tl := w.completed(run)
	if j := w.job(tl, "__default.Job"); j.Result != schedule.Succeeded || w.log(j, "after") == "" {
		t.Errorf("the job:\n%s", w.describe(tl))
	}
	if again := w.completed(w.one(w.push("pool: metal\nsteps:\n- bash: echo on\n"))); again.Run.Result != schedule.Succeeded {
		t.Errorf("the next job:\n%s", w.describe(again))
	}
}

// A job that is canceled ends with everything that it started, in less than the agent waits for what does not listen.
func TestMachineCancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.machine(w.pool("metal"), "truck")
	run := w.one(w.push("pool: metal\nsteps:\n- bash: |\n    setsid sleep 1000 & echo $! > \"$MACHINE_FOLDER/daemon\"\n    sleep 1000 & echo $! > \"$MACHINE_FOLDER/child\"\n    wait\n"))
	daemon, child := filepath.Join(m.folder, "daemon"), filepath.Join(m.folder, "child")
	w.eventually("the step runs", func() bool { return lives(daemon) && lives(child) })
	if err := w.Cancel(context.Background(), run, slipway.System); err != nil {
		t.Fatal(err)
	}
	if tl := w.completed(run); tl.Run.Result != schedule.Canceled {
		t.Errorf("the run:\n%s", w.describe(tl))
	}
	w.eventually("everything has ended", func() bool { return !lives(daemon) && !lives(child) })
}

// A rolling deployment to five machines in batches of two leaves the rest as it is when the second batch fails.
func TestRollingOverMachines(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const file = `
jobs:
- deployment: web
  environment: {name: prod, resourceType: virtualMachine, tags: [web, eu]}
  strategy:
    rolling:
      maxParallel: 40%
      deploy:
        steps:
        - bash: |
            echo $(Environment.ResourceName) $(Environment.ResourceId) $(WHERE) > "$MACHINE_FOLDER/deployed"
            [ "$(Environment.ResourceName)" != m3 ] || [ -e "$MACHINE_FOLDER/repaired" ]
          displayName: go
      on:
        failure: {steps: [{bash: touch "$MACHINE_FOLDER/failed"}]}
`
	// Without machines the deployment says what is missing.
	if tl := w.completed(w.approved(w.one(w.push(file)), 1)); tl.Run.Result != schedule.Failed || !strings.Contains(w.describe(tl), "environment prod has no virtual machines: make a registration token") {
		t.Errorf("without machines:\n%s", w.describe(tl))
	}
	machines := map[string]*machine{}
	for i := 1; i <= 5; i++ {
		name := "m" + strconv.Itoa(i)
		machines[name] = w.machine(w.environment("Prod"), name, "--environment", "Shop/prod", "--tags", "web,EU")
	}
	machines["db"] = w.machine(w.environment("prod"), "db", "--tags", "eu")
	w.eventually("all machines are registered", func() bool {
		list, err := w.Machines(context.Background(), w.environment("prod"))
		return err == nil && len(list) == 6
	})
	run := w.approved(w.one(w.push(file, "README", "again\n")), 1)
	tl := w.completed(run)
	got := map[string]string{}
	for _, j := range tl.Stages[0].Jobs {
		got[strings.TrimPrefix(j.Instance, "__default.web.")] = string(j.Result)
	}
	want := map[string]string{"deploy.m1": "Succeeded", "failure.m1": "Skipped", "deploy.m2": "Succeeded", "failure.m2": "Skipped", "deploy.m3": "Failed", "failure.m3": "Succeeded",
		"deploy.m4": "Succeeded", "failure.m4": "Skipped", "deploy.m5": "Skipped", "failure.m5": "Skipped"}
	if diff := cmp.Diff(want, got); diff != "" || tl.Run.Result != schedule.Failed {
		t.Fatalf("-want +got\n%s\n%s", diff, w.describe(tl))
	}
	for name, m := range machines {
		text, err := os.ReadFile(filepath.Join(m.folder, "deployed"))
		if reached := name != "m5" && name != "db"; reached != (err == nil) || reached && !strings.HasPrefix(string(text), name+" ") {
			t.Errorf("%s has %q, %v", name, text, err)
		}
	}
	for first, then := range map[string]string{"m1": "m3", "m2": "m4"} { // in batches
		a, b := w.job(tl, "__default.web.deploy."+first), w.job(tl, "__default.web.deploy."+then)
		if a.Finished.After(b.Queued) {
			t.Errorf("%s ended at %v, after %s was queued at %v", first, a.Finished, then, b.Queued)
		}
	}
	// A retry goes on where it did not succeed.
	w.write(filepath.Join(machines["m3"].folder, "repaired"), "", 0o644)
	if err := w.RetryFailed(context.Background(), run, slipway.System); err != nil {
		t.Fatal(err)
	}
	tl = w.completed(w.approved(run, 2))
	if a, b := w.job(tl, "__default.web.deploy.m1"), w.job(tl, "__default.web.deploy.m5"); tl.Run.Result != schedule.Succeeded || a.Attempt != 1 || b.Attempt != 2 {
		t.Errorf("after the retry:\n%s", w.describe(tl))
	}
	work, err := w.LastJobs(context.Background(), []pipelines.Machine{{ID: w.job(tl, "__default.web.deploy.m5").Machine}}, true)
	if err != nil || len(work) != 1 {
		t.Errorf("what was deployed to m5: %+v, %v", work, err)
	}
}

// A machine's credentials take the jobs of the machine alone, and a registration token registers one.
func TestMachineCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool("metal")
	issue := func(kind identity.TokenKind, b identity.Binding) string {
		token, err := w.id.IssueToken(context.Background(), identity.TokenRequest{Kind: kind, Actor: slipway.Actor{Kind: slipway.ActorMachine, ID: "7"}, Binding: b})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	registration, err := w.NewRegistration(context.Background(), pipelines.MachineTarget{Pool: "metal"}, slipway.System)
	if err != nil {
		t.Fatal(err)
	}
	own := issue(identity.TokenMachine, identity.Binding{Machine: 7})
	const ask, register = `{"version": 2}`, `{"version": 2, "name": "a"}`
	for _, tt := range []struct {
		path, token, body string
		want              int
	}{
		{"/_slipway/machines/7/job", "", ask, http.StatusForbidden},
		{"/_slipway/machines/8/job", own, ask, http.StatusForbidden},
		{"/_slipway/machines/7/job", issue(identity.TokenJob, identity.Binding{Machine: 7}), ask, http.StatusForbidden},
		{"/_slipway/machines/7/job", own, ask, http.StatusNotFound}, // there is no machine 7
		{"/_slipway/machines/7/job", own, `{"version": 1}`, http.StatusBadRequest},
		{"/_slipway/machines/7/heartbeat", "", ask, http.StatusForbidden},
		{"/_slipway/jobs/7/start", own, "", http.StatusForbidden},
		{"/_slipway/pods/7/job", own, "", http.StatusForbidden},
		{"/_apis/projects", own, "", http.StatusForbidden},
		{"/_slipway/machines", "", register, http.StatusUnauthorized},
		{"/_slipway/machines", own, register, http.StatusUnauthorized},
		{"/_slipway/machines", registration.Token, `{"version": 1, "name": "a"}`, http.StatusBadRequest},
		{"/_slipway/machines", registration.Token, `{"version": 2, "name": "a b"}`, http.StatusBadRequest},
		{"/_slipway/machines", registration.Token, `{"version": 2, "name": "a", "pool": "other"}`, http.StatusForbidden},
		{"/_slipway/machines", registration.Token, register, http.StatusCreated},
		{"/_slipway/machines", registration.Token, `{"version": 2, "name": "b"}`, http.StatusUnauthorized},
	} {
		method := http.MethodPost
		if strings.HasPrefix(tt.path, "/_apis") {
			method = http.MethodGet
		}
		r, err := http.NewRequest(method, "http://"+w.address+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		if tt.token != "" {
			r.Header.Set("Authorization", "Bearer "+tt.token)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("%s %s: %d, want %d", tt.path, tt.body, resp.StatusCode, tt.want)
		}
	}
}

// An agent that is asked to end does so after it has told the server that its job is over; --once ends it after one job.
func TestMachineEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	metal := w.pool("metal")
	m := w.machine(metal, "truck")
	run := w.one(w.push("pool: metal\nsteps:\n- bash: echo $$ > \"$MACHINE_FOLDER/pid\"; sleep 1000\n"))
	w.eventually("the step runs", func() bool { return lives(filepath.Join(m.folder, "pid")) })
	if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	m.ends()
	if tl := w.completed(run); tl.Run.Result != schedule.Failed || !strings.Contains(w.describe(tl), "the agent was told to stop") {
		t.Errorf("the run:\n%s", w.describe(tl))
	}
	once := w.machine(metal, "bicycle", "--once")
	if tl := w.completed(w.one(w.push("pool: metal\nsteps:\n- bash: echo on\n"))); tl.Run.Result != schedule.Succeeded {
		t.Errorf("the run:\n%s", w.describe(tl))
	}
	once.ends()
}
