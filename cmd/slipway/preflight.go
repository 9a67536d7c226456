package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// minFree is the free space below which starting makes no sense: images, caches and volumes need it at once.
const minFree = 2 << 30

// preflight looks for what would make the start fail later with a worse message. Each error is one sentence that
// says what to do.
func (c *Config) preflight() error {
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return fmt.Errorf("the data folder %s cannot be made: %w; choose another with --data", c.Data, err)
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(c.Data, &disk); err != nil {
		return fmt.Errorf("the data folder %s cannot be examined: %w", c.Data, err)
	}
	if free := disk.Bavail * uint64(disk.Bsize); free < minFree {
		return fmt.Errorf("the disk of %s has only %d MiB free and Slipway needs %d: free some space or choose another folder with --data",
			c.Data, free>>20, minFree>>20)
	}
	for flag, address := range map[string]string{"--listen": c.Listen, "--otlp-listen": c.OTLP} {
		if err := freeAddress(flag, address); err != nil {
			return err
		}
	}
	if c.Kubeconfig != "" {
		if _, err := os.Stat(c.Kubeconfig); err != nil {
			return fmt.Errorf("--kubeconfig: %w", err)
		}
		return nil
	}
	if os.Geteuid() != 0 {
		return errors.New("the embedded Kubernetes node needs root: run this as root, or point to a cluster with --kubeconfig")
	}
	for _, name := range []string{"slipway-node", "slipway-builder", "runc", "slipway-agent", "slipway-docker"} {
		if _, err := os.Stat(filepath.Join(c.Programs, name)); err != nil {
			return fmt.Errorf("the program %s is not in %s: build it with `make build node`, or say where it is with --programs", name, c.Programs)
		}
	}
	return nil
}

// freeAddress reports an address that another program listens on.
func freeAddress(flag, address string) error {
	if address == "" {
		return nil
	}
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("another program listens on %s already: stop it, or choose another address with %s", address, flag)
	}
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w; choose another address with %s", address, err, flag)
	}
	return l.Close()
}

// lockData makes sure that one server alone uses the data folder. The lock goes with the process.
func lockData(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("a Slipway server uses %s already: stop it with `slipway down --data %s`, or choose another folder with --data", dir, dir)
	}
	if err := f.Truncate(0); err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if _, err := fmt.Fprintf(f, "%d\n", os.Getpid()); err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	return f, nil
}
