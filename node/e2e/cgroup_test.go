package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const cgroups = "/sys/fs/cgroup"

// unified tells whether the machine has cgroup v2 alone: only there the root has a list of controllers.
func unified() bool {
	_, err := os.Stat(filepath.Join(cgroups, "cgroup.controllers"))
	return err == nil
}

// hierarchy is the folder where a controller's cgroups are.
func hierarchy(controller string) string {
	if unified() {
		return cgroups
	}
	return filepath.Join(cgroups, controller)
}

// cgroupFile reads a file of a container's cgroup, or with up == 1 of its pod's.
func (n *node) cgroupFile(t *testing.T, controller, container string, up int, file string) string {
	t.Helper()
	var found string
	err := filepath.WalkDir(filepath.Join(hierarchy(controller), "slipway-"+name), func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && strings.Contains(e.Name(), container) {
			found = path
			return fs.SkipAll
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil || found == "" {
		t.Fatalf("container %s has no cgroup of %s: %v", container, controller, err)
	}
	for range up {
		found = filepath.Dir(found)
	}
	return read(t, filepath.Join(found, file))
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

// webContainers returns the ids of the two web containers.
func (n *node) webContainers() []string {
	n.t.Helper()
	ids := strings.Fields(n.kubectl("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].status.containerStatuses[0].containerID}"))
	for i, id := range ids {
		ids[i] = strings.TrimPrefix(id, "containerd://")
	}
	if len(ids) != 2 {
		n.t.Fatalf("the web pods have the containers %q", ids)
	}
	return ids
}

// testLimits reads the limits of 32 MiB and a fifth of a processor where the kernel has them: for the container and for its pod.
func (n *node) testLimits(t *testing.T) {
	memory, cpu, quota := "memory.limit_in_bytes", "cpu.cfs_quota_us", "20000"
	if unified() {
		memory, cpu, quota = "memory.max", "cpu.max", "20000 100000" // of a period, both in microseconds
		t.Logf("root hands down: %s", read(t, cgroups+"/cgroup.subtree_control"))
		for _, folder := range []string{"slipway-" + name, "slipway-" + name + "/kubepods", "slipway-" + name + "/kubepods/burstable"} {
			t.Logf("%s hands down: %s", folder, read(t, filepath.Join(cgroups, folder, "cgroup.subtree_control")))
		}
	}
	for _, id := range n.webContainers() {
		for up, what := range []string{"container", "pod"} {
			if got := n.cgroupFile(t, "memory", id, up, memory); got != "33554432" {
				t.Errorf("%s of the %s is %q", memory, what, got)
			}
			if got := n.cgroupFile(t, "cpu", id, up, cpu); got != quota {
				t.Errorf("%s of the %s is %q", cpu, what, got)
			}
		}
	}
	if unified() {
		if out := n.kubectl("exec", "deployment/web", "--", "cat", "/sys/fs/cgroup/memory.max"); out != "33554432\n" {
			t.Errorf("the container sees memory.max %q", out)
		}
	}
}

const glutton = `
apiVersion: v1
kind: Pod
metadata: {name: glutton}
spec:
  restartPolicy: Never
  containers:
  - name: glutton
    image: slipway.test/busybox:1
    command: [tail, /dev/zero]
    resources: {limits: {memory: 32Mi}}
`

// testOutOfMemory has a container keep a line without end in memory.
func (n *node) testOutOfMemory(t *testing.T) {
	if _, err := n.try(glutton, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, func() error {
		out, err := n.try("", "get", "pod", "glutton", "-o", "jsonpath={.status.containerStatuses[0].state.terminated.reason}")
		if err == nil && out != "OOMKilled" {
			err = fmt.Errorf("the container's reason is %q", out)
		}
		return err
	})
	n.kubectl("delete", "pod", "glutton", "--now")
}

// testSystemd makes systemd go over all cgroups, and make and remove one that needs controllers. The node's lie beside its own.
func (n *node) testSystemd(t *testing.T) {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		t.Skip("systemd does not run here")
	}
	const limited = "/run/systemd/system/slipway-e2e-limited.service"
	processes := func() []string {
		var all []string
		for _, id := range n.webContainers() {
			// The container's own process comes first; a web server has one more for a moment with each request.
			first, _, _ := strings.Cut(n.cgroupFile(t, "memory", id, 0, "cgroup.procs"), "\n")
			all = append(all, first)
		}
		return all
	}
	if err := os.WriteFile(limited, []byte("[Service]\nType=oneshot\nExecStart=/bin/true\nMemoryMax=64M\nCPUQuota=50%\nTasksMax=8\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(limited) }) // for a failure before its turn
	before := processes()
	for _, command := range [][]string{
		{"systemctl", "daemon-reload"},
		{"systemctl", "start", filepath.Base(limited)},
		{"rm", limited},
		{"systemctl", "daemon-reload"},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", strings.Join(command, " "), err, out)
		}
	}
	if after := processes(); !slices.Equal(before, after) {
		t.Errorf("the containers' first processes were %q, and are now %q", before, after)
	}
	n.testLimits(t)
	n.testIngress(t)
	if out := n.kubectl("exec", "writer", "--", "echo", "hello"); out != "hello\n" {
		t.Errorf("exec says %q", out)
	}
}
