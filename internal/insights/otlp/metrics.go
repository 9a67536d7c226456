package otlp

import (
	"math"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"slipway/internal/insights/telemetry"
)

// Metrics converts data points. Value is the gauge's or sum's value, or the sum of a histogram's measurements; the
// buckets of a histogram are in customDimensions under `_buckets`. Cumulative sums and histograms stay
// cumulative: whoever asks for a rate subtracts.
func (c *Converter) Metrics(data pmetric.Metrics) *Result {
	r := &Result{}
	for _, rm := range data.ResourceMetrics().All() {
		s, err := c.source(rm.Resource().Attributes())
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if err != nil {
					r.reject(int64(points(m)), err.Error())
					continue
				}
				c.metric(r, s, sm.Scope().Name(), m)
			}
		}
	}
	return r
}

func points(m pmetric.Metric) int {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		return m.Gauge().DataPoints().Len()
	case pmetric.MetricTypeSum:
		return m.Sum().DataPoints().Len()
	case pmetric.MetricTypeHistogram:
		return m.Histogram().DataPoints().Len()
	case pmetric.MetricTypeExponentialHistogram:
		return m.ExponentialHistogram().DataPoints().Len()
	case pmetric.MetricTypeSummary:
		return m.Summary().DataPoints().Len()
	}
	return 0
}

// pointOf makes the row that every sort of data point has; nil, with the point refused, when its time is wrong.
func (c *Converter) pointOf(r *Result, s source, scope string, m pmetric.Metric, t pcommon.Timestamp, a pcommon.Map) (*telemetry.Metric, *dimensions) {
	when, ok := c.at(t)
	if !ok {
		r.reject(1, outOfTime)
		return nil, nil
	}
	d := s.dimensions("")
	for name, v := range a.All() {
		d.add(name, v)
	}
	return &telemetry.Metric{Item: telemetry.Item{Resource: s.resource, Time: when}, Name: clip(m.Name(), 512), Namespace: clip(scope, 512),
		Unit: clip(m.Unit(), 64)}, d
}

func (c *Converter) metric(r *Result, s source, scope string, m pmetric.Metric) {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		c.numbers(r, s, scope, m, m.Gauge().DataPoints(), "gauge", "")
	case pmetric.MetricTypeSum:
		c.numbers(r, s, scope, m, m.Sum().DataPoints(), "sum", temporality(m.Sum().AggregationTemporality()))
	case pmetric.MetricTypeHistogram:
		c.histograms(r, s, scope, m)
	case pmetric.MetricTypeExponentialHistogram:
		c.exponentials(r, s, scope, m)
	case pmetric.MetricTypeSummary:
		c.summaries(r, s, scope, m)
	}
}

func (c *Converter) numbers(r *Result, s source, scope string, m pmetric.Metric, list pmetric.NumberDataPointSlice, kind, temporality string) {
	for _, p := range list.All() {
		if p.Flags().NoRecordedValue() {
			continue
		}
		row, d := c.pointOf(r, s, scope, m, p.Timestamp(), p.Attributes())
		if row == nil {
			continue
		}
		v := p.DoubleValue()
		if p.ValueType() == pmetric.NumberDataPointValueTypeInt {
			v = float64(p.IntValue())
		}
		row.Type, row.Temporality = kind, temporality
		row.Value, row.Count, row.Min, row.Max = v, 1, v, v
		row.Dimensions = d.json()
		r.Batch.Add(row)
	}
}

// buckets are counts[i] of measurements in (bounds[i-1], bounds[i]], the last one without an upper bound.
type buckets struct {
	Bounds []float64 `json:"bounds"`
	Counts []uint64  `json:"counts"`
}

const maxBuckets = 512

func (c *Converter) histograms(r *Result, s source, scope string, m pmetric.Metric) {
	for _, p := range m.Histogram().DataPoints().All() {
		if p.BucketCounts().Len() > maxBuckets || p.ExplicitBounds().Len() > maxBuckets {
			r.reject(1, "a histogram has at most 512 buckets")
			continue
		}
		row, d := c.pointOf(r, s, scope, m, p.Timestamp(), p.Attributes())
		if row == nil {
			continue
		}
		row.Type, row.Temporality = "histogram", temporality(m.Histogram().AggregationTemporality())
		row.Value, row.Count, row.Min, row.Max = p.Sum(), int64(p.Count()), p.Min(), p.Max()
		d.set("_buckets", buckets{Bounds: finite(p.ExplicitBounds().AsRaw()), Counts: p.BucketCounts().AsRaw()})
		row.Dimensions = d.json()
		r.Batch.Add(row)
	}
}

func (c *Converter) exponentials(r *Result, s source, scope string, m pmetric.Metric) {
	type side struct {
		Offset int32    `json:"offset"`
		Counts []uint64 `json:"counts"`
	}
	for _, p := range m.ExponentialHistogram().DataPoints().All() {
		if p.Positive().BucketCounts().Len() > maxBuckets || p.Negative().BucketCounts().Len() > maxBuckets {
			r.reject(1, "a histogram has at most 512 buckets")
			continue
		}
		row, d := c.pointOf(r, s, scope, m, p.Timestamp(), p.Attributes())
		if row == nil {
			continue
		}
		row.Type, row.Temporality = "exponential_histogram", temporality(m.ExponentialHistogram().AggregationTemporality())
		row.Value, row.Count, row.Min, row.Max = p.Sum(), int64(p.Count()), p.Min(), p.Max()
		d.set("_buckets", map[string]any{"scale": p.Scale(), "zero": p.ZeroCount(),
			"positive": side{p.Positive().Offset(), p.Positive().BucketCounts().AsRaw()},
			"negative": side{p.Negative().Offset(), p.Negative().BucketCounts().AsRaw()}})
		row.Dimensions = d.json()
		r.Batch.Add(row)
	}
}

func (c *Converter) summaries(r *Result, s source, scope string, m pmetric.Metric) {
	for _, p := range m.Summary().DataPoints().All() {
		row, d := c.pointOf(r, s, scope, m, p.Timestamp(), p.Attributes())
		if row == nil {
			continue
		}
		row.Type, row.Value, row.Count = "summary", p.Sum(), int64(p.Count())
		quantiles := [][2]float64{}
		for _, q := range p.QuantileValues().All() {
			if len(quantiles) < maxBuckets && !math.IsNaN(q.Value()) {
				quantiles = append(quantiles, [2]float64{q.Quantile(), q.Value()})
			}
		}
		d.set("_quantiles", quantiles)
		row.Dimensions = d.json()
		r.Batch.Add(row)
	}
}

func temporality(t pmetric.AggregationTemporality) string {
	switch t {
	case pmetric.AggregationTemporalityDelta:
		return "delta"
	case pmetric.AggregationTemporalityCumulative:
		return "cumulative"
	}
	return ""
}

// finite drops what JSON cannot write.
func finite(list []float64) []float64 {
	out := list[:0:0]
	for _, f := range list {
		if !math.IsNaN(f) && !math.IsInf(f, 0) {
			out = append(out, f)
		}
	}
	return out
}
