package egress

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// openDevice makes the TUN device in the namespace. The file works from any thread afterwards:
// it belongs to the namespace in which it was made.
func openDevice(netnsPath string, o Options, gateway netip.Addr) (*os.File, error) {
	ns, err := unix.Open(netnsPath, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open network namespace: %w", err)
	}
	defer unix.Close(ns)
	type result struct {
		file *os.File
		err  error
	}
	made := make(chan result, 1)
	go func() {
		// The thread is never unlocked, so Go ends it with this goroutine instead of reusing it
		// in the wrong namespace.
		runtime.LockOSThread()
		if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
			made <- result{err: fmt.Errorf("enter network namespace: %w", err)}
			return
		}
		file, err := makeTUN(o.Device)
		if err == nil {
			if err = configure(o, gateway); err != nil {
				err = errors.Join(err, file.Close())
			}
		}
		made <- result{file, err}
	}()
	r := <-made
	return r.file, r.err
}

func makeTUN(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make TUN device %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), "/dev/net/tun"), nil
}

// configure gives the device of the current namespace its address and the default route.
func configure(o Options, gateway netip.Addr) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	defer h.Close()
	link, err := h.LinkByName(o.Device)
	if err != nil {
		return fmt.Errorf("find device %s: %w", o.Device, err)
	}
	if err := h.LinkSetMTU(link, o.MTU); err != nil {
		return fmt.Errorf("set MTU of %s: %w", o.Device, err)
	}
	address := &net.IPNet{IP: gateway.Next().AsSlice(), Mask: net.CIDRMask(o.Network.Bits(), 32)}
	if err := h.AddrAdd(link, &netlink.Addr{IPNet: address}); err != nil {
		return fmt.Errorf("add address %s: %w", address, err)
	}
	if err := h.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring %s up: %w", o.Device, err)
	}
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: gateway.AsSlice()}
	if err := h.RouteAdd(route); err != nil {
		return fmt.Errorf("add default route: %w", err)
	}
	return nil
}
