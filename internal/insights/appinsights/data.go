package appinsights

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/insights/telemetry"
)

// data holds the fields of all baseTypes; each type uses its own.
type data struct {
	ID           loose             `json:"id"`
	Name         loose             `json:"name"`
	URL          loose             `json:"url"`
	URI          loose             `json:"uri"`
	Source       loose             `json:"source"`
	Duration     loose             `json:"duration"`
	ResponseCode loose             `json:"responseCode"`
	ResultCode   loose             `json:"resultCode"`
	Success      loose             `json:"success"`
	Data         loose             `json:"data"`
	Target       loose             `json:"target"`
	Type         loose             `json:"type"`
	Message      loose             `json:"message"`
	Severity     loose             `json:"severityLevel"`
	ProblemID    loose             `json:"problemId"`
	HandledAt    loose             `json:"handledAt"`
	RunLocation  loose             `json:"runLocation"`
	Exceptions   []exception       `json:"exceptions"`
	Metrics      []metric          `json:"metrics"`
	Properties   map[string]loose  `json:"properties"`
	Measurements map[string]number `json:"measurements"`
}

type exception struct {
	TypeName    loose   `json:"typeName"`
	Message     loose   `json:"message"`
	Stack       loose   `json:"stack"`
	ParsedStack []frame `json:"parsedStack"`
}

type frame struct {
	Method   loose  `json:"method"`
	Assembly loose  `json:"assembly"`
	FileName loose  `json:"fileName"`
	Line     number `json:"line"`
}

type metric struct {
	Name      loose  `json:"name"`
	Namespace loose  `json:"ns"`
	Kind      loose  `json:"kind"`
	Value     number `json:"value"`
	Count     number `json:"count"`
	Min       number `json:"min"`
	Max       number `json:"max"`
	StdDev    number `json:"stdDev"`
}

// row adds the rows of one envelope to the batch.
func (p *parse) row(e envelope, d data, r *telemetry.Resource, when time.Time) error {
	i := telemetry.Item{Resource: r, Time: when, OperationID: operation(e.tag("ai.operation.id")), OperationName: e.tag("ai.operation.name"),
		ParentID: span(e.tag("ai.operation.parentId")), SessionID: e.tag("ai.session.id"), UserID: e.tag("ai.user.id"),
		AuthenticatedUserID: e.tag("ai.user.authUserId"), ClientType: e.tag("ai.device.type"), ClientOS: e.tag("ai.device.osVersion"),
		ClientBrowser: e.tag("ai.device.browser"), SyntheticSource: e.tag("ai.operation.syntheticSource"), Count: e.count(),
		Dimensions: properties(d.Properties), Measurements: measurements(d.Measurements)}
	id, name := span(text(d.ID)), text(d.Name)
	duration, err := parseDuration(string(d.Duration))
	if err != nil {
		return err
	}
	ok := !strings.EqualFold(string(d.Success), "false")
	switch kind := string(e.Data.BaseType); kind {
	case "RequestData":
		if i.OperationName == "" {
			i.OperationName = name
		}
		p.batch.Add(&telemetry.Request{Item: i, ID: id, Name: name, URL: text(d.URL), Source: text(d.Source), ResultCode: text(d.ResponseCode),
			Duration: duration, Success: ok})
	case "RemoteDependencyData":
		p.batch.Add(&telemetry.Dependency{Item: i, ID: id, Name: name, Target: text(d.Target), Type: text(d.Type), Data: text(d.Data),
			ResultCode: text(d.ResultCode), Duration: duration, Success: ok})
	case "ExceptionData":
		if len(d.Exceptions) == 0 {
			return slipway.Invalid("field data.baseData.exceptions is empty")
		}
		p.batch.Add(exceptionRow(i, d))
	case "MessageData":
		p.batch.Add(&telemetry.Trace{Item: i, Message: clip(string(d.Message), maxMessage), Severity: severity(d.Severity, telemetry.SeverityInformation)})
	case "EventData":
		p.batch.Add(&telemetry.Event{Item: i, Name: name})
	case "MetricData":
		return p.metrics(i, d)
	case "PageViewData":
		u := text(d.URL)
		if u == "" {
			u = text(d.URI)
		}
		p.batch.Add(&telemetry.PageView{Item: i, ID: id, Name: name, URL: u, Duration: duration})
	case "AvailabilityData":
		p.batch.Add(&telemetry.Availability{Item: i, ID: id, Name: name, Location: text(d.RunLocation), Message: clip(string(d.Message), maxMessage),
			Duration: duration, Success: ok})
	default:
		return slipway.Invalid("field data.baseType %q is not known", clip(kind, 64))
	}
	return nil
}

func (p *parse) metrics(i telemetry.Item, d data) error {
	if len(d.Metrics) == 0 || len(d.Metrics) > maxMetrics {
		return slipway.Invalid("field data.baseData.metrics must have 1 to %d metrics", maxMetrics)
	}
	for _, m := range d.Metrics {
		row := &telemetry.Metric{Item: i, Name: text(m.Name), Namespace: text(m.Namespace), Type: "measurement", Value: float64(m.Value), Count: 1,
			Min: float64(m.Value), Max: float64(m.Value)}
		// Go's client says count 1 and min = max = 0 for a plain measurement.
		if k := string(m.Kind); k == "1" || strings.EqualFold(k, "Aggregation") || m.Count > 1 {
			row.Type, row.Count, row.Min, row.Max, row.StdDev = "aggregation", max(1, int64(m.Count)), float64(m.Min), float64(m.Max), float64(m.StdDev)
		}
		p.batch.Add(row)
	}
	return nil
}

// exceptionRow joins a chain of exceptions: the first is the one that was caught, the others its causes.
func exceptionRow(i telemetry.Item, d data) *telemetry.Exception {
	first := d.Exceptions[0]
	r := &telemetry.Exception{Item: i, Type: text(first.TypeName), Message: clip(string(first.Message), maxMessage), ProblemID: text(d.ProblemID),
		Severity: severity(d.Severity, telemetry.SeverityError), HandledAt: text(d.HandledAt)}
	var b strings.Builder
	for n, e := range d.Exceptions[:min(len(d.Exceptions), maxChain)] {
		if n > 0 {
			b.WriteString("caused by " + string(e.TypeName) + ": " + string(e.Message) + "\n")
		}
		if len(e.ParsedStack) == 0 && e.Stack != "" {
			b.WriteString(clip(string(e.Stack), maxStack) + "\n")
		}
		for _, f := range e.ParsedStack[:min(len(e.ParsedStack), maxFrames)] {
			b.WriteString("   at " + string(f.Method))
			if f.FileName != "" {
				b.WriteString(" in " + string(f.FileName) + ":" + strconv.Itoa(int(f.Line)))
			}
			b.WriteByte('\n')
		}
	}
	r.Stack = clip(strings.TrimRight(b.String(), "\n"), maxStack)
	if r.ProblemID == "" {
		r.ProblemID = r.Type
		if len(first.ParsedStack) > 0 {
			r.ProblemID = clip(r.Type+" at "+string(first.ParsedStack[0].Method), maxText)
		}
	}
	return r
}

// severity takes the number of version 2 and the word of version 3.
func severity(l loose, preset telemetry.Severity) telemetry.Severity {
	switch strings.ToLower(string(l)) {
	case "0", "verbose":
		return telemetry.SeverityVerbose
	case "1", "information":
		return telemetry.SeverityInformation
	case "2", "warning":
		return telemetry.SeverityWarning
	case "3", "error":
		return telemetry.SeverityError
	case "4", "critical":
		return telemetry.SeverityCritical
	}
	return preset
}

func text(l loose) string { return clip(string(l), maxText) }

// noise are properties that clients add for the service behind them.
var noise = map[string]bool{"_MS.ProcessedByMetricExtractors": true}

func properties(m map[string]loose) string {
	out := map[string]string{}
	for k, v := range m {
		if len(out) < maxEntries && !noise[k] {
			out[clip(k, maxKey)] = text(v)
		}
	}
	if len(out) == 0 {
		return ""
	}
	b, err := json.Marshal(out)
	if err != nil { // strings always encode
		return ""
	}
	return string(b)
}

func measurements(m map[string]number) string {
	if len(m) == 0 {
		return ""
	}
	out := map[string]number{}
	for k, v := range m {
		if len(out) < maxEntries {
			out[clip(k, maxKey)] = v
		}
	}
	b, err := json.Marshal(out)
	if err != nil { // JSON gave no infinite numbers
		return ""
	}
	return string(b)
}

var (
	hierarchical = regexp.MustCompile(`^\|([0-9a-f]{32})\.([0-9a-f]{16})[._]?$`)
	timespan     = regexp.MustCompile(`^(-)?(?:(\d{1,8})\.)?(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,9}))?$`)
)

// span is an id as OpenTelemetry writes it: clients of the first W3C days wrote `|TRACE.SPAN.`.
func span(id string) string {
	if m := hierarchical.FindStringSubmatch(id); m != nil {
		return m[2]
	}
	return id
}

func operation(id string) string {
	if m := hierarchical.FindStringSubmatch(id); m != nil {
		return m[1]
	}
	return id
}

// parseDuration reads .NET's time span, `[d.]hh:mm:ss[.fffffff]`, or a number of milliseconds. Empty is zero.
func parseDuration(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	bad := slipway.Invalid("field duration %q is not a time span [d.]hh:mm:ss[.fffffff]", clip(s, 40))
	m := timespan.FindStringSubmatch(s)
	if m == nil {
		ms, err := strconv.ParseFloat(s, 64)
		if err != nil || !(ms >= 0 && ms < 1e12) {
			return 0, bad
		}
		return time.Duration(ms * float64(time.Millisecond)), nil
	}
	part := func(i int) int64 {
		n, _ := strconv.ParseInt(m[i], 10, 64) // digits by the expression; an absent part is zero
		return n
	}
	if part(3) > 23 || part(4) > 59 || part(5) > 59 || part(2) > 100_000 || m[1] != "" {
		return 0, bad
	}
	fraction, _ := strconv.ParseInt((m[6] + "000000000")[:9], 10, 64)
	seconds := ((part(2)*24+part(3))*60+part(4))*60 + part(5)
	return time.Duration(seconds)*time.Second + time.Duration(fraction), nil
}
