package kube

import (
	"context"
	"fmt"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/kubernetes/cmd/kubelet/app"
	kubeletoptions "k8s.io/kubernetes/cmd/kubelet/app/options"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	"k8s.io/kubernetes/pkg/kubelet/apis/config/validation"

	"slipway/node/config"
)

// RunKubelet runs the kubelet.
func RunKubelet(ctx context.Context, c *config.Config) error {
	options.Lock()
	flags := kubeletoptions.NewKubeletFlags()
	flags.KubeConfig = c.PKI("kubelet.kubeconfig")
	flags.RootDirectory = c.Path("kubelet")
	flags.CertDirectory = c.PKI()
	flags.HostnameOverride = c.NodeName()
	flags.NodeIP = c.NodeAddress.String()
	k, err := kubeletoptions.NewKubeletConfiguration()
	options.Unlock()
	if err != nil {
		return fmt.Errorf("configure kubelet: %w", err)
	}
	if err := configureKubelet(c, k); err != nil {
		return fmt.Errorf("configure kubelet: %w", err)
	}
	if err := validation.ValidateKubeletConfiguration(k, utilfeature.DefaultFeatureGate); err != nil {
		return fmt.Errorf("configure kubelet: %w", err)
	}
	server := &kubeletoptions.KubeletServer{KubeletFlags: *flags, KubeletConfiguration: *k}
	dependencies, err := app.UnsecuredDependencies(ctx, server, utilfeature.DefaultFeatureGate)
	if err != nil {
		return fmt.Errorf("configure kubelet: %w", err)
	}
	return app.Run(ctx, server, dependencies, utilfeature.DefaultFeatureGate)
}

func configureKubelet(c *config.Config, k *kubeletconfig.KubeletConfiguration) error {
	// The host's resolver is not reachable from the namespace. Pods with dnsPolicy Default ask the cluster's DNS, too.
	resolver := c.Run("resolv.conf")
	if err := os.WriteFile(resolver, []byte("nameserver "+c.NodeAddress.String()+"\n"), 0o644); err != nil {
		return err
	}
	k.Address = c.NodeAddress.String()
	k.HealthzPort = 0
	k.ReadOnlyPort = 0
	k.TLSCertFile, k.TLSPrivateKeyFile = c.PKI("kubelet.crt"), c.PKI("kubelet.key")
	k.Authentication.X509.ClientCAFile = c.PKI("ca.crt")
	k.Authentication.Anonymous.Enabled = false
	k.Authentication.Webhook.Enabled = true
	k.Authorization.Mode = kubeletconfig.KubeletAuthorizationModeWebhook
	k.ContainerRuntimeEndpoint = "unix://" + c.ContainerdSocket()
	k.ImageServiceEndpoint = k.ContainerRuntimeEndpoint
	k.ResolverConfig = resolver
	k.ClusterDomain = "cluster.local"
	k.ClusterDNS = []string{c.ClusterDNS().String()}
	k.PodLogsDir = c.Logs("pods")
	k.VolumePluginDir = c.Path("kubelet", "volume-plugins")
	k.EnableSystemLogHandler = false

	// The host's own settings must not decide whether the node starts.
	k.FailCgroupV1 = false
	k.CgroupDriver = "cgroupfs"
	k.CgroupRoot = "/" + c.Cgroup()
	k.EnforceNodeAllocatable = []string{}
	k.FailSwapOn = false
	k.MakeIPTablesUtilChains = false
	k.EvictionHard = map[string]string{"memory.available": "50Mi", "nodefs.available": "100Mi", "imagefs.available": "100Mi"}
	// What fills the host's disk is mostly not ours; images that came from an archive are pinned and stay.
	k.ImageGCHighThresholdPercent, k.ImageGCLowThresholdPercent = 95, 90
	k.ImageMaximumGCAge = metav1.Duration{Duration: 14 * 24 * time.Hour}

	// One owner, one set of credentials: what was pulled may be used. Else an imported image that is also pulled under another name
	// would have to be pulled under its own, which no registry has.
	k.ImagePullCredentialsVerificationPolicy = string(kubeletconfig.NeverVerify)
	k.SerializeImagePulls = false
	k.ContainerLogMaxSize = "10Mi"
	k.ContainerLogMaxFiles = 3
	k.MaxPods = 250
	// One node serves everybody: deployments must not wait for the client's own rate limit.
	k.KubeAPIQPS, k.KubeAPIBurst = 100, 200
	k.RegistryPullQPS = 0
	k.NodeStatusUpdateFrequency = metav1.Duration{Duration: 10 * time.Second}
	return nil
}
