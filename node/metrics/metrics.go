// Package metrics runs metrics-server in this process: it asks the kubelet for the use of CPU and memory, and serves
// metrics.k8s.io, which kubectl top and autoscalers read.
package metrics

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"
	"sigs.k8s.io/metrics-server/cmd/metrics-server/app/options"

	"slipway/node/config"
	"slipway/node/objects"
)

// Run serves until ctx ends.
func Run(ctx context.Context, c *config.Config) error {
	kubeconfig := c.PKI("addons.kubeconfig")
	o := options.NewOptions()
	flags := pflag.NewFlagSet("metrics-server", pflag.ContinueOnError)
	named := o.Flags()
	for _, s := range named.FlagSets {
		flags.AddFlagSet(s)
	}
	err := flags.Parse([]string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=" + c.NodeAddress.String(),
		fmt.Sprintf("--secure-port=%d", objects.MetricsPort),
		"--tls-cert-file=" + c.PKI("metrics.crt"),
		"--tls-private-key-file=" + c.PKI("metrics.key"),
		"--kubelet-certificate-authority=" + c.PKI("ca.crt"),
		"--kubelet-preferred-address-types=InternalIP",
		"--kubelet-request-timeout=8s",
		"--metric-resolution=10s",
	})
	if err != nil {
		return fmt.Errorf("configure metrics server: %w", err)
	}
	if errs := o.Validate(); len(errs) > 0 {
		return fmt.Errorf("configure metrics server: %w", errs[0])
	}
	configuration, err := o.ServerConfig()
	if err != nil {
		return fmt.Errorf("configure metrics server: %w", err)
	}
	server, err := configuration.Complete()
	if err != nil {
		return fmt.Errorf("configure metrics server: %w", err)
	}
	return server.RunUntil(ctx.Done())
}
