package filecommands

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/commandline"
	"slipway/internal/commandline/commandlinetest"

	"github.com/creack/pty"
)

const stoppingFile = "pool: x\nsteps:\n- checkout: none\n- bash: test -e fixed\n  displayName: look\n  env: {COLOUR: blue}\n- bash: echo after\n"

// A run on this machine asks at a step that fails; what is answered comes from a real terminal.
func TestRunStopsAtFailure(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		typed []string // what is typed each time that the run, or the shell, asks
		want  []string
		code  int
	}{
		"again":    {[]string{"what\n", "t\n", "echo \"$COLOUR\"-sky; stty size; touch fixed; exit\r", "r\n"}, []string{"blue-sky\r\n", "29 103\r\n", "you decided: the step runs again", "\r\nafter\r\n"}, 0},
		"continue": {[]string{"c\n"}, []string{"you decided: the step has failed"}, 1},
		"succeed":  {[]string{"s\n"}, []string{"\r\nafter\r\n"}, 0},
		"end":      {[]string{"e\n"}, []string{"you ended the job"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			if out, err := exec.Command("git", "init", "--quiet", folder).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			file := filepath.Join(folder, "azure-pipelines.yml")
			if err := os.WriteFile(file, []byte(stoppingFile), 0o644); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{{"add", "."}, {"-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "--quiet", "-m", "first"}} {
				if out, err := exec.Command("git", append([]string{"-C", folder}, args...)...).CombinedOutput(); err != nil {
					t.Fatalf("git %v: %v\n%s", args, err, out)
				}
			}
			shown, err := commandlinetest.OnTerminal(t, command(), pty.Winsize{Cols: 103, Rows: 29}, c.typed, "run", file, "--stop-at-failure")
			code := 0
			var exit *commandline.ExitError
			if errors.As(err, &exit) {
				code = exit.Code
			} else if err != nil {
				t.Error(err)
			}
			for _, want := range c.want {
				if !strings.Contains(shown, want) {
					t.Errorf("it does not show %q", want)
				}
			}
			if code != c.code || t.Failed() {
				t.Errorf("exit code %d, want %d; it shows\n%s", code, c.code, shown)
			}
		})
	}
}
