package builder

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	_ "github.com/moby/buildkit/util/grpcutil/encoding/proto" // the codec that clients speak
	"google.golang.org/grpc"
)

// stopGrace is how long running builds may go on after the stop was asked for.
const stopGrace = 5 * time.Second

// Serve answers BuildKit's clients on the configured addresses until ctx ends, calling ready
// once they can connect. Builds that are running then have a few seconds to finish.
func (b *Builder) Serve(ctx context.Context, ready func()) error {
	listeners, err := b.listen(ctx)
	if err != nil {
		return err
	}
	served := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { served <- b.accept(l) }()
	}
	ready()
	left := len(listeners)
	select {
	case <-ctx.Done():
	case err = <-served:
		left--
	}
	b.stop()
	for _, l := range listeners {
		l.Close()
	}
	for range left {
		<-served // closed, which is what was asked for
	}
	b.stopServices()
	return err
}

// stopServices ends every scope's service, all at once.
func (b *Builder) stopServices() {
	b.mu.Lock()
	b.stopping = true
	services := slices.Collect(maps.Values(b.services))
	b.mu.Unlock()
	var stopped sync.WaitGroup
	for _, s := range services {
		stopped.Go(func() { stopServer(s.server) })
	}
	stopped.Wait()
	b.serving.Wait()
	b.watchers.live.Wait()
}

// stopServer lets running calls finish for a while and then ends them.
func stopServer(server *grpc.Server) {
	finished := make(chan struct{})
	go func() {
		server.GracefulStop()
		close(finished)
	}()
	select {
	case <-finished:
	case <-time.After(stopGrace):
		server.Stop()
		<-finished
	}
}

func (b *Builder) listen(ctx context.Context) (_ []net.Listener, err error) {
	var out []net.Listener
	defer func() {
		if err != nil {
			for _, l := range out {
				l.Close()
			}
		}
	}()
	if path := b.config.Socket; path != "" {
		l, err := listenUnix(ctx, path)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	if c := b.config.Listen; c != nil {
		conf, err := c.tls()
		if err != nil {
			return nil, err
		}
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Address)
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", c.Address, err)
		}
		out = append(out, tls.NewListener(l, conf))
	}
	return out, nil
}

// listenUnix makes the socket for its owner alone. A socket that a killed builder left is
// replaced: the state's lock says that no other builder uses it.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make socket's folder: %w", err)
	}
	if fi, err := os.Lstat(path); err == nil {
		if fi.Mode().Type() != os.ModeSocket {
			return nil, fmt.Errorf("socket %s: a file that is no socket is in the way", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("remove old socket: %w", err)
		}
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("restrict socket: %w", err)
	}
	return l, nil
}

func (l Listen) tls() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(l.Cert, l.Key)
	if err != nil {
		return nil, fmt.Errorf("load certificate: %w", err)
	}
	pem, err := os.ReadFile(l.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("read client CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("client CA %s holds no certificate", l.ClientCA)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientCAs:    pool,
		ClientAuth:   tls.RequireAndVerifyClientCert,
		MinVersion:   tls.VersionTLS13,
		NextProtos:   []string{"h2"},
	}, nil
}
