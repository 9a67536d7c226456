package pki

import (
	"bytes"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func cluster(t *testing.T) Cluster {
	t.Helper()
	dir := t.TempDir()
	return Cluster{Dir: filepath.Join(dir, "pki"), NodeName: "n", Node: net.IPv4(10, 0, 0, 2), Service: net.IPv4(10, 1, 0, 1),
		Server: "https://10.0.0.2:6443", Admin: filepath.Join(dir, "kubeconfig"), Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

func ensure(t *testing.T, c Cluster) (apiserver, authority []byte) {
	t.Helper()
	if err := c.Ensure(); err != nil {
		t.Fatal(err)
	}
	for _, file := range []struct {
		name string
		to   *[]byte
	}{{"apiserver.crt", &apiserver}, {"ca.crt", &authority}} {
		data, err := os.ReadFile(c.path(file.name))
		if err != nil {
			t.Fatal(err)
		}
		*file.to = data
	}
	return apiserver, authority
}

func TestEnsure(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	first, authority := ensure(t, c)
	cert, _, err := c.read("apiserver")
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		t.Fatal("ca.crt holds no certificate")
	}
	for _, name := range []string{"10.0.0.2", "10.1.0.1", "127.0.0.1", "kubernetes.default.svc"} {
		if _, err := cert.Verify(x509.VerifyOptions{Roots: pool, DNSName: name, CurrentTime: c.Now}); err != nil {
			t.Errorf("certificate for %s: %v", name, err)
		}
	}
	for _, file := range []string{"ca.key", "service-account.key", "kubelet.kubeconfig"} {
		info, err := os.Stat(c.path(file))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
	if second, _ := ensure(t, c); !bytes.Equal(first, second) {
		t.Error("a good certificate was made anew")
	}
}

func TestEnsureRenews(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(*Cluster){
		"near its end":          func(c *Cluster) { c.Now = c.Now.Add(leafLife - renewBefore + time.Hour) },
		"for another address":   func(c *Cluster) { c.Node = net.IPv4(10, 0, 0, 6) },
		"broken by a full disk": func(c *Cluster) { _ = os.Truncate(c.path("apiserver.crt"), 10) },
	} {
		c := cluster(t)
		first, authority := ensure(t, c)
		change(&c)
		second, sameAuthority := ensure(t, c)
		if bytes.Equal(first, second) {
			t.Errorf("a certificate %s was kept", what)
		}
		if !bytes.Equal(authority, sameAuthority) {
			t.Errorf("a certificate %s replaced its authority", what)
		}
	}
}

func TestEnsureKeepsBrokenAuthority(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	ensure(t, c)
	if err := os.Truncate(c.path("ca.crt"), 10); err != nil {
		t.Fatal(err)
	}
	if err := c.Ensure(); err == nil {
		t.Error("a broken authority was replaced in silence")
	}
}
