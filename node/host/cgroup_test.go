package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestEnsureCgroupInContainer calls EnsureCgroup where a container would: in a cgroup namespace whose root holds processes.
func TestEnsureCgroupInContainer(t *testing.T) {
	const variable = "SLIPWAY_TEST_IN_CONTAINER"
	if os.Getenv(variable) != "" {
		ensureInContainer(t)
		return
	}
	if !Unified() || os.Geteuid() != 0 {
		t.Skip("needs root and cgroup v2")
	}
	if err := delegate(cgroupMount); err != nil {
		t.Fatal(err)
	}
	outer := filepath.Join(cgroupMount, "slipway-test")
	if err := os.Mkdir(outer, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := removeTree(outer); err != nil {
			t.Error(err)
		}
	})
	folder, err := os.Open(outer)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The shell stays, so that more than one process is there.
	cmd := exec.Command("unshare", "--cgroup", "--mount", "sh", "-ec",
		`mount -t cgroup2 none /sys/fs/cgroup; "$0" -test.v -test.run '^TestEnsureCgroupInContainer$'; true`, self)
	cmd.Env = append(os.Environ(), variable+"=yes")
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(folder.Fd())}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestEnsureCgroupInContainer") {
		t.Errorf("in the container: %v\n%s", err, out)
	}
}

func ensureInContainer(t *testing.T) {
	if before := read(t, "cgroup.procs"); len(strings.Fields(before)) < 2 {
		t.Errorf("the container's cgroup holds the processes %q at first: nothing is shown", before)
	}
	for range 2 { // as a second start does
		if err := EnsureCgroup("slipway-inner"); err != nil {
			t.Fatal(err)
		}
	}
	if after := read(t, "cgroup.procs"); after != "" {
		t.Errorf("the container's cgroup holds the processes %q", after)
	}
	for _, controller := range needed {
		if have := read(t, "slipway-inner/cgroup.controllers"); !strings.Contains(" "+have, " "+controller) {
			t.Errorf("the node's cgroup has the controllers %q and not %s", have, controller)
		}
	}
	if err := RemoveCgroup("slipway-inner"); err != nil {
		t.Error(err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(cgroupMount, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
