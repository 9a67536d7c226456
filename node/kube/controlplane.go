package kube

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	controlleroptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"

	"slipway/node/config"
)

// RunControllerManager runs kube-controller-manager. Its port is for its health alone, which tells when its controllers are there.
func RunControllerManager(ctx context.Context, c *config.Config) error {
	options.Lock()
	o, err := controlleroptions.NewKubeControllerManagerOptions()
	if err != nil {
		options.Unlock()
		return fmt.Errorf("configure controller-manager: %w", err)
	}
	flags := o.Flags(controllers.KnownControllers(), controllers.ControllersDisabledByDefault(), controllers.ControllerAliases())
	o.ParsedFlags = &flags
	err = parse("controller-manager", []string{
		"--kubeconfig=" + c.PKI("controller-manager.kubeconfig"),
		"--bind-address=127.0.0.1",
		"--secure-port=" + fmt.Sprint(config.ControllersPort),
		"--tls-cert-file=" + c.PKI("apiserver.crt"),
		"--tls-private-key-file=" + c.PKI("apiserver.key"),
		"--leader-elect=false",
		"--allocate-node-cidrs=true",
		"--cluster-cidr=" + c.PodCIDR.String(),
		"--node-cidr-mask-size=" + fmt.Sprint(max(c.PodCIDR.Bits(), 24)),
		"--service-cluster-ip-range=" + c.ServiceCIDR.String(),
		"--cluster-signing-cert-file=" + c.PKI("ca.crt"),
		"--cluster-signing-key-file=" + c.PKI("ca.key"),
		"--root-ca-file=" + c.PKI("ca.crt"),
		"--service-account-private-key-file=" + c.PKI("service-account.key"),
		"--use-service-account-credentials=true",
		"--flex-volume-plugin-dir=" + c.Path("kubelet", "volume-plugins"),
		"--profiling=false",
	}, sets(flags.FlagSets)...)
	if err == nil {
		err = o.ComponentGlobalsRegistry.Set()
	}
	options.Unlock()
	if err != nil {
		return fmt.Errorf("configure controller-manager: %w", err)
	}
	configuration, err := o.Config(ctx, controllers.KnownControllers(), controllers.ControllersDisabledByDefault(), controllers.ControllerAliases())
	if err != nil {
		return fmt.Errorf("configure controller-manager: %w", err)
	}
	return controllers.Run(ctx, configuration.Complete())
}

// RunScheduler runs kube-scheduler without a port of its own.
func RunScheduler(ctx context.Context, c *config.Config) error {
	options.Lock()
	o := scheduleroptions.NewOptions()
	err := parse("scheduler", []string{
		"--kubeconfig=" + c.PKI("scheduler.kubeconfig"),
		"--secure-port=0",
		"--leader-elect=false",
		"--profiling=false",
	}, sets(o.Flags.FlagSets)...)
	if err == nil {
		err = o.ComponentGlobalsRegistry.Set()
	}
	options.Unlock()
	if err != nil {
		return fmt.Errorf("configure scheduler: %w", err)
	}
	configuration, s, err := scheduler.Setup(ctx, o)
	if err != nil {
		return fmt.Errorf("configure scheduler: %w", err)
	}
	return scheduler.Run(ctx, configuration, s)
}

// sets lists the flag sets of a component.
func sets(named map[string]*pflag.FlagSet) []*pflag.FlagSet {
	var all []*pflag.FlagSet
	for _, s := range named {
		all = append(all, s)
	}
	return all
}
