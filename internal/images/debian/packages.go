package debian

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"slipway"
)

// Suite is the Debian release that images are made of.
const Suite = "bookworm"

// PackageSet is what one layer of Packages adds.
type PackageSet struct {
	Packages []string
	Files    map[string]string // by path: configuration that must be there before the packages are installed
}

// Packages is Debian's essential packages with further ones: one layer for each set, the essential packages in the
// first. An image may take the first few layers of a chain; making any of them makes the whole chain, since one
// installation of all is much quicker than several.
func Packages(chain ...PackageSet) []Layer {
	layers := make([]Layer, len(chain))
	for i := range chain {
		layers[i] = packagesLayer{chain: chain, n: i + 1}
	}
	return layers
}

// packagesLayer is the last layer of the first n sets.
type packagesLayer struct {
	chain []PackageSet
	n     int
}

var packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)

func (l packagesLayer) key(context.Context) (string, error) {
	parts := []string{"packages", recipe, Suite, runtime.GOARCH}
	for _, set := range l.chain[:l.n] {
		for _, p := range set.Packages {
			if !packageName.MatchString(p) {
				return "", slipway.Invalid("%q is no name of a Debian package", p)
			}
		}
		parts = append(parts, strings.Join(slices.Sorted(slices.Values(set.Packages)), " "))
		for _, name := range slices.Sorted(maps.Keys(set.Files)) {
			parts = append(parts, name, set.Files[name])
		}
	}
	return keyOf(parts...), nil
}

func (l packagesLayer) title() string {
	return "Debian " + Suite + " with " + strings.Join(l.chain[l.n-1].Packages, ", ")
}

// make installs the whole chain in one run of mmdebstrap, which leaves a tar of the whole after each set, and stores a layer
// for each: what the set added.
func (l packagesLayer) make(ctx context.Context, i *Importer) error {
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		return slipway.Unavailable("the program mmdebstrap is not installed: apt-get install mmdebstrap").Because(err)
	}
	work, err := os.MkdirTemp(i.folder, "packages-")
	if err != nil {
		return fmt.Errorf("make folder for packages: %w", err)
	}
	defer os.RemoveAll(work)
	if err := os.Chmod(work, 0o755); err != nil { // apt downloads as a user of its own
		return fmt.Errorf("open folder for packages: %w", err)
	}
	if err := i.bootstrap(ctx, work, l.chain); err != nil {
		return err
	}
	before := newTree()
	for n := range l.chain {
		whole := newTree()
		if err := whole.readTar(setTar(work, n), wanted); err != nil {
			return fmt.Errorf("read packages: %w", err)
		}
		whole.text("etc/machine-id", 0o444, nil)
		for _, mount := range []string{"dev", "proc", "sys"} { // the machine's own while packages are installed
			whole.folder(mount, 0o755)
		}
		part := packagesLayer{chain: l.chain, n: n + 1}
		key, err := part.key(ctx)
		if err != nil {
			return err
		}
		delta, err := whole.since(before)
		if err != nil {
			return fmt.Errorf("compare packages: %w", err)
		}
		i.progress("compressing " + part.title())
		if err := i.store(key, part.title(), delta); err != nil {
			return err
		}
		before = whole
	}
	return nil
}

func setTar(work string, n int) string { return filepath.Join(work, fmt.Sprintf("set-%d.tar", n)) }

// bootstrap runs mmdebstrap. Unpacking need not be safe against power cuts: a run that breaks off is repeated.
func (i *Importer) bootstrap(ctx context.Context, work string, chain []PackageSet) error {
	args := []string{
		"--variant=essential", "--mode=root", "--format=null", "--architectures=" + runtime.GOARCH,
		"--include=" + strings.Join(chain[0].Packages, ","),
		`--aptopt=Acquire::Languages "none"`, `--aptopt=APT::Install-Recommends "false"`,
		"--dpkgopt=force-unsafe-io", "--dpkgopt=force-confold", "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
		"--dpkgopt=path-exclude=/usr/share/info/*",
	}
	for n, set := range chain {
		for i, name := range slices.Sorted(maps.Keys(set.Files)) {
			source := filepath.Join(work, fmt.Sprintf("file-%d-%d", n, i))
			if err := os.WriteFile(source, []byte(set.Files[name]), 0o644); err != nil {
				return fmt.Errorf("write configuration for packages: %w", err)
			}
			args = append(args, `--customize-hook=install -D -m 644 "`+source+`" "$1`+name+`"`)
		}
		if n > 0 {
			// The image's own apt, inside of it: the machine's would look at what the machine has installed.
			args = append(args, `--customize-hook=chroot "$1" env DEBIAN_FRONTEND=noninteractive apt-get --yes --no-install-recommends install `+strings.Join(set.Packages, " "))
		}
		args = append(args, `--customize-hook=tar --create --file "`+setTar(work, n)+`" --numeric-owner --one-file-system --xattrs --xattrs-include=security.capability --exclude=./sys --exclude=./proc --exclude=./dev -C "$1" .`)
	}
	cmd := exec.CommandContext(ctx, "mmdebstrap", append(args, Suite, "-")...)
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1704067200", "LC_ALL=C.UTF-8", "TMPDIR="+work)
	alone(cmd)
	return i.run(cmd, "Debian "+Suite)
}

// alone gives a command, which mounts parts of the machine into the image, mounts of its own where this process may: they are gone with it, however it
// or this process ends. What it has started ends with it.
func alone(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if may, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, unix.CAP_SYS_ADMIN, 0, 0, 0); err == nil && may == 1 && os.Geteuid() == 0 {
		cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// Left out is what every run makes anew, what belongs to this machine, and manuals: all that is below some folders,
// the files below others, whose folders programs expect, and some single files.
var (
	unwantedBelow = []string{
		"dev/", "proc/", "sys/", "run/", "tmp/", "var/tmp/", "usr/share/man/", "usr/share/info/", "usr/share/locale/", "usr/share/lintian/", "usr/share/bug/",
	}
	unwantedFilesBelow = []string{
		"var/log/", "var/cache/apt/", "var/cache/ldconfig/", "var/cache/man/", "var/lib/apt/lists/", "etc/apt/sources.list.d/",
	}
	unwanted = []string{
		"etc/resolv.conf", "etc/hostname", "etc/.pwd.lock", "etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-",
		"etc/apt/apt.conf.d/99mmdebstrap", "etc/dpkg/dpkg.cfg.d/99mmdebstrap",
		"var/lib/dpkg/lock", "var/lib/dpkg/lock-frontend", "var/lib/dpkg/triggers/Lock", "var/lib/dpkg/status-old", "var/lib/dpkg/available",
		"var/lib/dpkg/diversions-old", "var/lib/dpkg/statoverride-old", "var/cache/debconf/config.dat-old", "var/cache/debconf/templates.dat-old",
		"var/cache/debconf/passwords.dat", "var/lib/apt/extended_states.bak", "var/lib/systemd/random-seed",
		// A key that the package ssl-cert makes: a secret that everybody would have.
		"etc/ssl/private/ssl-cert-snakeoil.key", "etc/ssl/certs/ssl-cert-snakeoil.pem",
	}
)

// wanted says whether a file of an installation goes into a layer. Of documentation only the licences do.
func wanted(name string, isFolder bool) bool {
	below := func(list []string) bool {
		return slices.ContainsFunc(list, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
	}
	switch {
	case below(unwantedBelow), !isFolder && below(unwantedFilesBelow), slices.Contains(unwanted, name), strings.HasSuffix(name, ".pyc"):
		return false
	case strings.HasPrefix(name, "usr/share/doc/"):
		return isFolder && strings.Count(name, "/") == 3 || strings.HasSuffix(name, "/copyright")
	}
	return true
}
