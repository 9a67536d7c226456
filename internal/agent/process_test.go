package agent

import (
	"bytes"
	"io"
	"os/exec"
	"testing"
	"time"
)

// slowWriter takes long for the first piece, as an upload that a logging command asks for does.
type slowWriter struct {
	bytes.Buffer
	first *time.Timer
}

func (w *slowWriter) Write(p []byte) (int, error) {
	if w.first != nil {
		<-w.first.C
		w.first = nil
	}
	return w.Buffer.Write(p)
}

// ended is what drains the output of a script that has ended.
func ended(t *testing.T, to io.Writer, script string) *drain {
	t.Helper()
	d, err := newDrain(to)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", script)
	cmd.Stdout = d.w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.start()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return d
}

// What a process has written is not lost because doing what it asks for takes longer than the process lives.
func TestOutputIsObeyedWhole(t *testing.T) {
	t.Parallel()
	out := &slowWriter{first: time.NewTimer(2 * outputGrace)}
	if leftovers([]*drain{ended(t, out, "for i in 1 2 3; do echo line $i; done; seq 100000")}) {
		t.Error("a process that has ended is taken for one that was left behind")
	}
	if got := bytes.Count(out.Bytes(), []byte("\n")); got != 100_003 {
		t.Errorf("%d lines came out, want 100003", got)
	}
}

// A process that is left behind and says nothing is not waited for.
func TestWhoIsLeftBehind(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if !leftovers([]*drain{ended(t, &out, "echo here; sleep 60 & echo $!")}) {
		t.Error("it was waited for")
	}
	if !bytes.HasPrefix(out.Bytes(), []byte("here\n")) {
		t.Errorf("output %q", out.String())
	}
	_ = exec.Command("kill", string(bytes.TrimSpace(out.Bytes()[len("here\n"):]))).Run()
}

// Only what works in the folder, or below it, is ended; a folder that everything lies in is none of a job.
func TestWhoWorksInAFolder(t *testing.T) {
	t.Parallel()
	for home, want := range map[string]bool{"/a/b": true, "/a/b/": true, "/a/b/run-1-job-1": true, "/a/bc": false, "/a": false, "/": false, "": false, "/a/b/../c": false} {
		if got := worksIn([]byte("X=1\x00AGENT_HOMEDIRECTORY="+home+"\x00Y=2"), "/a/b"); got != want {
			t.Errorf("%q works in /a/b: %v", home, got)
		}
	}
	if worksIn([]byte("X=/a/b\x00"), "/a/b") {
		t.Error("a process of no job works in it")
	}
	for _, folder := range []string{"", "/", ".", "//"} {
		if err := EndLeft(folder); err == nil {
			t.Errorf("what works in %q was ended", folder)
		}
	}
}
