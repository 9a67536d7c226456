package gitremote

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"slipway/internal/httpx"
)

// proxy is the way of one git process to the network: an HTTP proxy on this machine that only who knows its password uses, and that
// judges every address.
type proxy struct {
	server   *http.Server
	listener net.Listener
	dialer   *net.Dialer
	password string
	forward  *httputil.ReverseProxy
	left     atomic.Int64 // bytes that may still come
	limit    int64

	mu  sync.Mutex
	err error // the first failure to reach something
}

const proxyUser = "git"

func startProxy(networks []netip.Prefix, limit int64) (*proxy, error) {
	secret := make([]byte, 24)
	if _, err := rand.Read(secret); err != nil {
		return nil, fmt.Errorf("make the proxy's password: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for git: %w", err)
	}
	p := &proxy{listener: listener, dialer: httpx.OutboundDialer(networks), password: base64.RawURLEncoding.EncodeToString(secret), limit: limit}
	p.left.Store(limit)
	p.forward = &httputil.ReverseProxy{Rewrite: func(*httputil.ProxyRequest) {}, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
		Transport:      &http.Transport{DialContext: p.dial, Proxy: nil, ResponseHeaderTimeout: time.Minute},
		ModifyResponse: func(r *http.Response) error { r.Body = counted{r.Body, p}; return nil },
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: 30 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = p.server.Serve(listener) }() // ends with close
	return p, nil
}

func (p *proxy) url() string {
	return "http://" + proxyUser + ":" + p.password + "@" + p.listener.Addr().String()
}

func (p *proxy) close() { _ = p.server.Close() }

// failure is why something could not be reached, nil if nothing is known.
func (p *proxy) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

func (p *proxy) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
}

func (p *proxy) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := p.dialer.DialContext(ctx, network, address)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Err != nil {
			p.fail(op.Err)
		} else {
			p.fail(err)
		}
	}
	return conn, err
}

// ServeHTTP implements http.Handler.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(proxyUser+":"+p.password))
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("Proxy-Authorization")), []byte(want)) != 1 {
		w.Header().Set("Proxy-Authenticate", `Basic realm="git"`)
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	if r.Method != http.MethodConnect {
		if r.URL.Scheme != "http" || r.URL.Host == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		// A host may answer a push before it has all of it: without this, net/http would then throw away what comes.
		_ = http.NewResponseController(w).EnableFullDuplex()
		p.forward.ServeHTTP(w, r)
		return
	}
	remote, err := p.dial(r.Context(), "tcp", r.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer remote.Close()
	local, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	defer local.Close()
	if _, err := local.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
		return
	}
	var sending sync.WaitGroup
	sending.Go(func() {
		_, _ = io.Copy(remote, buffered)
		if half, ok := remote.(*net.TCPConn); ok {
			_ = half.CloseWrite()
		}
	})
	_, _ = io.Copy(local, counted{remote, p})
	local.Close()
	sending.Wait()
}

// counted reads what comes from the network, as much as a fetch may take.
type counted struct {
	io.ReadCloser
	p *proxy
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	if c.p.left.Add(-int64(n)) < 0 {
		err = fmt.Errorf("it sends more than %d bytes", c.p.limit)
		c.p.fail(err)
	}
	return n, err
}
