package schedule

import (
	"slices"
	"strings"
	"testing"

	"slipway/internal/pipelines/compile"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

type oneFile string

func (f oneFile) ReadFile(string) ([]byte, error) { return []byte(f), nil }

func planOf(t testing.TB, text string) *plan.Plan {
	t.Helper()
	p, err := compile.Compile(compile.Input{Path: "p.yml", Files: oneFile(strings.TrimPrefix(text, "\n"))})
	if err != nil {
		t.Fatalf("compile:\n%v", err)
	}
	return p
}

// world plays the shell and the agents: it does what Next decides, and ends jobs as it is told.
type world struct {
	t     testing.TB
	plan  *plan.Plan
	facts Facts
	// started are the instances in the order in which they started, reasons by stage or instance.
	started []string
	starts  map[string]Action
	checks  map[string]Action
	reasons map[string]string
	// machines are those of every environment, and chosen what was asked of them last.
	machines []plan.Leg
	chosen   Action
}

func newWorld(t testing.TB, text string) *world {
	t.Helper()
	return &world{t: t, plan: planOf(t, text), facts: Facts{Variables: variable.Of(map[string]string{"Build.SourceBranch": "refs/heads/main"})},
		starts: map[string]Action{}, checks: map[string]Action{}, reasons: map[string]string{}}
}

// settle does what is decided until there is nothing more to decide.
func (w *world) settle() *world {
	w.t.Helper()
	for range 1000 {
		actions := Next(w.plan, w.facts)
		if len(actions) == 0 {
			return w
		}
		for _, a := range actions {
			switch a.Kind {
			case ActionStartJob:
				w.started = append(w.started, a.Instance)
				w.starts[a.Instance] = a
			case ActionStartChecks:
				w.checks[a.Stage] = a
			case ActionSkipStage:
				w.reasons[a.Stage] = a.Reason
			case ActionSkipJob, ActionFailJob, ActionCancelJob:
				w.reasons[a.Instance] = a.Reason
			}
			w.facts = w.facts.Record(a)
			if a.Kind == ActionChooseMachines {
				w.chosen = a
				f := w.facts.Jobs[a.Instance]
				f.Legs = w.machines
				w.facts.Jobs[a.Instance] = f
			}
		}
	}
	w.t.Fatal("the scheduler does not come to rest")
	return w
}

// end ends a job that was started, and settles.
func (w *world) end(instance string, result Result, outputs ...string) *world {
	w.t.Helper()
	f := w.facts.Jobs[instance]
	if f.State != Queued && f.State != Running {
		w.t.Fatalf("%s is not running but %q", instance, f.State)
	}
	f.State, f.Result = Completed, result
	if len(outputs) > 0 {
		f.Outputs = map[string]string{}
	}
	for i := 0; i < len(outputs); i += 2 {
		f.Outputs[outputs[i]] = outputs[i+1]
	}
	w.facts.Jobs[instance] = f
	return w.settle()
}

func (w *world) check(stage string, state CheckState) *world {
	w.t.Helper()
	f := w.facts.Stages[stage]
	if f.State != Checking {
		w.t.Fatalf("stage %s is not checking but %q", stage, f.State)
	}
	f.Checks = state
	w.facts.Stages[stage] = f
	return w.settle()
}

func (w *world) cancel() *world {
	w.t.Helper()
	w.facts.Canceled = true
	return w.settle()
}

// running are the instances that are with an agent, in order of their names.
func (w *world) running() []string {
	var list []string
	for id, f := range w.facts.Jobs {
		if f.State == Queued || f.State == Running {
			list = append(list, id)
		}
	}
	slices.Sort(list)
	return list
}

func (w *world) isRunning(want ...string) *world {
	w.t.Helper()
	if got := w.running(); !slices.Equal(got, want) {
		w.t.Fatalf("running %v, want %v", got, want)
	}
	return w
}

func (w *world) stage(name string, want Result) *world {
	w.t.Helper()
	if f := w.facts.Stages[name]; f.State != Completed || f.Result != want {
		w.t.Errorf("stage %s is %q %q (%s), want %s", name, f.State, f.Result, f.Reason, want)
	}
	return w
}

func (w *world) job(id string, want Result) *world {
	w.t.Helper()
	if f := w.facts.Jobs[id]; f.State != Completed || f.Result != want {
		w.t.Errorf("job %s is %q %q (%s), want %s", id, f.State, f.Result, f.Reason, want)
	}
	return w
}

func (w *world) result(want Result) *world {
	w.t.Helper()
	if w.facts.Result != want {
		w.t.Errorf("the run is %q, want %q; stages %+v", w.facts.Result, want, w.facts.Stages)
	}
	return w
}

func (w *world) reason(of, want string) *world {
	w.t.Helper()
	if got := w.reasons[of]; got != want {
		w.t.Errorf("reason of %s:\ngot  %s\nwant %s", of, got, want)
	}
	return w
}

// sees checks the value of a variable that a started instance got.
func (w *world) sees(instance, name, want string) *world {
	w.t.Helper()
	if v, ok := w.starts[instance].Variables.Get(name); !ok || v.Text != want {
		w.t.Errorf("%s sees %s as %q (%v), want %q", instance, name, v.Text, ok, want)
	}
	return w
}
