package jobserver_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/pipelines/schedule"
)

// A job in a container has steps on the machine itself, which find the job's files where the container has them. The image has no bash.
func TestMachineHostOfJobInContainer(t *testing.T) {
	t.Parallel()
	podman, err := podmanProgram()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	m := w.machine(w.pool("metal"), "truck", "--engine", podman)
	const file = `
pool: metal
container: localhost/tools:1
steps:
- checkout: none
- script: echo "made inside" >$(Pipeline.Workspace)/made
- bash: |
    echo "$AGENT_NAME has $(cat $(Pipeline.Workspace)/made), $MACHINE_FOLDER"
    echo "##vso[task.setvariable variable=word]of-the-machine"
  target: host
  displayName: there
- script: echo "word $(word)"
  displayName: back
`
	tl := w.completed(w.one(w.push(file)))
	j := w.job(tl, "__default.Job")
	if j.Result != schedule.Succeeded || !strings.Contains(w.log(j, "there"), "truck has made inside, "+m.folder) || !strings.Contains(w.log(j, "back"), "word of-the-machine") {
		t.Errorf("the job:\n%s\n%s", w.describe(tl), m.out)
	}
}

// What is not registered leaves nothing on the disk.
func TestMachineWithoutRegistration(t *testing.T) {
	t.Parallel()
	program, err := agentProgram()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "machine")
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "this machine is not registered: give --server and --token-file") {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := os.Stat(filepath.Join(cmd.Dir, "slipway-agent-data")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it has left its folder: %v", err)
	}
}
