package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"slipway/node/config"
	"slipway/node/host"
	"slipway/node/network"
)

// Clean removes everything that a node leaves on the host except its state folder's data: processes, mounts, cgroups,
// namespace, links, sockets. It works after a kill -9, and does nothing where there is nothing.
func Clean(ctx context.Context, c *config.Config) error {
	if os.Geteuid() != 0 {
		return errors.New("cleaning must be done as root; use sudo")
	}
	if _, err := os.Stat(c.State); errors.Is(err, fs.ErrNotExist) {
		return remove(ctx, c)
	}
	held, err := lock(c)
	if err != nil {
		return err
	}
	defer held.Close()
	return remove(ctx, c)
}

func node(c *config.Config) network.Node {
	return network.Node{Name: c.Namespace(), HostLink: c.HostLink(), NodeLink: c.NodeLink(),
		HostAddress: c.HostAddress, NodeAddress: c.NodeAddress, PodCIDR: c.PodCIDR, ServiceCIDR: c.ServiceCIDR, Owner: c.State}
}

// takePlace removes what is left of a node with the same name on another state folder, which was killed and will not come back
// for it: its processes and links would stand in this one's way.
func takePlace(ctx context.Context, c *config.Config) error {
	owner := node(c).FindOwner()
	if owner == "" || owner == c.State {
		return nil
	}
	other := *c
	other.State = owner
	if _, err := os.Stat(other.Path("lock")); err == nil {
		held, err := lock(&other)
		if err != nil {
			return fmt.Errorf("the name %s belongs to the node that runs on %s: stop that one, or give this one another name", c.Name, owner)
		}
		defer held.Close()
	}
	if err := remove(ctx, &other); err != nil {
		return fmt.Errorf("remove what the node on %s left: %w", owner, err)
	}
	return nil
}

// remove is Clean for who holds the lock. Each step is tried, whatever became of the one before.
func remove(ctx context.Context, c *config.Config) error {
	ctx, cancel := context.WithTimeout(ctx, c.Patient(removeLimit))
	defer cancel()
	n := node(c)
	owned := host.Owned{Namespace: n.Inode(), Cgroup: c.Cgroup(), Socket: c.ContainerdSocket()}
	return errors.Join(
		owned.Kill(ctx),
		host.Unmount(c.State),
		removeCgroups(ctx, c),
		n.Delete(),
		os.RemoveAll(c.ShimSockets()),
		os.RemoveAll(c.Run()),
		forget(c),
	)
}

// removeCgroups waits a little: the kernel empties a cgroup some time after its last process has been reaped.
func removeCgroups(ctx context.Context, c *config.Config) error {
	for {
		// Build steps run below "buildkit", outside of our cgroup. While another builder uses it, it is not empty and stays.
		_ = host.RemoveCgroup("buildkit")
		err := host.RemoveCgroup(c.Cgroup())
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// forget removes the traces in folders whose names are fixed in Kubernetes and CNI, and the folders when they are empty.
func forget(c *config.Config) error {
	const links, results, plugins = "/var/log/containers", "/var/lib/cni/results", "/var/lib/kubelet/device-plugins"
	err := errors.Join(
		each(links, func(path string) error {
			target, err := os.Readlink(path)
			if err == nil && strings.HasPrefix(target, c.State+"/") {
				return os.Remove(path)
			}
			return nil
		}),
		each(results, func(path string) error {
			data, err := os.ReadFile(path)
			if err == nil && strings.Contains(string(data), c.State+"/") {
				return os.Remove(path)
			}
			return nil
		}),
	)
	// The kubelet leaves its socket. One that answers belongs to another node's.
	socket := filepath.Join(plugins, "kubelet.sock")
	if connection, err := net.Dial("unix", socket); err == nil {
		connection.Close()
	} else if errors.Is(err, syscall.ECONNREFUSED) {
		_ = os.Remove(socket)
	}
	for _, path := range []string{links, results, "/var/lib/cni", plugins, "/var/lib/kubelet"} {
		_ = os.Remove(path) // fails when something is in it, as it should
	}
	return err
}

func each(folder string, f func(path string) error) error {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list %s: %w", folder, err)
	}
	var errs []error
	for _, e := range entries {
		errs = append(errs, f(filepath.Join(folder, e.Name())))
	}
	return errors.Join(errs...)
}
