package insights

import (
	"context"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/insights/store"
	"slipway/internal/insights/telemetry"
)

// Latency is how long work took and how much of it there was.
type Latency struct {
	Count         int64 // requests, those that sampling left out included
	Failed        int64
	P50, P95, P99 time.Duration
}

// FailedRate is the failed part of the count, from 0 to 1.
func (l Latency) FailedRate() float64 {
	if l.Count == 0 {
		return 0
	}
	return float64(l.Failed) / float64(l.Count)
}

const latencyColumns = `
	CAST(sum(itemCount) AS BIGINT) AS count, CAST(coalesce(sum(itemCount) FILTER (NOT success), 0) AS BIGINT) AS failed,
	quantile_cont(duration, 0.5), quantile_cont(duration, 0.95) AS p95, quantile_cont(duration, 0.99)`

type latencyFields struct {
	count, failed *int64
	p50, p95, p99 *float64
}

func (l *Latency) scan(row scanner, before ...any) error {
	var f latencyFields
	if err := row.Scan(append(before, &f.count, &f.failed, &f.p50, &f.p95, &f.p99)...); err != nil {
		return err
	}
	if f.count != nil { // NULL when there was no row
		l.Count, l.Failed = *f.count, *f.failed
		l.P50, l.P95, l.P99 = milliseconds(*f.p50), milliseconds(*f.p95), milliseconds(*f.p99)
	}
	return nil
}

// OperationLatency is the latency of one kind of request.
type OperationLatency struct {
	Name    string
	Service string
	Latency
	Rate float64 // requests a second
}

// Operations lists requests by service and name, those that took the most time in sum first.
func (s *Service) Operations(ctx context.Context, f Filter, rows int) ([]OperationLatency, error) {
	f = s.defaults(f)
	c := where(f)
	query := fmt.Sprintf(`SELECT name, cloud_RoleName, %s FROM requests WHERE %s GROUP BY name, cloud_RoleName
		ORDER BY sum(duration * itemCount) DESC, name LIMIT %d`, latencyColumns, c, limit(rows, 50, 500))
	seconds := f.To.Sub(f.From).Seconds()
	return store.List(ctx, s.store, func(row interface{ Scan(...any) error }, o *OperationLatency) error {
		err := o.Latency.scan(row, &o.Name, &o.Service)
		o.Rate = float64(o.Count) / seconds
		return err
	}, query, c.args...)
}

// DependencyLatency is the latency of calls to one target.
type DependencyLatency struct {
	Type, Target, Name string
	Latency
}

// Dependencies lists calls by type, target and name, those that took the most time in sum first. Spans inside of
// the service (type InProc) are left out.
func (s *Service) Dependencies(ctx context.Context, f Filter, rows int) ([]DependencyLatency, error) {
	c := where(s.defaults(f))
	query := fmt.Sprintf(`SELECT type, target, name, %s FROM dependencies WHERE %s AND type <> 'InProc' GROUP BY type, target, name
		ORDER BY sum(duration * itemCount) DESC, name LIMIT %d`, latencyColumns, c, limit(rows, 50, 500))
	return store.List(ctx, s.store, func(row interface{ Scan(...any) error }, d *DependencyLatency) error {
		return d.Latency.scan(row, &d.Type, &d.Target, &d.Name)
	}, query, c.args...)
}

// Point is the latency of one bin of a time series.
type Point struct {
	Time time.Time // the bin's beginning
	Latency
}

// Series is a time series of equal bins without holes.
type Series struct {
	Bin    time.Duration
	Points []Point
}

const maxBins = 1000

// RequestSeries is the latency of requests over time, of one operation when name is not empty. bin is the width of
// the bins, whole seconds; zero chooses one that gives about sixty.
func (s *Service) RequestSeries(ctx context.Context, f Filter, name string, bin time.Duration) (Series, error) {
	f = s.defaults(f)
	bin, err := binFor(f, bin)
	if err != nil {
		return Series{}, err
	}
	c := where(f)
	if name != "" {
		c.add(`name = ?`, name)
	}
	width := c.arg(bin.Microseconds())
	query := fmt.Sprintf(`SELECT epoch_us("timestamp") // %s AS bin, %s FROM requests WHERE %s GROUP BY bin ORDER BY bin LIMIT %d`,
		width, latencyColumns, c, maxBins+2)
	points, err := store.List(ctx, s.store, func(row interface{ Scan(...any) error }, p *Point) error {
		var n int64
		err := p.Latency.scan(row, &n)
		p.Time = time.UnixMicro(n * bin.Microseconds()).UTC()
		return err
	}, query, c.args...)
	if err != nil {
		return Series{}, err
	}
	byTime := map[time.Time]Point{}
	for _, p := range points {
		byTime[p.Time] = p
	}
	series := Series{Bin: bin}
	for t := floor(f.From, bin); t.Before(f.To); t = t.Add(bin) {
		p := byTime[t]
		p.Time = t
		series.Points = append(series.Points, p)
	}
	return series, nil
}

// floor is the beginning of the bin that t is in, counted from 1970 as the queries do.
func floor(t time.Time, bin time.Duration) time.Time {
	width := bin.Microseconds()
	return time.UnixMicro(t.UnixMicro() / width * width).UTC()
}

func binFor(f Filter, bin time.Duration) (time.Duration, error) {
	span := f.To.Sub(f.From)
	if span <= 0 {
		return 0, slipway.Invalid("the time range ends before it begins")
	}
	if bin == 0 {
		for _, bin = range []time.Duration{time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute,
			10 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour} {
			if span/bin <= 75 {
				break
			}
		}
	}
	if bin < time.Second || bin%time.Second != 0 || span/bin > maxBins {
		return 0, slipway.Invalid("the bins must be whole seconds and at most %d", maxBins)
	}
	return bin, nil
}

// RequestRow is one request, with what leads to its trace.
type RequestRow struct {
	Time                      time.Time
	ID, OperationID           string
	Name, Service, ResultCode string
	Pod                       string
	Deployment                slipway.DeploymentID
	Duration                  time.Duration
	Success                   bool
}

// RequestOrder says which requests come first.
type RequestOrder string

// The orders.
const (
	Slowest RequestOrder = "slowest" // the longest first
	Newest  RequestOrder = "newest"
	Failed  RequestOrder = "failed" // failed ones alone, newest first
)

// Requests lists single requests, of one operation when name is not empty.
func (s *Service) Requests(ctx context.Context, f Filter, name string, order RequestOrder, rows int) ([]RequestRow, error) {
	c := where(s.defaults(f))
	if name != "" {
		c.add(`name = ?`, name)
	}
	by := `"timestamp" DESC`
	switch order {
	case Slowest:
		by = `duration DESC, "timestamp" DESC`
	case Failed:
		c.parts = append(c.parts, `NOT success`)
	case Newest:
	default:
		return nil, slipway.Invalid("requests are ordered by slowest, newest or failed")
	}
	query := fmt.Sprintf(`SELECT "timestamp", id, operation_Id, name, cloud_RoleName, resultCode, pod, deployment, duration, success
		FROM %s WHERE %s ORDER BY %s LIMIT %d`, telemetry.KindRequest, c, by, limit(rows, 50, 1000))
	return store.List(ctx, s.store, func(row interface{ Scan(...any) error }, r *RequestRow) error {
		var ms float64
		err := row.Scan(&r.Time, &r.ID, &r.OperationID, &r.Name, &r.Service, &r.ResultCode, &r.Pod, (*int64)(&r.Deployment), &ms, &r.Success)
		r.Duration = milliseconds(ms)
		return err
	}, query, c.args...)
}
