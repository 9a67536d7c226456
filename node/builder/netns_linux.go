package builder

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// EnterNetNS makes every thread of this program run in the network namespace /run/netns/NAME
// and returns only when that is so. A thread that Go started before could stay behind, so the
// one thread that has entered replaces the program by itself: after that there is no other.
// It enters by setns alone, because `ip netns exec` would remount /sys and hide the cgroups.
func EnterNetNS(name string) error {
	path := filepath.Join("/run/netns", name)
	var want, have unix.Stat_t
	if err := unix.Stat(path, &want); err != nil {
		return fmt.Errorf("network namespace %s: %w", name, err)
	}
	if err := unix.Stat("/proc/self/ns/net", &have); err != nil {
		return fmt.Errorf("own network namespace: %w", err)
	}
	if want.Dev == have.Dev && want.Ino == have.Ino {
		return nil
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open network namespace %s: %w", name, err)
	}
	runtime.LockOSThread() // for good: this thread is changed and must not run anything else
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace %s: %w", name, err)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own program: %w", err)
	}
	return fmt.Errorf("start again in network namespace %s: %w", name, unix.Exec(self, os.Args, os.Environ()))
}
