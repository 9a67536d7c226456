// Command orders keeps the shop's orders in PostgreSQL, or in memory when it has no DATABASE_URL.
// It is instrumented with the Application Insights SDK, which finds its settings in the environment.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil)))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		slog.Error("orders ends", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	insights, err := startTelemetry(os.Getenv("APPLICATIONINSIGHTS_CONNECTION_STRING"), os.Getenv("OTEL_SERVICE_NAME"), os.Getenv("OTEL_RESOURCE_ATTRIBUTES"))
	if err != nil {
		return fmt.Errorf("start telemetry: %w", err)
	}
	defer insights.stop(5 * time.Second)
	var kept store = &memory{}
	if url := os.Getenv("DATABASE_URL"); url != "" {
		pg, err := openPostgres(ctx, url)
		if err != nil {
			return err
		}
		defer pg.close()
		kept = pg
	}
	address := os.Getenv("LISTEN")
	if address == "" {
		address = ":8080"
	}
	return serve(ctx, address, newServer(kept, insights))
}

// serve answers until ctx ends, then lets the requests under way finish.
func serve(ctx context.Context, address string, handler http.Handler) error {
	server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	slog.Info("orders listens", "address", address)
	select {
	case err := <-failed:
		return fmt.Errorf("listen: %w", err)
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(ending)
}
