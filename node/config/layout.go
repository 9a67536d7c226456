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

// ControllersPort is where the controller manager tells its health, on the loopback device of the node's network namespace.
const ControllersPort = 10257

// ClusterDNS is the address of the cluster's DNS service: the tenth of the service network, as is the custom.
func (c *Config) ClusterDNS() netip.Addr { return nth(c.ServiceCIDR, 10) }

// KubernetesService is the address of the service "kubernetes": the first of the service network.
func (c *Config) KubernetesService() netip.Addr { return nth(c.ServiceCIDR, 1) }

// EgressNetwork is the small network, inside the namespace only, between node and way out.
func (c *Config) EgressNetwork() netip.Prefix {
	for _, text := range []string{"10.213.6.0/30", "172.31.213.0/30", "192.168.213.0/30"} {
		p := netip.MustParsePrefix(text)
		if !p.Overlaps(c.Link()) && !p.Overlaps(c.PodCIDR) && !p.Overlaps(c.ServiceCIDR) {
			return p
		}
	}
	return netip.MustParsePrefix("198.18.213.0/30") // benchmarking range (RFC 2544): nobody's
}

// EgressGateway answers DNS for names outside of the cluster.
func (c *Config) EgressGateway() netip.Addr { return c.EgressNetwork().Addr().Next() }

func nth(p netip.Prefix, n int) netip.Addr {
	a := p.Addr()
	for range n {
		a = a.Next()
	}
	return a
}
