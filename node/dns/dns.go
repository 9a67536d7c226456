// Package dns runs CoreDNS in this process as the cluster's DNS. It answers for services and pods, and hands other names on
// when pods may leave the node. It must not know how packets reach it: the service kube-dns leads to it.
package dns

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/plugin/bind" // the plugins that the Corefile names register themselves
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	"k8s.io/klog/v2"

	"slipway/node/config"
)

// Run serves DNS on the node's address until ctx ends.
func Run(ctx context.Context, c *config.Config) error {
	if err := dnsserver.Register(); err != nil {
		return fmt.Errorf("register DNS server: %w", err)
	}
	caddy.Quiet, dnsserver.Quiet = true, true
	instance, err := caddy.Start(caddy.CaddyfileInput{Contents: []byte(Corefile(c)), Filepath: "Corefile", ServerTypeName: "dns"})
	if err != nil {
		return fmt.Errorf("start DNS server: %w", err)
	}
	klog.ClearLogger() // the kubernetes plugin makes the whole process log as itself
	<-ctx.Done()
	instance.ShutdownCallbacks()
	return instance.Stop()
}

// Corefile is CoreDNS's configuration.
func Corefile(c *config.Config) string {
	var b strings.Builder
	bind := []string{c.NodeAddress.String()}
	if c.Egress {
		bind = append(bind, loopbackResolvers("/etc/resolv.conf")...)
	}
	fmt.Fprintf(&b, ".:53 {\n\tbind %s\n\terrors\n", strings.Join(bind, " "))
	fmt.Fprintf(&b, "\tkubernetes cluster.local in-addr.arpa ip6.arpa {\n\t\tkubeconfig %q slipway\n\t\tpods insecure\n\t\tttl 5\n", c.PKI("addons.kubeconfig"))
	b.WriteString("\t\tfallthrough in-addr.arpa ip6.arpa\n\t}\n")
	if c.Egress {
		fmt.Fprintf(&b, "\tforward . %s\n", c.EgressGateway())
	}
	b.WriteString("\tcache 5\n}\n")
	return b.String()
}

// loopbackResolvers lists the host's name servers that are on its loopback, such as systemd-resolved. In the namespace nobody
// listens there; containerd and the kubelet, which read the host's file, would find no name.
func loopbackResolvers(file string) []string {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var found []string
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(fields[1]); err == nil && a.Is4() && a.IsLoopback() {
			found = append(found, a.String())
		}
	}
	return found
}
