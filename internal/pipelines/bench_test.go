package pipelines_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// benchJobs is how many jobs the run of the benchmark has.
const benchJobs = 5000

// cpu is what the process has used of the processor.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRunOf5000Jobs plays a run over SQLite from the push to its end: each job is queued, given a pod, assigned and completed, with all
// rows and events. Its metrics are the processor's time of the whole server for each job, and where it goes: into queueing the run
// and deciding at each job's end what follows, which is the scheduling, for which 1 ms is the goal; into making the pods with their
// tokens; and into giving the jobs to agents. Others are how long it takes to decide all of it again, and to say why everything is
// as it is.
func BenchmarkRunOf5000Jobs(b *testing.B) {
	for name, text := range map[string]string{"one stage": jobsIn(1), "ten stages": jobsIn(10)} {
		b.Run(name, func(b *testing.B) {
			d, err := db.Open(context.Background(), "sqlite:"+filepath.Join(b.TempDir(), "slipway.db"))
			if err != nil {
				b.Fatal(err)
			}
			defer d.Close()
			w := setup(b, d)
			w.source.text = text
			var replay, explain time.Duration
			var spent times
			for b.Loop() {
				w.pushes++
				before := cpu(b)
				runs, err := w.Pushed(context.Background(), pipelines.Push{Event: w.pushes, Repository: "r", Ref: "refs/heads/main", After: commit, Actor: slipway.System})
				if err != nil || len(runs) != 1 {
					b.Fatal(runs, err)
				}
				spent.scheduling += cpu(b) - before
				w.playAll(b, runs[0].ID, &spent)
				replay += w.timeOf(b, func() error { _, err := w.Replay(context.Background(), runs[0].ID); return err })
				explain += w.timeOf(b, func() error { _, err := w.Explain(context.Background(), runs[0].ID); return err })
			}
			perJob := func(of time.Duration, what string) {
				b.ReportMetric(float64(of.Microseconds())/1000/benchJobs/float64(b.N), what+"cpu-ms/job")
			}
			perJob(spent.scheduling+spent.pods+spent.agents, "")
			perJob(spent.scheduling, "scheduling-")
			perJob(spent.pods, "pods-")
			perJob(spent.agents, "agents-")
			b.ReportMetric(replay.Seconds()/float64(b.N), "replay-s/run")
			b.ReportMetric(explain.Seconds()/float64(b.N), "explain-s/run")
		})
	}
}

// BenchmarkCancel5000Jobs cancels a run of 5,000 jobs, ten of which run and 4,990 wait, until it is over.
func BenchmarkCancel5000Jobs(b *testing.B) {
	d, err := db.Open(context.Background(), "sqlite:"+filepath.Join(b.TempDir(), "slipway.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	w, ctx := setup(b, d), context.Background()
	w.source.text = "jobs:\n- ${{ each n in split('" + strings.Repeat("x,", benchJobs-1) + "x', ',') }}:\n  - job:\n    steps: [{script: make}]\n"
	var asked, over time.Duration
	for b.Loop() {
		w.pushes++
		runs, err := w.Pushed(ctx, pipelines.Push{Event: w.pushes, Repository: "r", Ref: "refs/heads/main", After: commit, Actor: slipway.System})
		if err != nil || len(runs) != 1 {
			b.Fatal(runs, err)
		}
		if err := w.Reconcile(ctx); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		asked += w.timeOf(b, func() error { return w.Cancel(ctx, runs[0].ID, slipway.System) })
		for {
			run, err := w.Get(ctx, runs[0].ID)
			if err != nil {
				b.Fatal(err)
			}
			if run.Result != "" {
				break
			}
			if err := w.Reconcile(ctx); err != nil {
				b.Fatal(err)
			}
		}
		over += time.Since(began)
	}
	b.ReportMetric(asked.Seconds()/float64(b.N), "asked-s/run")
	b.ReportMetric(over.Seconds()/float64(b.N), "over-s/run")
}

func (w *world) timeOf(b *testing.B, do func() error) time.Duration {
	b.Helper()
	before := time.Now()
	if err := do(); err != nil {
		b.Fatal(err)
	}
	return time.Since(before)
}

// jobsIn is a file of so many stages, whose jobs have steps and a condition, and every second of them waits for the one before.
func jobsIn(stages int) string {
	var text strings.Builder
	text.WriteString("variables: {a: b}\nstages:\n")
	for s := range stages {
		fmt.Fprintf(&text, "- stage: S%d\n  jobs:\n", s)
		for j := range benchJobs / stages {
			fmt.Fprintf(&text, "  - job: J%d\n", j)
			if j%2 == 1 {
				fmt.Fprintf(&text, "    dependsOn: J%d\n    condition: and(succeeded(), eq(variables.a, 'b'))\n", j-1)
			}
			text.WriteString("    steps: [{script: make}]\n")
		}
	}
	return text.String()
}

// times are what the processor did in a run: queue it and decide what follows, make pods, give jobs to agents.
type times struct{ scheduling, pods, agents time.Duration }

// playAll is the pods: each that starts gets its job and completes it.
func (w *world) playAll(b *testing.B, run slipway.RunID, spent *times) {
	b.Helper()
	ctx := context.Background()
	measured := func(to *time.Duration, do func() error) {
		before := cpu(b)
		if err := do(); err != nil {
			b.Fatal(err)
		}
		*to += cpu(b) - before
	}
	for n := 0; n < benchJobs; {
		measured(&spent.pods, func() error { return w.Reconcile(ctx) })
		w.cluster.mu.Lock()
		var begun []slipway.JobID
		for name, p := range w.cluster.pods {
			begun = append(begun, p.Job)
			delete(w.cluster.pods, name)
		}
		w.cluster.mu.Unlock()
		if len(begun) == 0 {
			b.Fatalf("nothing runs after %d jobs", n)
		}
		for _, id := range begun {
			measured(&spent.agents, func() error { _, err := w.Assign(ctx, id); return err })
			measured(&spent.scheduling, func() error { return w.Complete(ctx, id, job.Completion{Result: schedule.Succeeded}) })
			n++
		}
	}
	if got, err := w.Get(ctx, run); err != nil || got.Result != schedule.Succeeded {
		b.Fatalf("the run is %q, %v", got.Result, err)
	}
}
