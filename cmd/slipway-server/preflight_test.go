package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/internal/blob/blobtest"
)

// slipwayProgram is the built command, below a folder that everybody may enter.
func slipwayProgram(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "slipway-preflight-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "slipway")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// refused runs a command that must fail within 15 s, and returns the one line that it says.
func refused(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err == nil || ctx.Err() != nil {
		t.Fatalf("%s %v: %v, want a failure within 15 s:\n%s", name, args, err, out.String())
	}
	text := strings.TrimSpace(out.String())
	if strings.Contains(text, "\n") {
		t.Errorf("more than one line is said:\n%s", text)
	}
	return text
}

func kubeconfigFor(t *testing.T, server string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}],
clusters: [{name: c, cluster: {server: %q, insecure-skip-tls-verify: true}}], users: [{name: u, user: {token: expired}}]}`, server)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRefusals starts the built program in situations that cannot end well. Each is told in one sentence that says
// what to do, before anything is started.
func TestRefusals(t *testing.T) {
	program := slipwayProgram(t)
	programs := t.TempDir()
	for _, name := range []string{"slipway-agent", "slipway-docker", "slipway-node", "slipway-builder", "runc"} {
		if err := os.WriteFile(filepath.Join(programs, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { busy.Close() })
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	unreadable := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(unreadable, []byte("no: [yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	existing := func(kubeconfig string, more ...string) []string {
		return append([]string{"--kubeconfig", kubeconfig, "--cluster-url", "http://192.0.2.7:8080", "--listen", "127.0.0.1:0"}, more...)
	}
	away := kubeconfigFor(t, "https://"+closed.Addr().String())
	for _, c := range []struct {
		name string
		args []string
		want []string // parts of the sentence
	}{
		{"a busy port", existing(away, "--listen", busy.Addr().String()),
			[]string{"another program listens on " + busy.Addr().String(), "choose another address with --listen"}},
		{"a busy telemetry port", existing(away, "--otlp-listen", busy.Addr().String()),
			[]string{"another program listens on " + busy.Addr().String(), "--otlp-listen"}},
		{"an address of another machine", existing(away, "--listen", "192.0.2.7:80"), []string{"cannot listen on 192.0.2.7:80", "--listen"}},
		{"missing programs", existing(away, "--programs", t.TempDir()), []string{"the program slipway-agent is not in", "make build", "--programs"}},
		{"an unreachable cluster", existing(away), []string{"the cluster of " + away, "does not answer", "connection refused"}},
		{"a silent cluster", existing(kubeconfigFor(t, "https://"+busy.Addr().String())), []string{"does not answer"}},
		{"a kubeconfig that is not there", existing("/nowhere/kubeconfig"), []string{"/nowhere/kubeconfig", "no such file", "--kubeconfig"}},
		{"a kubeconfig that is none", existing(unreadable), []string{"the kubeconfig " + unreadable + " cannot be read", "--kubeconfig"}},
		{"no cluster URL", []string{"--kubeconfig", away}, []string{"--cluster-url", "http://192.0.2.7:8080"}},
		{"a cluster URL of the loopback", []string{"--kubeconfig", away, "--cluster-url", "http://localhost:8080"}, []string{"would reach themselves"}},
		{"an object storage that is not there", existing(away, "--blobs", "s3://slipway?endpoint=http://"+closed.Addr().String()), []string{"--blobs: the object storage at http://" + closed.Addr().String(), "does not answer", "check the endpoint"}},
		{"a secret in the open", existing(away, "--blobs", "s3://me:secret@slipway"), []string{"--blobs: credentials do not belong into the place", "AWS_SECRET_ACCESS_KEY"}},
		{"a mirror of no tool", existing(away, "--tool-mirror", "nodejs=https://mirror.example"), []string{"--tool-mirror nodejs: there is no such tool", "node, nuget"}},
		{"a mirror without a URL", existing(away, "--tool-mirror", "node=mirror.example/node"), []string{"--tool-mirror node=mirror.example/node: write TOOL=URL"}},
		{"a data folder that cannot be made", existing(away, "--data", "/proc/slipway"), []string{"/proc/slipway cannot be made", "--data"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"up", "--data", t.TempDir(), "--otlp-listen", "", "--programs", programs}, c.args...)
			text := refused(t, program, args...)
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("%q does not say %q", text, want)
				}
			}
		})
	}
	t.Run("credentials of object storage", func(t *testing.T) { refusedByStorage(t, program, existing(away)) })
	t.Run("brought about by root", func(t *testing.T) { refusedAsRoot(t, program, programs) })
}

// refusedByStorage starts the program with a real S3 server and credentials that are wrong or missing.
func refusedByStorage(t *testing.T, program string, args []string) {
	place, _ := blobtest.StartS3(t).Place()
	args = append([]string{program, "up", "--data", t.TempDir(), "--otlp-listen", "", "--blobs", place}, args...)
	for credentials, want := range map[string]string{
		"AWS_SECRET_ACCESS_KEY=wrong": "refuses the credentials (SignatureDoesNotMatch): check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
		"AWS_ACCESS_KEY_ID=nobody":    "refuses the credentials (",
		"AWS_ACCESS_KEY_ID=":          "there are no credentials for the object storage: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
	} {
		text := refused(t, "env", append([]string{credentials, "AWS_SHARED_CREDENTIALS_FILE=/nowhere"}, args...)...)
		if !strings.Contains(text, "--blobs: ") || !strings.Contains(text, want) {
			t.Errorf("%q does not say %q", text, want)
		}
	}
}

// refusedAsRoot is what only root can bring about.
func refusedAsRoot(t *testing.T, program, programs string) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become somebody else, mount a small disk and unmount the cgroups")
	}
	t.Run("not root", func(t *testing.T) {
		text := refused(t, "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", program, "up", "--listen", "127.0.0.1:0", "--otlp-listen", "")
		if !strings.Contains(text, "needs root: run this as root, or point to a cluster with --kubeconfig") {
			t.Error(text)
		}
	})
	t.Run("full disk", func(t *testing.T) {
		dir := t.TempDir()
		if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", dir).CombinedOutput(); err != nil {
			t.Fatalf("mount: %v: %s", err, out)
		}
		defer exec.Command("umount", dir).Run()
		text := refused(t, program, "up", "--data", dir, "--listen", "127.0.0.1:0", "--otlp-listen", "")
		if !strings.Contains(text, "the disk of "+dir+" has only 8 MiB free") || !strings.Contains(text, "free some space or choose another folder with --data") {
			t.Error(text)
		}
	})
	t.Run("no cgroups", func(t *testing.T) {
		script := `umount -R /sys/fs/cgroup && exec "$@"`
		text := refused(t, "unshare", "--mount", "sh", "-c", script, "sh", program, "up", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--otlp-listen", "", "--programs", programs)
		if !strings.Contains(text, "cgroup") || !strings.Contains(text, "mount") {
			t.Error(text)
		}
	})
}
