package filecommands

import (
	"os/exec"
	"strings"
	"testing"

	"slipway/internal/commandline/commandlinetest"
)

func TestTasksOfAFolder(t *testing.T) {
	t.Parallel()
	dir, on := checkout(t, map[string]string{"good.yml": "steps: [{task: Hello@1, inputs: {who: Ada}}]\n", "bad.yml": "steps:\n- task: Hello@1\n"})
	for _, args := range [][]string{{"init", "-q"}, {"-c", "user.name=Ada", "-c", "user.email=a@example.com", "commit", "-q", "--allow-empty", "-m", "x"}} {
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git: %v\n%s", err, out)
		}
	}
	folder := commandlinetest.TaskFolder(t)
	f := func(code int, want, command, file string, flags ...string) {
		t.Helper()
		out, got := on(command, file, flags...)
		if got != code || !strings.Contains(out, want) {
			t.Errorf("%s %s %v: exit %d, %s, want %d, %s", command, file, flags, got, out, code, want)
		}
	}
	f(1, "unknown task Hello@1", "validate", "good.yml")
	f(0, "", "validate", "good.yml", "--task", folder)
	f(1, `task Hello@1 needs the input "who"`, "validate", "bad.yml", "--task", folder)
	f(-1, "there is no task.json in it", "plan", "good.yml", "--task", t.TempDir())
	f(0, "Hello, Ada from s\n", "run", "good.yml", "--task", folder)
	if out, err := run("schema", "--task", folder); err != nil || !strings.Contains(out, "Hello@1") {
		t.Errorf("schema: %v", err)
	}
}
