package insights

import (
	"context"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/insights/store"
)

// Pod is a pod as the collectors saw it last in the filter's time.
type Pod struct {
	Namespace, Name string
	Service         string
	Deployment      slipway.DeploymentID
	Environment     slipway.EnvironmentID
	Commit          slipway.CommitID
	Image           slipway.Digest // of its last container
	Node            string
	Seen            time.Time
	Gone            bool // not seen within the last minute
	Up              bool // every container is ready, and it is not gone
	Reason          string
	Restarts        int64   // since it exists, of all containers
	NewRestarts     int64   // in the filter's time, without those that came with the node's
	CPU             float64 // cores
	Memory          int64   // bytes, working set
	CPULimit        float64 // 0 for none
	MemoryLimit     int64
}

// podSilence is how long after its last observation a pod counts as gone: four observations.
const podSilence = time.Minute

// Pods lists the pods seen in the filter's time, newest first; those that have gone meanwhile are not Up.
func (s *Service) Pods(ctx context.Context, f Filter) ([]Pod, error) {
	f = s.defaults(f)
	c := where(f)
	alive := c.arg(earlier(f.To, s.clock.Now()).Add(-podSilence))
	query := fmt.Sprintf(`
		WITH containers AS (
			SELECT namespace, pod, container, any_value(cloud_RoleName) AS service, max(deployment) AS deployment, max(environment) AS environment,
				any_value(commitId) AS commit, arg_max(image, "timestamp") AS image, any_value(node) AS node, max("timestamp") AS seen,
				arg_max(ready, "timestamp") AS ready, arg_max(reason, "timestamp") AS reason, max(restarts) AS restarts,
				coalesce(arg_max(cpu, "timestamp") FILTER (measured), 0) AS cpu, coalesce(arg_max(memory, "timestamp") FILTER (measured), 0) AS memory,
				arg_max(cpuLimit, "timestamp") AS cpuLimit, arg_max(memoryLimit, "timestamp") AS memoryLimit
			FROM containerPerformance WHERE %[1]s GROUP BY namespace, pod, container),
		lives AS (
			SELECT namespace, pod, container, max(restarts) - min(restarts) AS fresh
			FROM containerPerformance WHERE %[1]s GROUP BY namespace, pod, container, coalesce(sandbox, 0)),
		fresh AS (SELECT namespace, pod, sum(fresh) AS restarts FROM lives GROUP BY namespace, pod)
		SELECT namespace, pod, any_value(service), max(deployment), max(environment), any_value(commit), any_value(image), any_value(node),
			max(seen), max(seen) < %[2]s, min(seen) >= %[2]s AND bool_and(ready), max(reason), CAST(sum(containers.restarts) AS BIGINT), CAST(any_value(fresh.restarts) AS BIGINT), sum(cpu),
			CAST(sum(memory) AS BIGINT), sum(cpuLimit), CAST(sum(memoryLimit) AS BIGINT)
		FROM containers JOIN fresh USING (namespace, pod) GROUP BY namespace, pod ORDER BY max(seen) DESC, pod LIMIT 500`, c, alive)
	return store.List(ctx, s.store, func(row interface{ Scan(...any) error }, p *Pod) error {
		return row.Scan(&p.Namespace, &p.Name, &p.Service, (*int64)(&p.Deployment), (*int64)(&p.Environment), (*string)(&p.Commit), (*string)(&p.Image),
			&p.Node, &p.Seen, &p.Gone, &p.Up, &p.Reason, &p.Restarts, &p.NewRestarts, &p.CPU, &p.Memory, &p.CPULimit, &p.MemoryLimit)
	}, query, c.args...)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// Health is how a part of the loop does in the filter's time.
type Health struct {
	PodsUp     int
	Pods       int // that exist: seen within the last minute
	Restarts   int64
	Requests   Latency
	Exceptions int64
	LastSeen   time.Time // of the newest request; zero without one
}

// Health sums up the filter's rows.
func (s *Service) Health(ctx context.Context, f Filter) (Health, error) {
	f = s.defaults(f)
	pods, err := s.Pods(ctx, f)
	if err != nil {
		return Health{}, err
	}
	h := Health{}
	for _, p := range pods {
		h.Restarts += p.NewRestarts
		if p.Gone {
			continue
		}
		h.Pods++
		if p.Up {
			h.PodsUp++
		}
	}
	if h.Requests, h.LastSeen, err = s.latency(ctx, f); err != nil {
		return Health{}, err
	}
	c := where(f)
	h.Exceptions, err = store.One(ctx, s.store, func(row interface{ Scan(...any) error }, n *int64) error { return row.Scan(n) },
		fmt.Sprintf(`SELECT CAST(coalesce(sum(itemCount), 0) AS BIGINT) FROM exceptions WHERE %s`, c), c.args...)
	return h, err
}

// latency is that of all requests together.
func (s *Service) latency(ctx context.Context, f Filter) (Latency, time.Time, error) {
	c := where(f)
	type result struct {
		Latency
		last *time.Time
	}
	r, err := store.One(ctx, s.store, func(row interface{ Scan(...any) error }, r *result) error {
		return r.Latency.scan(row, &r.last)
	}, fmt.Sprintf(`SELECT max("timestamp"), %s FROM requests WHERE %s`, latencyColumns, c), c.args...)
	if err != nil || r.last == nil {
		return Latency{}, time.Time{}, err
	}
	return r.Latency, *r.last, nil
}

// ContainerPoint is what the containers of the filter used in one bin, summed over pods.
type ContainerPoint struct {
	Time   time.Time
	CPU    float64 // cores
	Memory float64 // bytes
	Pods   int64
}

// ContainerSeries is the use of CPU and memory over time; bin as in RequestSeries. Bins without an observation are zero.
func (s *Service) ContainerSeries(ctx context.Context, f Filter, bin time.Duration) ([]ContainerPoint, error) {
	f = s.defaults(f)
	bin, err := binFor(f, bin)
	if err != nil {
		return nil, err
	}
	c := where(f)
	width := c.arg(bin.Microseconds())
	query := fmt.Sprintf(`
		WITH averages AS (
			SELECT epoch_us("timestamp") // %s AS bin, namespace, pod, container, avg(cpu) AS cpu, avg(memory) AS memory
			FROM containerPerformance WHERE %s AND measured GROUP BY ALL)
		SELECT bin, sum(cpu), sum(memory), count(DISTINCT namespace || '/' || pod) FROM averages GROUP BY bin ORDER BY bin LIMIT %d`, width, c, maxBins+2)
	list, err := store.List(ctx, s.store, func(row interface{ Scan(...any) error }, p *ContainerPoint) error {
		var n int64
		err := row.Scan(&n, &p.CPU, &p.Memory, &p.Pods)
		p.Time = time.UnixMicro(n * bin.Microseconds()).UTC()
		return err
	}, query, c.args...)
	if err != nil {
		return nil, err
	}
	byTime := map[time.Time]ContainerPoint{}
	for _, p := range list {
		byTime[p.Time] = p
	}
	points := []ContainerPoint{}
	for t := floor(f.From, bin); t.Before(f.To); t = t.Add(bin) {
		p := byTime[t]
		p.Time = t
		points = append(points, p)
	}
	return points, nil
}
