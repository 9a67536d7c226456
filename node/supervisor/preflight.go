package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"slipway/node/config"
)

// minimumFree is the disk space below which a node is not started, in bytes: the kubelet would evict its pods at once.
const minimumFree = 512 << 20

// preflight finds what would make the start fail later and less clearly. Each error says what to do.
func preflight(c *config.Config, programs string) error {
	if os.Geteuid() != 0 {
		return errors.New("the node must be started as root: it makes namespaces, mounts and cgroups; use sudo")
	}
	for _, program := range []string{"containerd-shim-runc-v2", "pause", "cni/ptp", "cni/host-local", "cni/portmap"} {
		if _, err := os.Stat(filepath.Join(programs, program)); err != nil {
			return fmt.Errorf("the program %s is missing beside slipway-node: build with node/build.sh", program)
		}
	}
	if _, err := os.Stat(c.RunC); err != nil {
		return fmt.Errorf("runc is missing at %s: build with node/build.sh or set \"runc\"", c.RunC)
	}
	for program, pack := range map[string]string{"nft": "nftables", "mount": "mount"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("the program %s is missing: install the package %s", program, pack)
		}
	}
	// containerd copies it into each pod, and starts none without.
	if _, err := os.Stat("/etc/hosts"); err != nil {
		return fmt.Errorf("the host has no readable /etc/hosts: make one that names localhost (%w)", err)
	}
	if err := os.MkdirAll(c.State, 0o755); err != nil {
		return fmt.Errorf("the state folder cannot be made: %w", err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(c.State, &st); err != nil {
		return fmt.Errorf("look at the disk of %s: %w", c.State, err)
	}
	if free := st.Bavail * uint64(st.Bsize); free < minimumFree {
		return fmt.Errorf("the disk of %s has %d MB left, %d are needed: free some or choose another state folder", c.State, free>>20, minimumFree>>20)
	}
	return nil
}

// listen opens the ingress listener on the host, if there is one. After a kill the predecessor's processes may take a moment
// to end, and have the listener until then: that is waited for.
func (s *Supervisor) listen(ctx context.Context) error {
	c := s.Config
	if c.Ingress.Listen == "" {
		return nil
	}
	wait := time.Duration(0)
	if node(c).FindOwner() == c.State {
		wait = c.Patient(addressLimit)
	}
	end := time.Now().Add(wait)
	for {
		l, err := net.Listen("tcp", c.Ingress.Listen)
		if err == nil {
			defer l.Close() // the copy stays open
			if s.ingress, err = l.(*net.TCPListener).File(); err != nil {
				return fmt.Errorf("hand ingress listener on: %w", err)
			}
			return nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("listen for ingress: %w", err)
		}
		if !time.Now().Before(end) {
			return fmt.Errorf("address %s is in use: end the program that listens there or choose another ingress.listen", c.Ingress.Listen)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// lock makes sure that one supervisor works on a state folder. The kernel releases it, whatever ends this process.
func lock(c *config.Config) (*os.File, error) {
	f, err := os.OpenFile(c.Path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another slipway-node runs on %s: stop it first", c.State)
	}
	return f, nil
}
