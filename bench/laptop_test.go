package bench

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// An engine runs the same shell steps from a file of its own language on this machine, without a server and without
// containers.
type engine struct {
	name string
	// file is where the engine looks for its pipeline, which write makes of the steps.
	file    string
	write   func(steps []string) string
	command string
	args    []string
}

// engines are Slipway, act, which runs workflows of GitHub Actions (`-self-hosted` makes act run them on the host), and the command line of
// Woodpecker with its local backend, if `make bench-peers` was told where its source is.
func engines(b *testing.B) []engine {
	b.Helper()
	top, err := filepath.Abs("..")
	if err != nil {
		b.Fatal(err)
	}
	list := []engine{
		{name: "slipway", file: "azure-pipelines.yml", command: filepath.Join(top, "bin", "slipway"), args: []string{"run"},
			write: func(steps []string) string {
				return "steps:\n- checkout: none\n- bash: " + strings.Join(steps, "\n- bash: ") + "\n"
			}},
		{name: "act", file: ".github/workflows/ci.yml", command: filepath.Join(top, "bin", "act"),
			args: []string{"push", "--platform", "ubuntu-latest=-self-hosted", "--no-cache-server"},
			write: func(steps []string) string {
				return "on: push\njobs:\n  job:\n    runs-on: ubuntu-latest\n    steps:\n    - run: " + strings.Join(steps, "\n    - run: ") + "\n"
			}},
	}
	woodpecker := engine{name: "woodpecker", file: ".woodpecker.yml", command: filepath.Join(top, "bin", "woodpecker-cli"),
		args: []string{"exec", "--backend-engine", "local", ".woodpecker.yml"},
		write: func(steps []string) string {
			var b strings.Builder
			b.WriteString("when: {event: manual}\nskip_clone: true\nsteps:\n")
			for i, s := range steps {
				fmt.Fprintf(&b, "- name: step%d\n  image: bash\n  commands:\n  - %s\n", i, s)
			}
			return b.String()
		}}
	if _, err := os.Stat(woodpecker.command); err == nil {
		list = append(list, woodpecker)
	}
	return list
}

// lay makes a git repository whose only commit has the engine's file.
func (e engine) lay(b *testing.B, steps []string) string {
	b.Helper()
	dir := b.TempDir()
	path := filepath.Join(dir, e.file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(e.write(steps)), 0o600); err != nil {
		b.Fatal(err)
	}
	for _, args := range [][]string{
		{"init", "-q", "-b", "main"}, {"add", "."},
		{"-c", "user.name=Bench", "-c", "user.email=bench@example.com", "commit", "-q", "-m", "pipeline"},
	} {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("git %s: %v\n%s", args[0], err, out)
		}
	}
	return dir
}

// run runs the engine in dir and gives out all that it writes.
func (e engine) run(b *testing.B, dir string, out io.Writer) {
	b.Helper()
	var tail bytes.Buffer
	cmd := exec.Command(e.command, e.args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, io.MultiWriter(out, &lastWriter{buffer: &tail}), nil
	cmd.Stderr = cmd.Stdout
	cmd.Env = append(os.Environ(), "HOME="+filepath.Join(dir, ".git"), "XDG_CACHE_HOME="+filepath.Join(dir, ".git"))
	if err := cmd.Run(); err != nil {
		b.Fatalf("%s: %v\n%s", e.name, err, tail.String())
	}
}

// lastWriter keeps the end of what is written.
type lastWriter struct{ buffer *bytes.Buffer }

func (w *lastWriter) Write(p []byte) (int, error) {
	const kept = 4 << 10
	if w.buffer.Len() > kept {
		w.buffer.Next(w.buffer.Len() - kept)
	}
	w.buffer.Write(p[max(0, len(p)-kept):])
	return len(p), nil
}

// BenchmarkStart is one step that does nothing: what an engine costs by itself.
func BenchmarkStart(b *testing.B) {
	for _, e := range engines(b) {
		b.Run(e.name, func(b *testing.B) {
			dir := e.lay(b, []string{"'true'"})
			for b.Loop() {
				e.run(b, dir, io.Discard)
			}
		})
	}
}

// BenchmarkStartOfCheckout is a checkout of one file and a step that does nothing; act would fetch its action for that from GitHub.
func BenchmarkStartOfCheckout(b *testing.B) {
	e := engines(b)[0]
	e.write = func(steps []string) string { return "steps:\n- bash: " + strings.Join(steps, "\n- bash: ") + "\n" }
	dir := e.lay(b, []string{"'true'"})
	for b.Loop() {
		e.run(b, dir, io.Discard)
	}
}

// BenchmarkSteps is a job of a hundred steps that do nothing.
func BenchmarkSteps(b *testing.B) {
	const count = 100
	for _, e := range engines(b) {
		b.Run(e.name, func(b *testing.B) {
			dir := e.lay(b, slices.Repeat([]string{"'true'"}, count))
			for b.Loop() {
				e.run(b, dir, io.Discard)
			}
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N*count), "ms/step")
		})
	}
}

// BenchmarkLog is a step that writes a million numbered lines of a hundred bytes, all of which must come out.
func BenchmarkLog(b *testing.B) {
	const lines = 1_000_000
	step := fmt.Sprintf("seq -f 'line %%%%094.0f' %d", lines)
	for _, e := range engines(b) {
		b.Run(e.name, func(b *testing.B) {
			dir := e.lay(b, []string{strings.ReplaceAll(step, "%%", "%")})
			b.SetBytes(lines * 100)
			for b.Loop() {
				var seen lineCounter
				e.run(b, dir, &seen)
				if seen.count != lines {
					b.Fatalf("%s: %d lines came out, want %d", e.name, seen.count, lines)
				}
			}
		})
	}
}

// lineCounter counts the lines that hold one of the step's.
type lineCounter struct {
	count   int
	partial []byte
}

func (c *lineCounter) Write(p []byte) (int, error) {
	n := len(p)
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			c.partial = append(c.partial, p...)
			return n, nil
		}
		line := p[:i]
		if len(c.partial) > 0 {
			c.partial = append(c.partial, line...)
			line = c.partial
		}
		if bytes.Contains(line, []byte("line 00000000")) {
			c.count++
		}
		c.partial, p = c.partial[:0], p[i+1:]
	}
}
