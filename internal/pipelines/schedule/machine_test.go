package schedule

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

func rolling(t *testing.T, strategy string, names ...string) *world {
	t.Helper()
	w := newWorld(t, "jobs:\n- deployment: D\n  environment: {name: prod, resourceType: virtualMachine, tags: 'web, $(kind)'}\n  variables: {kind: blue}\n"+
		"  strategy:\n    "+strategy+"\n"+`
      preDeploy: {steps: [{script: x}]}
      deploy: {steps: [{script: x}]}
      on:
        failure: {steps: [{script: x}]}
        success: {steps: [{script: x}]}
`)
	for i, name := range names {
		w.machines = append(w.machines, plan.Leg{Name: name, Variables: map[string]string{plan.MachineVariable: itoa(i + 1)}})
	}
	return w
}

// through ends the hooks of a machine that goes well.
func (w *world) through(machine string) *world {
	w.t.Helper()
	for _, hook := range []string{"preDeploy", "deploy", "success"} {
		w.end("__default.D."+hook+"."+machine, Succeeded)
	}
	return w
}

// A rolling deployment goes over the machines in batches; after a batch with a failure the rest is left as it is. A retry goes on
// where it did not succeed.
func TestRollingDeployment(t *testing.T) {
	t.Parallel()
	w := rolling(t, "rolling:\n      maxParallel: 2", "m1", "m2", "m3", "m4", "m5").settle().check("__default", ChecksApproved)
	if e := w.chosen.Environment; e == nil || e.Name != "prod" || cmp.Diff([]string{"web", "blue"}, e.Tags) != "" {
		t.Fatalf("machines are chosen by %+v", e)
	}
	w.isRunning("__default.D.preDeploy.m1", "__default.D.preDeploy.m2")
	a := w.starts["__default.D.preDeploy.m2"]
	for name, want := range map[string]string{variable.EnvironmentResourceName: "m2", plan.MachineVariable: "2", variable.StrategyName: "rolling", variable.StrategyCycleName: "preDeploy"} {
		if got := a.Variables.Text(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if a.Environment.Resource != "m2" {
		t.Errorf("deploys to %+v", a.Environment)
	}
	w.through("m1").isRunning("__default.D.preDeploy.m2").through("m2").isRunning("__default.D.preDeploy.m3", "__default.D.preDeploy.m4")
	w.end("__default.D.preDeploy.m3", Succeeded).end("__default.D.deploy.m3", Failed).isRunning("__default.D.failure.m3", "__default.D.preDeploy.m4")
	w.end("__default.D.failure.m3", Succeeded).through("m4").result(Failed)
	for _, hook := range []string{"preDeploy", "deploy", "failure", "success"} {
		if f := w.facts.Jobs["__default.D."+hook+".m5"]; f.Result != Skipped || !strings.Contains(w.reasons["__default.D."+hook+".m5"], "machine m3 failed") {
			t.Errorf("%s of m5: %+v", hook, f)
		}
	}
	reset, err := Retry(w.plan, w.facts, Again{Stage: "__default"})
	if err != nil {
		t.Fatal(err)
	}
	w.facts = w.facts.Apply(reset)
	w.settle().check("__default", ChecksApproved).isRunning("__default.D.preDeploy.m3").through("m3").isRunning("__default.D.preDeploy.m5").through("m5").result(Succeeded)
}

// runOnce goes over all machines side by side, and a failure of one stops no other.
func TestRunOnceOnMachines(t *testing.T) {
	t.Parallel()
	w := rolling(t, "runOnce:", "m1", "m2", "m3").settle().check("__default", ChecksApproved).isRunning("__default.D.preDeploy.m1", "__default.D.preDeploy.m2", "__default.D.preDeploy.m3")
	w.end("__default.D.preDeploy.m1", Failed).end("__default.D.failure.m1", Succeeded).through("m2").through("m3").result(Failed)
}

// Outputs have the names that Azure Pipelines documents for resources: HOOK_RESOURCE.STEP.VARIABLE.
func TestOutputsOfMachines(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
jobs:
- deployment: D
  environment: {name: prod, resourceType: virtualMachine}
  strategy: {rolling: {deploy: {steps: [{script: x}]}}}
- job: after
  dependsOn: D
  variables:
    v: $[ dependencies.D.outputs['deploy_web-2.s.v'] ]
  steps: [{script: x}]
`)
	w.machines = []plan.Leg{{Name: "web-1"}, {Name: "web-2"}}
	w.settle().check("__default", ChecksApproved).isRunning("__default.D.deploy.web-1").end("__default.D.deploy.web-1", Succeeded).end("__default.D.deploy.web-2", Succeeded, "s.v", "7")
	if got := w.starts["__default.after"].Variables.Text("v"); got != "7" {
		t.Errorf("the output is %q", got)
	}
}

func TestBatchSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"": 1, "2": 2, "25%": 1, "50%": 2, "99%": 4, "100%": 5, "1%": 1} {
		d := plan.Deployment{Strategy: "rolling", MaxParallel: text}
		if got := d.BatchSize(5); got != want {
			t.Errorf("maxParallel %q of 5 machines: %d, want %d", text, got, want)
		}
	}
	if got := (&plan.Deployment{Strategy: "runOnce"}).BatchSize(5); got != 5 {
		t.Errorf("runOnce: %d", got)
	}
}

func TestPlace(t *testing.T) {
	t.Parallel()
	machine := func(id int64, name string, change func(*Machine)) Machine {
		m := Machine{ID: id, Name: name, Pool: "metal", Enabled: true, Online: true, Capabilities: map[string]string{"gpu": "a100"}}
		change(&m)
		return m
	}
	same := func(*Machine) {}
	gpu := MachineJob{ID: 1, Pool: "metal", Demands: []string{"gpu"}}
	for name, tt := range map[string]struct {
		jobs     []MachineJob
		machines []Machine
		given    map[slipway.JobID]int64
		waits    map[slipway.JobID]string
	}{
		"free": {[]MachineJob{gpu, {ID: 2, Pool: "metal"}, {ID: 3, Pool: "metal"}}, []Machine{machine(1, "a", func(m *Machine) { m.Capabilities = nil }), machine(2, "b", same)},
			map[slipway.JobID]int64{1: 2, 2: 1}, map[slipway.JobID]string{3: "waits for a machine: no machine of the pool metal is free"}},
		"none":         {[]MachineJob{gpu}, []Machine{machine(1, "a", func(m *Machine) { m.Pool = "other" })}, nil, map[slipway.JobID]string{1: "waits for a machine: the pool metal has none"}},
		"demand":       {[]MachineJob{{ID: 1, Pool: "metal", Demands: []string{"gpu -equals h100"}}}, []Machine{machine(1, "a", same)}, nil, map[slipway.JobID]string{1: `waits for a machine: none of the pool metal meets the demand "gpu -equals h100"`}},
		"busy":         {[]MachineJob{gpu}, []Machine{machine(1, "a", func(m *Machine) { m.Busy = true })}, nil, map[slipway.JobID]string{1: "waits for a machine: no machine of the pool metal is free"}},
		"offline":      {[]MachineJob{gpu}, []Machine{machine(1, "a", func(m *Machine) { m.Online = false })}, nil, map[slipway.JobID]string{1: "waits for a machine: none of the pool metal that meets its demands is online"}},
		"disabled":     {[]MachineJob{gpu}, []Machine{machine(1, "a", func(m *Machine) { m.Enabled = false })}, nil, map[slipway.JobID]string{1: "waits for a machine: all of the pool metal that meet its demands are disabled"}},
		"own":          {[]MachineJob{{ID: 1, Machine: 2}}, []Machine{machine(1, "a", same), machine(2, "b", same)}, map[slipway.JobID]int64{1: 2}, nil},
		"own offline":  {[]MachineJob{{ID: 1, Machine: 2}}, []Machine{machine(2, "b", func(m *Machine) { m.Online = false })}, nil, map[slipway.JobID]string{1: "waits for machine b, which is offline"}},
		"own disabled": {[]MachineJob{{ID: 1, Machine: 2}}, []Machine{machine(2, "b", func(m *Machine) { m.Enabled = false })}, nil, map[slipway.JobID]string{1: "waits for machine b, which is disabled"}},
		"own busy":     {[]MachineJob{{ID: 1, Machine: 2}}, []Machine{machine(2, "b", func(m *Machine) { m.Busy = true })}, nil, map[slipway.JobID]string{1: "waits for machine b, which has another job"}},
		"own gone":     {[]MachineJob{{ID: 1, Machine: 2}}, nil, nil, nil},
	} {
		given, waits := Place(tt.jobs, tt.machines)
		if tt.given == nil {
			tt.given = map[slipway.JobID]int64{}
		}
		if tt.waits == nil {
			tt.waits = map[slipway.JobID]string{}
		}
		if diff := cmp.Diff(tt.given, given) + cmp.Diff(tt.waits, waits); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}
