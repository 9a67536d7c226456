package builder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"

	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/moby/buildkit/executor/resources/types"
	"github.com/moby/buildkit/util/network"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// stepNetwork gives every build step a network namespace of its own, tied to a bridge in the
// builder's. A step has the way out that the builder has and its own loopback: it does not see
// what listens on the builder's, which on a node are the control plane's inner services.
//
// Namespaces are held by file descriptors alone, so that none is left when the builder is killed.
type stepNetwork struct {
	bridge string
	subnet netip.Prefix // its first address is the bridge's

	mu   sync.Mutex // guards used
	used map[netip.Addr]bool
}

// bridgeName is made from the state folder as the cgroup is; a link's name has at most 15 bytes.
func bridgeName(state string) string {
	sum := sha256.Sum256([]byte(state))
	return "steps-" + hex.EncodeToString(sum[:4])
}

// openStepNetwork makes the bridge, in place of one that a killed builder left.
func openStepNetwork(c Config) (*stepNetwork, error) {
	n := &stepNetwork{bridge: bridgeName(c.State), subnet: netip.MustParsePrefix(c.StepSubnet), used: map[netip.Addr]bool{}}
	if err := removeBridge(n.bridge); err != nil {
		return nil, err
	}
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: n.bridge}}
	if err := netlink.LinkAdd(bridge); err != nil {
		return nil, fmt.Errorf("make bridge %s: %w", n.bridge, err)
	}
	err := bringUp(bridge, n.prefixed(n.gateway()))
	if err == nil {
		// The builder's namespace is its own (Config.check), so this changes nothing on the host.
		if err = os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
			err = fmt.Errorf("turn forwarding on in the builder's network namespace: %w", err)
		}
	}
	if err != nil {
		return nil, errors.Join(err, removeBridge(n.bridge))
	}
	return n, nil
}

// removeBridge removes a bridge with everything that is tied to it.
func removeBridge(name string) error {
	bridge, err := netlink.LinkByName(name)
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find bridge %s: %w", name, err)
	}
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	var errs []error
	for _, l := range links {
		if l.Attrs().MasterIndex == bridge.Attrs().Index {
			errs = append(errs, netlink.LinkDel(l))
		}
	}
	return errors.Join(append(errs, netlink.LinkDel(bridge))...)
}

func (n *stepNetwork) gateway() netip.Addr { return n.subnet.Addr().Next() }

func (n *stepNetwork) prefixed(a netip.Addr) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(n.subnet.Bits(), 32)}
}

// take finds a free address; give takes it back.
func (n *stepNetwork) take() (netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for a := n.gateway().Next(); n.subnet.Contains(a.Next()); a = a.Next() { // the last is broadcast
		if !n.used[a] {
			n.used[a] = true
			return a, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("every address of stepSubnet %s is in use", n.subnet)
}

func (n *stepNetwork) give(a netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.used, a)
}

// New makes the namespace of one step (network.Provider).
func (n *stepNetwork) New(context.Context, string, network.NamespaceOptions) (network.Namespace, error) {
	a, err := n.take()
	if err != nil {
		return nil, err
	}
	s, err := n.join(a)
	if err != nil {
		n.give(a)
		return nil, fmt.Errorf("make the network of a build step: %w", err)
	}
	return s, nil
}

// Close removes the bridge (network.Provider).
func (n *stepNetwork) Close() error { return removeBridge(n.bridge) }

// join makes a namespace with an interface eth0 that has the address.
func (n *stepNetwork) join(a netip.Addr) (*stepNamespace, error) {
	bridge, err := netlink.LinkByName(n.bridge)
	if err != nil {
		return nil, fmt.Errorf("find bridge %s: %w", n.bridge, err)
	}
	ns, err := newNamespace()
	if err != nil {
		return nil, err
	}
	b := a.As4()
	veth := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: "step-" + hex.EncodeToString(b[:]), MasterIndex: bridge.Attrs().Index},
		PeerName:  "eth0", PeerNamespace: netlink.NsFd(ns.Fd()),
	}
	s := &stepNamespace{network: n, address: a, file: ns, veth: veth}
	if err := netlink.LinkAdd(veth); err != nil {
		return nil, errors.Join(fmt.Errorf("make interface: %w", err), ns.Close())
	}
	err = netlink.LinkSetUp(veth)
	if err == nil {
		err = within(ns, func() error { return n.configure(a) })
	}
	if err != nil {
		return nil, errors.Join(err, netlink.LinkDel(veth), ns.Close())
	}
	return s, nil
}

// configure sets the current namespace up: loopback, eth0 and the default route.
func (n *stepNetwork) configure(a netip.Addr) error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("bring lo up: %w", err)
	}
	eth0, err := netlink.LinkByName("eth0")
	if err != nil {
		return fmt.Errorf("find eth0: %w", err)
	}
	if err := bringUp(eth0, n.prefixed(a)); err != nil {
		return err
	}
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: eth0.Attrs().Index, Gw: n.gateway().AsSlice()}); err != nil {
		return fmt.Errorf("add default route: %w", err)
	}
	return nil
}

func bringUp(l netlink.Link, address *net.IPNet) error {
	if err := netlink.AddrAdd(l, &netlink.Addr{IPNet: address}); err != nil {
		return fmt.Errorf("add address %s: %w", address, err)
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return fmt.Errorf("bring %s up: %w", l.Attrs().Name, err)
	}
	return nil
}

// newNamespace makes a network namespace that lives as long as the file.
func newNamespace() (*os.File, error) {
	var file *os.File
	err := onThread(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make network namespace: %w", err)
		}
		file, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	return file, err
}

// within runs f, which must not start goroutines, in the namespace.
func within(ns *os.File, f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace: %w", err)
		}
		return f()
	})
}

// onThread runs f on a thread that ends afterwards, since f changes its namespace.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		done <- f()
	}()
	return <-done
}

// stepNamespace is the network of one step.
type stepNamespace struct {
	network *stepNetwork
	address netip.Addr
	file    *os.File
	veth    *netlink.Veth
}

// Set puts the namespace into the step's specification (network.Namespace). runc finds it by this
// program's descriptor: it is this program's child and both are root.
func (s *stepNamespace) Set(spec *specs.Spec) error {
	return oci.WithLinuxNamespace(specs.LinuxNamespace{
		Type: specs.NetworkNamespace, Path: fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), s.file.Fd()),
	})(context.Background(), nil, nil, spec)
}

// Sample has nothing to tell (network.Namespace).
func (s *stepNamespace) Sample() (*types.NetworkSample, error) { return nil, nil }

// Close removes the interface at once; the namespace goes when the step's last process has.
func (s *stepNamespace) Close() error {
	err := errors.Join(netlink.LinkDel(s.veth), s.file.Close())
	s.network.give(s.address)
	return err
}
