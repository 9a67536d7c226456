package builder

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const cgroupRoot = "/sys/fs/cgroup"

// cgroupName is the cgroup that holds this builder's steps. It is made from the state folder,
// so that builders on one machine do not remove each other's.
func cgroupName(state string) string {
	sum := sha256.Sum256([]byte(filepath.Clean(state)))
	return "slipway-builder-" + hex.EncodeToString(sum[:6])
}

// clearResidue removes what a builder with this state leaves on the machine: the processes and
// cgroups of its steps, runc's records of them, its mounts. It is called before the start (the
// last builder may have been killed) and after the stop; the caller holds the state's lock.
// The folder /run/runc stays, even empty: another runc may be about to write there.
func clearResidue(ctx context.Context, c Config) error {
	errs := []error{killSteps(ctx, c)}
	errs = append(errs, unmountBelow(c.State))
	errs = append(errs, removeCgroups(ctx, cgroupName(c.State)))
	if c.StepSubnet != "" {
		errs = append(errs, removeBridge(bridgeName(c.State)))
	}
	return errors.Join(errs...)
}

// killSteps asks runc to kill and forget each container whose bundle is still there.
func killSteps(ctx context.Context, c Config) error {
	bundles, err := filepath.Glob(filepath.Join(c.State, "runc-*", "executor", "*", "config.json"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var errs []error
	for _, b := range bundles {
		folder := filepath.Dir(b)
		out, err := exec.CommandContext(ctx, c.Runc, "delete", "--force", filepath.Base(folder)).CombinedOutput()
		if err != nil {
			errs = append(errs, fmt.Errorf("delete step %s: %w: %s", filepath.Base(folder), err, strings.TrimSpace(string(out))))
			continue
		}
		errs = append(errs, unmountBelow(folder), os.RemoveAll(folder))
	}
	return errors.Join(errs...)
}

// unmountBelow unmounts everything at or below folder, the deepest first.
func unmountBelow(folder string) error {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	defer f.Close()
	var points []string
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Fields(s.Text())
		if len(fields) < 5 {
			continue
		}
		p := unescapeMount(fields[4])
		if p == folder || strings.HasPrefix(p, folder+"/") {
			points = append(points, p)
		}
	}
	slices.SortFunc(points, func(a, b string) int { return len(b) - len(a) })
	var errs []error
	for _, p := range points {
		if err := unix.Unmount(p, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) {
			errs = append(errs, fmt.Errorf("unmount %s: %w", p, err))
		}
	}
	return errors.Join(errs...)
}

// unescapeMount undoes the octal escapes of /proc/self/mountinfo (space, tab, newline, backslash).
func unescapeMount(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// removeCgroups kills what runs in the cgroup in any hierarchy (cgroup v1 has one folder for
// each controller, v2 is the root itself) and removes it with all below.
func removeCgroups(ctx context.Context, name string) error {
	var tops []string
	for _, pattern := range []string{name, filepath.Join("*", name)} {
		found, err := filepath.Glob(filepath.Join(cgroupRoot, pattern))
		if err != nil {
			return err
		}
		tops = append(tops, found...)
	}
	var errs []error
	for _, top := range tops {
		errs = append(errs, removeCgroup(ctx, top))
	}
	return errors.Join(errs...)
}

func removeCgroup(ctx context.Context, top string) error {
	var folders []string
	err := filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && d.IsDir() {
			folders = append(folders, p)
		}
		return err
	})
	if err != nil {
		return err
	}
	slices.Reverse(folders) // children before parents
	for _, folder := range folders {
		if err := emptyAndRemove(ctx, folder); err != nil {
			return fmt.Errorf("remove cgroup %s: %w", folder, err)
		}
	}
	return nil
}

// emptyAndRemove tries for five seconds: a killed process leaves its cgroup only when the
// kernel has reaped it.
func emptyAndRemove(ctx context.Context, folder string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		killMembers(folder)
		err := os.Remove(folder)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

func killMembers(folder string) {
	b, err := os.ReadFile(filepath.Join(folder, "cgroup.procs"))
	if err != nil {
		return
	}
	for _, s := range strings.Fields(string(b)) {
		if pid, err := strconv.Atoi(s); err == nil && pid > 1 {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}
