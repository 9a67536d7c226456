package pipelines_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

var owner = slipway.Actor{Kind: slipway.ActorUser, ID: "1", Name: "Ada"}

// register makes a machine as its agent would.
func (w *world) register(of pipelines.MachineTarget, r job.MachineRegistration) job.MachineCredentials {
	w.Helper()
	made, err := w.NewRegistration(context.Background(), of, owner)
	if err != nil {
		w.Fatal(err)
	}
	r.Version = job.Version
	c, err := w.RegisterMachine(context.Background(), made.Token, r)
	if err != nil {
		w.Fatal(err)
	}
	return c
}

// asks is what an idle agent is given.
func (w *world) asks(machine int64) slipway.JobID {
	w.Helper()
	ctx := context.Background()
	if err := w.HearMachine(ctx, machine, job.MachineAsk{Version: job.Version}); err != nil {
		w.Fatal(err)
	}
	if err := w.MachineIdle(ctx, machine); err != nil {
		w.Fatal(err)
	}
	w.look()
	work, ok, err := w.AwaitMachineJob(ctx, machine)
	if err != nil || ok != (work.Job != 0) || ok && work.Token == "" {
		w.Fatalf("machine %d is given %+v, %v, %v", machine, work, ok, err)
	}
	return work.Job
}

func (w *world) machinePool(settings pipelines.PoolSettings) pipelines.MachineTarget {
	w.Helper()
	settings.Machines = true
	if _, _, err := w.PutPool(context.Background(), "Metal", settings, owner); err != nil {
		w.Fatal(err)
	}
	return pipelines.MachineTarget{Pool: "metal"}
}

// A machine that falls silent loses its job; one that has not begun it gives it back to the pool.
func TestMachineSilent(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		now := &hand{}
		now.set("2026-03-01 12:00")
		w, ctx := setupAt(t, d, now), context.Background()
		metal := w.machinePool(pipelines.PoolSettings{})
		one := w.register(metal, job.MachineRegistration{Name: "one"}).Machine
		run := w.push("pool: metal\nsteps:\n- bash: x\n")[0].ID
		w.look()
		j := func() pipelines.TimelineJob { return w.timeline(run)["__default.Job"] }
		if got := j(); got.Machine != one || w.cluster.pod(got.PodName()).Image != "" {
			t.Fatalf("the job is not on the machine, or has a pod: %+v", got)
		}
		now.set("2026-03-01 12:02")
		two := w.register(metal, job.MachineRegistration{Name: "two"}).Machine
		w.look()
		if got := j(); got.Machine != two {
			t.Fatalf("the job is still on machine %d", got.Machine)
		}
		id := w.asks(two)
		if id != j().ID {
			t.Fatalf("machine two is given job %d", id)
		}
		if again := w.asks(two); again != id {
			t.Errorf("asked again, after an answer that was lost, it is given %d", again)
		}
		if _, err := w.Assign(ctx, id); err != nil {
			t.Fatal(err)
		}
		now.set("2026-03-01 12:06")
		w.look()
		if got := j(); got.State != schedule.Running {
			t.Fatalf("after 4 minutes the job is %s: %s", got.State, got.Reason)
		}
		now.set("2026-03-01 12:08")
		w.restart() // the time counts from when there is a server to speak to
		w.look()
		now.set("2026-03-01 12:12")
		w.look()
		if got := j(); got.State != schedule.Running {
			t.Fatalf("4 minutes after the server's start the job is %s: %s", got.State, got.Reason)
		}
		now.set("2026-03-01 12:14")
		w.look()
		if got := j(); got.Result != schedule.Failed || got.Reason != "machine two was lost: its agent has not been heard of for 5m0s" {
			t.Errorf("the job is %s: %s", got.Result, got.Reason)
		}
		if list, err := w.Machines(ctx, metal); err != nil || list[1].Job != 0 || list[1].Online {
			t.Errorf("machines %+v, %v", list, err)
		}
	})
}

// An agent that asks for a job while its job runs was started again: the job is lost at once.
func TestMachineStartedAgain(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		one := w.register(w.machinePool(pipelines.PoolSettings{}), job.MachineRegistration{Name: "one"}).Machine
		run := w.push("pool: metal\nsteps:\n- bash: x\n")[0].ID
		w.look()
		id := w.asks(one)
		if _, err := w.Assign(ctx, id); err != nil {
			t.Fatal(err)
		}
		if next := w.asks(one); next != 0 {
			t.Errorf("it is given job %d", next)
		}
		if j := w.timeline(run)["__default.Job"]; j.Result != schedule.Failed || !strings.Contains(j.Reason, "machine one was lost in the middle of the job") {
			t.Errorf("the job is %s: %s", j.Result, j.Reason)
		}
	})
}

// Removing a machine fails the job that it has; a job that waits is canceled at once.
func TestMachineRemovedAndCanceled(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		metal := w.machinePool(pipelines.PoolSettings{})
		if err := w.DeletePool(ctx, "metal", owner); err != nil {
			t.Fatal(err)
		}
		w.machinePool(pipelines.PoolSettings{})
		one := w.register(metal, job.MachineRegistration{Name: "one"}).Machine
		for what, err := range map[string]error{
			"deleted": w.DeletePool(ctx, "metal", owner),
			"changed": func() error { _, _, err := w.PutPool(ctx, "metal", pipelines.PoolSettings{}, owner); return err }(),
		} {
			if slipway.CodeOf(err) != slipway.CodeConflict {
				t.Errorf("a pool with machines is %s: %v", what, err)
			}
		}
		first := w.push("pool: metal\nsteps:\n- bash: x\n")[0].ID
		w.look()
		if _, err := w.Assign(ctx, w.asks(one)); err != nil {
			t.Fatal(err)
		}
		second := w.push("pool: metal\nsteps:\n- bash: x\n")[0].ID
		w.look()
		if j := w.timeline(second)["__default.Job"]; j.PodNote != "waits for a machine: no machine of the pool metal is free" {
			t.Errorf("the second job says %q", j.PodNote)
		}
		if err := w.Cancel(ctx, second, owner); err != nil {
			t.Fatal(err)
		}
		if err := w.RemoveMachine(ctx, one, owner); err != nil {
			t.Fatal(err)
		}
		w.look()
		if j := w.timeline(first)["__default.Job"]; j.Result != schedule.Failed || j.Reason != "machine one, which did the job, was removed" {
			t.Errorf("the first job is %s: %s", j.Result, j.Reason)
		}
		if w.result(second) != schedule.Canceled {
			t.Errorf("the second run is %s", w.result(second))
		}
		if err := w.HearMachine(ctx, one, job.MachineAsk{Version: job.Version}); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("the machine that was removed is heard: %v", err)
		}
	})
}

// A registration token is good for one machine, for an hour, and for its own pool or environment.
func TestMachineRegistration(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		now := &hand{}
		now.set("2026-03-01 12:00")
		w, ctx := setupAt(t, d, now), context.Background()
		metal := w.machinePool(pipelines.PoolSettings{})
		if _, _, err := w.PutPool(ctx, "pods", pipelines.PoolSettings{}, owner); err != nil {
			t.Fatal(err)
		}
		if _, err := w.NewRegistration(ctx, pipelines.MachineTarget{Pool: "pods"}, owner); slipway.CodeOf(err) != slipway.CodeConflict {
			t.Errorf("a machine of a pool of pods: %v", err)
		}
		made, err := w.NewRegistration(ctx, metal, owner)
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			at   string
			r    job.MachineRegistration
			want slipway.Code
		}{
			{"12:01", job.MachineRegistration{Version: job.Version + 1, Name: "a"}, slipway.CodeInvalid},
			{"12:01", job.MachineRegistration{Version: job.Version, Name: "../a"}, slipway.CodeInvalid},
			{"12:01", job.MachineRegistration{Version: job.Version, Name: "a", Environment: "Shop/prod"}, slipway.CodeForbidden},
			{"12:01", job.MachineRegistration{Version: job.Version, Name: "a", Tags: []string{"web"}}, slipway.CodeInvalid},
			{"12:59", job.MachineRegistration{Version: job.Version, Name: "a", Pool: "METAL"}, ""},
			{"12:59", job.MachineRegistration{Version: job.Version, Name: "b"}, slipway.CodeUnauthenticated},
		} {
			now.set("2026-03-01 " + tt.at)
			if _, err := w.RegisterMachine(ctx, made.Token, tt.r); slipway.CodeOf(err) != tt.want {
				t.Errorf("%+v: %v, want %q", tt.r, err, tt.want)
			}
		}
		if made, err = w.NewRegistration(ctx, metal, owner); err != nil {
			t.Fatal(err)
		}
		if _, err := w.RegisterMachine(ctx, made.Token, job.MachineRegistration{Version: job.Version, Name: "A"}); slipway.CodeOf(err) != slipway.CodeConflict {
			t.Errorf("a second machine of a name: %v", err)
		}
		if _, err := w.RegisterMachine(ctx, made.Token, job.MachineRegistration{Version: job.Version, Name: "A", Replace: true}); err != nil {
			t.Errorf("in its place, with the token that was not used: %v", err)
		}
		if made, err = w.NewRegistration(ctx, metal, owner); err != nil {
			t.Fatal(err)
		}
		now.set("2026-03-01 14:00")
		if _, err := w.RegisterMachine(ctx, made.Token, job.MachineRegistration{Version: job.Version, Name: "c"}); slipway.CodeOf(err) != slipway.CodeUnauthenticated {
			t.Errorf("after an hour: %v", err)
		}
	})
}

// Pull requests from forks run on machines only where the pool lets them.
func TestForksOnMachines(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	for allowed, want := range map[bool]schedule.State{false: schedule.Completed, true: schedule.Queued} {
		metal := w.machinePool(pipelines.PoolSettings{Forks: allowed})
		if !allowed {
			w.register(metal, job.MachineRegistration{Name: "one"})
		}
		run := w.push("pool: metal\nvariables: {System.PullRequest.IsFork: 'True'}\nsteps:\n- bash: x\n")[0].ID
		w.look()
		if j := w.timeline(run)["__default.Job"]; j.State != want {
			t.Errorf("forks %v: the job is %s: %s", allowed, j.State, j.Reason)
		}
	}
}

// A deployment is to the enabled machines of the environment that have all tags, or to the one that is named.
func TestChosenMachines(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		prod := pipelines.MachineTarget{Project: "p", ProjectName: "Shop", Environment: "Prod"}
		first := w.register(prod, job.MachineRegistration{Name: "web-1", Tags: []string{"web", "EU"}}).Machine
		w.register(prod, job.MachineRegistration{Name: "web.2", Tags: []string{"web"}})
		off := w.register(prod, job.MachineRegistration{Name: "web-3", Tags: []string{"web"}}).Machine
		w.register(pipelines.MachineTarget{Project: "other", Environment: "prod"}, job.MachineRegistration{Name: "foreign", Tags: []string{"web"}})
		disabled := false
		if _, err := w.UpdateMachine(ctx, off, pipelines.MachineUpdate{Enabled: &disabled}, owner); err != nil {
			t.Fatal(err)
		}
		for which, want := range map[string][]string{
			"":                                {"D web-1", "D web.2"},
			"tags: web, ":                     {"D web-1", "D web.2"},
			"tags: 'web, eu', ":               {"D web-1"},
			"resourceName: WEB.2, ":           {"D web.2"},
			"resourceId: $(NUMBER), ":         {"D web-1"},
			"resourceId: 987, ":               {"environment prod has no virtual machine of the number 987"},
			"resourceName: web-9, ":           {"environment prod has no virtual machine named web-9"},
			"tags: db, ":                      {"environment prod has no virtual machine with the tags db"},
			"resourceName: web-3, tags: web,": {"all virtual machines named web-3 with the tags web of environment prod are disabled: enable one on its page"},
		} {
			run := w.push(fmt.Sprintf("variables: {NUMBER: %d}\n", first) + "jobs:\n- deployment: D\n  environment: {" + which + " name: prod, resourceType: virtualMachine}\n  strategy: {runOnce: {deploy: {steps: [{bash: x}]}}}\n")[0].ID
			if err := w.ChecksCompleted(ctx, run, "__default", 1, schedule.ChecksApproved, ""); err != nil {
				t.Fatal(err)
			}
			var got []string
			tl, err := w.Timeline(ctx, run)
			if err != nil {
				t.Fatal(err)
			}
			for _, j := range tl.Stages[0].Jobs {
				if j.Reason != "" {
					got = append(got, j.Reason)
				} else {
					got = append(got, j.Title)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q: -want +got\n%s", which, diff)
			}
			if tl.Run.State != pipelines.RunCompleted {
				if err := w.Cancel(ctx, run, owner); err != nil {
					t.Fatal(err)
				}
				w.look()
			}
		}
	})
}

// A deployment is over with the last of its hooks, not with the first.
func TestJobOutcome(t *testing.T) {
	t.Parallel()
	w, ctx := setup(t, dbtest.SQLite(t)), context.Background()
	run := w.push("jobs:\n- deployment: D\n  environment: prod\n  strategy: {runOnce: {preDeploy: {steps: [{bash: x}]}, deploy: {steps: [{bash: x}]}, on: {failure: {steps: [{bash: x}]}}}}\n")[0].ID
	approve := func(attempt int) {
		t.Helper()
		if err := w.ChecksCompleted(ctx, run, "__default", attempt, schedule.ChecksApproved, ""); err != nil {
			t.Fatal(err)
		}
	}
	approve(1)
	outcome := func(hook string, wantState schedule.State, want schedule.Result) {
		t.Helper()
		state, result, err := w.JobOutcome(ctx, w.timeline(run)["__default.D."+hook].ID)
		if err != nil || state != wantState || result != want {
			t.Errorf("after %s: %s %s, %v", hook, state, result, err)
		}
	}
	w.do(run, "__default.D.preDeploy", job.Completion{Result: schedule.Succeeded})
	outcome("preDeploy", schedule.Running, "")
	w.do(run, "__default.D.deploy", job.Completion{Result: schedule.Failed})
	outcome("preDeploy", schedule.Running, "")
	w.do(run, "__default.D.failure", job.Completion{Result: schedule.Succeeded})
	outcome("failure", schedule.Completed, schedule.Failed)
	// The attempt that failed stays over when another begins.
	first := w.timeline(run)["__default.D.deploy"].ID
	if err := w.RetryFailed(ctx, run, owner); err != nil {
		t.Fatal(err)
	}
	approve(2)
	w.do(run, "__default.D.preDeploy", job.Completion{Result: schedule.Succeeded})
	if state, result, err := w.JobOutcome(ctx, first); err != nil || state != schedule.Completed || result != schedule.Failed {
		t.Errorf("the first attempt, during the second: %s %s, %v", state, result, err)
	}
}
