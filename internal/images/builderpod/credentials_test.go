package builderpod

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// serve answers one TLS connection as the builder does (node/builder, Listen.tls) and returns its address.
func serve(t *testing.T, c Credentials) string {
	t.Helper()
	pair, err := tls.X509KeyPair([]byte(c.ServerCertificate), []byte(c.ServerKey))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(c.CA))
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		if conn, err := l.Accept(); err == nil {
			_, _ = conn.Write([]byte("hello")) // after the handshake, with the client's certificate
			conn.Close()
		}
	}()
	return l.Addr().String()
}

func greeting(config *tls.Config, address string) (string, error) {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", address, config)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	b, err := io.ReadAll(conn)
	return string(b), err
}

func TestBothSidesMustShowCertificates(t *testing.T) {
	t.Parallel()
	ours, err := newCredentials(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	others, err := newCredentials(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	client := func(c Credentials) *tls.Config {
		config, err := c.client()
		if err != nil {
			t.Fatal(err)
		}
		return config
	}
	if got, err := greeting(client(ours), serve(t, ours)); got != "hello" || err != nil {
		t.Errorf("with our certificate: %q, %v", got, err)
	}
	if got, err := greeting(client(others), serve(t, ours)); err == nil {
		t.Errorf("the builder of another authority was trusted: %q", got)
	}
	nobody := client(ours)
	nobody.Certificates = nil
	if got, err := greeting(nobody, serve(t, ours)); err == nil {
		t.Errorf("without a certificate: %q", got)
	}
	stranger := client(others)
	stranger.RootCAs = client(ours).RootCAs // it knows the builder, which must not know it
	if got, err := greeting(stranger, serve(t, ours)); err == nil {
		t.Errorf("with another authority's certificate: %q", got)
	}
	builder := client(ours)
	pair, err := tls.X509KeyPair([]byte(ours.ServerCertificate), []byte(ours.ServerKey))
	if err != nil {
		t.Fatal(err)
	}
	builder.Certificates = []tls.Certificate{pair} // what lies in the cluster opens nothing
	if got, err := greeting(builder, serve(t, ours)); err == nil {
		t.Errorf("with the builder's own certificate: %q", got)
	}
}

func TestOpenCredentials(t *testing.T) {
	t.Parallel()
	file, now := filepath.Join(t.TempDir(), "credentials"), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	open := func(at time.Time) Credentials {
		t.Helper()
		c, err := OpenCredentials(file, at)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := open(now)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v; want mode 0600", info, err)
	}
	if again := open(now.Add(time.Hour)); again.CA != first.CA || again.ClientKey != first.ClientKey {
		t.Error("an hour later they were made anew")
	}
	if renewed := open(first.Expires.Add(-300 * 24 * time.Hour)); renewed.CA == first.CA {
		t.Error("they were kept in their last year")
	}
}
