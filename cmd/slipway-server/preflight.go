package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"k8s.io/client-go/tools/clientcmd"

	"slipway/internal/clusters"
)

// minFree is the free space below which starting makes no sense: images, caches and volumes need it at once.
const minFree = 2 << 30

// preflight looks for what would make the start fail later with a worse message. Each error is one sentence that
// says what to do.
func (c *Config) preflight(ctx context.Context) error {
	if c.Kubeconfig == "" && os.Geteuid() != 0 {
		return errors.New("the embedded Kubernetes node needs root: run this as root, or point to a cluster with --kubeconfig")
	}
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
	if err := c.freeAddresses(); err != nil {
		return err
	}
	if c.Blobs != "" {
		if _, err := c.openBlobs(ctx); err != nil {
			return err
		}
	}
	for _, name := range c.neededPrograms() {
		if _, err := os.Stat(filepath.Join(c.Programs, name)); err != nil {
			return fmt.Errorf("the program %s is not in %s: build it with `make build node`, or say where it is with --programs", name, c.Programs)
		}
	}
	if _, err := exec.LookPath("git"); err != nil {
		return errors.New("the program git is missing: install the package git")
	}
	if c.Kubeconfig != "" {
		return c.preflightCluster(ctx)
	}
	return hasCgroups("/sys/fs/cgroup")
}

// hasCgroups looks for the controllers by which the node keeps pods apart: all in one hierarchy (cgroup v2), or each in
// its own (v1).
func hasCgroups(root string) error {
	unified, _ := os.ReadFile(filepath.Join(root, "cgroup.controllers")) // not there with v1
	for _, name := range []string{"cpu", "memory", "pids"} {
		if slices.Contains(strings.Fields(string(unified)), name) {
			continue
		}
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			return fmt.Errorf("the cgroup controller %s is not at %s, and the embedded Kubernetes node needs it: `mount -t cgroup2 none %s`, or point to a cluster with --kubeconfig", name, root, root)
		}
	}
	return nil
}

// neededPrograms are the files that must lie in the folder of the programs.
func (c *Config) neededPrograms() []string {
	list := []string{"slipway-agent", "slipway-docker"}
	if c.Kubeconfig == "" {
		list = append(list, "slipway-node")
	}
	if c.Kubeconfig == "" || c.builderInCluster() {
		list = append(list, "slipway-builder", "runc")
	}
	return list
}

// preflightCluster looks at an existing cluster.
func (c *Config) preflightCluster(ctx context.Context) error {
	kube, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		return fmt.Errorf("the kubeconfig %s cannot be read: %w; name another with --kubeconfig", c.Kubeconfig, err)
	}
	if err := c.clusterReaches(); err != nil {
		return err
	}
	if err := clusters.Check(ctx, kube, neededRights(c.builderInCluster())); err != nil {
		return fmt.Errorf("the cluster of %s cannot be used: %w", c.Kubeconfig, err)
	}
	return nil
}

// clusterReaches refuses a --cluster-url on this machine that nothing answers.
func (c *Config) clusterReaches() error {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return err
	}
	u, err := url.Parse(c.ClusterURL)
	if err != nil {
		return err
	}
	to := net.ParseIP(u.Hostname())
	if listen := net.ParseIP(host); host != "localhost" && (listen == nil || !listen.IsLoopback()) || to == nil || u.Port() != port {
		return nil
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return fmt.Errorf("list this machine's addresses: %w", err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.Equal(to) {
			return fmt.Errorf("the cluster is to call %s, and --listen %s answers this machine alone: add --listen %s", c.ClusterURL, c.Listen, u.Host)
		}
	}
	return nil
}

// freeAddresses looks whether this machine's addresses can be listened on. The ingress's is the node's, which may run
// already.
func (c *Config) freeAddresses() error {
	for _, l := range []struct{ flag, address string }{{"--listen", c.Listen}, {"--otlp-listen", c.OTLP}} {
		if err := freeAddress(l.flag, l.address); err != nil {
			return err
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
