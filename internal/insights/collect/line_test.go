package collect

import (
	"testing"
	"time"

	"slipway/internal/insights/telemetry"
)

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestLinesGiveTheirLevelAndMessage(t *testing.T) {
	t.Parallel()
	f := func(line string, severity telemetry.Severity, message, dimensions string) {
		t.Helper()
		got, ok := row(&telemetry.Resource{}, now, line).(*telemetry.Trace)
		if !ok || got.Severity != severity || got.Message != message || got.Dimensions != dimensions {
			t.Errorf("%s:\ngot %v %q %s, want %v %q %s", line, got.Severity, got.Message, got.Dimensions, severity, message, dimensions)
		}
	}
	info, warn, fail, critical, verbose := telemetry.SeverityInformation, telemetry.SeverityWarning, telemetry.SeverityError, telemetry.SeverityCritical, telemetry.SeverityVerbose
	// Each as its logger writes it.
	f(`{"time":"2026-01-01T00:00:00Z","level":"WARN","msg":"slog","user":"ada"}`, warn, "slog", `{"user":"ada"}`)
	f(`{"level":"error","ts":1700000000.1,"caller":"a.go:1","msg":"zap"}`, fail, "zap", `{"caller":"a.go:1"}`)
	f(`{"level":50,"time":1700000000,"pid":1,"hostname":"h","msg":"pino"}`, fail, "pino", `{"hostname":"h","pid":1}`)
	f(`{"level":"fatal","message":"zerolog"}`, critical, "zerolog", "")
	f(`{"@t":"2026-01-01T00:00:00Z","@m":"serilog","@l":"Debug"}`, verbose, "serilog", "")
	f(`{"no":"message"}`, info, `{"no":"message"}`, `{"no":"message"}`)
	f(`{broken`, info, `{broken`, "")
	f(`time=2026-01-01T00:00:00Z level=ERROR msg="text slog"`, fail, `time=2026-01-01T00:00:00Z level=ERROR msg="text slog"`, "")
	f("E0102 03:04:05.000000       1 main.go:1] klog", fail, "E0102 03:04:05.000000       1 main.go:1] klog", "")
	f("2026-01-01 00:00:00,000 [WARN] java", warn, "2026-01-01 00:00:00,000 [WARN] java", "")
	f("2026/01/01 00:00:00 ERROR go", fail, "2026/01/01 00:00:00 ERROR go", "")
	f("panic: runtime error", critical, "panic: runtime error", "")
	f("An ERROR in the middle is no level", info, "An ERROR in the middle is no level", "")
	f("INFORMATION is not INFO\r\n", info, "INFORMATION is not INFO", "")
}
