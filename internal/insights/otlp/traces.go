package otlp

import (
	"net/url"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"slipway/internal/insights/telemetry"
)

// Traces converts spans.
func (c *Converter) Traces(data ptrace.Traces) *Result {
	r := &Result{}
	for _, rs := range data.ResourceSpans().All() {
		s, err := c.source(rs.Resource().Attributes())
		for _, ss := range rs.ScopeSpans().All() {
			if err != nil {
				r.reject(int64(ss.Spans().Len()), err.Error())
				continue
			}
			for _, span := range ss.Spans().All() {
				c.span(r, s, ss.Scope().Name(), span)
			}
		}
	}
	return r
}

func (c *Converter) span(r *Result, s source, scope string, span ptrace.Span) {
	start, ok := c.at(span.StartTimestamp())
	switch {
	case !ok:
		r.reject(1, outOfTime)
		return
	case span.TraceID().IsEmpty() || span.SpanID().IsEmpty():
		r.reject(1, "a span needs a trace id and a span id")
		return
	}
	var duration time.Duration
	if end := span.EndTimestamp(); end > span.StartTimestamp() && span.StartTimestamp() != 0 {
		duration = end.AsTime().Sub(start)
	}
	item := c.spanItem(s, scope, span, start)
	name := clip(span.Name(), MaxValue)
	a := span.Attributes()
	code := resultCode(a)
	switch span.Kind() {
	case ptrace.SpanKindServer, ptrace.SpanKindConsumer:
		item.OperationName = name
		r.Batch.Add(&telemetry.Request{Item: item, ID: spanID(span.SpanID()), Name: name, URL: spanURL(a), ResultCode: code,
			Source: text(a, "client.address", "messaging.destination.name"), Duration: duration,
			// A server's 4xx is its client's fault (OpenTelemetry, HTTP spans, "Status"); a 5xx fails without a status too.
			Success: span.Status().Code() != ptrace.StatusCodeError && number(a, "http.response.status_code", "http.status_code") < 500})
	default:
		kind := dependencyType(span)
		r.Batch.Add(&telemetry.Dependency{Item: item, ID: spanID(span.SpanID()), Name: name, Type: kind, Target: target(a),
			Data: text(a, "db.query.text", "db.statement", "url.full", "http.url", "rpc.method"), ResultCode: code, Duration: duration,
			Success: span.Status().Code() != ptrace.StatusCodeError})
	}
	c.spanEvents(r, s, span, item)
}

func (c *Converter) spanItem(s source, scope string, span ptrace.Span, start time.Time) telemetry.Item {
	d := s.dimensions(scope)
	for name, v := range span.Attributes().All() {
		d.add(name, v)
	}
	if m := span.Status().Message(); m != "" {
		d.set("otel.status_description", clip(m, MaxMessage))
	}
	if n := span.Links().Len(); n > 0 {
		links := []map[string]string{}
		for _, l := range span.Links().All() {
			if len(links) == MaxAttributes {
				break
			}
			links = append(links, map[string]string{"operation_Id": traceID(l.TraceID()), "id": spanID(l.SpanID())})
		}
		d.set("_MS.links", links) // Application Insights' own name for it
	}
	a := span.Attributes()
	return telemetry.Item{Resource: s.resource, Time: start, OperationID: traceID(span.TraceID()), ParentID: spanID(span.ParentSpanID()),
		SessionID: text(a, "session.id"), UserID: text(a, "user.id", "enduser.pseudo.id"), AuthenticatedUserID: text(a, "enduser.id"),
		SyntheticSource: text(a, "user_agent.synthetic.type"), Dimensions: d.json()}
}

// spanEvents turns exceptions in the span into exceptions and its other events into traces, both under the span.
func (c *Converter) spanEvents(r *Result, s source, span ptrace.Span, of telemetry.Item) {
	for i, e := range span.Events().All() {
		if i == MaxEvents {
			return
		}
		when, ok := c.at(e.Timestamp())
		if !ok {
			continue
		}
		d := s.dimensions("")
		for name, v := range e.Attributes().All() {
			if name != "exception.type" && name != "exception.message" && name != "exception.stacktrace" {
				d.add(name, v)
			}
		}
		item := of
		item.Time, item.ParentID, item.Dimensions = when, spanID(span.SpanID()), d.json()
		if e.Name() == "exception" {
			r.Batch.Add(exception(item, e.Attributes(), telemetry.SeverityError))
		} else {
			r.Batch.Add(&telemetry.Trace{Item: item, Message: clip(e.Name(), MaxMessage), Severity: telemetry.SeverityInformation})
		}
	}
}

func exception(item telemetry.Item, a pcommon.Map, severity telemetry.Severity) *telemetry.Exception {
	e := &telemetry.Exception{Item: item, Type: text(a, "exception.type"), Severity: severity}
	if v, ok := a.Get("exception.message"); ok {
		e.Message = clip(v.AsString(), MaxMessage)
	}
	if v, ok := a.Get("exception.stacktrace"); ok {
		e.Stack = clip(v.AsString(), MaxStack)
	}
	e.ProblemID = e.Type
	return e
}

// resultCode is the HTTP, gRPC or database status.
func resultCode(a pcommon.Map) string {
	return text(a, "http.response.status_code", "http.status_code", "rpc.response.status_code", "rpc.grpc.status_code", "db.response.status_code", "error.type")
}

func spanURL(a pcommon.Map) string {
	if u := text(a, "url.full", "http.url"); u != "" {
		return u
	}
	u := url.URL{Scheme: text(a, "url.scheme", "http.scheme"), Host: text(a, "server.address", "http.host", "net.host.name"),
		Path: text(a, "url.path"), RawQuery: text(a, "url.query")}
	if u.Path == "" {
		if t, err := url.ParseRequestURI(text(a, "http.target")); err == nil {
			u.Path, u.RawQuery = t.Path, t.RawQuery
		}
	}
	if port := number(a, "server.port", "net.host.port"); port != 0 && u.Host != "" && u.Port() == "" {
		u.Host += ":" + strconv.Itoa(port)
	}
	if u.Host == "" {
		u.Scheme = ""
	}
	return clip(u.String(), MaxValue)
}

func dependencyType(span ptrace.Span) string {
	a := span.Attributes()
	if system := text(a, "db.system.name", "db.system", "messaging.system", "rpc.system.name", "rpc.system"); system != "" {
		return system
	}
	switch {
	case text(a, "http.request.method", "http.method") != "":
		return "HTTP"
	case span.Kind() == ptrace.SpanKindClient:
		return "Other"
	case span.Kind() == ptrace.SpanKindProducer:
		return "Queue Message"
	}
	return "InProc"
}

func target(a pcommon.Map) string {
	if service := text(a, "peer.service", "service.peer.name"); service != "" {
		return service
	}
	host := text(a, "server.address", "net.peer.name", "http.host")
	if host == "" {
		if u, err := url.Parse(text(a, "url.full", "http.url")); err == nil {
			host = u.Host
		}
	}
	if port := number(a, "server.port", "net.peer.port"); port != 0 && host != "" && port != 80 && port != 443 {
		host += ":" + strconv.Itoa(port)
	}
	if db := text(a, "db.namespace", "db.name", "messaging.destination.name"); db != "" {
		if host == "" {
			return db
		}
		host += " | " + db
	}
	return host
}
