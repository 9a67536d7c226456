package images_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/internal/images"
	"slipway/internal/images/imagestest"

	"github.com/google/go-cmp/cmp"
)

// linked makes a network namespace with a link to the host, as a node's is, and gives its name
// and the host's address on the link.
func linked(t *testing.T) (netns, host string) {
	t.Helper()
	if os.Geteuid() != 0 {
		imagestest.Missing(t, "network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		imagestest.Missing(t, "the program ip is needed (Debian: iproute2)")
	}
	netns = fmt.Sprintf("slipway-test-%d", os.Getpid())
	ip := func(args string) {
		t.Helper()
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", args, err, out)
		}
	}
	ip("netns add " + netns)
	t.Cleanup(func() { ip("netns del " + netns) })
	link := fmt.Sprintf("st%d", os.Getpid()%1_000_000)
	ip("link add " + link + " type veth peer name up0 netns " + netns)
	ip("addr add 10.213.211.1/30 dev " + link)
	ip("link set " + link + " up")
	ip("-n " + netns + " addr add 10.213.211.2/30 dev up0")
	ip("-n " + netns + " link set up0 up")
	ip("-n " + netns + " link set lo up")
	return netns, "10.213.211.1"
}

// TestBuilderInNamespace runs the builder as it runs beside a node: it reaches the registry by the
// link alone, under the registry's own name, and its steps do not see what it sees.
func TestBuilderInNamespace(t *testing.T) {
	t.Parallel()
	netns, host := linked(t)
	w := imagestest.New(t, imagestest.Setup{Address: host, Config: map[string]any{"netns": netns, "stepSubnet": "10.213.212.0/28", "dns": []string{"192.0.2.53"}}})

	// Something listens on the loopback of the builder's namespace, as etcd does on a node.
	inner := exec.Command("ip", "netns", "exec", netns, "busybox", "httpd", "-f", "-p", "127.0.0.1:4711", "-h", t.TempDir())
	if err := inner.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = inner.Process.Kill()
		_ = inner.Wait()
	}()
	deadline := time.Now().Add(10 * time.Second)
	for exec.Command("ip", "netns", "exec", netns, "busybox", "nc", "-w", "2", "127.0.0.1", "4711").Run() != nil {
		if time.Now().After(deadline) {
			t.Fatal("the service in the builder's namespace does not start")
		}
	}

	result, events, err := w.Build(map[string]string{"Dockerfile": strings.Join([]string{
		"FROM busybox:1",
		"RUN ip -o -4 addr show scope global | awk '{print $2, $4}'",
		"RUN ip route | grep default",
		"RUN cat /etc/resolv.conf | grep nameserver",
		"RUN nc -w 2 127.0.0.1 4711 < /dev/null 2>/dev/null && echo reached || echo not reached", "",
	}, "\n")}, images.Options{Tags: []string{imagestest.Host + "/team/net:1"}, Push: true})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"eth0 10.213.212.2/28", "default via 10.213.212.1 dev eth0 ", "nameserver 192.0.2.53", "not reached"}
	if diff := cmp.Diff(want, lines(events)); diff != "" {
		t.Errorf("what steps see (-want +got):\n%s", diff)
	}
	if digest, err := w.Pull("team/net:1").Digest(); err != nil || digest.String() != string(result.Digest) {
		t.Errorf("the registry has %s (%v), the build said %s", digest, err, result.Digest)
	}

	fetchedContexts(t, w, host)

	w.Kill()
	w.Start() // takes the place of the killed one's bridge
	w.Stop()
	out, err := exec.Command("ip", "-n", netns, "-o", "link").CombinedOutput()
	if err != nil || strings.Contains(string(out), "step") {
		t.Errorf("links that are left (%v):\n%s", err, out)
	}
}

// fetchedContexts builds what the builder fetches from another machine than its own: a git repository and a file.
func fetchedContexts(t *testing.T, w *imagestest.World, host string) {
	t.Helper()
	git := func(dir string, args ...string) string {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %q: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	root := t.TempDir()
	work := w.Folder(map[string]string{"app/Dockerfile": "FROM scratch\nCOPY a.txt /\nADD http://" + host + "/nothing /none\n", "app/a.txt": "from git"})
	git(work, "init", "--quiet", "-b", "main")
	git(work, "add", ".")
	git(work, "commit", "--quiet", "-m", "one")
	git(root, "clone", "--quiet", "--bare", work, "shop.git")
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/shop.git/", &cgi.Handler{Path: git(root, "--exec-path") + "/git-http-backend", Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=x"}})
	mux.HandleFunc("/file.txt", func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "from HTTP") })
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	at := "http://" + l.Addr().String()

	build := func(o images.Options, image string) map[string]string {
		t.Helper()
		o.Tags, o.Push = []string{imagestest.Host + "/" + image}, true
		if _, _, err := w.BuildFolder(o); err != nil {
			t.Fatalf("%s: %v", image, err)
		}
		return imagestest.Files(t, w.Pull(image))
	}
	const dockerfile = "FROM scratch\nCOPY a.txt /\n"
	if diff := cmp.Diff(map[string]string{"a.txt": "from git"}, build(images.Options{ContextURL: at + "/shop.git#main:app", DockerfileText: dockerfile}, "team/git:1")); diff != "" {
		t.Errorf("a context from git (-want +got):\n%s", diff)
	}
	_, _, err = w.BuildFolder(images.Options{ContextURL: at + "/shop.git#main:app"})
	if err == nil || !strings.Contains(err.Error(), host) {
		t.Errorf("the repository's own Dockerfile, which adds what is not there: %v", err)
	}
	add := images.Options{ContextDir: w.Folder(map[string]string{"Dockerfile": "FROM scratch\nADD " + at + "/file.txt /\n"})}
	if diff := cmp.Diff(map[string]string{"file.txt": "from HTTP"}, build(add, "team/http:1")); diff != "" {
		t.Errorf("ADD of a URL (-want +got):\n%s", diff)
	}
}

// TestBuilderByTLS dials the builder as a pod of a cluster is dialled.
func TestBuilderByTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := newAuthority(t, dir)
	ca.issue("server")
	ca.issue("client")
	stranger := newAuthority(t, t.TempDir())
	stranger.issue("client")

	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	w := imagestest.New(t, imagestest.Setup{Config: map[string]any{"listen": map[string]string{
		"address": address, "cert": ca.path("server.crt"), "key": ca.path("server.key"), "clientCA": ca.path("ca.crt"),
	}}})
	dial := func(client authority) images.Dial {
		return func(ctx context.Context) (net.Conn, error) {
			d := tls.Dialer{Config: &tls.Config{RootCAs: ca.pool, Certificates: client.pairs(), NextProtos: []string{"h2"}}}
			return d.DialContext(ctx, "tcp", address)
		}
	}
	o := images.Options{ContextDir: w.Folder(map[string]string{"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})}
	if _, err := images.Build(t.Context(), dial(ca), o, nil); err != nil {
		t.Errorf("with a certificate: %v", err)
	}
	for name, client := range map[string]authority{"no": {}, "a stranger's": stranger} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if _, err := images.Build(ctx, dial(client), o, nil); err == nil {
			t.Errorf("with %s certificate the builder was reached", name)
		}
		cancel()
	}
}

// authority is a certificate authority with its files in a folder.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T, dir string) authority {
	t.Helper()
	a := authority{t: t, dir: dir, pool: x509.NewCertPool()}
	a.key = a.newKey()
	a.cert = a.sign("ca", &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, a.key)
	a.pool.AddCert(a.cert)
	return a
}

func (a authority) path(name string) string { return filepath.Join(a.dir, name) }

func (a authority) newKey() *ecdsa.PrivateKey {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

// issue writes NAME.crt and NAME.key, good for both ends of a connection to 127.0.0.1.
func (a authority) issue(name string) {
	a.t.Helper()
	key := a.newKey()
	a.sign(name, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".key", "PRIVATE KEY", der)
}

func (a authority) sign(name string, template *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	a.t.Helper()
	parent := a.cert
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".crt", "CERTIFICATE", der)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

func (a authority) write(name, kind string, der []byte) {
	a.t.Helper()
	if err := os.WriteFile(a.path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// pairs is the client's certificate, none for the zero authority.
func (a authority) pairs() []tls.Certificate {
	if a.t == nil {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(a.path("client.crt"), a.path("client.key"))
	if err != nil {
		a.t.Fatal(err)
	}
	return []tls.Certificate{pair}
}
