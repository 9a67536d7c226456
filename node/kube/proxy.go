package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/pflag"
	"k8s.io/kubernetes/cmd/kube-proxy/app"

	"slipway/node/config"
)

// RunProxy runs kube-proxy with nftables, so that the host needs no iptables.
func RunProxy(ctx context.Context, c *config.Config) error {
	file := c.Run("proxy.json")
	type object map[string]any
	data, err := json.Marshal(object{
		"apiVersion":         "kubeproxy.config.k8s.io/v1alpha1",
		"kind":               "KubeProxyConfiguration",
		"mode":               "nftables",
		"clientConnection":   object{"kubeconfig": c.PKI("proxy.kubeconfig")},
		"clusterCIDR":        c.PodCIDR.String(),
		"hostnameOverride":   c.NodeName(),
		"healthzBindAddress": c.NodeAddress.String() + ":10256",
		"metricsBindAddress": "127.0.0.1:10249",
		// Connection tracking limits are the host's: leave them alone.
		"conntrack": object{"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return fmt.Errorf("configure proxy: %w", err)
	}
	options.Lock()
	o := app.NewOptions()
	flags := pflag.NewFlagSet("proxy", pflag.ContinueOnError)
	o.AddFlags(flags)
	err = flags.Parse([]string{"--config=" + file})
	if err == nil {
		err = o.Complete(flags)
	}
	options.Unlock()
	if err != nil {
		return fmt.Errorf("configure proxy: %w", err)
	}
	if err := o.Validate(); err != nil {
		return fmt.Errorf("configure proxy: %w", err)
	}
	return o.Run(ctx)
}
