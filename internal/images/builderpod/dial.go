package builderpod

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"

	"slipway"
)

const (
	handshakeTime = 15 * time.Second
	maxRefusal    = 4 << 10 // bytes of the API server's reason
)

// Dial opens a connection to the builder: by a port-forward of the API server, within it TLS with a certificate on
// both sides. What is written to it is BuildKit's own protocol.
func (b *Builder) Dial(ctx context.Context) (net.Conn, error) {
	p, err := b.pod(ctx)
	if err != nil {
		return nil, err
	}
	if p.Status.Phase != corev1.PodRunning {
		return nil, slipway.Unavailable("the image builder is starting: try again in a moment")
	}
	config, err := b.credentials.client()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	inner, err := b.forward(ctx, p.Name)
	if err != nil {
		return nil, fmt.Errorf("reach the image builder's pod: %w", err)
	}
	conn := tls.Client(inner, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		inner.Close()
		return nil, fmt.Errorf("reach the image builder: %w%s", err, inner.refusal())
	}
	return conn, nil
}

// forward opens a stream to the builder's port. The dialers take no context, so one that comes too late is closed.
func (b *Builder) forward(ctx context.Context, pod string) (*forwarded, error) {
	type result struct {
		conn *forwarded
		err  error
	}
	done := make(chan result, 1)
	go func() {
		conn, err := b.open(pod)
		done <- result{conn, err}
	}()
	select {
	case r := <-done:
		return r.conn, r.err
	case <-ctx.Done():
		go func() {
			if r := <-done; r.conn != nil {
				r.conn.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

func (b *Builder) open(pod string) (_ *forwarded, err error) {
	dialer, err := b.dialer(pod)
	if err != nil {
		return nil, err
	}
	up, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			up.Close()
		}
	}()
	h := http.Header{}
	h.Set(corev1.StreamType, corev1.StreamTypeError)
	h.Set(corev1.PortHeader, strconv.Itoa(port))
	h.Set(corev1.PortForwardRequestIDHeader, "0")
	refusals, err := up.CreateStream(h)
	if err != nil {
		return nil, err
	}
	if err := refusals.Close(); err != nil { // nothing is written to it
		return nil, err
	}
	h.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := up.CreateStream(h)
	if err != nil {
		return nil, err
	}
	return newForwarded(up, data, refusals), nil
}

// dialer speaks WebSocket, and SPDY with API servers and proxies that do not know that (as kubectl does).
func (b *Builder) dialer(pod string) (httpstream.Dialer, error) {
	u := b.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(b.options.Namespace).Name(pod).SubResource("portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(b.config)
	if err != nil {
		return nil, err
	}
	old := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, u)
	websocket, err := portforward.NewSPDYOverWebsocketDialerForStreaming(u, b.config)
	if err != nil {
		return nil, err
	}
	return portforward.NewFallbackDialerForStreaming(websocket, old, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}), nil
}

// forwarded is a stream of a port-forward as a connection. Streams have no deadlines; a pipe between has them.
type forwarded struct {
	net.Conn
	up     httpstream.Connection
	once   sync.Once
	reason chan string // one: what the API server said against it
}

func newForwarded(up httpstream.Connection, data, refusals io.ReadWriter) *forwarded {
	near, far := net.Pipe()
	f := &forwarded{Conn: near, up: up, reason: make(chan string, 1)}
	go func() {
		text, _ := io.ReadAll(io.LimitReader(refusals, maxRefusal))
		f.reason <- strings.TrimSpace(string(text))
		if len(text) > 0 {
			f.Close()
		}
	}()
	go func() {
		_, _ = io.Copy(data, far)
		f.Close()
	}()
	go func() {
		_, _ = io.Copy(far, data)
		far.Close()
		f.Close()
	}()
	return f
}

// Close ends the stream and its connection to the API server, which ends what copies.
func (f *forwarded) Close() error {
	f.once.Do(func() { f.up.Close() })
	return f.Conn.Close()
}

// refusal is what the API server says of a connection that failed, with a separator, if it says something.
func (f *forwarded) refusal() string {
	select {
	case text := <-f.reason:
		if text != "" {
			return " (" + text + ")"
		}
	case <-time.After(time.Second):
	}
	return ""
}
