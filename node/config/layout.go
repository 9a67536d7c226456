package config

import (
	"net/netip"
	"path/filepath"
)

// Layout of the state folder. Everything below State survives a stop except Run.

// Path joins elements to the state folder.
func (c *Config) Path(elem ...string) string {
	return filepath.Join(append([]string{c.State}, elem...)...)
}

// Kubeconfig is the administrator's kubeconfig; its server is https://NodeAddress:6443.
func (c *Config) Kubeconfig() string { return c.Path("kubeconfig") }

// PKI is the folder of keys, certificates and the components' kubeconfigs.
func (c *Config) PKI(elem ...string) string { return c.Path(append([]string{"pki"}, elem...)...) }

// Logs is the folder of the processes' logs; the pods' logs are in its folder "pods".
func (c *Config) Logs(elem ...string) string { return c.Path(append([]string{"logs"}, elem...)...) }

// Run is the folder of sockets and of what is only true while the node runs.
func (c *Config) Run(elem ...string) string { return c.Path(append([]string{"run"}, elem...)...) }

// ContainerdSocket is the address of containerd and of its CRI service.
func (c *Config) ContainerdSocket() string { return c.Run("containerd.sock") }

// ShimSockets is the one folder outside of State: names of shim sockets are 65 bytes long by themselves.
func (c *Config) ShimSockets() string { return "/run/slipway-" + c.Name }

// Namespace is the name of the network namespace, as `ip netns` shows it.
func (c *Config) Namespace() string { return "slipway-" + c.Name }

// HostLink and NodeLink are the names of the two ends of the link between host and node.
func (c *Config) HostLink() string { return "sw-" + c.Name }

// NodeLink is the end inside the namespace.
func (c *Config) NodeLink() string { return "sn-" + c.Name }

// Cgroup is the cgroup, in every hierarchy, below which the pods' cgroups are.
func (c *Config) Cgroup() string { return "slipway-" + c.Name }

// NodeName is the name of the Kubernetes node.
func (c *Config) NodeName() string { return "slipway-" + c.Name }

// Server is the API server's address.
func (c *Config) Server() string { return "https://" + c.NodeAddress.String() + ":6443" }

// ClusterDNS is the address of the cluster's DNS service: the tenth of the service network, as is the custom.
func (c *Config) ClusterDNS() netip.Addr { return nth(c.ServiceCIDR, 10) }

// KubernetesService is the address of the service "kubernetes": the first of the service network.
func (c *Config) KubernetesService() netip.Addr { return nth(c.ServiceCIDR, 1) }

func nth(p netip.Prefix, n int) netip.Addr {
	a := p.Addr()
	for range n {
		a = a.Next()
	}
	return a
}
