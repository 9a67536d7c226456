package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/boards"
	"slipway/internal/clock"
	"slipway/internal/clusters"
	"slipway/internal/db"
	"slipway/internal/embedded"
	"slipway/internal/environments"
	"slipway/internal/events"
	"slipway/internal/gitserver"
	"slipway/internal/hooks"
	"slipway/internal/identity"
	"slipway/internal/images"
	"slipway/internal/images/builderpod"
	"slipway/internal/images/builds"
	"slipway/internal/insights"
	"slipway/internal/insights/collect"
	"slipway/internal/insights/store"
	"slipway/internal/issuer"
	"slipway/internal/lineage"
	"slipway/internal/loop"
	"slipway/internal/pipelines"
	"slipway/internal/registry"
	"slipway/internal/repos"
	"slipway/internal/scans"
	"slipway/internal/secret"
	"slipway/internal/signing"
)

// Server is the whole of Slipway on one machine or in front of one cluster, wired by hand: open makes every part in
// the order of dependence, Run runs them under one error group, Close ends them in reverse order.
type Server struct {
	config   Config
	logger   *slog.Logger
	terminal *Terminal
	narrator *narrator
	started  time.Time
	cancel   context.CancelFunc
	programs []*embedded.Process
	builder  *builderpod.Builder // nil when it is no pod

	nodeToken    string // with which nodes pull
	box          *secret.Box
	db           *db.DB
	events       *events.Log
	blobs        blob.Resumable
	telemetry    *store.Store
	hooks        *hooks.Service
	issuer       *issuer.Service
	signing      *signing.Service
	scans        *scans.Service
	identity     *identity.Service
	repos        *repos.Service
	registry     *registry.Service
	upstreams    *registry.Cache
	environments *environments.Service
	boards       *boards.Service
	lineage      *lineage.Service
	insights     *insights.Service
	collector    *collect.Collector
	clusters     *clusters.Service
	pipelines    *pipelines.Service
	loop         *loop.Loop
	tunnel       *images.Tunnel
	dial         images.Dial // to the builder, as its owner
	builds       *builds.Service
	git          *gitserver.Server
	closers      []func() error
}

// openRecords opens what needs no cluster: the databases and the domains over them.
func (s *Server) openRecords(ctx context.Context) error {
	c := s.config
	var err error
	if s.box, err = secret.OpenKeyFile(c.path("key")); err != nil {
		return err
	}
	if s.db, err = db.Open(ctx, c.Database); err != nil {
		return err
	}
	s.closers = append(s.closers, s.db.Close)
	if s.events, err = events.Open(ctx, s.db, clock.System{}, s.logger); err != nil {
		return err
	}
	if s.identity, err = identity.Open(ctx, s.db, s.events, clock.System{}); err != nil {
		return err
	}
	if s.issuer, err = issuer.Open(ctx, s.db, s.box, clock.System{}, c.URL); err != nil {
		return err
	}
	networks, err := c.callNetworks()
	if err != nil {
		return err
	}
	if s.hooks, err = hooks.Open(ctx, s.db, s.events, s.box, clock.System{}, s.logger, hooks.Options{Networks: networks, URL: c.URL}); err != nil {
		return err
	}
	if s.signing, err = signing.Open(ctx, s.db, s.box, clock.System{}, c.URL); err != nil {
		return err
	}
	if s.blobs, err = c.openBlobs(ctx); err != nil {
		return err
	}
	if s.repos, err = repos.Open(ctx, s.db, s.events, clock.System{}, c.path("git"), s.logger); err != nil {
		return err
	}
	s.repos.People, s.repos.Objects, s.repos.Secrets = s.identity, s.blobs, s.box
	s.closers = append(s.closers, s.repos.Close)
	if s.registry, err = registry.Open(ctx, s.db, s.events, s.blobs, clock.System{}, s.logger, registry.Options{}); err != nil {
		return err
	}
	if err = s.openUpstreams(ctx); err != nil {
		return err
	}
	if s.scans, err = scans.Open(ctx, scans.Options{DB: s.db, Log: s.events, Clock: clock.System{}, Logger: s.logger, Images: loop.ScannedImages{Registry: s.registry},
		Program: filepath.Join(c.Programs, "slipway-scanner"), Folder: c.path("vulnerabilities")}); err != nil {
		return err
	}
	if s.environments, err = environments.Open(ctx, s.db, s.events, s.box, clock.System{}, s.logger); err != nil {
		return err
	}
	if s.boards, err = boards.Open(ctx, s.db, s.events, clock.System{}); err != nil {
		return err
	}
	if s.builds, err = builds.New(ctx, s.db, clock.System{}); err != nil {
		return err
	}
	if s.lineage, err = lineage.Open(ctx, s.db); err != nil {
		return err
	}
	if s.telemetry, err = store.Open(ctx, store.Options{Folder: c.path("telemetry"), Clock: clock.System{}, Logger: s.logger}); err != nil {
		return err
	}
	s.closers = append(s.closers, s.telemetry.Close)
	s.insights, err = insights.Open(ctx, insights.Options{DB: s.db, Log: s.events, Clock: clock.System{}, Store: s.telemetry, Logger: s.logger})
	return err
}

// openUpstreams opens the copies of other registries' images.
func (s *Server) openUpstreams(ctx context.Context) error {
	networks, err := s.config.callNetworks()
	if err != nil {
		return err
	}
	options := registry.CacheOptions{Box: s.box, Folder: s.config.path("fetches"), Networks: networks}
	if s.upstreams, err = registry.OpenCache(ctx, s.registry, options); err != nil {
		return err
	}
	s.closers = append(s.closers, s.upstreams.Close)
	return nil
}

// Close ends everything that open made, in reverse order.
func (s *Server) Close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	return errors.Join(errs...)
}

// listen opens the HTTP listeners: the one that people use, and on one machine the host's end of the link to the
// node, by which pods call. That address need not exist yet, and pods alone can reach it.
func (s *Server) listen(ctx context.Context) ([]net.Listener, error) {
	addresses := []string{s.config.Listen}
	if s.config.Kubeconfig == "" {
		addresses = append(addresses, strings.TrimPrefix(s.config.ClusterURL, "http://"))
	}
	var all []net.Listener
	for _, address := range addresses {
		config := net.ListenConfig{Control: freeBind}
		l, err := config.Listen(ctx, "tcp", address)
		if err != nil {
			for _, open := range all {
				open.Close()
			}
			return nil, fmt.Errorf("cannot listen on %s: %w; choose another address with --listen", address, err)
		}
		all = append(all, l)
	}
	return all, nil
}

// freeBind lets a socket bind to an address that the machine does not have yet (ip(7), IP_FREEBIND).
func freeBind(_, _ string, c syscall.RawConn) error {
	var set error
	err := c.Control(func(fd uintptr) { set = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_FREEBIND, 1) })
	return errors.Join(err, set)
}

// serve answers HTTP until ctx ends, then lets requests end for a few seconds.
func (s *Server) serve(ctx context.Context, group *errgroup.Group, listeners []net.Listener, h http.Handler) {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 20 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug)}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server.Protocols = protocols
	for _, l := range listeners {
		group.Go(func() error {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve HTTP on %s: %w", l.Addr(), err)
			}
			return nil
		})
	}
	group.Go(func() error {
		<-ctx.Done()
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		if server.Shutdown(ending) != nil { // live pages and long polls do not end by themselves
			return server.Close()
		}
		return nil
	})
}

// bootstrap makes the first administrator and the command line's token. The password is returned once.
func (s *Server) bootstrap(ctx context.Context) (password string, err error) {
	const name = "admin"
	has, err := s.identity.HasUsers(ctx)
	if err != nil {
		return "", err
	}
	if !has {
		if password, err = identity.GeneratePassword(); err != nil {
			return "", err
		}
		if _, err := s.identity.CreateUser(ctx, slipway.System, identity.NewUser{Name: name, DisplayName: "Administrator", Password: password, Administrator: true}); err != nil {
			return "", err
		}
	}
	if a, err := readAccessFile(s.config.Data); err == nil && a.URL == s.config.URL {
		if _, err := s.identity.AuthenticateToken(ctx, a.Token); err == nil {
			return password, nil
		}
	}
	u, err := s.identity.UserByName(ctx, name)
	if err != nil {
		return password, err
	}
	token, err := s.identity.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenPersonal, Name: "command line of this machine",
		Actor: slipway.Actor{Kind: slipway.ActorUser, ID: string(u.ID), Name: u.Name}})
	if err != nil {
		return password, err
	}
	return password, access{URL: s.config.URL, Token: token}.write(s.config.Data)
}

// keptToken returns the token in a file of the data folder, and issues one when there is none that is still good.
func (s *Server) keptToken(ctx context.Context, name string, r identity.TokenRequest) (string, error) {
	path := filepath.Join(s.config.Data, name)
	if b, err := os.ReadFile(path); err == nil {
		token := strings.TrimSpace(string(b))
		if _, err := s.identity.AuthenticateToken(ctx, token); err == nil {
			return token, nil
		}
	}
	token, err := s.identity.IssueToken(ctx, r)
	if err != nil {
		return "", err
	}
	return token, os.WriteFile(path, []byte(token+"\n"), 0o600)
}
