package e2e

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// residue lists what is left of the node on the host. The state folder's files do not count.
func (n *node) residue() []string {
	n.t.Helper()
	var left []string
	found := func(kind, what string) { left = append(left, kind+" "+what) }
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		n.t.Fatal(err)
	}
	for _, path := range processes {
		data, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(data), n.state) {
			found("process", filepath.Base(filepath.Dir(path))+" "+strings.ReplaceAll(string(data), "\x00", " "))
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		n.t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		// A mount's root and its place (proc_pid_mountinfo(5)). Other nodes' folders may begin with the same name.
		if fields := strings.Fields(line); len(fields) > 4 && slices.ContainsFunc(fields[3:5], n.owns) {
			found("mount", line)
		}
	}
	err = filepath.WalkDir("/sys/fs/cgroup", func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // others' cgroups come and go
		}
		if err == nil && e.IsDir() && e.Name() == "slipway-"+name {
			found("cgroup", path)
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
	links, err := net.Interfaces()
	if err != nil {
		n.t.Fatal(err)
	}
	for _, l := range links {
		if slices.Contains([]string{"sw-" + name, "sn-" + name}, l.Name) {
			found("link", l.Name)
		}
	}
	for _, path := range []string{"/run/netns/slipway-" + name, "/run/slipway-" + name, filepath.Join(n.state, "run")} {
		if _, err := os.Lstat(path); err == nil {
			found("file", path)
		}
	}
	logs, err := filepath.Glob("/var/log/containers/*")
	if err != nil {
		n.t.Fatal(err)
	}
	for _, path := range logs {
		if target, err := os.Readlink(path); err == nil && strings.HasPrefix(target, n.state) {
			found("link", path)
		}
	}
	return left
}

// owns tells whether the path is in the node's state folder or has the node's name as one of its elements.
func (n *node) owns(path string) bool {
	return strings.HasPrefix(path+"/", n.state+"/") || slices.Contains(strings.Split(path, "/"), "slipway-"+name)
}

// mustHaveResidue makes sure that the check above sees a running node.
func (n *node) mustHaveResidue(t *testing.T) {
	t.Helper()
	left := n.residue()
	for _, kind := range []string{"process", "mount", "cgroup", "link", "file"} {
		if !slices.ContainsFunc(left, func(s string) bool { return strings.HasPrefix(s, kind+" ") }) {
			t.Errorf("a running node shows no %s: the check for leftovers is blind", kind)
		}
	}
}
