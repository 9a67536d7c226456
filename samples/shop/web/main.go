// Command web is the shop's front: it shows the page and asks the orders service for everything that is kept.
// It is instrumented with the OpenTelemetry SDK, which finds all its settings in the environment.
package main

import (
	"context"
	"errors"
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
		slog.Error("web ends", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	fault, err := parseFault(os.Getenv("SHOP_FAIL"))
	if err != nil {
		return err
	}
	if fault == faultStart {
		return errors.New("SHOP_FAIL=start: this build refuses to start")
	}
	telemetry, err := startTelemetry(ctx)
	if err != nil {
		return fmt.Errorf("start telemetry: %w", err)
	}
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := telemetry.stop(ending); err != nil {
			slog.Warn("last telemetry is lost", "error", err)
		}
	}()
	orders := newOrdersClient(setting("ORDERS_URL", "http://orders"))
	shop, err := newShop(orders, fault, telemetry)
	if err != nil {
		return err
	}
	return serve(ctx, setting("LISTEN", ":8080"), shop)
}

// serve answers until ctx ends, then lets the requests under way finish.
func serve(ctx context.Context, address string, handler http.Handler) error {
	server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	slog.Info("web listens", "address", address)
	select {
	case err := <-failed:
		return fmt.Errorf("listen: %w", err)
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(ending)
}

func setting(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}
