// Package containers owns containerd: its configuration, the registries it pulls from, the images it is given, and the
// orderly end of its pods. It knows nothing of Kubernetes beyond containerd's CRI service.
package containers

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/template"

	"slipway/node/config"
)

// PauseImage is the image of every pod's first container. It exists on the node only; no registry has it.
const PauseImage = "slipway.local/pause:1"

// configuration is containerd's file, version 3 (docs/cri/config.md of containerd 2).
var configuration = template.Must(template.New("containerd").Funcs(template.FuncMap{"q": quote}).Parse(`version = 3
root = {{q (.Path "containerd")}}
state = {{q (.Run "containerd")}}
disabled_plugins = [
  "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.erofs", "io.containerd.snapshotter.v1.zfs", "io.containerd.differ.v1.erofs",
  "io.containerd.mount-handler.v1.erofs", "io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
]

[grpc]
address = {{q .ContainerdSocket}}

[ttrpc]
address = {{q (print .ContainerdSocket ".ttrpc")}}

[debug]
level = "warn"

[plugins."io.containerd.internal.v1.opt"]
path = {{q (.Path "containerd" "opt")}}

[plugins."io.containerd.shim.v1.manager"]
socket_dir = {{q .ShimSockets}}

[plugins."io.containerd.cri.v1.images"]
snapshotter = {{q .Snapshotter}}
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = {{q .Pause}}
[plugins."io.containerd.cri.v1.images".registry]
config_path = {{q (.Path "certs.d")}}

[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = {{.RestrictOOM}}
netns_mounts_under_state_dir = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = [{{q .CNI}}]
conf_dir = {{q (.Path "cni")}}
use_internal_loopback = true
[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "runc"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
runtime_path = {{q .Shim}}
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = {{q .RunC}}
Root = {{q (.Run "runc")}}
SystemdCgroup = false
`))

// quote writes a TOML basic string; JSON's escapes are a subset of TOML's.
func quote(s string) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(s)
	return string(bytes.TrimSpace(b.Bytes())), err
}

// Configure writes everything containerd reads, and returns the path of its configuration. Programs is the folder of the
// shim and of the CNI plugins.
func Configure(c *config.Config, programs string) (string, error) {
	for _, dir := range []string{c.Path("containerd"), c.Run("containerd"), c.Run("runc"), c.Path("cni"), c.Path("certs.d"), c.ShimSockets()} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return "", fmt.Errorf("make folder of containerd: %w", err)
		}
	}
	if err := network(c); err != nil {
		return "", err
	}
	if err := registries(c); err != nil {
		return "", err
	}
	data := struct {
		*config.Config
		Snapshotter, Pause, CNI, Shim string
		RestrictOOM                   bool
	}{c, "overlayfs", PauseImage, filepath.Join(programs, "cni"), filepath.Join(programs, "containerd-shim-runc-v2"), restricted()}
	var b bytes.Buffer
	if err := configuration.Execute(&b, data); err != nil {
		return "", fmt.Errorf("write containerd's configuration: %w", err)
	}
	path := c.Run("containerd.toml")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		return "", fmt.Errorf("write containerd's configuration: %w", err)
	}
	return path, nil
}

// restricted tells whether this process may not lower a process's OOM score, as in many containers and virtual machines.
func restricted() bool {
	const file = "/proc/self/oom_score_adj"
	old, err := os.ReadFile(file)
	if err != nil {
		return true
	}
	if err := os.WriteFile(file, []byte("-999"), 0); err != nil {
		return true
	}
	return os.WriteFile(file, bytes.TrimSpace(old), 0) != nil
}

// network writes the CNI configuration: one routed link per pod (ptp), so that all traffic between pods passes the node's
// packet filter, where the services' addresses are translated. A bridge would need the kernel's br_netfilter for that.
func network(c *config.Config) error {
	type object map[string]any
	list := object{
		"cniVersion": "1.0.0",
		"name":       "slipway",
		"plugins": []object{
			{"type": "ptp", "ipMasq": false, "ipam": object{
				"type": "host-local", "dataDir": c.Run("cni"),
				"ranges": [][]object{{{"subnet": c.PodCIDR.String()}}},
				"routes": []object{{"dst": "0.0.0.0/0"}},
			}},
			{"type": "portmap", "capabilities": object{"portMappings": true}, "backend": "nftables"},
		},
	}
	data, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.Path("cni", "10-slipway.conflist"), data, 0o644); err != nil {
		return fmt.Errorf("write network configuration: %w", err)
	}
	return nil
}

// registries writes hosts.toml for each registry (docs/hosts.md of containerd). containerd reads them at each pull.
func registries(c *config.Config) error {
	if err := os.RemoveAll(c.Path("certs.d")); err != nil {
		return fmt.Errorf("clear registries: %w", err)
	}
	for _, r := range c.Registries {
		text, err := hosts(r, true)
		if err != nil {
			return err
		}
		if err := writeHosts(c, r.Host, text); err != nil {
			return err
		}
	}
	if c.Mirror.Endpoint == "" {
		return nil
	}
	text, err := hosts(c.Mirror.Registry, c.Mirror.Only)
	if err != nil {
		return err
	}
	return writeHosts(c, "_default", text)
}

// hosts is the text of a hosts.toml that asks the registry's endpoint, and nobody else when only is set. Otherwise the
// registry that the image's name begins with comes after it, since no server is named.
func hosts(r config.Registry, only bool) (string, error) {
	username, password, err := r.Credentials()
	if err != nil {
		return "", err
	}
	endpoint, err := quote(r.Endpoint)
	if err != nil {
		return "", err
	}
	text := ""
	if only {
		text = fmt.Sprintf("server = %s\n\n", endpoint)
	}
	text += fmt.Sprintf("[host.%s]\ncapabilities = [\"pull\", \"resolve\"]\n", endpoint)
	if username != "" || password != "" {
		basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password))
		text += fmt.Sprintf("[host.%s.header]\nAuthorization = [%q]\n", endpoint, basic)
	}
	return text, nil
}

func writeHosts(c *config.Config, name, text string) error {
	dir := c.Path("certs.d", name)
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "hosts.toml"), []byte(text), 0o600)); err != nil {
		return fmt.Errorf("write registry %s: %w", name, err)
	}
	return nil
}
