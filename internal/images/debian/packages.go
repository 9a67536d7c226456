package debian

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"slipway"
)

// Suite is the Debian release that images are made of.
const Suite = "bookworm"

// sources is what apt-get in a container reads: Debian's own mirrors, whatever mirror this machine uses.
const sources = `deb http://deb.debian.org/debian bookworm main
deb http://deb.debian.org/debian bookworm-updates main
deb http://deb.debian.org/debian-security bookworm-security main
`

// Packages is Debian's essential packages with further ones: one layer for each set, the essential packages in the
// first. Layers that several images begin with are the same ones.
func Packages(sets ...[]string) []Layer {
	layers := make([]Layer, len(sets))
	for i := range sets {
		layers[i] = packagesLayer{sets: sets[:i+1]}
	}
	return layers
}

// packagesLayer is the last layer of its sets.
type packagesLayer struct{ sets [][]string }

var packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)

func (l packagesLayer) key(context.Context) (string, error) {
	parts := []string{"packages", recipe, Suite, runtime.GOARCH}
	for _, set := range l.sets {
		for _, p := range set {
			if !packageName.MatchString(p) {
				return "", slipway.Invalid("%q is no name of a Debian package", p)
			}
		}
		parts = append(parts, strings.Join(slices.Sorted(slices.Values(set)), " "))
	}
	return keyOf(parts...), nil
}

func (l packagesLayer) title() string {
	return "Debian " + Suite + " with " + strings.Join(l.sets[len(l.sets)-1], ", ")
}

// make installs all sets in one run of mmdebstrap, which leaves a tar of the whole after each set, and stores a layer
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
	if err := i.bootstrap(ctx, work, l.sets); err != nil {
		return err
	}
	before := newTree()
	for n := range l.sets {
		whole := newTree()
		if err := whole.readTar(setTar(work, n), wanted); err != nil {
			return fmt.Errorf("read packages: %w", err)
		}
		whole.text("etc/apt/sources.list", 0o644, []byte(sources))
		whole.text("etc/machine-id", 0o444, nil)
		part := packagesLayer{sets: l.sets[:n+1]}
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
func (i *Importer) bootstrap(ctx context.Context, work string, sets [][]string) error {
	args := []string{
		"--variant=essential", "--mode=root", "--format=null", "--architectures=" + runtime.GOARCH,
		"--include=" + strings.Join(sets[0], ","),
		`--aptopt=Acquire::Languages "none"`, `--aptopt=APT::Install-Recommends "false"`,
		"--dpkgopt=force-unsafe-io", "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
		"--dpkgopt=path-exclude=/usr/share/info/*",
	}
	for n, set := range sets {
		if n > 0 {
			args = append(args, "--customize-hook=APT_CONFIG=$MMDEBSTRAP_APT_CONFIG DEBIAN_FRONTEND=noninteractive apt-get --yes --no-install-recommends install "+strings.Join(set, " "))
		}
		args = append(args, `--customize-hook=tar --create --file "`+setTar(work, n)+`" --numeric-owner --one-file-system --xattrs --xattrs-include=security.capability -C "$1" .`)
	}
	cmd := exec.CommandContext(ctx, "mmdebstrap", append(args, Suite, "-")...)
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1704067200", "LC_ALL=C.UTF-8", "TMPDIR="+work)
	return i.run(cmd, "Debian "+Suite)
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
