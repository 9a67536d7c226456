// Package network owns the node's network namespace: the namespace itself, the pair of links that ties it to the host, and
// the address translation of the pods. It must not know what runs in there. Deleting the namespace deletes all of it.
package network

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// folder is where `ip netns` keeps named namespaces.
const folder = "/run/netns"

// Node describes the namespace of one node.
type Node struct {
	Name        string // of the namespace
	HostLink    string
	NodeLink    string
	HostAddress netip.Addr
	NodeAddress netip.Addr
	PodCIDR     netip.Prefix
	ServiceCIDR netip.Prefix
	Owner       string // the state folder of the node; the host's link carries it as its alias
}

// FindOwner returns the Owner of the namespace that is there now, "" without one.
func (n Node) FindOwner() string {
	link, err := netlink.LinkByName(n.HostLink)
	if err != nil {
		return ""
	}
	return link.Attrs().Alias
}

// Ensure makes the namespace and its link, or takes what a killed predecessor left, and returns an open handle to it.
func (n Node) Ensure() (netns.NsHandle, error) {
	if err := n.checkHost(); err != nil {
		return netns.None(), err
	}
	ns, err := netns.GetFromName(n.Name)
	if errors.Is(err, fs.ErrNotExist) {
		ns, err = create(n.Name)
	}
	if err != nil {
		return netns.None(), fmt.Errorf("network namespace %s: %w", n.Name, err)
	}
	if err := n.connect(ns); err != nil {
		ns.Close()
		return netns.None(), err
	}
	return ns, nil
}

// share makes the folder of namespaces a shared mount of its own, as `ip netns add` does. If that came later than our namespace,
// it would cover it, and nobody could delete what is covered.
func share() error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	err := unix.Mount("", folder, "none", unix.MS_SHARED|unix.MS_REC, "")
	if errors.Is(err, unix.EINVAL) { // not a mount yet
		if err = unix.Mount(folder, folder, "none", unix.MS_BIND|unix.MS_REC, ""); err == nil {
			err = unix.Mount("", folder, "none", unix.MS_SHARED|unix.MS_REC, "")
		}
	}
	return err
}

// unshare undoes share when no namespace is left in the folder, whoever made it.
func unshare() {
	if entries, err := os.ReadDir(folder); err == nil && len(entries) == 0 {
		_ = unix.Unmount(folder, 0) // not mounted, or in use again: both fine
	}
}

// create makes a named namespace without moving this thread for good.
func create(name string) (netns.NsHandle, error) {
	if err := share(); err != nil {
		return netns.None(), err
	}
	result := make(chan error)
	var ns netns.NsHandle
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		var err error
		ns, err = netns.NewNamed(name)
		result <- err
	}()
	return ns, <-result
}

// checkHost refuses addresses that the host uses for something else.
func (n Node) checkHost() error {
	addresses, err := netlink.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("list the host's addresses: %w", err)
	}
	link := netip.PrefixFrom(n.HostAddress, 30).Masked()
	for _, a := range addresses {
		have, ok := netip.AddrFromSlice(a.IP.To4())
		if ok && link.Contains(have) && a.Label != n.HostLink {
			return fmt.Errorf("address %s is in use on the host's link %s: choose another hostAddress and nodeAddress", have, a.Label)
		}
	}
	return nil
}

// connect makes the link and sets it up. There is no default route: without egress, whatever wants out is told so at once.
func (n Node) connect(ns netns.NsHandle) error {
	inside, err := netlink.NewHandleAt(ns)
	if err != nil {
		return fmt.Errorf("open namespace %s: %w", n.Name, err)
	}
	defer inside.Close()
	if _, err := inside.LinkByName(n.NodeLink); err != nil {
		if err := n.pair(ns); err != nil {
			return err
		}
	}
	outside, err := netlink.NewHandle()
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	defer outside.Close()
	if err := up(outside, n.HostLink, n.HostAddress); err != nil {
		return err
	}
	if err := n.sign(outside); err != nil {
		return err
	}
	if err := up(inside, n.NodeLink, n.NodeAddress); err != nil {
		return err
	}
	lo, err := inside.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("loopback of %s: %w", n.Name, err)
	}
	if err := inside.LinkSetUp(lo); err != nil {
		return fmt.Errorf("loopback of %s: %w", n.Name, err)
	}
	node, err := inside.LinkByName(n.NodeLink)
	if err != nil {
		return fmt.Errorf("link %s: %w", n.NodeLink, err)
	}
	// The kernel looks for a route before it translates a service's address; which one it finds does not matter.
	services := &net.IPNet{IP: n.ServiceCIDR.Addr().AsSlice(), Mask: net.CIDRMask(n.ServiceCIDR.Bits(), 32)}
	if err := inside.RouteReplace(&netlink.Route{LinkIndex: node.Attrs().Index, Dst: services, Scope: netlink.SCOPE_LINK}); err != nil {
		return fmt.Errorf("route of services in %s: %w", n.Name, err)
	}
	return Do(ns, n.forward)
}

// pair makes the two links; one that lost its other end is replaced.
func (n Node) pair(ns netns.NsHandle) error {
	if stale, err := netlink.LinkByName(n.HostLink); err == nil {
		if err := netlink.LinkDel(stale); err != nil {
			return fmt.Errorf("delete stale link %s: %w", n.HostLink, err)
		}
	}
	veth := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: n.NodeLink, PeerNamespace: netlink.NsFd(ns)}
	veth.Name = n.HostLink
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("make link %s: %w", n.HostLink, err)
	}
	return nil
}

// maxAlias is the kernel's limit of a link's alias, in bytes (IFALIASZ less the final zero).
const maxAlias = 255

// sign notes the owner. A path that is too long for the kernel is not noted, and its node cannot be told from another.
func (n Node) sign(outside *netlink.Handle) error {
	if len(n.Owner) > maxAlias {
		return nil
	}
	link, err := outside.LinkByName(n.HostLink)
	if err != nil {
		return fmt.Errorf("link %s: %w", n.HostLink, err)
	}
	if err := outside.LinkSetAlias(link, n.Owner); err != nil {
		return fmt.Errorf("note the owner of link %s: %w", n.HostLink, err)
	}
	return nil
}

func up(h *netlink.Handle, name string, address netip.Addr) error {
	link, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	wanted := &netlink.Addr{IPNet: &net.IPNet{IP: address.AsSlice(), Mask: net.CIDRMask(30, 32)}}
	if err := h.AddrReplace(link, wanted); err != nil {
		return fmt.Errorf("address %s of link %s: %w", address, name, err)
	}
	if err := h.LinkSetUp(link); err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	return nil
}

// rules hide the pods' addresses behind the node's, because the host has no route to them.
const rules = `add table ip slipway
delete table ip slipway
table ip slipway {
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		oifname "%s" ip saddr %s masquerade
	}
}
`

// forward switches forwarding on, inside the namespace only, and loads the rules. It runs in the namespace.
func (n Node) forward() error {
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0); err != nil {
		return fmt.Errorf("switch forwarding on: %w", err)
	}
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(fmt.Sprintf(rules, n.NodeLink, n.PodCIDR))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("load address translation with nft: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Do runs f on a thread of its own inside the namespace. Whatever f starts or opens belongs to the namespace.
func Do(ns netns.NsHandle, f func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread must not go back to the scheduler in the wrong namespace
		if err := netns.Set(ns); err != nil {
			result <- fmt.Errorf("enter network namespace: %w", err)
			return
		}
		result <- f()
	}()
	return <-result
}

// Delete removes link and namespace. What is gone already is no error.
func (n Node) Delete() error {
	var errs []error
	if link, err := netlink.LinkByName(n.HostLink); err == nil {
		if err := netlink.LinkDel(link); err != nil {
			errs = append(errs, fmt.Errorf("delete link %s: %w", n.HostLink, err))
		}
	}
	path := n.Path()
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINVAL) {
		errs = append(errs, fmt.Errorf("unmount namespace %s: %w", n.Name, err))
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, fmt.Errorf("delete namespace %s: %w", n.Name, err))
	}
	unshare()
	return errors.Join(errs...)
}

// Path is the file that stands for the namespace.
func (n Node) Path() string { return filepath.Join(folder, n.Name) }

// Inode identifies the namespace among processes; 0 when there is none.
func (n Node) Inode() uint64 {
	var st unix.Stat_t
	if unix.Stat(n.Path(), &st) != nil {
		return 0
	}
	return st.Ino
}
