// Command registryalone serves a registry and nothing else, as `slipway up` does it: for measurements, which need no cluster. It prints
// its address and the token of a job of the project "bench", and ends when its standard input does.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"path/filepath"
	"time"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/ociserver"
	"slipway/internal/registry"
)

func main() {
	data := flag.String("data", "", "folder of all data")
	flag.Parse()
	if err := serve(context.Background(), *data); err != nil {
		fmt.Fprintln(os.Stderr, "registryalone:", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, data string) error {
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	d, err := db.Open(ctx, "sqlite:"+filepath.Join(data, "slipway.db"))
	if err != nil {
		return err
	}
	defer d.Close()
	log, err := events.Open(ctx, d, clock.System{}, logger)
	if err != nil {
		return err
	}
	people, err := identity.Open(ctx, d, log, clock.System{})
	if err != nil {
		return err
	}
	blobs, err := blob.OpenFiles(filepath.Join(data, "blobs"))
	if err != nil {
		return err
	}
	images, err := registry.Open(ctx, d, log, blobs, clock.System{}, logger, registry.Options{})
	if err != nil {
		return err
	}
	token, err := bootstrap(ctx, people)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/v2/", ociserver.New(images, people, logger))
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr(), token)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		l.Close()
	}()
	server := &http.Server{Handler: httpx.Middleware(logger, mux), ReadHeaderTimeout: 20 * time.Second, IdleTimeout: 2 * time.Minute}
	_ = server.Serve(l)
	return nil
}

// bootstrap makes the token of a job, as most pushes come from one; no password is hashed, which takes 64 MiB by design.
func bootstrap(ctx context.Context, people *identity.Service) (token string, err error) {
	project, err := people.CreateProject(ctx, slipway.System, "bench", "")
	if err != nil {
		return "", err
	}
	return people.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenJob, Name: "bench", Actor: slipway.Actor{Kind: slipway.ActorJob, ID: "1", Name: "bench"}, Project: project.ID})
}
