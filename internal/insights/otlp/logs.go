package otlp

import (
	"go.opentelemetry.io/collector/pdata/plog"

	"slipway/internal/insights/telemetry"
)

// Logs converts log records: those with an exception's attributes are exceptions, those with an event name custom
// events (`browser.page_view` a page view), the others traces.
func (c *Converter) Logs(data plog.Logs) *Result {
	r := &Result{}
	for _, rl := range data.ResourceLogs().All() {
		s, err := c.source(rl.Resource().Attributes())
		for _, sl := range rl.ScopeLogs().All() {
			if err != nil {
				r.reject(int64(sl.LogRecords().Len()), err.Error())
				continue
			}
			for _, l := range sl.LogRecords().All() {
				c.log(r, s, sl.Scope().Name(), l)
			}
		}
	}
	return r
}

func (c *Converter) log(r *Result, s source, scope string, l plog.LogRecord) {
	t := l.Timestamp()
	if t == 0 {
		t = l.ObservedTimestamp()
	}
	when, ok := c.at(t)
	if !ok {
		r.reject(1, outOfTime)
		return
	}
	a := l.Attributes()
	d := s.dimensions("")
	for name, v := range a.All() {
		if name != "exception.message" && name != "exception.stacktrace" {
			d.add(name, v)
		}
	}
	item := telemetry.Item{Resource: s.resource, Time: when, OperationID: traceID(l.TraceID()), ParentID: spanID(l.SpanID()),
		SessionID: text(a, "session.id"), UserID: text(a, "user.id", "enduser.pseudo.id"), AuthenticatedUserID: text(a, "enduser.id"), Dimensions: d.json()}
	severity := severity(l.SeverityNumber())
	message := clip(l.Body().AsString(), MaxMessage)
	event := l.EventName()
	if event == "" {
		event = text(a, "microsoft.custom_event.name")
	}
	switch {
	case text(a, "exception.type", "exception.message") != "":
		e := exception(item, a, severity)
		if e.Message == "" {
			e.Message = message
		}
		r.Batch.Add(e)
	case event == "browser.page_view":
		r.Batch.Add(&telemetry.PageView{Item: item, ID: item.ParentID, Name: text(a, "title", "url.path", "url.full"), URL: text(a, "url.full")})
	case event != "":
		r.Batch.Add(&telemetry.Event{Item: item, Name: clip(event, 512)})
	default:
		r.Batch.Add(&telemetry.Trace{Item: item, Message: message, Severity: severity, Source: clip(scope, 512)})
	}
}

// severity maps the ranges of OpenTelemetry's log data model ("Severity Fields").
func severity(n plog.SeverityNumber) telemetry.Severity {
	switch {
	case n == plog.SeverityNumberUnspecified:
		return telemetry.SeverityInformation
	case n < plog.SeverityNumberInfo:
		return telemetry.SeverityVerbose
	case n < plog.SeverityNumberWarn:
		return telemetry.SeverityInformation
	case n < plog.SeverityNumberError:
		return telemetry.SeverityWarning
	case n < plog.SeverityNumberFatal:
		return telemetry.SeverityError
	}
	return telemetry.SeverityCritical
}
