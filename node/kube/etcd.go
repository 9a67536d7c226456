package kube

import (
	"context"
	"fmt"
	"net/url"
	"os"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"

	"slipway/node/config"
)

const etcdAddress = "https://127.0.0.1:2379"

// RunEtcd runs etcd on the namespace's loopback. Client certificates are required: containers on the host network, build steps
// among them, share that loopback.
func RunEtcd(ctx context.Context, c *config.Config) error {
	if err := os.MkdirAll(c.Path("etcd"), 0o700); err != nil {
		return fmt.Errorf("make folder of etcd: %w", err)
	}
	e := embed.NewConfig()
	e.Name = "slipway"
	e.Dir = c.Path("etcd")
	clients, _ := url.Parse(etcdAddress)
	peers, _ := url.Parse("https://127.0.0.1:2380")
	e.ListenClientUrls, e.AdvertiseClientUrls = []url.URL{*clients}, []url.URL{*clients}
	e.ListenPeerUrls, e.AdvertisePeerUrls = []url.URL{*peers}, []url.URL{*peers}
	e.InitialCluster = e.InitialClusterFromName(e.Name)
	tls := transport.TLSInfo{CertFile: c.PKI("etcd.crt"), KeyFile: c.PKI("etcd.key"), TrustedCAFile: c.PKI("etcd-ca.crt"), ClientCertAuth: true}
	e.ClientTLSInfo, e.PeerTLSInfo = tls, tls
	e.LogLevel = "warn"
	e.LogOutputs = []string{"stderr"}
	server, err := embed.StartEtcd(e)
	if err != nil {
		return fmt.Errorf("start etcd: %w", err)
	}
	defer server.Close()
	select {
	case <-ctx.Done():
		return nil
	case <-server.Server.StopNotify():
		return fmt.Errorf("etcd stopped by itself")
	case err := <-server.Err():
		return fmt.Errorf("etcd: %w", err)
	}
}
