package egress_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"slipway/node/egress"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// namespace is a network namespace that lives as long as the test: a thread of its own that does
// what it is told.
type namespace struct {
	path string
	do   chan func()
}

func newNamespace(t *testing.T) *namespace {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("network namespaces need root")
		}
		t.Skip("network namespaces need root")
	}
	n := &namespace{do: make(chan func())}
	ready := make(chan error)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		n.path = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		ready <- err
		for f := range n.do {
			f()
		}
	}()
	if err := <-ready; err != nil {
		t.Fatalf("make network namespace: %v", err)
	}
	t.Cleanup(func() {
		close(n.do)
		<-ended
	})
	n.link(t, func(h *netlink.Handle) error {
		lo, err := h.LinkByName("lo")
		if err != nil {
			return err
		}
		return h.LinkSetUp(lo)
	})
	return n
}

// inside runs f on the namespace's thread. Sockets that f itself makes are in the namespace, and
// so are the programs that it starts; goroutines that f starts are not.
func (n *namespace) inside(t *testing.T, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	n.do <- func() { done <- f() }
	return <-done
}

func (n *namespace) link(t *testing.T, f func(h *netlink.Handle) error) {
	t.Helper()
	err := n.inside(t, func() error {
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer h.Close()
		return f(h)
	})
	if err != nil {
		t.Fatalf("set up namespace: %v", err)
	}
}

// get fetches an http URL whose host is an IP address, over a connection made in the namespace.
func (n *namespace) get(t *testing.T, address string) (string, error) {
	t.Helper()
	var c net.Conn
	err := n.inside(t, func() (err error) {
		c, err = net.DialTimeout("tcp4", address, 3*time.Second)
		return err
	})
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return "", err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) { return c, nil }}}
	resp, err := client.Get("http://" + address + "/")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// hostServer is an HTTP server on the host: on loopback, or on the first other address.
func hostServer(t *testing.T, loopback bool, h http.HandlerFunc) string {
	t.Helper()
	ip := netip.MustParseAddr("127.0.0.1")
	if !loopback {
		ip = hostAddress(t)
	}
	l, err := net.Listen("tcp", netip.AddrPortFrom(ip, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return l.Addr().String()
}

func hostAddress(t *testing.T) netip.Addr {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() && !p.Addr().IsLinkLocalUnicast() {
			return p.Addr()
		}
	}
	t.Skip("the host has no IPv4 address but loopback")
	return netip.Addr{}
}

func start(t *testing.T, n *namespace, o egress.Options) *egress.Egress {
	t.Helper()
	e, err := egress.Start(t.Context(), n.path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

func TestTCP(t *testing.T) {
	t.Parallel()
	n := newNamespace(t)
	start(t, n, egress.Options{})
	body := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB: many packets, larger than any window
	outside := hostServer(t, false, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })
	if got, err := n.get(t, outside); err != nil || got != body {
		t.Errorf("got %d bytes (%v), want %d", len(got), err, len(body))
	}

	t.Run("a closed port is refused at once", func(t *testing.T) {
		l, err := net.Listen("tcp", netip.AddrPortFrom(hostAddress(t), 0).String())
		if err != nil {
			t.Fatal(err)
		}
		closed := l.Addr().String()
		l.Close()
		if _, err := n.get(t, closed); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("error is %v", err)
		}
	})

	t.Run("one side may close its sending half and still receive", func(t *testing.T) {
		l, err := net.Listen("tcp", netip.AddrPortFrom(hostAddress(t), 0).String())
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		served := make(chan error, 1)
		go func() {
			c, err := l.Accept()
			if err != nil {
				served <- err
				return
			}
			defer c.Close()
			all, err := io.ReadAll(c) // ends only when the half is closed
			if err == nil {
				_, err = fmt.Fprintf(c, "got %d", len(all))
			}
			served <- err
		}()
		var c net.Conn
		if err := n.inside(t, func() (err error) { c, err = net.Dial("tcp4", l.Addr().String()); return err }); err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write(make([]byte, 100_000)); err != nil {
			t.Fatal(err)
		}
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		if err != nil || string(got) != "got 100000" {
			t.Errorf("answer is %q (%v)", got, err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// TestRefused shows that nothing of the host's loopback is reachable by any of its names.
func TestRefused(t *testing.T) {
	t.Parallel()
	n := newNamespace(t)
	e := start(t, n, egress.Options{Refuse: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/12")}})
	asked := make(chan string, 16)
	inner := hostServer(t, true, func(_ http.ResponseWriter, r *http.Request) { asked <- r.Host })
	_, port, err := net.SplitHostPort(inner)
	if err != nil {
		t.Fatal(err)
	}
	n.link(t, func(h *netlink.Handle) error {
		// Route loopback's network to the device too: the refusal must not lean on the namespace.
		link, err := h.LinkByName("egress0")
		if err != nil {
			return err
		}
		_, dst, err := net.ParseCIDR("127.9.0.0/16")
		if err != nil {
			return err
		}
		if err := os.WriteFile("/proc/sys/net/ipv4/conf/all/route_localnet", []byte("1"), 0o644); err != nil {
			return err
		}
		lo, err := h.LinkByName("lo")
		if err != nil {
			return err
		}
		if err := h.LinkSetDown(lo); err != nil {
			return err
		}
		return h.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: dst, Scope: netlink.SCOPE_LINK})
	})
	for _, ip := range []string{"127.9.0.1", e.Gateway().String(), e.Gateway().Next().Next().String(), "0.0.0.1", "169.254.169.254", "10.96.0.1"} {
		if _, err := n.get(t, net.JoinHostPort(ip, port)); err == nil {
			t.Errorf("%s was reached", ip)
		}
	}
	select {
	case host := <-asked:
		t.Errorf("the host's loopback service was asked as %s", host)
	default:
	}
}

// TestPod shows that a pod's packets find their way out and back without address translation.
func TestPod(t *testing.T) {
	t.Parallel()
	node, pod := newNamespace(t), newNamespace(t)
	start(t, node, egress.Options{})
	podNS, err := os.Open(pod.path)
	if err != nil {
		t.Fatal(err)
	}
	defer podNS.Close()
	node.link(t, func(h *netlink.Handle) error {
		if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
			return err
		}
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "pod0"}, PeerName: "eth0", PeerNamespace: netlink.NsFd(podNS.Fd())}
		if err := h.LinkAdd(veth); err != nil {
			return err
		}
		return up(h, "pod0", "10.99.0.1/24")
	})
	pod.link(t, func(h *netlink.Handle) error {
		if err := up(h, "eth0", "10.99.0.2/24"); err != nil {
			return err
		}
		return h.RouteAdd(&netlink.Route{Gw: net.ParseIP("10.99.0.1")})
	})
	outside := hostServer(t, false, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello pod") })
	if got, err := pod.get(t, outside); err != nil || got != "hello pod" {
		t.Errorf("got %q (%v)", got, err)
	}
}

func up(h *netlink.Handle, name, cidr string) error {
	link, err := h.LinkByName(name)
	if err != nil {
		return err
	}
	a, err := netlink.ParseAddr(cidr)
	if err != nil {
		return err
	}
	if err := h.AddrAdd(link, a); err != nil {
		return err
	}
	return h.LinkSetUp(link)
}

func TestUDP(t *testing.T) {
	t.Parallel()
	n := newNamespace(t)
	start(t, n, egress.Options{})
	server, err := net.ListenPacket("udp4", netip.AddrPortFrom(hostAddress(t), 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		buf := make([]byte, 1<<16)
		for {
			k, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = server.WriteTo(bytes.ToUpper(buf[:k]), from)
		}
	}()
	var c net.Conn
	if err := n.inside(t, func() (err error) { c, err = net.Dial("udp4", server.LocalAddr().String()); return err }); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, text := range []string{"one", "two", strings.Repeat("fragments ", 800)} {
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1<<16)
		k, err := c.Read(buf)
		if err != nil || string(buf[:k]) != strings.ToUpper(text) {
			t.Errorf("%d bytes came back as %d (%v)", len(text), k, err)
		}
	}
}

// dnsQuestion asks for the A record of a name (RFC 1035, 4.1).
func dnsQuestion(id uint16, name string) []byte {
	b := binary.BigEndian.AppendUint16(nil, id)
	b = append(b, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0) // recursion desired, one question
	for label := range strings.SplitSeq(name, ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0, 0, 1, 0, 1)
}

// TestDNS shows that the gateway hands questions to the host's name server, which may be on the
// host's loopback, and says so when there is none.
func TestDNS(t *testing.T) {
	t.Parallel()
	n := newNamespace(t)
	resolv := filepath.Join(t.TempDir(), "resolv.conf")
	e := start(t, n, egress.Options{ResolvConf: resolv})
	ask := func(question []byte) []byte {
		t.Helper()
		var c net.Conn
		if err := n.inside(t, func() (err error) {
			c, err = net.Dial("udp4", net.JoinHostPort(e.Gateway().String(), "53"))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write(question); err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 512)
		k, err := c.Read(buf)
		if err != nil {
			t.Fatalf("no answer: %v", err)
		}
		return buf[:k]
	}

	question := dnsQuestion(0x1234, "slipway.test")
	got := ask(question)
	if got[0] != 0x12 || got[1] != 0x34 || got[2]&0x80 == 0 || got[3]&0x0f != 2 || !bytes.Equal(got[12:], question[12:]) {
		t.Errorf("without a name server the answer is %x", got)
	}

	server, err := net.ListenPacket("udp4", "127.77.0.53:53")
	if err != nil {
		t.Skipf("the test's name server cannot listen: %v", err)
	}
	defer server.Close()
	go func() {
		buf := make([]byte, 512)
		for {
			k, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			answer := append([]byte(nil), buf[:k]...)
			answer[2] |= 0x80
			answer[7] = 1                                                                    // one answer
			answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 7) // name by pointer, A, IN, TTL, address
			_, _ = server.WriteTo([]byte("not an answer to it"), from)
			_, _ = server.WriteTo(answer, from)
		}
	}()
	if err := os.WriteFile(resolv, []byte("# the host's\nnameserver 127.77.0.53\noptions edns0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := ask(question); !bytes.HasSuffix(got, []byte{203, 0, 113, 7}) || got[3]&0x0f != 0 {
		t.Errorf("the answer is %x", got)
	}
}

// TestGoModuleProxy fetches from the real module proxy inside the namespace, names resolved
// through it as well.
func TestGoModuleProxy(t *testing.T) {
	t.Parallel()
	proxy, err := exec.Command("go", "env", "GOPROXY").Output()
	if err != nil || strings.TrimSpace(string(proxy)) == "off" {
		t.Skipf("go env GOPROXY: %s (%v)", proxy, err)
	}
	resolv, err := os.ReadFile("/etc/resolv.conf")
	if err != nil || bytes.Contains(resolv, []byte("nameserver 127.")) {
		t.Skip("the host's name server is on its loopback, which /etc/resolv.conf names inside too")
	}
	n := newNamespace(t)
	start(t, n, egress.Options{})
	run := func() ([]byte, error) {
		c := exec.Command("go", "list", "-m", "-versions", "github.com/google/uuid")
		c.Dir = t.TempDir()
		c.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOMODCACHE="+filepath.Join(c.Dir, "cache"), "GOTOOLCHAIN=local", "GOWORK=off")
		var out []byte
		err := n.inside(t, func() (err error) { out, err = c.CombinedOutput(); return err })
		return out, err
	}
	out, err := run()
	if err != nil || !strings.Contains(string(out), "github.com/google/uuid v1.0.0 ") {
		t.Errorf("go list says %q (%v)", out, err)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	n := newNamespace(t)
	ctx, cancel := context.WithCancel(t.Context())
	e, err := egress.Start(ctx, n.path, egress.Options{Device: "out0"})
	if err != nil {
		t.Fatal(err)
	}
	held := make(chan struct{})
	outside := hostServer(t, false, func(_ http.ResponseWriter, r *http.Request) { close(held); <-r.Context().Done() })
	var c net.Conn
	if err := n.inside(t, func() (err error) { c, err = net.Dial("tcp4", outside); return err }); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: held\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-held // the connection is open all the way when the way out closes
	if _, err := egress.Start(t.Context(), n.path, egress.Options{Network: netip.MustParsePrefix("10.213.9.0/30")}); err == nil || !strings.Contains(err.Error(), "default route") {
		t.Errorf("a second way out: %v", err)
	}
	cancel()
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	n.link(t, func(h *netlink.Handle) error {
		links, err := h.LinkList()
		for _, l := range links {
			if l.Attrs().Name != "lo" && l.Type() == "tuntap" {
				t.Errorf("device %s is left", l.Attrs().Name)
			}
		}
		return err
	})
	again := start(t, n, egress.Options{Device: "out0"})
	if again.Gateway() != netip.MustParseAddr("10.213.6.1") {
		t.Errorf("gateway is %s", again.Gateway())
	}
}
