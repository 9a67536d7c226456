package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"slipway/internal/insights/store"
	"slipway/internal/insights/telemetry"
)

func batchOf(n int, r *rand.Rand, at time.Time, spread time.Duration) *telemetry.Batch {
	resource := &telemetry.Resource{Project: "p", Environment: 1, Deployment: 7, Service: "shop", Pod: "shop-0"}
	b := &telemetry.Batch{}
	for range n {
		b.Add(&telemetry.Request{Item: telemetry.Item{Resource: resource, Time: at.Add(time.Duration(r.Int64N(int64(spread)))),
			OperationID: fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64()), Dimensions: `{"http.request.method":"GET","url.path":"/cart/5"}`},
			ID: fmt.Sprintf("%016x", r.Uint64()), Name: fmt.Sprintf("GET /%d", r.IntN(120)), ResultCode: "200",
			Duration: time.Duration(r.ExpFloat64() * float64(20*time.Millisecond)), Success: r.IntN(20) > 0})
	}
	return b
}

// BenchmarkWrite is requests a second into the store, in batches of 5000 until they are durable.
func BenchmarkWrite(b *testing.B) {
	s := open(b, store.Options{BatchWait: time.Millisecond})
	r := rand.New(rand.NewPCG(1, 2))
	batch := batchOf(5000, r, noon, time.Hour)
	for b.Loop() {
		if err := s.Write(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*5000/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkQuery is the pages' dearest questions over 1 M requests of ten hours.
func BenchmarkQuery(b *testing.B) {
	s := open(b, store.Options{BatchWait: time.Millisecond})
	r := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		if err := s.Write(context.Background(), batchOf(10_000, r, noon, 10*time.Hour)); err != nil {
			b.Fatal(err)
		}
	}
	for name, query := range map[string]string{
		"percentiles of an hour": `SELECT count(*) FROM (SELECT name, quantile_cont(duration, 0.95) FROM requests
			WHERE project = 'p' AND "timestamp" >= TIMESTAMP '2026-03-01 20:00:00' AND "timestamp" < TIMESTAMP '2026-03-01 21:00:00' GROUP BY name)`,
		"one operation of all": `SELECT count(*) FROM requests WHERE project = 'p' AND operation_Id = '80000000000000008000000000000000'`,
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				count(b, s, query)
			}
		})
	}
}
