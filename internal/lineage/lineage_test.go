package lineage_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/lineage"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// loop writes events as the domains do.
type loop struct {
	*testing.T
	*lineage.Service
	events []events.Event
}

func ref(s string) slipway.Reference {
	r, err := slipway.ParseReference(s)
	if err != nil {
		panic(err)
	}
	return r
}

func (l *loop) happened(kind events.Kind, subject string, references ...string) {
	e := events.Event{ID: int64(len(l.events) + 1), Kind: kind, Project: "p", Subject: ref(subject), Time: start.Add(time.Duration(len(l.events)) * time.Second)}
	for _, r := range references {
		e.References = append(e.References, ref(r))
	}
	l.events = append(l.events, e)
}

// change is one change's whole way: item, commit, run, image, deployment, pod, trace.
func (l *loop) change(n int, item string) {
	f := fmt.Sprintf
	l.happened("repos.pushed", "repository:r", f("commit:c%d", n), "branch:r/refs/heads/main", "user:ada")
	l.happened("boards.item_linked", item, f("commit:c%d", n))
	l.happened("pipelines.run_queued", f("run:%d", n), f("commit:c%d", n), "pipeline:1", "branch:r/refs/heads/main")
	l.happened("registry.pushed", f("image:sha256:%d", n), f("run:%d", n), f("commit:c%d", n))
	l.happened("environments.deployment_started", f("deployment:%d", n), "environment:1", f("run:%d", n), f("commit:c%d", n), f("image:sha256:%d", n), item)
	l.happened("clusters.pod_started", f("pod:shop/web-%d", n), f("deployment:%d", n), f("image:sha256:%d", n), "image:sha256:postgres")
	l.happened("insights.telemetry_seen", f("deployment:%d", n), f("trace:t%d", n), f("pod:shop/web-%d", n))
}

func (l *loop) record() {
	l.Helper()
	for _, e := range l.events {
		if err := l.Record(context.Background(), e); err != nil {
			l.Fatal(err)
		}
	}
}

func setup(t *testing.T, d *db.DB) *loop {
	t.Helper()
	s, err := lineage.Open(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	return &loop{T: t, Service: s}
}

// found lists the references of the graph but the start.
func (l *loop) found(project slipway.ProjectID, from string) string {
	l.Helper()
	g, err := l.Trace(context.Background(), project, ref(from))
	if err != nil {
		l.Fatal(err)
	}
	var list []string
	for _, n := range g.Nodes[1:] {
		list = append(list, n.String())
		if n.Path[0] != g.Start || n.Path[len(n.Path)-1] != n.Reference {
			l.Errorf("path of %s: %v", n, n.Path)
		}
	}
	return strings.Join(list, " ")
}

func TestFromAnyThingToAllTheOthers(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := setup(t, d)
		l.change(1, "workitem:7")
		l.change(2, "workitem:8") // shares the project, branch, pipeline, environment, user and the database's image
		l.happened("insights.alert_fired", "alert:1", "deployment:2", "environment:1", "trace:t2")
		l.happened("boards.item_linked", "workitem:9", "alert:1")
		l.happened("boards.item_linked", "workitem:9", "deployment:2")
		l.change(3, "workitem:9") // the bug's fix
		l.record()
		l.record() // told again
		const one = "workitem:7 commit:c1 run:1 image:sha256:1 deployment:1 pod:shop/web-1 trace:t1"
		for _, from := range strings.Fields(one) {
			want := strings.TrimSpace(strings.Replace(one+" ", from+" ", "", 1))
			switch from { // the pod's and its deployment's other image came before them
			case "pod:shop/web-1":
				want = strings.Replace(want, "image:sha256:1", "image:sha256:1 image:sha256:postgres", 1)
			case "trace:t1": // which is nearer to the deployment
				want = strings.Replace(want, "image:sha256:1", "image:sha256:postgres image:sha256:1", 1)
			}
			if got := l.found("p", from); got != want {
				t.Errorf("from %s:\n got %s\nwant %s", from, got, want)
			}
		}
		f := func(from, want string) {
			t.Helper()
			if got := l.found("p", from); got != want {
				t.Errorf("from %s:\n got %s\nwant %s", from, got, want)
			}
		}
		// The alert leads back to all that led to it, and on to its bug, but not through it to the next round.
		f("alert:1", "workitem:9 workitem:8 commit:c2 run:2 image:sha256:postgres image:sha256:2 deployment:2 pod:shop/web-2 trace:t2")
		// The bug leads back to its alert and what caused it, and on to its fix.
		f("workitem:9", "workitem:8 commit:c3 commit:c2 run:3 run:2 image:sha256:3 image:sha256:postgres image:sha256:2 deployment:3 deployment:2 "+
			"pod:shop/web-3 pod:shop/web-2 trace:t3 trace:t2 alert:1")
		f("run:99", "")
		if got := l.found("other", "run:1"); got != "" {
			t.Errorf("another project sees %s", got)
		}
		if got := l.found("", "run:1"); got == "" {
			t.Error("whoever may see all sees nothing")
		}
		if _, err := l.Trace(context.Background(), "p", ref("branch:r/refs/heads/main")); slipway.CodeOf(err) != slipway.CodeInvalid {
			t.Errorf("trace of a branch: %v", err)
		}
	})
}

func TestPathIsTheShortest(t *testing.T) {
	t.Parallel()
	l := setup(t, dbtest.SQLite(t))
	l.change(1, "workitem:7")
	l.record()
	g, err := l.Trace(context.Background(), "p", ref("trace:t1"))
	if err != nil {
		t.Fatal(err)
	}
	item := g.Of(slipway.RefWorkItem)
	if len(item) != 1 || fmt.Sprint(item[0].Path) != "[trace:t1 deployment:1 workitem:7]" || item[0].Direction != lineage.Before {
		t.Errorf("work item %+v", item)
	}
}

// A thing with thousands of neighbours costs no more than its latest ones, and says that there are more.
func TestHubsAreBounded(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := setup(t, d)
		l.change(1, "workitem:7")
		for n := range 200 {
			l.happened("insights.telemetry_seen", "deployment:1", fmt.Sprintf("trace:more%d", n))
		}
		l.record()
		g, err := l.Trace(context.Background(), "p", ref("commit:c1"))
		if err != nil || !g.Truncated {
			t.Errorf("truncated %v, %v", g.Truncated, err)
		}
		traces := g.Of(slipway.RefTrace)
		if len(traces) > 30 || traces[0].ID != "more199" || len(g.Of(slipway.RefPod)) != 1 || len(g.Of(slipway.RefWorkItem)) != 1 {
			t.Errorf("%d traces, the first %v; pods %v", len(traces), traces[0], g.Of(slipway.RefPod))
		}
	})
}

func TestEdges(t *testing.T) {
	t.Parallel()
	f := func(subject, references, want string) {
		t.Helper()
		e := events.Event{ID: 1, Subject: ref(subject)}
		for _, r := range strings.Fields(references) {
			e.References = append(e.References, ref(r))
		}
		var got []string
		for _, edge := range lineage.Edges(e) {
			got = append(got, edge.From.String()+">"+edge.To.String())
		}
		if strings.Join(got, " ") != want {
			t.Errorf("edges of %s with %s: %q, want %q", subject, references, strings.Join(got, " "), want)
		}
	}
	f("repository:r", "commit:a commit:b", "")
	f("run:1", "commit:a pipeline:1 user:u", "commit:a>run:1")
	f("deployment:1", "commit:a commit:b run:1 run:1 environment:2", "commit:a>deployment:1 commit:b>deployment:1 run:1>deployment:1")
	f("deployment:1", "trace:t pod:n/p", "deployment:1>trace:t deployment:1>pod:n/p pod:n/p>trace:t")
	f("workitem:1", "workitem:2", "") // parents join whole backlogs
	f("workitem:1", "alert:3", "alert:3>workitem:1")
	f("workitem:1", "deployment:3 commit:a", "workitem:1>commit:a") // shipped or broken by it?
	f("deployment:3", "workitem:1", "workitem:1>deployment:3")
	f("pod:n/p", "image:d deployment:1", "image:d>pod:n/p deployment:1>pod:n/p")
}

func TestResolve(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := setup(t, d)
		commit, other, digest := strings.Repeat("ab", 20), "abababab"+strings.Repeat("c", 32), "sha256:"+strings.Repeat("d", 64)
		l.happened("registry.pushed", "image:"+digest, "commit:"+commit)
		l.happened("registry.pushed", "image:"+digest, "commit:"+other)
		l.happened("clusters.pod_started", "pod:shop/web-1", "image:"+digest)
		l.record()
		f := func(text, want string) {
			t.Helper()
			list, err := l.Resolve(context.Background(), "p", text)
			got := fmt.Sprint(list)
			if err != nil {
				got = string(slipway.CodeOf(err))
			}
			if got != want {
				t.Errorf("resolve %q: %s, want %s", text, got, want)
			}
		}
		f("AB#12", "[workitem:12]")
		f("#12", "[workitem:12]")
		f(" run:3 ", "[run:3]")
		f(commit, "[commit:"+commit+"]")
		f("ABABABABA", "[commit:"+commit+"]")
		f("abababab", "[commit:"+commit+" commit:"+other+"]")
		f("ddddddd", "[image:"+digest+"]")
		f("sha256:dddddd", "[image:"+digest+"]")
		f("shop/web-1", "[pod:shop/web-1]")
		f("1234567", "not_found")
		f("hello", "invalid")
	})
}

func BenchmarkTrace(b *testing.B) {
	d, err := db.Open(context.Background(), "sqlite:"+b.TempDir()+"/bench.db")
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	s, err := lineage.Open(context.Background(), d)
	if err != nil {
		b.Fatal(err)
	}
	l := &loop{Service: s}
	for n := range 500 {
		l.change(n, fmt.Sprint("workitem:", n))
	}
	for _, e := range l.events {
		if err := s.Record(context.Background(), e); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if _, err := s.Trace(context.Background(), "p", ref("trace:t250")); err != nil {
			b.Fatal(err)
		}
	}
}
