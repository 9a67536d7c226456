package jobserver_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"slipway/internal/pipelines/schedule"
	"slipway/internal/programtest"
)

// podmanProgram is podman with a storage of its own that has the image localhost/tools:1, made once.
var podmanProgram = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "machine-podman-")
	if err != nil {
		return "", err
	}
	forgetAfterTests = append(forgetAfterTests, folder)
	program, err := programtest.Podman(folder)
	if err != nil {
		return "", err
	}
	files, err := busybox()
	if err != nil {
		return "", err
	}
	return program, programtest.Import(program, files, map[string]string{"localhost/tools:1": "", "localhost/web:1": programtest.WebServer})
})

// busybox is a small Linux as a tar file.
func busybox() ([]byte, error) {
	program, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	var errs []error
	for _, dir := range []string{"bin/", "tmp/", "etc/"} {
		errs = append(errs, w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o777}))
	}
	errs = append(errs, w.WriteHeader(&tar.Header{Name: "bin/busybox", Mode: 0o755, Size: int64(len(program))}))
	_, err = w.Write(program)
	for _, applet := range []string{"sh", "cat", "echo", "mkdir", "httpd", "wget", "touch", "sleep", "ls"} {
		errs = append(errs, w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + applet, Linkname: "busybox", Mode: 0o777}))
	}
	return out.Bytes(), errors.Join(append(errs, err, w.Close())...)
}

// A job on a machine runs in its container, in the workspace that the machine keeps, and one beside its services.
func TestMachineContainers(t *testing.T) {
	t.Parallel()
	podman, err := podmanProgram()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	m := w.machine(w.pool("metal"), "truck", "--engine", podman)
	const file = `
pool: metal
jobs:
- job: inside
  container: {image: localhost/tools:1, env: {COLOUR: blue}}
  steps:
  - checkout: none
  - script: |
      echo "$COLOUR on $AGENT_NAME in $(Pipeline.Workspace): $(ls /bin)"
      touch $(Pipeline.Workspace)/kept
    displayName: say
- job: beside
  dependsOn: inside
  services: {web: {image: "localhost/web:1", env: {WORD: of-the-service}, ports: [80]}}
  steps:
  - checkout: none
  - bash: for try in {1..600}; do curl -fsS http://127.0.0.1:$(agent.services.web.ports.80)/ && exit 0; sleep 0.1; done; exit 1
    displayName: say
- job: missing
  dependsOn: []
  container: localhost/not-there:1
  steps:
  - checkout: none
  - script: echo no
`
	tl := w.completed(w.one(w.push(file)))
	if j := w.job(tl, "__default.inside"); j.Result != schedule.Succeeded || !strings.Contains(w.log(j, "say"), "blue on truck in /workspace/1: ") {
		t.Errorf("the job in a container:\n%s\n%s", w.describe(tl), m.out)
	}
	if j := w.job(tl, "__default.beside"); j.Result != schedule.Succeeded || !strings.Contains(w.log(j, "say"), "pong of-the-service") {
		t.Errorf("the job beside a service:\n%s\n%s\n%s", w.describe(tl), w.log(j, "say"), m.out)
	}
	if _, err := os.Stat(filepath.Join(m.folder, "_work", "1", "kept")); err != nil {
		t.Errorf("what the job wrote is not in the workspace of the machine: %v", err)
	}
	if j := w.job(tl, "__default.missing"); j.Result != schedule.Failed || !strings.Contains(j.Reason, "image localhost/not-there:1 cannot be pulled by ") {
		t.Errorf("the job without an image:\n%s", w.describe(tl))
	}
	w.eventually("everything is removed from the engine", func() bool {
		left, err := exec.Command(podman, "ps", "--all", "--format", "{{.Names}}").CombinedOutput()
		return err == nil && strings.TrimSpace(string(left)) == ""
	})
}

// A machine without an engine says so of a job that needs one.
func TestMachineWithoutEngine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.machine(w.pool("metal"), "truck", "--engine", "no-such-engine")
	tl := w.completed(w.one(w.push("pool: metal\ncontainer: localhost/tools:1\nsteps:\n- script: echo no\n")))
	if j := w.job(tl, "__default.Job"); j.Result != schedule.Failed || !strings.HasPrefix(j.Reason, "there is no program no-such-engine on this machine: install it, or leave container and services out of jobs that run on it") {
		t.Errorf("the job:\n%s", w.describe(tl))
	}
}
