package otlpserver_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"slipway/internal/insights"
	"slipway/internal/insights/telemetry"
)

// sendTrace makes a server's span with a database call and an exception inside, and returns its trace id.
func sendTrace(t *testing.T, exporter sdktrace.SpanExporter, attributes ...attribute.KeyValue) string {
	t.Helper()
	ctx := context.Background()
	r := resource.NewSchemaless(append([]attribute.KeyValue{attribute.String("service.name", "cart"), attribute.String("slipway.project", "another"),
		attribute.String("k8s.pod.name", "cart-1"), attribute.String("vcs.ref.head.revision", "ffff")}, attributes...)...)
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(r))
	tracer := provider.Tracer("test")
	ctx, server := tracer.Start(ctx, "GET /cart/{id}", trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.Int("http.response.status_code", 500), attribute.String("url.path", "/cart/5"), attribute.String("session.id", "s1")))
	_, call := tracer.Start(ctx, "SELECT carts", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attribute.String("db.system.name", "postgresql"),
		attribute.String("server.address", "db"), attribute.Int("server.port", 5432), attribute.String("db.query.text", "SELECT * FROM carts")))
	call.End()
	server.RecordError(errors.New("no such cart"))
	server.SetStatus(codes.Error, "no such cart")
	server.End()
	if err := provider.Shutdown(ctx); err != nil {
		t.Fatalf("export: %v", err)
	}
	return server.SpanContext().TraceID().String()
}

func checkTrace(t *testing.T, w *world, id string) {
	t.Helper()
	rows, err := w.insights.Operation(context.Background(), w.project.ID, id, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	byKind := map[telemetry.Kind]insights.OperationRow{}
	for _, r := range rows {
		byKind[r.Kind] = r
	}
	if len(rows) != 3 || len(byKind) != 3 {
		t.Fatalf("rows %+v, want a request, a dependency and an exception", rows)
	}
	request, call, exception := byKind[telemetry.KindRequest], byKind[telemetry.KindDependency], byKind[telemetry.KindException]
	if request.Name != "GET /cart/{id}" || request.ResultCode != "500" || request.Success || request.Depth != 0 || request.Detail != "/cart/5" {
		t.Errorf("request %+v", request)
	}
	if call.ParentID != request.ID || call.Depth != 1 || call.Target != "db:5432" || call.Detail != "SELECT * FROM carts" || !call.Success {
		t.Errorf("dependency %+v", call)
	}
	if exception.ParentID != request.ID || exception.Name != "*errors.errorString: no such cart" {
		t.Errorf("exception %+v", exception)
	}
	// The token's binding wins over what the payload says; what the token does not know is the payload's.
	if r := request.Resource; r.Project != w.project.ID || r.Environment != 3 || r.Deployment != 7 || r.Commit != "c0ffee" || r.Service != "cart" || r.Pod != "cart-1" {
		t.Errorf("resource %+v", r)
	}
}

func TestOpenTelemetryTracesOverHTTP(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for name, option := range map[string]otlptracehttp.Option{
		"gzip":  otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
		"plain": otlptracehttp.WithCompression(otlptracehttp.NoCompression),
	} {
		t.Run(name, func(t *testing.T) {
			exporter, err := otlptracehttp.New(context.Background(), otlptracehttp.WithEndpointURL(w.url+"/v1/traces"), option,
				otlptracehttp.WithHeaders(map[string]string{"authorization": "Bearer " + w.workload}))
			if err != nil {
				t.Fatal(err)
			}
			checkTrace(t, w, sendTrace(t, exporter))
		})
	}
}
