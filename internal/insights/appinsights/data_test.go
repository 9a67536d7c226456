package appinsights

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/insights/telemetry"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func converter() *Converter {
	return &Converter{Now: noon, Oldest: noon.Add(-time.Hour), Newest: noon.Add(time.Hour), Lookup: func(key string) (telemetry.Origin, error) {
		if key != "k" {
			return telemetry.Origin{}, slipway.NotFound("no")
		}
		return telemetry.Origin{Project: "p", Environment: 3}, nil
	}}
}

// The forms seen from real clients, and those that .NET's TimeSpan documentation allows ("c" format).
func TestDurations(t *testing.T) {
	t.Parallel()
	f := func(in string, want time.Duration) {
		t.Helper()
		if got, err := parseDuration(in); err != nil || got != want {
			t.Errorf("%q: %v, %v, want %v", in, got, err, want)
		}
	}
	f("00:00:00.012", 12*time.Millisecond)
	f("0.00:00:00.0120000", 12*time.Millisecond)
	f("00:00:00.0169622", 16962200)
	f("1.02:03:04.5", 26*time.Hour+3*time.Minute+4500*time.Millisecond)
	f("00:00:07", 7*time.Second)
	f("125.5", 125500*time.Microsecond)
	f("", 0)
	for _, bad := range []string{"24:00:00", "00:60:00", "-00:00:01", "PT1S", "1:2", "99999999.00:00:00", "NaN", "1e300"} {
		if got, err := parseDuration(bad); slipway.CodeOf(err) != slipway.CodeInvalid {
			t.Errorf("%q: %v, %v, want invalid", bad, got, err)
		}
	}
}

func TestOldIdsBecomeOpenTelemetrys(t *testing.T) {
	t.Parallel()
	const id = "|4bf92f3577b34da6a3ce929d0e0e4736.00f067aa0ba902b7."
	if span(id) != "00f067aa0ba902b7" || operation(id) != "4bf92f3577b34da6a3ce929d0e0e4736" || span("|abc.1.") != "|abc.1." {
		t.Errorf("span %q, operation %q", span(id), operation(id))
	}
}

func TestSamplingSeverityAndChains(t *testing.T) {
	t.Parallel()
	body := `{"time":"2026-03-01T12:00:00Z","iKey":"k","sampleRate":25,"tags":{"ai.cloud.role":"pay"},"data":{"baseType":"ExceptionData","baseData":{
		"severityLevel":"Critical","exceptions":[{"typeName":"Outer","message":"o","parsedStack":[{"level":0,"method":"main.pay","fileName":"pay.go","line":7}]},
		{"typeName":"Inner","message":"i","stack":"at inner"}],"properties":{"n":5,"b":true,"_MS.ProcessedByMetricExtractors":"x"},"measurements":{"m":1.5}}}}`
	var compact json.RawMessage
	if err := json.Unmarshal([]byte(body), &compact); err != nil {
		t.Fatal(err)
	}
	b, answer, err := converter().Convert([]byte("[" + body + "]"))
	if err != nil || answer.Accepted != 1 {
		t.Fatalf("%+v, %v", answer, err)
	}
	got, ok := b.Rows(telemetry.KindException)[0].(*telemetry.Exception)
	if !ok {
		t.Fatal("not an exception")
	}
	want := &telemetry.Exception{Item: telemetry.Item{Resource: &telemetry.Resource{Project: "p", Environment: 3, Service: "pay"}, Time: noon, Count: 4,
		Dimensions: `{"b":"true","n":"5"}`, Measurements: `{"m":1.5}`}, ProblemID: "Outer at main.pay", Type: "Outer", Message: "o",
		Stack: "   at main.pay in pay.go:7\ncaused by Inner: i\nat inner", Severity: telemetry.SeverityCritical}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("exception (-want +got):\n%s", diff)
	}
}

func FuzzConvert(f *testing.F) {
	f.Add([]byte(`{"iKey":"k","data":{"baseType":"MetricData","baseData":{"metrics":[{"name":"m","value":1,"kind":"Aggregation","count":2}]}}}`))
	f.Add([]byte(`[{"iKey":"k","time":"2026-03-01T12:00:00Z","data":{"baseType":"RequestData","baseData":{"duration":"00:00:01"}}}]`))
	f.Add([]byte(`[{}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		b, answer, err := converter().Convert(body)
		if err != nil {
			t.Fatalf("a fault of ours: %v", err)
		}
		if answer.Accepted+len(answer.Errors) != answer.Received || answer.Accepted > 0 && b.Len() == 0 {
			t.Errorf("answer %+v with %d rows", answer, b.Len())
		}
	})
}
