package jobserver_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/web"
)

// usualLines are lines as compilers and tests write them, no two the same.
func usualLines(size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "ok  \tgithub.com/example/shop/internal/part%04d\t%d.%03ds\tcoverage: %d.%d%% of statements in ./... [%x]\n", i%5000, i%17, i%1000, i%100, i%10, uint32(i)*2654435761)
	}
	return b.String()
}

// Nothing of a long log is lost, doubled or in another order, whatever pieces it is sent in.
func TestLongLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	text := usualLines(20 << 20)
	w.write(filepath.Join(w.folder, "long"), text, 0o644)
	tl := w.completed(w.one(w.push("steps:\n- checkout: none\n- bash: cat '" + filepath.Join(w.folder, "long") + "'\n  displayName: talk\n")))
	if tl.Run.Result != schedule.Succeeded {
		t.Fatalf("result %s:\n%s", tl.Run.Result, w.describe(tl))
	}
	if got := stepText(t, w.Service, tl, "talk"); sha256.Sum256([]byte(got)) != sha256.Sum256([]byte(text)) {
		t.Errorf("the log has %d bytes of output, want %d, or they differ", len(got), len(text))
	}
}

// stepText is what a step of the only job wrote, without the agent's own lines.
func stepText(t testing.TB, s *pipelines.Service, tl *pipelines.Timeline, name string) string {
	t.Helper()
	var b strings.Builder
	j := &tl.Stages[0].Jobs[0]
	for _, step := range j.Steps {
		if step.DisplayName == name {
			if err := s.CopyLog(context.Background(), j.ID, step.ID, &b, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, text, _ := strings.Cut(b.String(), "##[section]Output\n")
	text, _, _ = strings.Cut(text, "##[section]Finishing: "+name+"\n")
	return text
}

// BenchmarkLog is the way of a job's output from a step's process through the agent and the server into the database. A
// job of no output is taken off, so that it is the log that counts.
func BenchmarkLog(b *testing.B) {
	w := newWorld(b)
	text := usualLines(200 << 20)
	file := filepath.Join(w.folder, "long")
	w.write(file, text, 0o644)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		tl := w.completed(w.one(w.push("trigger: {branches: {include: ['*']}}\nsteps:\n- checkout: none\n- bash: cat '"+file+"'\n  displayName: talk\n", "n", strconv.FormatInt(time.Now().UnixNano(), 10))))
		if tl.Run.Result != schedule.Succeeded {
			b.Fatalf("result %s:\n%s", tl.Run.Result, w.describe(tl))
		}
		b.StopTimer()
		if got := stepText(b, w.Service, tl, "talk"); got != text {
			b.Fatalf("the log has %d bytes of output, want %d, or they differ", len(got), len(text))
		}
		b.StartTimer()
	}
}

// BenchmarkLiveDelay is the time from the moment at which a step writes a line until the page has it.
func BenchmarkLiveDelay(b *testing.B) {
	w := newWorld(b)
	log, err := events.Open(context.Background(), w.db, clock.System{}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := w.id.CreateUser(context.Background(), slipway.System, identity.NewUser{Name: "ada", Password: "correct horse", Administrator: true}); err != nil {
		b.Fatal(err)
	}
	session, _, err := w.id.SignIn(context.Background(), "ada", "correct horse")
	if err != nil {
		b.Fatal(err)
	}
	pages := web.New(w.id, log, slog.New(slog.DiscardHandler), "http://slipway")
	pages.AddPipelines(w.Service, web.Things{})
	site := httptest.NewServer(pages.Handler())
	b.Cleanup(site.Close)
	for b.Loop() {
		run := w.one(w.push("steps:\n- checkout: none\n- bash: for i in $(seq 30); do echo \"at $(date +%s%N) .\"; sleep 0.$((RANDOM % 4))$i; done\n  displayName: talk\n", "n", strconv.FormatInt(time.Now().UnixNano(), 10)))
		tl := w.until(run, "running", func(t *pipelines.Timeline) bool {
			j := &t.Stages[0].Jobs[0]
			return len(j.Steps) > 1 && j.Steps[1].State == schedule.Running
		})
		j := &tl.Stages[0].Jobs[0]
		r, err := http.NewRequest(http.MethodGet, fmt.Sprintf("%s/Shop/_build/log/live?buildId=%d&j=%d&s=%d", site.URL, run, j.ID, j.Steps[1].ID), nil)
		if err != nil {
			b.Fatal(err)
		}
		r.AddCookie(identity.SessionCookie(session, false))
		longest, total, count := liveDelays(b, r)
		b.ReportMetric(float64(total.Milliseconds())/float64(max(count, 1)), "ms/line")
		b.ReportMetric(float64(longest.Milliseconds()), "ms-longest")
		w.completed(run)
	}
}

func liveDelays(b *testing.B, r *http.Request) (longest, total time.Duration, count int) {
	b.Helper()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		b.Fatalf("%s: %s", answer.Status, text)
	}
	in := bufio.NewScanner(answer.Body)
	in.Buffer(nil, 1<<20)
	for in.Scan() && in.Text() != "event: done" {
		now := time.Now()
		for _, part := range strings.Split(in.Text(), "</span>at ")[1:] {
			n, err := strconv.ParseInt(strings.Fields(part)[0], 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			delay := now.Sub(time.Unix(0, n))
			longest, total, count = max(longest, delay), total+delay, count+1
		}
	}
	return longest, total, count
}
