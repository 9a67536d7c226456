package agent

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// workbench is a step of a job in a workspace of its own, without a server.
type workbench struct {
	*task
	t *testing.T
}

// newWorkbench makes one with variables. Its files are path and text by turns, below the sources.
func newWorkbench(t *testing.T, variables map[string]string, files ...string) *workbench {
	t.Helper()
	folder := t.TempDir()
	reports := newReporter(nil, t.TempDir(), nil)
	spool, err := reports.open(1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancelCause(t.Context())
	t.Cleanup(func() { stop(nil) })
	work := job.Assignment{Variables: variable.Of(variables), TimeoutInMinutes: 1, CancelTimeoutInMinutes: 1}
	r := newRunner(Config{Folder: folder}, nil, reports, work, ctx, stop)
	for _, dir := range []string{r.folders.sources, r.folders.staging, r.folders.binaries, r.folders.temp} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	record := job.StepRecord{ID: 1}
	w := &workbench{r.newTask(&plan.Step{ID: 1, Name: "step"}, &record, &stepLog{spool: spool, mask: r.mask}), t}
	w.ctx = ctx
	for i := 0; i+1 < len(files); i += 2 {
		w.write(files[i], files[i+1])
	}
	return w
}

func (w *workbench) write(name, text string) {
	w.t.Helper()
	path := w.absolute(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// read is a file's text, "absent" without it.
func (w *workbench) read(name string) string {
	w.t.Helper()
	text, err := os.ReadFile(w.absolute(name))
	if os.IsNotExist(err) {
		return "absent"
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// do runs a task with inputs, and the defaults that its definition has.
func (w *workbench) do(name string, given map[string]string) error {
	w.t.Helper()
	return w.task.task(resolve(w.t, name, given))
}

// must is do for what has to work.
func (w *workbench) must(name string, given map[string]string) {
	w.t.Helper()
	if err := w.do(name, given); err != nil {
		w.t.Fatalf("%s: %v\n%s", name, err, w.text())
	}
}

// fails checks the error of a task, with S for the folder of the sources.
func (w *workbench) fails(name string, given map[string]string, want string) {
	w.t.Helper()
	err := w.do(name, given)
	if err == nil {
		w.t.Errorf("%s %v succeeded, want the error %q", name, given, want)
		return
	}
	if got := strings.ReplaceAll(err.Error(), w.folders.sources, "S"); got != want {
		w.t.Errorf("%s %v\n%s, want\n%s", name, given, got, want)
	}
}

// text is the step's log without its timestamps.
func (w *workbench) text() string {
	w.t.Helper()
	w.log.Flush()
	data, err := os.ReadFile(w.log.spool.file.Name())
	if err != nil {
		w.t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(data)) {
		_, rest, _ := strings.Cut(line, " ")
		b.WriteString(rest)
	}
	return strings.ReplaceAll(b.String(), w.folders.sources, "S")
}

// says checks that the log has a line.
func (w *workbench) says(line string) {
	w.t.Helper()
	if text := "\n" + w.text(); !strings.Contains(text, "\n"+line+"\n") {
		w.t.Errorf("the log has no line %q:\n%s", line, text)
	}
}

// tree lists the files below a folder, folders with a slash at their end.
func (w *workbench) tree(folder string) []string {
	w.t.Helper()
	paths, err := pathsBelow(w.absolute(folder))
	if err != nil {
		w.t.Fatal(err)
	}
	for i, p := range paths {
		if info, err := os.Lstat(filepath.Join(w.absolute(folder), p)); err == nil && info.IsDir() {
			paths[i] += "/"
		}
	}
	return paths
}
