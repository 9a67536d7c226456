package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// telemetry sends traces and metrics to where OTEL_EXPORTER_OTLP_ENDPOINT points, with the resource attributes that
// the environment gives. Without an endpoint nothing is sent.
type telemetry struct {
	orders metric.Int64Counter
	ends   []func(context.Context) error
}

func startTelemetry(ctx context.Context) (*telemetry, error) {
	t := &telemetry{}
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" {
		if err := t.export(ctx); err != nil {
			return nil, err
		}
	}
	otel.SetTextMapPropagator(propagation.TraceContext{})
	var err error
	t.orders, err = otel.Meter("shop/web").Int64Counter("shop.orders",
		metric.WithDescription("Orders placed through the page"), metric.WithUnit("{order}"))
	return t, err
}

func (t *telemetry) export(ctx context.Context) error {
	from, err := resource.New(ctx, resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return fmt.Errorf("read resource attributes: %w", err)
	}
	spans, err := otlptracehttp.New(ctx)
	if err != nil {
		return fmt.Errorf("make trace exporter: %w", err)
	}
	traces := trace.NewTracerProvider(trace.WithBatcher(spans), trace.WithResource(from))
	numbers, err := otlpmetrichttp.New(ctx)
	if err != nil {
		return fmt.Errorf("make metric exporter: %w", err)
	}
	metrics := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(numbers)), sdkmetric.WithResource(from))
	otel.SetTracerProvider(traces)
	otel.SetMeterProvider(metrics)
	t.ends = append(t.ends, traces.Shutdown, metrics.Shutdown)
	return nil
}

// stop sends what is still held back.
func (t *telemetry) stop(ctx context.Context) error {
	var all error
	for _, end := range t.ends {
		all = errors.Join(all, end(ctx))
	}
	return all
}

// traced makes a handler of a function: its span carries the route's name, an error becomes a 500 and marks the span.
func (t *telemetry) traced(route string, serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return otelhttp.NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := serve(w, r)
		if err == nil {
			return
		}
		span := oteltrace.SpanFromContext(r.Context())
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
		slog.ErrorContext(r.Context(), "request failed", "route", route, "error", err, "trace_id", span.SpanContext().TraceID().String())
		http.Error(w, "Something went wrong. Please try again.", http.StatusInternalServerError)
	}), route)
}

func (t *telemetry) ordered(ctx context.Context, o order) {
	t.orders.Add(ctx, int64(o.Quantity), metric.WithAttributes(attribute.String("shop.product", o.Product)))
}
