package agent

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/pipelines/plan"
)

// A job's image without git checks out by the git of the pool's image beside it, as the job's own user.
func TestCheckoutByTheHost(t *testing.T) {
	t.Parallel()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorkbench(t, nil)
	w.env["PATH"] = t.TempDir() // where there is none
	const missing = "the job's image has no git: use an image that has it, or `checkout: none`"
	if err := w.findGit(false); err == nil || err.Error() != missing {
		t.Errorf("without a container beside the job: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- ServeTarget(ctx, w.config.Folder, plan.TargetHost) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Errorf("the target ended with %v", err)
		}
	})
	w.runner.work.HasHost = true
	host := w.targetNamed(plan.TargetHost)
	if err := host.greet(ctx); err != nil {
		t.Fatal(err)
	}
	host.programs = filepath.Dir(git)
	if err := w.findGit(false); err != nil || w.target != host {
		t.Fatalf("with one: %v", err)
	}
	if err := w.run(process{name: "git", args: []string{"init", "--quiet", "."}}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(w.absolute(".git")); err != nil {
		t.Error(err)
	}
	if w.owner == nil || *w.owner != (owner{uint32(os.Getuid()), uint32(os.Getgid())}) {
		t.Errorf("git works as %v", w.owner)
	}
}

// What starts programs as root starts them as the user who is asked for; another cannot choose.
func TestOwnerOfWhatATargetStarts(t *testing.T) {
	t.Parallel()
	w := besides(t, nil)
	w.owner = &owner{1234, 4321}
	want := "1234:4321"
	if os.Getuid() != 0 {
		want = fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())
	}
	if err := w.run(process{name: "sh", args: []string{"-c", "echo is $(id -u):$(id -g)"}, dir: "/"}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(w.text(), "is "+want+"\n") {
		t.Errorf("the log:\n%s", w.text())
	}
}
