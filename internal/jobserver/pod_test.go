package jobserver_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/schedule"
)

// waiting waits until the agents of that many warm pods wait.
func (w *world) waiting(n int) {
	w.t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		counts, err := w.WarmCounts(context.Background())
		if err != nil {
			w.t.Fatal(err)
		}
		if counts["default"].Waiting == n {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond): // agents are processes: nobody tells when one has called
		case <-deadline:
			w.t.Fatalf("warm pods: %+v, want %d that wait", counts, n)
		}
	}
}

// A job is done by the agent of a pod that was there before it, also when the server was killed while that waited, and again
// after it was given the job.
func TestWarmAgent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.warm = 1
	w.kill()
	w.start()
	const file = "trigger: none\nsteps:\n- bash: echo \"I am $SLIPWAY_JOB, pod [$SLIPWAY_POD]\"; cat README\n  displayName: say\n"
	first := w.completed(w.one(w.push(strings.TrimPrefix(file, "trigger: none\n"), "README", "one\n")))
	w.waiting(1)
	w.kill()
	w.start()
	w.waiting(1)
	second := w.completed(w.one(w.push(strings.TrimPrefix(file, "trigger: none\n"), "README", "two\n")))
	for _, tt := range []struct {
		timeline *pipelines.Timeline
		pod, say string
	}{{first, "run-1-job-1", "I am 1, pod []\none\n"}, {second, "warm-1", "I am 2, pod []\ntwo\n"}} {
		j := w.job(tt.timeline, "__default.Job")
		if j.Result != schedule.Succeeded || j.PodName() != tt.pod || !strings.Contains(w.log(j, "say"), tt.say) {
			t.Errorf("job in %s, want %s; its log has to have %q:\n%s", j.PodName(), tt.pod, tt.say, w.describe(tt.timeline))
		}
	}
	w.waiting(1) // the next one
	w.stop()
	<-w.ran
	if err := w.StopWarm(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.waiting(0)
	if w.executor.get("warm-2") != nil {
		t.Error("a warm pod outlives the server that was stopped")
	}
}

// Only a warm pod's own token waits for its job, and it opens nothing else.
func TestPodToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	issue := func(kind identity.TokenKind, b identity.Binding) string {
		token, err := w.id.IssueToken(context.Background(), identity.TokenRequest{Kind: kind, Actor: slipway.Actor{Kind: slipway.ActorJob, ID: "warm-7"}, Binding: b})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	own := issue(identity.TokenPod, identity.Binding{Pod: 7})
	for _, tt := range []struct {
		path, token string
		want        int
	}{
		{"pods/7/job", "", http.StatusForbidden},
		{"pods/7/job", issue(identity.TokenPod, identity.Binding{Pod: 8}), http.StatusForbidden},
		{"pods/7/job", issue(identity.TokenJob, identity.Binding{Job: 7}), http.StatusForbidden},
		{"pods/0/job", issue(identity.TokenPod, identity.Binding{}), http.StatusForbidden},
		{"pods/7/job", own, http.StatusConflict}, // there is no pod 7
		{"jobs/7/start", own, http.StatusForbidden},
		{"builder", own, http.StatusForbidden},
	} {
		r, err := http.NewRequest(http.MethodPost, "http://"+w.address+"/_slipway/"+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if tt.token != "" {
			r.Header.Set("Authorization", "Bearer "+tt.token)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("%s: %d, want %d", tt.path, resp.StatusCode, tt.want)
		}
	}
}

// fakeNetwork passes connections on to an address until it is cut: then those that are there break, and new ones too.
type fakeNetwork struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
}

func newFakeNetwork(t *testing.T, to string) *fakeNetwork {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &fakeNetwork{listener: l, to: to, conns: map[net.Conn]bool{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go n.pass(c)
		}
	}()
	t.Cleanup(func() { l.Close(); n.set(true); <-done })
	return n
}

// set cuts the network, or joins it again.
func (n *fakeNetwork) set(cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = cut
	for c := range n.conns {
		if cut {
			c.Close()
		}
	}
}

func (n *fakeNetwork) keep(c net.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cut {
		c.Close()
		return false
	}
	n.conns[c] = true
	return true
}

func (n *fakeNetwork) pass(from net.Conn) {
	if !n.keep(from) {
		return
	}
	to, err := net.Dial("tcp", n.to)
	if err != nil || !n.keep(to) {
		from.Close()
		return
	}
	var group sync.WaitGroup
	for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
		group.Go(func() {
			buffer := make([]byte, 32<<10)
			for {
				k, err := pair[0].Read(buffer)
				if k > 0 {
					if _, err := pair[1].Write(buffer[:k]); err != nil {
						break
					}
				}
				if err != nil {
					break
				}
			}
			pair[0].Close()
			pair[1].Close()
		})
	}
	group.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.conns, from)
	delete(n.conns, to)
}

// The agent goes on while the network between it and the server is away, and nothing of what it does meanwhile is lost.
func TestAgentOutlivesTheNetwork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	network := newFakeNetwork(t, w.address)
	w.agentURL = "http://" + network.listener.Addr().String()
	w.kill()
	w.start()
	cut, done := filepath.Join(w.folder, "cut"), filepath.Join(w.folder, "done")
	id := w.one(w.push("steps:\n- checkout: none\n- bash: |\n    echo before\n    while [ ! -e '" + cut + "' ]; do sleep 0.02; done\n    for i in $(seq 2000); do echo \"line $i\"; done\n    touch '" + done +
		"'\n  displayName: talk\n- bash: echo after\n  displayName: after\n"))
	w.until(id, "talking", func(tl *pipelines.Timeline) bool {
		steps := w.job(tl, "__default.Job").Steps
		return len(steps) > 1 && steps[1].LogSize > 0
	})
	network.set(true)
	w.write(cut, "", 0o644)
	for {
		if _, err := os.Stat(done); err == nil {
			break
		}
		select {
		case <-t.Context().Done():
			t.Fatal("the step never ended")
		case <-time.After(20 * time.Millisecond): // a file is all that the step can make while the network is cut
		}
	}
	network.set(false)
	tl := w.completed(id)
	if tl.Run.Result != schedule.Succeeded {
		t.Fatalf("result %s:\n%s", tl.Run.Result, w.describe(tl))
	}
	j := w.job(tl, "__default.Job")
	if log := w.log(j, "talk"); strings.Count(log, "\nline ") != 2000 || !strings.Contains(log, "before\nline 1\n") || !strings.Contains(log, "\nline 2000\n") {
		t.Errorf("the log has %d lines of 2000", strings.Count(log, "\nline "))
	}
	if log := w.log(j, "after"); !strings.Contains(log, "after\n") {
		t.Errorf("the next step's log:\n%s", log)
	}
}

// BenchmarkWarmFirstStep is the time from the moment at which a job is due until its first step starts, with a warm pod that
// waits: no pod is started then, so that a process in its place makes no difference.
func BenchmarkWarmFirstStep(b *testing.B) {
	w := newWorld(b)
	w.warm = 1
	w.kill()
	w.start()
	push := func() pipelines.TimelineJob {
		tl := w.completed(w.one(w.push("steps:\n- checkout: none\n- bash: echo hello\n", "n", time.Now().String())))
		return w.job(tl, "__default.Job")
	}
	push()
	var total, longest time.Duration
	for b.Loop() {
		w.waiting(1)
		j := push()
		took := time.UnixMicro(j.Steps[1].Started).Sub(j.Queued)
		total, longest = total+took, max(longest, took)
	}
	b.ReportMetric(float64(total.Milliseconds())/float64(b.N), "ms-from-due/op")
	b.ReportMetric(float64(longest.Milliseconds()), "ms-longest")
}
