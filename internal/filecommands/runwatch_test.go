package filecommands

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// watched runs a file with --watch, and gives what it says but for logs and durations.
type watched struct {
	t     *testing.T
	top   string
	lines <-chan string
	end   context.CancelFunc
	over  <-chan error
}

func startWatch(t *testing.T, pipeline string, args ...string) *watched {
	t.Helper()
	w := &watched{t: t, top: t.TempDir()}
	if out, err := exec.Command("git", "init", "--quiet", w.top).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w.write(".gitignore", "*.ignored\n")
	w.write("azure-pipelines.yml", pipeline)
	ctx, end := context.WithCancel(t.Context())
	w.end = end
	said, out := io.Pipe()
	c := command()
	c.SetOut(io.Discard)
	c.SetErr(out)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "TOP", w.top)
	}
	c.SetArgs(append([]string{"run", filepath.Join(w.top, "azure-pipelines.yml"), "--watch", "--variable", "top=" + w.top}, args...))
	over := make(chan error, 1)
	go func() { over <- c.ExecuteContext(ctx); out.Close() }()
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(said); s.Scan(); {
			lines <- s.Text()
		}
	}()
	w.over, w.lines = over, lines
	return w
}

func (w *watched) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.top, name), []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

const waits = "waiting for a change of the files; Ctrl-C ends it"

// until gives the lines up to the one that says that it waits.
func (w *watched) until(last string) (list []string) {
	w.t.Helper()
	for line := range w.lines {
		if list = append(list, line); line == last {
			return list
		}
	}
	w.t.Fatalf("it ended without %q: %q", last, list)
	return nil
}

func (w *watched) stop() {
	w.t.Helper()
	w.end()
	for range w.lines {
	}
	if err := <-w.over; err != nil {
		w.t.Errorf("it ended with %v", err)
	}
}

// A step that writes into the folder that is watched does not make it run for ever, and who changes a file has it run again.
func TestWatch(t *testing.T) {
	t.Parallel()
	const own = "out.txt changed during this run and the one before, most likely by one of its steps, and so that starts no other: let the step write outside of the folder, or name the file in .gitignore; if it was you, save it again"
	for name, c := range map[string]struct {
		step         string
		args         []string
		first, again []string
	}{
		"a file that git ignores": {`date +%N > "$TOP/out.ignored"`, nil, []string{waits}, []string{waits}},
		"the same each time":      {`echo same > "$TOP/out.txt"`, nil, []string{"runs again: out.txt changed while it ran", waits}, []string{waits}},
		"another each time":       {`date +%N > "$TOP/out.txt"`, nil, []string{"runs again: out.txt changed while it ran", own, waits}, []string{own, waits}},
		"its artifacts":           {`mkdir a && date +%N > a/b && echo "##vso[artifact.upload artifactname=a]$PWD/a"`, []string{"--artifacts", "TOP/out"}, []string{waits}, []string{waits}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWatch(t, "steps:\n- checkout: none\n- bash: |\n    "+c.step+"\n", c.args...)
			if diff := cmp.Diff(c.first, w.until(waits)); diff != "" {
				t.Errorf("at first (-want +got)\n%s", diff)
			}
			w.write("source.c", "int main;\n")
			if diff := cmp.Diff(c.again, w.until(waits)); diff != "" {
				t.Errorf("after a change (-want +got)\n%s", diff)
			}
			w.stop()
		})
	}
}
