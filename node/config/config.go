// Package config owns the node's configuration file and the folder layout that follows from it. It knows no
// component: it says where things are and which addresses they have, never how they are run.
package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// maxFile bounds the configuration file, in bytes.
const maxFile = 1 << 20

// maxState keeps the longest unix socket below the state folder within the kernel's 108 bytes.
const maxState = 64

// Config is the whole configuration of one node. The zero value of an optional field stands for its default.
type Config struct {
	// State is the absolute folder that holds everything that survives a stop, and the logs.
	State string `json:"state"`
	// Name tells nodes on one host apart: network namespace slipway-NAME, links sw-NAME and sn-NAME, cgroup slipway-NAME.
	Name string `json:"name"`
	// HostAddress and NodeAddress are the two usable addresses of one /30 network: the host's end of the link and the node's.
	HostAddress netip.Addr `json:"hostAddress"`
	NodeAddress netip.Addr `json:"nodeAddress"`
	// PodCIDR and ServiceCIDR are IPv4 networks that overlap neither each other nor the link.
	PodCIDR     netip.Prefix `json:"podCIDR"`
	ServiceCIDR netip.Prefix `json:"serviceCIDR"`
	// Images are docker or OCI archives, imported at each start when their content is not there yet.
	Images []string `json:"images"`
	// Registries say where images of a registry host really come from.
	Registries []Registry `json:"registries"`
	// Mirror is asked before any registry that Registries does not name, with the name of that registry in the query's `ns`.
	// It answers 404 for registries that it does not know. None when its endpoint is empty.
	Mirror Mirror `json:"mirror"`
	// Ingress is the door for HTTP from the host. Off when Listen is empty.
	Ingress Ingress `json:"ingress"`
	// RunC is the container runtime's program. Default: "runc" beside this program.
	RunC string `json:"runc"`
	// Egress lets pods reach what the host reaches. Without it they see the host's end of the link and each other.
	Egress bool `json:"egress"`
	// Processes is "merged" (default: control plane and kubelet in one process) or "separate" (one process for each).
	Processes string `json:"processes"`
	// Patience multiplies the limits of time within which the node's own parts must start, answer and end, and the pauses between
	// questions whether they have. Default 1; more is for machines that are slow by nature, such as emulated ones.
	Patience int `json:"patience"`
}

// maxPatience is the largest Patience: a start that may take hours is no start.
const maxPatience = 100

// Patient is a limit of time that was chosen on an ordinary machine, stretched for this one.
func (c *Config) Patient(limit time.Duration) time.Duration { return limit * time.Duration(c.Patience) }

// Registry maps an image's registry host to the endpoint it is pulled from.
type Registry struct {
	// Host as written in image names, for example "localhost:8080".
	Host string `json:"host"`
	// Endpoint is the registry's address as the node sees it, for example "http://10.213.7.1:8080".
	Endpoint string `json:"endpoint"`
	// Username and Password, or files that hold them (read at each start). All empty: anonymous.
	Username     string `json:"username"`
	Password     string `json:"password"`
	UsernameFile string `json:"usernameFile"`
	PasswordFile string `json:"passwordFile"`
}

// Mirror is a registry in the place of others.
type Mirror struct {
	// Registry has the host for messages alone; what is needed is its endpoint and credentials.
	Registry
	// Only takes images from the mirror alone: what it does not have is not asked of the registry itself.
	Only bool `json:"only"`
}

// Ingress is the listener on the host that reaches the cluster's Ingress objects.
type Ingress struct {
	// Listen is a host address such as "127.0.0.1:8081".
	Listen string `json:"listen"`
}

// Load reads, completes and checks a configuration file. Unknown keys are errors that name the key.
func Load(file string) (*Config, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("open configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", file, err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("configuration %s is larger than %d bytes", file, maxFile)
	}
	c, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", file, err)
	}
	return c, nil
}

// Parse decodes, completes and checks a configuration.
func Parse(data []byte) (*Config, error) {
	c := &Config{
		Name:        "node",
		HostAddress: netip.MustParseAddr("10.213.7.1"),
		NodeAddress: netip.MustParseAddr("10.213.7.2"),
		PodCIDR:     netip.MustParsePrefix("10.214.0.0/16"),
		ServiceCIDR: netip.MustParsePrefix("10.215.0.0/16"),
		Processes:   Merged,
		Patience:    1,
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the JSON object")
	}
	if c.RunC == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find own program: %w", err)
		}
		c.RunC = filepath.Join(filepath.Dir(self), "runc")
	}
	return c, c.check()
}

// The values of Config.Processes.
const (
	Merged   = "merged"
	Separate = "separate"
)

// namePattern leaves room for the links' prefix in the kernel's 15 bytes.
var namePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,9}[a-z0-9])?$`)

func (c *Config) check() error {
	switch {
	case !filepath.IsAbs(c.State) || filepath.Clean(c.State) != c.State || c.State == "/":
		return fmt.Errorf("state: want the clean absolute path of a folder, not %q", c.State)
	case len(c.State) > maxState:
		return fmt.Errorf("state: %q is longer than the %d bytes that socket names leave; choose a shorter path", c.State, maxState)
	case !namePattern.MatchString(c.Name):
		return fmt.Errorf("name: want 1 to 11 of a-z, 0-9 and inner '-', not %q", c.Name)
	case c.Processes != Merged && c.Processes != Separate:
		return fmt.Errorf("processes: want %q or %q, not %q", Merged, Separate, c.Processes)
	case c.Patience < 1 || c.Patience > maxPatience:
		return fmt.Errorf("patience: want 1 to %d, not %d", maxPatience, c.Patience)
	}
	if err := c.checkAddresses(); err != nil {
		return err
	}
	for i, f := range c.Images {
		if !filepath.IsAbs(f) {
			return fmt.Errorf("images[%d]: want an absolute path, not %q", i, f)
		}
	}
	for i, r := range c.Registries {
		if err := r.check(); err != nil {
			return fmt.Errorf("registries[%d]: %w", i, err)
		}
	}
	if c.Mirror != (Mirror{}) {
		if err := c.Mirror.check(); err != nil {
			return fmt.Errorf("mirror: %w", err)
		}
	}
	if c.Ingress.Listen != "" {
		if _, err := netip.ParseAddrPort(c.Ingress.Listen); err != nil {
			return fmt.Errorf("ingress.listen: want ADDRESS:PORT, not %q", c.Ingress.Listen)
		}
	}
	return nil
}

func (c *Config) checkAddresses() error {
	if !c.HostAddress.Is4() || !c.NodeAddress.Is4() {
		return errors.New("hostAddress, nodeAddress: want IPv4 addresses")
	}
	link := c.Link()
	if !link.Contains(c.NodeAddress) || c.HostAddress == c.NodeAddress || c.HostAddress == link.Addr() || c.NodeAddress == link.Addr() ||
		last(link) == c.HostAddress || last(link) == c.NodeAddress {
		return fmt.Errorf("hostAddress, nodeAddress: %s and %s are not the two addresses of one /30 network", c.HostAddress, c.NodeAddress)
	}
	for _, n := range []struct {
		key  string
		cidr netip.Prefix
		bits int
	}{{"podCIDR", c.PodCIDR, 24}, {"serviceCIDR", c.ServiceCIDR, 24}} {
		if !n.cidr.IsValid() || !n.cidr.Addr().Is4() || n.cidr.Masked() != n.cidr || n.cidr.Bits() > n.bits || n.cidr.Bits() < 12 {
			return fmt.Errorf("%s: want an IPv4 network between /12 and /%d such as 10.214.0.0/16, not %s", n.key, n.bits, n.cidr)
		}
	}
	if c.PodCIDR.Overlaps(c.ServiceCIDR) || c.PodCIDR.Overlaps(link) || c.ServiceCIDR.Overlaps(link) {
		return fmt.Errorf("podCIDR %s, serviceCIDR %s and the link %s overlap", c.PodCIDR, c.ServiceCIDR, link)
	}
	return nil
}

// last is the broadcast address of a /30.
func last(p netip.Prefix) netip.Addr { return p.Addr().Next().Next().Next() }

// Link is the /30 network between host and node.
func (c *Config) Link() netip.Prefix { return netip.PrefixFrom(c.HostAddress, 30).Masked() }

var registryHost = regexp.MustCompile(`^[A-Za-z0-9.-]+(:[0-9]{1,5})?$`)

func (r Registry) check() error {
	if !registryHost.MatchString(r.Host) {
		return fmt.Errorf("host: want HOST or HOST:PORT, not %q", r.Host)
	}
	u, err := url.Parse(r.Endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil {
		return fmt.Errorf("endpoint: want http(s)://HOST:PORT, not %q", r.Endpoint)
	}
	if r.Username != "" && r.UsernameFile != "" || r.Password != "" && r.PasswordFile != "" {
		return errors.New("give a value or a file, not both")
	}
	return nil
}

// Credentials returns user name and password, read from their files where files are given. Both empty: anonymous.
func (r Registry) Credentials() (username, password string, err error) {
	if username, err = valueOrFile(r.Username, r.UsernameFile); err != nil {
		return "", "", fmt.Errorf("registry %s: %w", r.Host, err)
	}
	if password, err = valueOrFile(r.Password, r.PasswordFile); err != nil {
		return "", "", fmt.Errorf("registry %s: %w", r.Host, err)
	}
	return username, password, nil
}

func valueOrFile(value, file string) (string, error) {
	if file == "" {
		return value, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read credentials: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}
