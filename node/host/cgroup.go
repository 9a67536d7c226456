// Package host owns what a node leaves on its machine beside files and network: cgroups, mounts and processes. It finds
// and removes them by name, so that it works as well after a crash of everything else.
package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const cgroupMount = "/sys/fs/cgroup"

// Unified tells whether the machine has cgroup v2 alone.
func Unified() bool {
	var st unix.Statfs_t
	return unix.Statfs(cgroupMount, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC
}

// needed controllers: without them the kubelet cannot run a pod.
var needed = []string{"cpu", "memory", "pids"}

// hierarchies lists the roots of all cgroup hierarchies: one on v2, one for each controller on v1.
func hierarchies() ([]string, error) {
	if Unified() {
		return []string{cgroupMount}, nil
	}
	entries, err := os.ReadDir(cgroupMount)
	if err != nil {
		return nil, fmt.Errorf("no cgroups at %s: mount cgroup2 there: %w", cgroupMount, err)
	}
	var roots []string
	for _, e := range entries {
		path := filepath.Join(cgroupMount, e.Name())
		var st unix.Statfs_t
		if unix.Statfs(path, &st) == nil && (st.Type == unix.CGROUP_SUPER_MAGIC || st.Type == unix.CGROUP2_SUPER_MAGIC) {
			roots = append(roots, path)
		}
	}
	for _, controller := range needed {
		if !slices.ContainsFunc(roots, func(r string) bool { return slices.Contains(strings.Split(filepath.Base(r), ","), controller) }) {
			return nil, fmt.Errorf("cgroup controller %s is missing below %s: mount it, or boot with cgroup v2", controller, cgroupMount)
		}
	}
	return roots, nil
}

// EnsureCgroup makes the named cgroup in every hierarchy, with all controllers handed down.
func EnsureCgroup(name string) error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		if Unified() {
			if err := errors.Join(vacate(root), delegate(root)); err != nil {
				return err
			}
		}
		path := filepath.Join(root, name)
		if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make cgroup %s: %w", path, err)
		}
		if filepath.Base(root) == "cpuset" {
			if err := inherit(path); err != nil {
				return err
			}
		}
		if Unified() {
			if err := delegate(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// vacate moves the processes that a container's own cgroup holds to the cgroup "init" below it, as other runtimes inside containers
// do: cgroup v2 hands controllers down only where no process is. The root of a whole machine is exempt, and no process of it is moved.
func vacate(root string) error {
	if _, err := os.Stat(filepath.Join(root, "cgroup.type")); errors.Is(err, fs.ErrNotExist) {
		return nil // cgroups(7): every cgroup but the machine's root has this file
	}
	inner := filepath.Join(root, "init")
	for range 100 { // whoever is moved may have started others meanwhile
		data, err := os.ReadFile(filepath.Join(root, "cgroup.procs"))
		if err != nil {
			return fmt.Errorf("list processes of cgroup %s: %w", root, err)
		}
		if len(data) == 0 {
			return nil
		}
		if err := os.Mkdir(inner, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make cgroup %s: %w", inner, err)
		}
		for _, pid := range strings.Fields(string(data)) {
			if err := os.WriteFile(filepath.Join(inner, "cgroup.procs"), []byte(pid), 0); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("move process %s to cgroup %s: %w", pid, inner, err)
			}
		}
	}
	return fmt.Errorf("cgroup %s keeps getting new processes: no controller can be handed down in it", root)
}

// delegate hands every controller that a v2 cgroup has down to its children.
func delegate(path string) error {
	data, err := os.ReadFile(filepath.Join(path, "cgroup.controllers"))
	if err != nil {
		return fmt.Errorf("read controllers of cgroup %s: %w", path, err)
	}
	have := strings.Fields(string(data))
	for _, controller := range needed {
		if !slices.Contains(have, controller) {
			return fmt.Errorf("cgroup controller %s is missing in %s: this process's cgroup must have it delegated", controller, path)
		}
	}
	for _, controller := range have {
		err := os.WriteFile(filepath.Join(path, "cgroup.subtree_control"), []byte("+"+controller), 0)
		if err != nil && slices.Contains(needed, controller) {
			return fmt.Errorf("hand controller %s down in cgroup %s: %w", controller, path, err)
		}
	}
	return nil
}

// inherit fills the cpus and memory nodes of a v1 cpuset: a new one has none, and then takes no process.
func inherit(path string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		data, err := os.ReadFile(filepath.Join(filepath.Dir(path), file))
		if err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
		if err := os.WriteFile(filepath.Join(path, file), data, 0); err != nil {
			return fmt.Errorf("fill %s of cgroup %s: %w", file, path, err)
		}
	}
	return nil
}

// RemoveCgroup removes the named cgroup and those below it from every hierarchy. Only empty cgroups can be removed.
func RemoveCgroup(name string) error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	var errs []error
	for _, root := range roots {
		if err := removeTree(filepath.Join(root, name)); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func removeTree(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeTree(filepath.Join(path, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := unix.Rmdir(path); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove cgroup %s: %w", path, err)
	}
	return nil
}
