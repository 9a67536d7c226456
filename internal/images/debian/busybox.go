package debian

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"slipway"
)

// certificates is the machine's bundle of certificate authorities.
const certificates = "/etc/ssl/certs/ca-certificates.crt"

// Busybox is a small file system of Debian's busybox-static: the programs, root's account, certificates. It has no
// C library, so only static programs run on it.
func Busybox() Layer { return busyboxLayer{} }

type busyboxLayer struct{}

func (busyboxLayer) title() string { return "busybox of Debian" }

func (busyboxLayer) key(ctx context.Context) (string, error) {
	version, err := busyboxVersion(ctx)
	if err != nil {
		return "", err
	}
	certs, err := fileDigest(certificates)
	if err != nil {
		return "", slipway.Unavailable("the machine has no certificate authorities: apt-get install ca-certificates").Because(err)
	}
	return keyOf("busybox", recipe, runtime.GOARCH, version, certs), nil
}

// busyboxVersion asks apt which version it would install.
func busyboxVersion(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "apt-cache", "policy", "busybox-static")
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("ask apt for busybox: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "Candidate: "); ok && v != "(none)" {
			return v, nil
		}
	}
	return "", slipway.Unavailable("apt knows no package busybox-static: run apt-get update")
}

func (l busyboxLayer) make(ctx context.Context, i *Importer) error {
	key, err := l.key(ctx)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp(i.folder, "busybox-")
	if err != nil {
		return fmt.Errorf("make folder for busybox: %w", err)
	}
	defer os.RemoveAll(work)
	program, err := i.fetchBusybox(ctx, work)
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, program, "--list-full").Output()
	if err != nil {
		return fmt.Errorf("list busybox's programs: %w", err)
	}
	t := newTree()
	for _, f := range []string{"bin", "etc", "etc/ssl", "etc/ssl/certs", "usr", "usr/bin", "usr/sbin", "sbin", "var", "home", "dev", "proc", "sys", "run"} {
		t.folder(f, 0o755)
	}
	t.folder("root", 0o700)
	t.folder("tmp", 0o1777)
	t.folder("var/tmp", 0o1777)
	for applet := range strings.FieldsSeq(string(out)) {
		t.link(applet, "/bin/busybox")
	}
	t.text("etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"))
	t.text("etc/group", 0o644, []byte("root:x:0:\nnogroup:x:65534:\n"))
	t.text("etc/nsswitch.conf", 0o644, []byte("hosts: files dns\n"))
	t.link("etc/ssl/cert.pem", "certs/ca-certificates.crt")
	if err := t.file("bin/busybox", 0o755, program); err != nil {
		return fmt.Errorf("add busybox: %w", err)
	}
	if err := t.file(strings.TrimPrefix(certificates, "/"), 0o644, certificates); err != nil {
		return fmt.Errorf("add certificates: %w", err)
	}
	return i.store(key, l.title(), t)
}

// fetchBusybox downloads the package and unpacks it.
func (i *Importer) fetchBusybox(ctx context.Context, work string) (string, error) {
	// apt's own user may not write into a folder of root's, so apt is told to stay root.
	cmd := exec.CommandContext(ctx, "apt-get", "-o", "APT::Sandbox::User=root", "download", "busybox-static")
	cmd.Dir = work
	if err := i.run(cmd, "busybox"); err != nil {
		return "", err
	}
	list, err := filepath.Glob(filepath.Join(work, "*.deb"))
	if err != nil || len(list) != 1 {
		return "", fmt.Errorf("apt-get download left %d packages, want 1", len(list))
	}
	if err := i.run(exec.CommandContext(ctx, "dpkg-deb", "-x", list[0], filepath.Join(work, "root")), "busybox"); err != nil {
		return "", err
	}
	for _, p := range []string{"bin/busybox", "usr/bin/busybox"} {
		program := filepath.Join(work, "root", path.Clean(p))
		if _, err := os.Stat(program); err == nil {
			return program, nil
		}
	}
	return "", fmt.Errorf("package busybox-static has no program busybox")
}
