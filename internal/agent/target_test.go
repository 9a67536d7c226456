package agent

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
)

// besides is a workbench whose step runs in a target, which this process serves too.
func besides(t *testing.T, variables map[string]string, files ...string) *workbench {
	t.Helper()
	w := newWorkbench(t, variables, files...)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- ServeTarget(ctx, w.config.Folder, "Tools") }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Errorf("the target ended with %v", err)
		}
	})
	w.task.target = w.targetOf(&plan.Step{Kind: plan.StepScript, Target: &plan.Target{Container: "tools"}})
	if err := w.task.target.greet(t.Context()); err != nil {
		t.Fatal(err)
	}
	// What a program sees tells that it was started by the target: this process has no such variable.
	w.task.target.env = append(w.task.target.env, "ONLY_THERE=yes")
	return w
}

func TestTargetRunsPrograms(t *testing.T) {
	t.Parallel()
	w := besides(t, map[string]string{"color": "green"}, "dir/here", "")
	script := func(text, dir string) error {
		return w.script(&plan.Script{Shell: plan.ShellBash, Text: text, WorkingDirectory: dir})
	}
	if err := script("echo $ONLY_THERE $COLOR; ls; echo to stderr >&2", "dir"); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"yes green", "here", "to stderr"} {
		w.says(line)
	}
	for text, want := range map[string]string{
		"exit 7":     "bash exited with code 7",
		"kill -9 $$": "bash was killed: most often the job's memory was used up",
		"kill -6 $$": "bash was ended by signal 6 (aborted)",
	} {
		if err := script(text, ""); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	if err := script("true", "nowhere"); err == nil || !strings.HasSuffix(err.Error(), "nowhere does not exist") {
		t.Errorf("a folder that is not there: %v", err)
	}
	if _, err := w.look("no-such-program"); err == nil || err.Error() != `there is no program "no-such-program" in the image of the container tools, which is the step's target` {
		t.Errorf("a program that is not there: %v", err)
	}
	var out bytes.Buffer
	long := strings.Repeat("0123456789", 100_000)
	if err := w.run(process{name: "cat", stdin: strings.NewReader(long), stdout: &out}); err != nil || out.String() != long {
		t.Errorf("%d bytes of input came back as %d, %v", len(long), out.Len(), err)
	}
	if err := w.run(process{name: "true", stdin: strings.NewReader(long)}); err != nil {
		t.Errorf("a program that reads nothing: %v", err)
	}
}

// The end of a step ends what it runs in the target, with all of its group.
func TestTargetIsCanceled(t *testing.T) {
	t.Parallel()
	w := besides(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.task.ctx = ctx
	out, in := io.Pipe()
	go func() {
		_, _ = out.Read(make([]byte, 8)) // it runs
		cancel()
		_, _ = io.Copy(io.Discard, out)
	}()
	// Its child holds the output open: were it not ended too, run would leave it behind.
	err := w.run(process{name: "bash", args: []string{"-c", "sleep 600 & echo started; wait"}, stdout: in})
	if err == nil || err.Error() != "bash was ended by signal 2 (interrupt)" {
		t.Errorf("%v, want the interrupt", err)
	}
	if len(w.left) != 0 {
		t.Errorf("%d programs are left behind", len(w.left))
	}
}

// A terminal in a target is one for its programs.
func TestTargetTerminal(t *testing.T) {
	t.Parallel()
	w := besides(t, nil)
	shell, err := w.look("bash")
	if err != nil {
		t.Fatal(err)
	}
	tty, started, err := w.startTerminal(shell)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	if _, err := tty.WriteString("stty size; test -t 0 && test -t 1 && echo term''inal $ONLY_THERE; exit\n"); err != nil {
		t.Fatal(err)
	}
	shown, _ := io.ReadAll(tty) // Linux says EIO at the end
	if err := started.wait(); err != nil {
		t.Errorf("the shell ended with %v", err)
	}
	for _, want := range []string{"24 80", "terminal yes"} {
		if !strings.Contains(string(shown), want) {
			t.Errorf("the terminal does not show %q:\n%s", want, shown)
		}
	}
}

// Steps that fetch and store files need no other container, and neither does one without target.
func TestTargetOf(t *testing.T) {
	t.Parallel()
	r := newRunner(Config{Folder: "/w"}, nil, nil, job.Assignment{}, t.Context(), nil)
	there := &plan.Target{Container: "Tools"}
	for _, kind := range []plan.StepKind{plan.StepCheckout, plan.StepPublish, plan.StepDownload} {
		if r.targetOf(&plan.Step{Kind: kind, Target: there}) != nil {
			t.Errorf("%s has a target", kind)
		}
	}
	if r.targetOf(&plan.Step{Kind: plan.StepTask}) != nil || r.targetOf(&plan.Step{Kind: plan.StepTask, Target: &plan.Target{Restricted: true}}) != nil {
		t.Error("a step without a container of its own has a target")
	}
	a, b := r.targetOf(&plan.Step{Kind: plan.StepTask, Target: there}), r.targetOf(&plan.Step{Target: &plan.Target{Container: "tools"}})
	if a == nil || a != b || a.socket != filepath.Join("/w", "_targets", "tools.sock") {
		t.Errorf("%+v and %+v", a, b)
	}
}
