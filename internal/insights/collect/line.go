package collect

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"

	"slipway/internal/insights/telemetry"
)

const (
	maxLine    = 32 << 10 // bytes of a line that are kept
	maxFields  = 64
	maxField   = 4 << 10
	maxJSONKey = 150
)

// row makes the row of one line of a container's output. JSON objects give their level, message, trace and other
// fields; of text the level is guessed by the words that loggers begin a line with.
func row(r *telemetry.Resource, at time.Time, line string) telemetry.Row {
	line = strings.TrimRight(line, "\r\n")
	t := &telemetry.Trace{Item: telemetry.Item{Resource: r, Time: at}, Source: telemetry.SourceContainer, Severity: telemetry.SeverityInformation}
	var fields map[string]any
	if strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &fields) == nil && len(fields) > 0 {
		structured(t, fields)
		if t.Message == "" {
			t.Message = line
		}
		return t
	}
	t.Message = line
	t.Severity = guess(line)
	return t
}

// The names that the usual loggers give their fields (slog, zap, zerolog, logrus, pino, Serilog, ECS, OpenTelemetry).
var (
	levelNames   = []string{"level", "severity", "lvl", "log.level", "@l", "severityText", "levelname"}
	messageNames = []string{"msg", "message", "@m", "body", "event"}
	traceNames   = []string{"trace_id", "traceId", "traceid", "trace.id", "TraceId"}
	spanNames    = []string{"span_id", "spanId", "spanid", "span.id", "SpanId"}
	traceShape   = regexp.MustCompile(`^[0-9a-f]{32}$`)
	spanShape    = regexp.MustCompile(`^[0-9a-f]{16}$`)
)

func structured(t *telemetry.Trace, fields map[string]any) {
	take := func(names []string) string {
		for _, name := range names {
			v, ok := fields[name]
			if !ok {
				continue
			}
			switch v := v.(type) {
			case string:
				delete(fields, name)
				return v
			case float64:
				delete(fields, name)
				return strconv.FormatFloat(v, 'f', -1, 64)
			}
		}
		return ""
	}
	if level := take(levelNames); level != "" {
		t.Severity = severity(level)
	}
	t.Message = clip(take(messageNames), maxLine)
	if id := strings.ToLower(take(traceNames)); traceShape.MatchString(id) {
		t.OperationID = id
	}
	if id := strings.ToLower(take(spanNames)); spanShape.MatchString(id) {
		t.ParentID = id
	}
	for _, name := range []string{"time", "ts", "timestamp", "@t", "@timestamp"} {
		delete(fields, name) // the kubelet's time is the row's
	}
	kept := map[string]any{}
	for k, v := range fields {
		if len(kept) == maxFields {
			break
		}
		if s, ok := v.(string); ok {
			v = clip(s, maxField)
		}
		kept[clip(k, maxJSONKey)] = v
	}
	if len(kept) == 0 {
		return
	}
	if b, err := json.Marshal(kept); err == nil { // what came from JSON goes back into it
		t.Dimensions = string(b)
	}
}

// severity reads a level's name, or its number as pino (10 to 60) writes it.
func severity(level string) telemetry.Severity {
	switch l := strings.ToLower(level); {
	case strings.HasPrefix(l, "trace"), strings.HasPrefix(l, "debug"), strings.HasPrefix(l, "verb"), l == "10", l == "20":
		return telemetry.SeverityVerbose
	case strings.HasPrefix(l, "warn"), l == "40":
		return telemetry.SeverityWarning
	case strings.HasPrefix(l, "err"), l == "50":
		return telemetry.SeverityError
	case strings.HasPrefix(l, "fatal"), strings.HasPrefix(l, "crit"), strings.HasPrefix(l, "panic"), strings.HasPrefix(l, "alert"),
		strings.HasPrefix(l, "emerg"), strings.HasPrefix(l, "dpanic"), l == "60":
		return telemetry.SeverityCritical
	}
	return telemetry.SeverityInformation
}

var (
	klog      = regexp.MustCompile(`^([IWEF])\d{4} \d{2}:\d{2}:\d{2}`)
	levelWord = regexp.MustCompile(`^[^A-Za-z]{0,40}(?:[A-Za-z]{3} [A-Za-z]{3} [^A-Za-z]{0,30})?\[?(TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL|PANIC)\b`)
	logfmt    = regexp.MustCompile(`(?:^|\s)level=["']?([A-Za-z]+)`)
)

func guess(line string) telemetry.Severity {
	head := clip(line, 256)
	if m := klog.FindStringSubmatch(head); m != nil {
		return map[string]telemetry.Severity{"I": telemetry.SeverityInformation, "W": telemetry.SeverityWarning, "E": telemetry.SeverityError,
			"F": telemetry.SeverityCritical}[m[1]]
	}
	if m := logfmt.FindStringSubmatch(head); m != nil {
		return severity(m[1])
	}
	if strings.HasPrefix(head, "panic: ") || strings.HasPrefix(head, "fatal error: ") {
		return telemetry.SeverityCritical
	}
	if m := levelWord.FindStringSubmatch(head); m != nil {
		return severity(m[1])
	}
	return telemetry.SeverityInformation
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
