package jobserver_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"slipway/internal/pipelines/schedule"
)

// A pod that is deleted, or whose node is drained, ends its agent by a signal. That is no result of the job: it is lost, and the server, which sees
// that the pod has ended, says so.
func TestAgentEndsWithItsPod(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	runs := filepath.Join(w.folder, "it-runs")
	id := w.one(w.push("steps:\n- checkout: none\n- bash: touch " + runs + "; sleep 1000\n"))
	w.eventually("the step runs", func() bool { _, err := os.Stat(runs); return err == nil })
	pod := w.executor.get("run-1-job-1")
	if err := pod.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-pod.done
	tl := w.completed(id)
	if j := w.job(tl, "__default.Job"); j.Result != schedule.Failed || !strings.Contains(j.Reason, "its pod ended before the agent had reported the end of the job") {
		t.Errorf("the job:\n%s", w.describe(tl))
	}
}
