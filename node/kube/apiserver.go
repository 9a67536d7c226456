package kube

import (
	"context"
	"fmt"

	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/rest"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	serveroptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"

	"slipway/node/config"
)

// RunAPIServer runs kube-apiserver on the node's address.
func RunAPIServer(ctx context.Context, c *config.Config) error {
	completed, err := completeAPIServer(ctx, c)
	if err != nil {
		return fmt.Errorf("configure apiserver: %w", err)
	}
	return app.Run(ctx, completed)
}

func completeAPIServer(ctx context.Context, c *config.Config) (serveroptions.CompletedOptions, error) {
	options.Lock()
	defer options.Unlock()
	var none serveroptions.CompletedOptions
	o := serveroptions.NewServerRunOptions()
	flags := o.Flags()
	if err := parse("apiserver", apiServerArguments(c), sets(flags.FlagSets)...); err != nil {
		return none, err
	}
	if err := o.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return none, err
	}
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	completed, err := o.Complete(ctx)
	if err != nil {
		return none, err
	}
	return completed, utilerrors.NewAggregate(completed.Validate())
}

func apiServerArguments(c *config.Config) []string {
	return []string{
		"--advertise-address=" + c.NodeAddress.String(),
		"--bind-address=" + c.NodeAddress.String(),
		"--secure-port=6443",
		"--tls-cert-file=" + c.PKI("apiserver.crt"),
		"--tls-private-key-file=" + c.PKI("apiserver.key"),
		"--client-ca-file=" + c.PKI("ca.crt"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--etcd-servers=" + etcdAddress,
		"--etcd-cafile=" + c.PKI("etcd-ca.crt"),
		"--etcd-certfile=" + c.PKI("apiserver-etcd-client.crt"),
		"--etcd-keyfile=" + c.PKI("apiserver-etcd-client.key"),
		"--kubelet-certificate-authority=" + c.PKI("ca.crt"),
		"--kubelet-client-certificate=" + c.PKI("apiserver-kubelet-client.crt"),
		"--kubelet-client-key=" + c.PKI("apiserver-kubelet-client.key"),
		// The node's name is in nobody's DNS: kubectl logs and exec go to its address.
		"--kubelet-preferred-address-types=InternalIP",
		"--proxy-client-cert-file=" + c.PKI("front-proxy-client.crt"),
		"--proxy-client-key-file=" + c.PKI("front-proxy-client.key"),
		"--requestheader-client-ca-file=" + c.PKI("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + c.PKI("service-account.pub"),
		"--service-account-signing-key-file=" + c.PKI("service-account.key"),
		"--service-cluster-ip-range=" + c.ServiceCIDR.String(),
		"--profiling=false",
	}
}
