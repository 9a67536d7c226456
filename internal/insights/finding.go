package insights

import (
	"context"
	"fmt"
	"time"

	"slipway/internal/insights/store"
	"slipway/internal/insights/telemetry"
)

// facts are what the rules decide by: what a deployment did in a rule's window.
type facts struct {
	health Health
	// observed is how long ago the first observation of the deployment's pods was, zero without one in the window.
	observed time.Duration
	everUp   bool          // a pod had all its containers ready at some time of the window
	silent   time.Duration // since the application sent something; zero when it never did
}

// finding is a rule's decision about one deployment.
type finding struct {
	fires bool
	value float64 // in the unit of the rule's kind
	says  string  // one sentence for people
}

// decide is the rule itself: facts in, decision out.
func (r Rule) decide(f facts) finding {
	q := f.health.Requests
	switch r.Kind {
	case FailedRequests:
		rate := q.FailedRate()
		return finding{q.Count >= max(1, r.Minimum) && rate > r.Threshold, rate,
			fmt.Sprintf("%d of %d requests failed (%.1f %%, more than %.1f %%) in %s", q.Failed, q.Count, 100*rate, 100*r.Threshold, span(r.Window))}
	case SlowRequests:
		p95 := float64(q.P95) / float64(time.Millisecond)
		return finding{q.Count >= max(1, r.Minimum) && p95 > r.Threshold, p95,
			fmt.Sprintf("the 95th percentile of %d requests was %.0f ms (more than %.0f ms) in %s", q.Count, p95, r.Threshold, span(r.Window))}
	case Restarts:
		n := float64(f.health.Restarts)
		return finding{n > r.Threshold, n, fmt.Sprintf("containers restarted %.0f times (more than %.0f) in %s", n, r.Threshold, span(r.Window))}
	case PodsDown:
		return finding{f.observed >= r.Window && !f.everUp, float64(f.health.PodsUp), fmt.Sprintf("no pod was up for %s", span(r.Window))}
	case NoTelemetry:
		return finding{f.silent >= r.Window, f.silent.Seconds(), fmt.Sprintf("the application has sent nothing for %s", span(f.silent))}
	}
	return finding{}
}

// observationGap is more than the time between two observations of a container.
const observationGap = 30 * time.Second

// span writes a duration for people: whole minutes when it is some.
func span(d time.Duration) string {
	if d = d.Truncate(time.Second); d%time.Minute == 0 {
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

// lookBack is how far the rules about presence look for a last or first sign.
const lookBack = 24 * time.Hour

// gather reads the facts for a deployment in the window that ends now.
func (s *Service) gather(ctx context.Context, d Deployment, window time.Duration) (facts, error) {
	now := s.clock.Now()
	f := Filter{Project: d.Project, Deployment: d.ID, From: now.Add(-window), To: now.Add(time.Second)}
	var got facts
	var err error
	if got.health, err = s.Health(ctx, f); err != nil {
		return got, err
	}
	if d.Completed.After(f.From) { // the restarts until then were the rollout's to judge
		since := f
		since.From = d.Completed
		serving, err := s.Health(ctx, since)
		if err != nil {
			return got, err
		}
		got.health.Restarts = serving.Restarts
	}
	long := f
	long.From = now.Add(-lookBack)
	c := where(long)
	from := c.arg(f.From.UTC())
	type presence struct {
		first, last *time.Time
		begin       *time.Time // of the window's
		up          int64
	}
	p, err := store.One(ctx, s.store, func(row interface{ Scan(...any) error }, p *presence) error {
		return row.Scan(&p.first, &p.last, &p.begin, &p.up)
	},
		fmt.Sprintf(`
		WITH moments AS (SELECT "timestamp" AS t, pod, bool_and(ready) AS up FROM containerPerformance WHERE %[1]s GROUP BY t, namespace, pod)
		SELECT min(t), max(t), min(t) FILTER (t >= %[2]s), count(*) FILTER (up AND t >= %[2]s) FROM moments`, c, from), c.args...)
	if err != nil {
		return got, err
	}
	if p.first != nil && p.begin != nil {
		got.observed, got.everUp = now.Sub(*p.first), p.up > 0
		if p.begin.Sub(f.From) > observationGap { // nobody looked at the window's beginning: Slipway or the node was stopped
			got.observed = now.Sub(*p.begin)
		}
	}
	got.silent, err = s.silence(ctx, long, now)
	return got, err
}

// silence is how long ago the application itself sent something.
func (s *Service) silence(ctx context.Context, f Filter, now time.Time) (time.Duration, error) {
	c := where(f)
	last, err := store.One(ctx, s.store, func(row interface{ Scan(...any) error }, t **time.Time) error { return row.Scan(t) }, fmt.Sprintf(`
		SELECT max(t) FROM (
			SELECT max("timestamp") AS t FROM requests WHERE %[1]s UNION ALL SELECT max("timestamp") FROM dependencies WHERE %[1]s
			UNION ALL SELECT max("timestamp") FROM customMetrics WHERE %[1]s UNION ALL SELECT max("timestamp") FROM customEvents WHERE %[1]s
			UNION ALL SELECT max("timestamp") FROM traces WHERE %[1]s AND source <> '%[2]s')`, c, telemetry.SourceContainer), c.args...)
	if err != nil || last == nil {
		return 0, err
	}
	return max(time.Microsecond, now.Sub(*last)), nil
}

// Evidence is the numbers that a rule decided by, and samples that lead to the cause.
type Evidence struct {
	Requests   int64               `json:"requests"`
	Failed     int64               `json:"failed"`
	P95        float64             `json:"p95"` // milliseconds
	Restarts   int64               `json:"restarts"`
	PodsUp     int                 `json:"podsUp"`
	Pods       int                 `json:"pods"`
	Reasons    []string            `json:"reasons,omitempty"` // why pods are not up, as POD: CrashLoopBackOff
	Operations []EvidenceOperation `json:"operations,omitempty"`
	Samples    []EvidenceSample    `json:"samples,omitempty"`
	Exceptions []string            `json:"exceptions,omitempty"` // the most frequent, as TYPE: MESSAGE
	From       time.Time           `json:"from"`
	To         time.Time           `json:"to"`
}

// EvidenceOperation is one kind of request.
type EvidenceOperation struct {
	Service string  `json:"service"`
	Name    string  `json:"name"`
	Count   int64   `json:"count"`
	Failed  int64   `json:"failed"`
	P95     float64 `json:"p95"` // milliseconds
}

// EvidenceSample is one request; its trace is OperationID's.
type EvidenceSample struct {
	OperationID string    `json:"operationId"`
	Time        time.Time `json:"time"`
	Service     string    `json:"service"`
	Name        string    `json:"name"`
	ResultCode  string    `json:"resultCode"`
	Duration    float64   `json:"duration"` // milliseconds
}

const maxSamples = 5

// evidence collects what goes with an alert of the rule.
func (s *Service) evidence(ctx context.Context, d Deployment, r Rule, got facts) (Evidence, error) {
	now := s.clock.Now()
	f := Filter{Project: d.Project, Deployment: d.ID, From: now.Add(-r.Window), To: now.Add(time.Second)}
	h := got.health
	e := Evidence{Requests: h.Requests.Count, Failed: h.Requests.Failed, P95: float64(h.Requests.P95) / float64(time.Millisecond), Restarts: h.Restarts,
		PodsUp: h.PodsUp, Pods: h.Pods, From: f.From, To: now}
	order := Failed
	if r.Kind == SlowRequests {
		order = Slowest
	}
	samples, err := s.Requests(ctx, f, "", order, maxSamples)
	if err != nil {
		return e, err
	}
	for _, q := range samples {
		e.Samples = append(e.Samples, EvidenceSample{OperationID: q.OperationID, Time: q.Time, Service: q.Service, Name: q.Name, ResultCode: q.ResultCode,
			Duration: float64(q.Duration) / float64(time.Millisecond)})
	}
	operations, err := s.Operations(ctx, f, maxSamples)
	if err != nil {
		return e, err
	}
	for _, o := range operations {
		e.Operations = append(e.Operations, EvidenceOperation{Service: o.Service, Name: o.Name, Count: o.Count, Failed: o.Failed,
			P95: float64(o.P95) / float64(time.Millisecond)})
	}
	groups, err := s.Exceptions(ctx, f, maxSamples)
	if err != nil {
		return e, err
	}
	for _, g := range groups {
		e.Exceptions = append(e.Exceptions, cut(g.Type+": "+g.Message, 500))
	}
	pods, err := s.Pods(ctx, f)
	if err != nil {
		return e, err
	}
	for _, p := range pods {
		if !p.Up && p.Reason != "" && len(e.Reasons) < maxSamples {
			e.Reasons = append(e.Reasons, p.Name+": "+p.Reason)
		}
	}
	return e, nil
}

// cut shortens s to at most n bytes, at the border of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n] + "…"
}
