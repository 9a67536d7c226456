package otlpserver_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"slipway/internal/insights"
	"slipway/internal/insights/telemetry"
)

// serveGRPC starts the door's gRPC and returns its address.
func serveGRPC(t *testing.T, w *world) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.door.ServeGRPC(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve gRPC: %v", err)
		}
	})
	return l.Addr().String()
}

func TestOpenTelemetryTracesOverGRPC(t *testing.T) {
	t.Parallel()
	w := setup(t)
	address := serveGRPC(t, w)
	for _, header := range []string{"authorization", "x-slipway-token"} {
		t.Run(header, func(t *testing.T) {
			value := w.workload
			if header == "authorization" {
				value = "Bearer " + value
			}
			exporter, err := otlptracegrpc.New(context.Background(), otlptracegrpc.WithEndpoint(address), otlptracegrpc.WithInsecure(),
				otlptracegrpc.WithCompressor("gzip"), otlptracegrpc.WithHeaders(map[string]string{header: value}))
			if err != nil {
				t.Fatal(err)
			}
			checkTrace(t, w, sendTrace(t, exporter))
		})
	}
}

func TestGRPCWithoutATokenIsUnauthenticated(t *testing.T) {
	t.Parallel()
	w := setup(t)
	exporter, err := otlpmetricgrpc.New(context.Background(), otlpmetricgrpc.WithEndpoint(serveGRPC(t, w)), otlpmetricgrpc.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	counter, err := provider.Meter("m").Int64Counter("c")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(context.Background(), 1)
	var data metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &data); err != nil {
		t.Fatal(err)
	}
	if err := exporter.Export(context.Background(), &data); status.Code(errors.Unwrap(err)) != codes.Unauthenticated && status.Code(err) != codes.Unauthenticated {
		t.Errorf("got %v, want Unauthenticated", err)
	}
}

// metricsOf measures one of each kind and exports them.
func metricsOf(t *testing.T, exporter sdkmetric.Exporter) {
	t.Helper()
	ctx := context.Background()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter)),
		sdkmetric.WithResource(resource.NewSchemaless(attribute.String("service.name", "cart"))))
	m := provider.Meter("test.meter")
	counter, err := m.Int64Counter("orders", metric.WithUnit("{order}"))
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(ctx, 3, metric.WithAttributes(attribute.String("kind", "book")))
	gauge, err := m.Float64Gauge("temperature")
	if err != nil {
		t.Fatal(err)
	}
	gauge.Record(ctx, 21.5)
	histogram, err := m.Float64Histogram("wait", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(1, 5))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []float64{0.5, 2, 3, 10} {
		histogram.Record(ctx, v)
	}
	if err := provider.Shutdown(ctx); err != nil {
		t.Fatalf("export metrics: %v", err)
	}
}

func checkMetrics(t *testing.T, w *world) {
	t.Helper()
	got, err := w.insights.Metrics(context.Background(), insights.Filter{Project: w.project.ID, Deployment: 7}, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		got[i].Time = time.Time{}
	}
	want := []insights.MetricRow{
		{Name: "orders", Namespace: "test.meter", Unit: "{order}", Type: "sum", Temporality: "cumulative", Service: "cart", Value: 3, Count: 1, Min: 3, Max: 3, Dimensions: `{"kind":"book"}`},
		{Name: "temperature", Namespace: "test.meter", Type: "gauge", Service: "cart", Value: 21.5, Count: 1, Min: 21.5, Max: 21.5},
		{Name: "wait", Namespace: "test.meter", Unit: "s", Type: "histogram", Temporality: "cumulative", Service: "cart", Value: 15.5, Count: 4, Min: 0.5, Max: 10,
			Dimensions: `{"_buckets":{"bounds":[1,5],"counts":[1,2,1]}}`},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

func TestOpenTelemetryMetrics(t *testing.T) {
	t.Parallel()
	header := func(w *world) map[string]string { return map[string]string{"authorization": "Bearer " + w.workload} }
	t.Run("http", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		exporter, err := otlpmetrichttp.New(context.Background(), otlpmetrichttp.WithEndpointURL(w.url+"/v1/metrics"), otlpmetrichttp.WithHeaders(header(w)))
		if err != nil {
			t.Fatal(err)
		}
		metricsOf(t, exporter)
		checkMetrics(t, w)
	})
	t.Run("grpc", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		exporter, err := otlpmetricgrpc.New(context.Background(), otlpmetricgrpc.WithEndpoint(serveGRPC(t, w)), otlpmetricgrpc.WithInsecure(), otlpmetricgrpc.WithHeaders(header(w)))
		if err != nil {
			t.Fatal(err)
		}
		metricsOf(t, exporter)
		checkMetrics(t, w)
	})
}

func logsOf(t *testing.T, exporter sdklog.Exporter) {
	t.Helper()
	ctx := context.Background()
	provider := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)),
		sdklog.WithResource(resource.NewSchemaless(attribute.String("service.name", "cart"))))
	logger := provider.Logger("app")
	var plain, failed, event log.Record
	plain.SetBody(attribute.StringValue("cart opened"))
	plain.SetSeverity(log.SeverityWarn2)
	plain.SetTimestamp(time.Now())
	plain.AddAttributes(attribute.Int("cart", 5))
	failed.SetBody(attribute.StringValue("could not pay"))
	failed.SetSeverity(log.SeverityFatal)
	failed.SetTimestamp(time.Now().Add(-time.Second))
	failed.AddAttributes(attribute.String("exception.type", "PayError"), attribute.String("exception.message", "no money"), attribute.String("exception.stacktrace", "at pay"))
	event.SetEventName("bought")
	event.AddAttributes(attribute.String("session.id", "s"))
	for _, r := range []log.Record{plain, failed, event} {
		logger.Emit(ctx, r)
	}
	if err := provider.Shutdown(ctx); err != nil {
		t.Fatalf("export logs: %v", err)
	}
}

func checkLogs(t *testing.T, w *world) {
	t.Helper()
	got, err := w.insights.Logs(context.Background(), insights.LogQuery{Filter: insights.Filter{Project: w.project.ID}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		got[i].Time = time.Time{}
	}
	want := []insights.LogRow{
		{Message: "cart opened", Severity: telemetry.SeverityWarning, Service: "cart", Source: "app", Deployment: 7, Dimensions: `{"cart":5}`},
		{Exception: true, Message: "PayError: no money", Stack: "at pay", Severity: telemetry.SeverityCritical, Service: "cart", Deployment: 7, Dimensions: `{"exception.type":"PayError"}`},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("logs (-want +got):\n%s", diff)
	}
	usage, err := w.insights.Usage(context.Background(), insights.Filter{Project: w.project.ID}, 0)
	if err != nil || usage.Events != 1 || usage.Sessions != 1 || usage.Named[0].Name != "bought" {
		t.Errorf("usage %+v, %v", usage, err)
	}
}

func TestOpenTelemetryLogs(t *testing.T) {
	t.Parallel()
	header := func(w *world) map[string]string { return map[string]string{"authorization": "Bearer " + w.workload} }
	t.Run("http", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		exporter, err := otlploghttp.New(context.Background(), otlploghttp.WithEndpointURL(w.url+"/v1/logs"), otlploghttp.WithHeaders(header(w)))
		if err != nil {
			t.Fatal(err)
		}
		logsOf(t, exporter)
		checkLogs(t, w)
	})
	t.Run("grpc", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		exporter, err := otlploggrpc.New(context.Background(), otlploggrpc.WithEndpoint(serveGRPC(t, w)), otlploggrpc.WithInsecure(), otlploggrpc.WithHeaders(header(w)))
		if err != nil {
			t.Fatal(err)
		}
		logsOf(t, exporter)
		checkLogs(t, w)
	})
}
