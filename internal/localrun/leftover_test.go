package localrun_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"slipway/internal/localrun"
	"slipway/internal/pipelines/compile"
	"slipway/internal/pipelines/folder"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

// runs reports a process that has not ended. One that has, and waits for its parent to notice, does not run.
func runs(t *testing.T, pid int) bool {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	return !strings.HasPrefix(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " Z")
}

// numbers are those that a file lists once it is there.
func numbers(t *testing.T, file string) []int {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var list []int
	for _, word := range strings.Fields(string(text)) {
		n, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, n)
	}
	return list
}

// What steps leave running ends with their job, also if it has a session of its own and what it writes to is closed.
func TestWhatStepsLeaveRunning(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
steps:
- checkout: none
- bash: |
    (setsid bash -c 'echo $$; env -i sleep 600 & echo $!; wait' <&- 2>&- > "$PIDS.new" &)
    until [ $(wc -l < "$PIDS.new") = 2 ]; do :; done
    mv "$PIDS.new" "$PIDS"
- bash: for pid in $(cat "$PIDS"); do kill -0 $pid; done
`)
	pids := filepath.Join(t.TempDir(), "pids")
	w.options.Variables = variable.Of(map[string]string{"pids": pids})
	if r := w.run(t.Context()); !r.Succeeded() {
		t.Fatalf("result %s\n%s", r.Result, w.out.String())
	}
	for _, pid := range numbers(t, pids) {
		if runs(t, pid) {
			t.Errorf("process %d runs on", pid)
		}
	}
}

// A second interrupt does not wait for a step that does not listen to the first one, nor for what the step has detached.
func TestStoppedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
steps:
- checkout: none
- bash: |
    trap 'touch "$ASKED"' INT
    trap '' TERM
    setsid sleep 600 &
    echo $$ $! > "$PIDS.new"
    mv "$PIDS.new" "$PIDS"
    while :; do sleep 0.05; done
`)
	folder := t.TempDir()
	pids, asked := filepath.Join(folder, "pids"), filepath.Join(folder, "asked")
	w.options.Variables = variable.Of(map[string]string{"pids": pids, "asked": asked})
	ctx, cancel := context.WithCancel(t.Context())
	kill, second := context.WithCancel(t.Context())
	w.options.Kill = kill
	var stopped time.Time
	go func() {
		await(t, pids)
		cancel()
		await(t, asked)
		stopped = time.Now()
		second()
	}()
	r := w.run(ctx)
	if took := time.Since(stopped); took > 5*time.Second { // it would be asked to end for 7.5 s
		t.Errorf("it took %v", took)
	}
	if r.Result != schedule.Canceled {
		t.Errorf("result %s", r.Result)
	}
	for _, pid := range numbers(t, pids) {
		if runs(t, pid) {
			t.Errorf("process %d runs on", pid)
		}
	}
}

// await waits until a file is there.
func await(t *testing.T, file string) {
	t.Helper()
	for t.Context().Err() == nil {
		if _, err := os.Stat(file); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// A run that was killed cannot end what its steps have left running; the next one does.
func TestProcessesOfKilledRuns(t *testing.T) {
	t.Parallel()
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	parent := t.TempDir()
	old := filepath.Join(parent, fmt.Sprintf("slipway-run-%d-1-99", dead.Process.Pid))
	if err := os.MkdirAll(filepath.Join(old, "run-1-job-1"), 0o755); err != nil {
		t.Fatal(err)
	}
	start := func(home string) chan error {
		cmd := exec.Command("sleep", "600")
		cmd.Env = append(os.Environ(), "AGENT_HOMEDIRECTORY="+home)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		end := make(chan error, 1)
		go func() { end <- cmd.Wait() }()
		return end
	}
	left, other := start(filepath.Join(old, "run-1-job-1")), start(old+"9")
	if err := localrun.RemoveAbandoned(parent); err != nil {
		t.Fatal(err)
	}
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Error("what the run had left runs on")
	}
	select {
	case err := <-other:
		t.Errorf("a process of another folder ended: %v", err)
	default:
	}
}

// aloneIn names the folder whose file this program runs, and nothing else.
const aloneIn = "LOCALRUN_ALONE_IN"

func runAlone(top string) int {
	files, path, err := folder.Around(filepath.Join(top, "azure-pipelines.yml"))
	if err != nil {
		fmt.Println(err)
		return 2
	}
	defer files.Close()
	work, err := os.MkdirTemp(top, "work-")
	if err != nil {
		fmt.Println(err)
		return 2
	}
	r, err := localrun.NewRunner(context.Background(), localrun.Options{Top: top, Folder: work, Out: os.Stdout, OwnProcess: true,
		Variables: variable.Of(map[string]string{"top": top}),
		Input:     compile.Input{Path: path, Files: files, Repository: func(plan.Repository) (compile.Files, error) { return nil, nil }}})
	if err != nil {
		fmt.Println(err)
		return 2
	}
	report, err := r.Run(context.Background())
	if err != nil || !report.Succeeded() {
		fmt.Println(report, err)
		return 1
	}
	return 0
}

// What a step leaves running without its environment, in a session of its own, ends with the job if it works in the job's folder, and
// else with the run, if that has its process for itself. Once, `env -i setsid sleep 1000 &` ran on.
func TestWhatShakesOffItsStep(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
jobs:
- job: leave
  steps:
  - checkout: none
  - bash: |
      leave() {
        env -i setsid sleep 600 &> /dev/null & echo $! > "$TOP/$1"
        until [ "$(tr '\0' ' ' < /proc/$!/cmdline)" = "sleep 600 " ]; do sleep 0.01; done
      }
      leave inside
      cd /
      leave outside
- job: look
  dependsOn: leave
  steps:
  - checkout: none
  - bash: |
      sleeps() { grep -q ^sleep /proc/$(cat "$TOP/$1")/cmdline; }
      ! sleeps inside && sleeps outside
`)
	alone := exec.Command(os.Args[0])
	alone.Env = append(os.Environ(), aloneIn+"="+w.top)
	if out, err := alone.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for _, name := range []string{"inside", "outside"} {
		for _, pid := range numbers(t, filepath.Join(w.top, name)) {
			if runs(t, pid) {
				t.Errorf("what worked %s runs on", name)
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
}
