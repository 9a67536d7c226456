package programtest

import (
	"bytes"
	_ "embed"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

//go:embed runc-without-limits
var runcWithoutLimits string

// Podman writes a program to the folder that is Debian's podman with a storage and networks of its own there, and returns its path. Its
// networks have addresses of their own, too: engines that know nothing of each other would give the same ones to their containers.
func Podman(folder string) (string, error) {
	runc, program := filepath.Join(folder, "runc-without-limits"), filepath.Join(folder, "podman")
	config := fmt.Sprintf(`[containers]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[engine.runtimes]
runc = [%q]
[network]
network_backend = "netavark"
network_config_dir = %q
default_subnet_pools = [{"base" = "10.%d.0.0/16", "size" = 24}]
`, runc, filepath.Join(folder, "networks"), 160+os.Getpid()%80)
	for path, text := range map[string]string{
		runc:                                     runcWithoutLimits,
		filepath.Join(folder, "containers.conf"): config,
		program:                                  fmt.Sprintf("#!/bin/sh\nCONTAINERS_CONF=%[1]s/containers.conf exec podman --root %[1]s/root --runroot %[1]s/run --storage-driver vfs \"$@\"\n", folder),
	} {
		if err := Write(path, text); err != nil {
			return "", err
		}
	}
	return program, nil
}

// Import makes images from the files of a tar, each with its changes (podman import --change).
func Import(podman string, files []byte, images map[string]string) error {
	for image, change := range images {
		args := []string{"import"}
		if change != "" {
			args = append(args, "--change", change)
		}
		cmd := exec.Command(podman, append(args, "-", image)...)
		cmd.Stdin = bytes.NewReader(files)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("import %s: %w: %s", image, err, out)
		}
	}
	return nil
}

// WebServer is the change of an image of busybox that answers with the word that its environment gives.
const WebServer = `CMD ["sh", "-c", "mkdir -p /www && echo \"pong $WORD\" >/www/index.html && exec httpd -f -p 80 -h /www"]`

// FreePort is a port that nobody listens at. It is below those that systems give away by themselves, so that no other test is given it
// before the container has it.
func FreePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 20_000 + rand.IntN(10_000)
		if l, err := net.Listen("tcp", fmt.Sprintf(":%d", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port from 20000 to 29999 is free")
	return 0
}
