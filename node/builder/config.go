package builder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// maxConfigBytes bounds the configuration file.
const maxConfigBytes = 1 << 20

// defaultCacheBytes is the size limit of a builder whose configuration names none.
const defaultCacheBytes = 20 << 30

// Config is the whole configuration of a builder; README.md describes each key.
type Config struct {
	State      string     `json:"state"`
	Socket     string     `json:"socket"`
	Listen     *Listen    `json:"listen,omitempty"`
	NetNS      string     `json:"netns,omitempty"`
	Runc       string     `json:"runc"`
	CacheBytes int64      `json:"cacheBytes,omitempty"`
	Parallel   int        `json:"parallel,omitempty"`
	DNS        []string   `json:"dns,omitempty"`
	StepSubnet string     `json:"stepSubnet,omitempty"`
	Registries []Registry `json:"registries,omitempty"`
	// Mirror, HOST or HOST/PATH, is asked before any registry without an entry of its own, and after the mirrors of
	// those with one.
	Mirror string `json:"mirror,omitempty"`
	// MirrorOnly takes images of other registries from the mirror alone. Pushes go where they are meant to.
	MirrorOnly bool   `json:"mirrorOnly,omitempty"`
	LogLevel   string `json:"logLevel,omitempty"`
}

// Listen is a TCP address that demands TLS client certificates signed by ClientCA.
type Listen struct {
	Address  string `json:"address"`
	Cert     string `json:"cert"`
	Key      string `json:"key"`
	ClientCA string `json:"clientCA"`
}

// Registry says how one registry, named as in an image's name, is reached.
type Registry struct {
	// Host is the registry as image names write it: localhost:8080, docker.io.
	Host string `json:"host"`
	// Endpoint, http://ADDRESS:PORT or https://ADDRESS:PORT, is where connections for Host go.
	// Requests still name Host, and so do the credentials that are asked of the client.
	Endpoint string `json:"endpoint,omitempty"`
	// Mirrors, HOST or HOST/PATH, are asked in order before Host itself. A path is put before
	// the repository's name.
	Mirrors []string `json:"mirrors,omitempty"`
}

// LoadConfig reads a configuration file strictly: an unknown key is an error.
func LoadConfig(path string) (Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return Config{}, fmt.Errorf("open configuration: %w", err)
	}
	defer f.Close()
	c, err := decodeConfig(io.LimitReader(f, maxConfigBytes))
	if err != nil {
		return Config{}, fmt.Errorf("configuration %s: %w", path, err)
	}
	return c, nil
}

func decodeConfig(r io.Reader) (Config, error) {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	var c Config
	if err := d.Decode(&c); err != nil {
		return Config{}, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Config{}, errors.New("there is text after the JSON object")
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = defaultCacheBytes
	}
	return c, c.check()
}

func (c Config) check() error {
	for _, p := range []struct{ key, path string }{{"state", c.State}, {"runc", c.Runc}} {
		if !filepath.IsAbs(p.path) {
			return fmt.Errorf("%s: %q is not an absolute path", p.key, p.path)
		}
	}
	if c.Socket == "" && c.Listen == nil {
		return errors.New("neither socket nor listen is given: nobody could reach the builder")
	}
	if c.Socket != "" && !filepath.IsAbs(c.Socket) {
		return fmt.Errorf("socket: %q is not an absolute path", c.Socket)
	}
	if l := c.Listen; l != nil && (l.Address == "" || l.Cert == "" || l.Key == "" || l.ClientCA == "") {
		return errors.New("listen: address, cert, key and clientCA are all needed")
	}
	if strings.ContainsAny(c.NetNS, "/") || c.NetNS == "." || c.NetNS == ".." {
		return fmt.Errorf("netns: %q is not the name of a network namespace", c.NetNS)
	}
	if c.CacheBytes < 0 || c.Parallel < 0 {
		return errors.New("cacheBytes and parallel must not be negative")
	}
	for _, s := range c.DNS {
		if _, err := netip.ParseAddr(s); err != nil {
			return fmt.Errorf("dns: %w", err)
		}
	}
	if c.StepSubnet != "" {
		if c.NetNS == "" {
			return errors.New("stepSubnet: only in a network namespace of the builder's own: give netns too")
		}
		if err := checkStepSubnet(c.StepSubnet); err != nil {
			return fmt.Errorf("stepSubnet: %w", err)
		}
	}
	if host, _, _ := strings.Cut(c.Mirror, "/"); host == "" && (c.Mirror != "" || c.MirrorOnly) {
		return fmt.Errorf("mirror: %q has no host", c.Mirror)
	}
	for _, r := range c.Registries {
		if err := r.check(); err != nil {
			return fmt.Errorf("registries: %q: %w", r.Host, err)
		}
	}
	return nil
}

func checkStepSubnet(s string) error {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return err
	}
	if !p.Addr().Is4() || p.Bits() < 16 || p.Bits() > 28 || p != p.Masked() {
		return fmt.Errorf("%s must be an IPv4 network of /16 to /28", s)
	}
	return nil
}

func (r Registry) check() error {
	if r.Host == "" || strings.Contains(r.Host, "/") {
		return errors.New("host must be HOST or HOST:PORT as image names write it")
	}
	if r.Endpoint != "" {
		u, err := url.Parse(r.Endpoint)
		if err != nil {
			return fmt.Errorf("endpoint: %w", err)
		}
		if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.Trim(u.Path, "/") != "" {
			return fmt.Errorf("endpoint: %q is not http://ADDRESS:PORT or https://ADDRESS:PORT", r.Endpoint)
		}
	}
	for _, m := range r.Mirrors {
		if host, _, _ := strings.Cut(m, "/"); host == "" {
			return fmt.Errorf("mirror %q has no host", m)
		}
	}
	return nil
}
