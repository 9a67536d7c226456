package builder

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/remotes/docker"
)

const pullOnly = docker.HostCapabilityPull | docker.HostCapabilityResolve

// registryHosts says how every registry is reached: those of the configuration as it says,
// the others by HTTPS (and localhost by HTTP) as Docker does. The mirror comes before those that
// have no endpoint of their own; it is told by `ns` whose image is meant, and says 404 to a
// registry that it does not know.
func registryHosts(c Config) docker.RegistryHosts {
	byHost := make(map[string]Registry, len(c.Registries))
	for _, r := range c.Registries {
		byHost[r.Host] = r
	}
	mirrorHost, _, _ := strings.Cut(c.Mirror, "/")
	others := docker.ConfigureDefaultRegistries(
		docker.WithClient(&http.Client{Transport: newTransport("", "")}),
		docker.WithPlainHTTP(docker.MatchLocalhost),
	)
	reach := func(host string) (docker.RegistryHost, error) {
		if r, ok := byHost[host]; ok && r.Endpoint != "" {
			return r.reach(), nil
		}
		hosts, err := others(host)
		if err != nil {
			return docker.RegistryHost{}, err
		}
		return hosts[0], nil
	}
	return func(host string) ([]docker.RegistryHost, error) {
		var out []docker.RegistryHost
		mirrors := byHost[host].Mirrors
		mirrored := c.Mirror != "" && byHost[host].Endpoint == "" && host != mirrorHost
		if mirrored && !slices.Contains(mirrors, c.Mirror) {
			mirrors = append(slices.Clone(mirrors), c.Mirror)
		}
		for _, mirror := range mirrors {
			name, folder, _ := strings.Cut(mirror, "/")
			h, err := reach(name)
			if err != nil {
				return nil, err
			}
			h.Path = path.Join("/v2", folder)
			h.Capabilities = pullOnly
			out = append(out, h)
		}
		h, err := reach(host)
		if err != nil {
			return nil, err
		}
		if mirrored && c.MirrorOnly {
			h.Capabilities = docker.HostCapabilityPush
		}
		return append(out, h), nil
	}
}

// reach keeps the registry's own name in every request and in the question for credentials,
// and only sends the connection elsewhere: so image names, tokens and what people typed in
// `docker login` stay the same on both sides of the node's network namespace.
func (r Registry) reach() docker.RegistryHost {
	u, err := url.Parse(r.Endpoint)
	if err != nil {
		panic("an endpoint that was checked does not parse: " + err.Error())
	}
	return docker.RegistryHost{
		Client:       &http.Client{Transport: newTransport(r.Host, hostPort(u))},
		Scheme:       u.Scheme,
		Host:         r.Host,
		Path:         "/v2",
		Capabilities: pullOnly | docker.HostCapabilityPush,
	}
}

func hostPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	if u.Scheme == "http" {
		return net.JoinHostPort(u.Hostname(), "80")
	}
	return net.JoinHostPort(u.Hostname(), "443")
}

// newTransport dials endpoint for connections to host, and everything else as it says. HTTP/2
// is off because its flow control slows pushes (golang/go#14077).
func newTransport(host, endpoint string) *http.Transport {
	d := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: time.Minute}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if endpoint != "" && sameHost(address, host) {
				address = endpoint
			}
			return d.DialContext(ctx, network, address)
		},
		Protocols:             &protocols,
		MaxIdleConns:          30,
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       2 * time.Minute,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: 5 * time.Second,
	}
}

// sameHost reports whether the address HOST:PORT that is dialled is the registry host, which
// may come without its port.
func sameHost(address, host string) bool {
	if address == host {
		return true
	}
	name, port, err := net.SplitHostPort(address)
	return err == nil && name == host && (port == "80" || port == "443")
}
