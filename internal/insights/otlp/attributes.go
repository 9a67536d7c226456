// Package otlp turns OpenTelemetry's data into rows of telemetry, in the way that Application Insights maps it:
// SERVER and CONSUMER spans are requests, the other spans dependencies, exceptions in span events and logs are
// exceptions, log records traces, data points custom metrics.
//
// It is pure: bytes are decoded by OpenTelemetry's own pdata before, and rows are written by others after.
package otlp

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"slipway"
	"slipway/internal/insights/telemetry"
)

// Limits of one item; what is beyond is cut, as OpenTelemetry's own attribute limits do.
const (
	MaxAttributes = 128
	MaxValue      = 8 << 10  // bytes of an attribute's value or a name
	MaxMessage    = 32 << 10 // bytes of a log message or an exception's message
	MaxStack      = 64 << 10
	MaxEvents     = 128 // span events
)

// Result is what a conversion gives: the rows, and how many items were refused and why. Refused items must not
// be sent again.
type Result struct {
	Batch    telemetry.Batch
	Rejected int64
	Reason   string // of the last one refused
}

func (r *Result) reject(n int64, reason string) {
	r.Rejected += n
	r.Reason = reason
}

// Converter holds what conversions share.
type Converter struct {
	// Admit decides about one resource: it may change it (to bind it to what the sender's credential proves) and
	// returns an error whose message becomes the reason for refusing the resource's items.
	Admit func(r *telemetry.Resource) error
	// Now is when the request came; items without a time get it.
	Now time.Time
	// Oldest and Newest bound the times that are taken.
	Oldest, Newest time.Time
}

// source is one resource with the attributes that have no column.
type source struct {
	resource *telemetry.Resource
	rest     map[string]any
}

func (c *Converter) source(attributes pcommon.Map) (source, error) {
	s := source{resource: &telemetry.Resource{}, rest: map[string]any{}}
	var language, version string
	n := 0
	for name, v := range attributes.All() {
		if n++; n > MaxAttributes {
			break
		}
		switch name {
		case "telemetry.sdk.language":
			language = v.AsString()
			continue
		case "telemetry.sdk.version":
			version = v.AsString()
			continue
		case "telemetry.sdk.name", "process.command_args", "process.command_line":
			continue // the same in every row, and command lines may hold secrets
		case telemetry.AttributeImages:
			s.resource.Image = imageDigest(v)
			continue
		}
		if !s.resource.Set(name, clip(v.AsString(), MaxValue)) {
			s.rest[clip(name, 256)] = value(v, 0)
		}
	}
	if language != "" {
		s.resource.SDK = "otel:" + clip(language, 64) + ":" + clip(version, 64)
	}
	if s.resource.Instance == "" {
		s.resource.Instance = s.resource.Pod
	}
	if c.Admit != nil {
		if err := c.Admit(s.resource); err != nil {
			return s, err
		}
	}
	return s, nil
}

// imageDigest is the digest of the first repository digest (`NAME@sha256:HEX`).
func imageDigest(v pcommon.Value) slipway.Digest {
	text := v.AsString()
	if v.Type() == pcommon.ValueTypeSlice {
		if v.Slice().Len() == 0 {
			return ""
		}
		text = v.Slice().At(0).AsString()
	}
	if _, digest, ok := strings.Cut(text, "@"); ok {
		text = digest
	}
	return slipway.Digest(clip(text, 200))
}

// dimensions are the attributes that were not used up, with those of the resource under them.
type dimensions struct {
	values map[string]any
	n      int
}

func (s source) dimensions(scope string) *dimensions {
	d := &dimensions{values: make(map[string]any, len(s.rest)+8)}
	for k, v := range s.rest {
		d.values[k] = v
	}
	if scope != "" {
		d.values["otel.scope.name"] = scope
	}
	return d
}

func (d *dimensions) add(name string, v pcommon.Value) {
	if d.n++; d.n <= MaxAttributes {
		d.values[clip(name, 256)] = value(v, 0)
	}
}

func (d *dimensions) set(name string, v any) { d.values[name] = v }

// json is the dimensions as text; what cannot be written (NaN) is left out.
func (d *dimensions) json() string {
	if len(d.values) == 0 {
		return ""
	}
	b, err := json.Marshal(d.values)
	if err != nil {
		for k, v := range d.values {
			if _, err := json.Marshal(v); err != nil {
				delete(d.values, k)
			}
		}
		b, _ = json.Marshal(d.values)
	}
	return string(b)
}

// value is an attribute's value for JSON; nested ones at most four levels deep.
func value(v pcommon.Value, depth int) any {
	switch v.Type() {
	case pcommon.ValueTypeBool:
		return v.Bool()
	case pcommon.ValueTypeInt:
		return v.Int()
	case pcommon.ValueTypeDouble:
		return v.Double()
	case pcommon.ValueTypeSlice:
		if depth >= 4 {
			return "[...]"
		}
		list := []any{}
		for _, e := range v.Slice().All() {
			if len(list) == MaxAttributes {
				break
			}
			list = append(list, value(e, depth+1))
		}
		return list
	case pcommon.ValueTypeMap:
		if depth >= 4 {
			return "{...}"
		}
		m := map[string]any{}
		for k, e := range v.Map().All() {
			if len(m) == MaxAttributes {
				break
			}
			m[clip(k, 256)] = value(e, depth+1)
		}
		return m
	case pcommon.ValueTypeBytes:
		return clip(hex.EncodeToString(v.Bytes().AsRaw()), MaxValue)
	case pcommon.ValueTypeEmpty:
		return nil
	default:
		return clip(v.AsString(), MaxValue)
	}
}

// clip cuts s to at most n bytes, at the border of a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}

// at is the time of an item, Now when it has none; false when it is outside of what is taken.
func (c *Converter) at(t pcommon.Timestamp) (time.Time, bool) {
	if t == 0 {
		return c.Now, true
	}
	when := t.AsTime()
	return when, !when.Before(c.Oldest) && !when.After(c.Newest)
}

// text is the first of the attributes that is there.
func text(m pcommon.Map, names ...string) string {
	for _, name := range names {
		if v, ok := m.Get(name); ok {
			if s := v.AsString(); s != "" {
				return clip(s, MaxValue)
			}
		}
	}
	return ""
}

func traceID(id pcommon.TraceID) string {
	if id.IsEmpty() {
		return ""
	}
	return hex.EncodeToString(id[:])
}

func spanID(id pcommon.SpanID) string {
	if id.IsEmpty() {
		return ""
	}
	return hex.EncodeToString(id[:])
}

func number(m pcommon.Map, names ...string) int {
	n, err := strconv.Atoi(text(m, names...))
	if err != nil {
		return 0
	}
	return n
}

const outOfTime = "its time is in the future, or older than telemetry is kept"
