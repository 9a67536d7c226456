package debian

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// keepPackages is the environment variable that names a folder for the layers of the slow test below: with a folder
// that stays, packages are installed once.
const keepPackages = "SLIPWAY_TEST_PACKAGES"

// The images of packages begin with the same layer, and their programs run.
func TestJobAndDebian(t *testing.T) {
	t.Parallel()
	folder := os.Getenv(keepPackages)
	if folder == "" || os.Getuid() != 0 {
		t.Skipf("installs Debian's packages for minutes: set %s to a folder, as root", keepPackages)
	}
	job := build(t, folder, Job())
	postgres := build(t, folder, Postgres())
	base := build(t, folder, Debian())
	if err := validate.Image(base, validate.Fast); err != nil {
		t.Error(err)
	}
	a, err := job.Layers()
	if err != nil {
		t.Fatal(err)
	}
	b, err := base.Layers()
	if err != nil {
		t.Fatal(err)
	}
	if len(a) != 4 || len(b) != 2 {
		t.Fatalf("%d and %d layers, want 4 and 2", len(a), len(b))
	}
	lower, _ := a[0].Digest()
	only, _ := b[0].Digest()
	if lower != only {
		t.Errorf("the job image begins with %s, Debian is %s", lower, only)
	}
	runPostgres(t, unpack(t, postgres))
	root := unpack(t, job)
	out, err := exec.Command("chroot", root, "/bin/bash", "-c",
		"set -e; git --version; curl --version >/dev/null; jq -n 1+1; ssh -V; unzip -v >/dev/null; dpkg --audit; test -s /etc/ssl/certs/ca-certificates.crt; test -x /usr/local/go/bin/go; apt-get --version >/dev/null").CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// runPostgres makes a database in the unpacked image as its entry point does, without starting the server for good.
func runPostgres(t *testing.T, root string) {
	t.Helper()
	if list, err := os.ReadDir(filepath.Join(root, "var/lib/postgresql")); err == nil && len(list) > 0 {
		t.Errorf("the image has a cluster of databases: %v", list)
	}
	script := `mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" /bin/sh -c "timeout --preserve-status -s INT 60 /usr/local/bin/postgres-start -c listen_addresses= & ` +
		`for i in $(seq 500); do psql -h /var/run/postgresql -U shop -c 'select 40+2' orders 2>/dev/null && break; sleep 0.1; done; kill %1; wait"`
	cmd := exec.Command("unshare", "--mount", "--pid", "--fork", "/bin/sh", "-c", script, root)
	cmd.Env = []string{"PATH=/usr/lib/postgresql/15/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PGDATA=/var/lib/postgresql/data",
		"POSTGRES_USER=shop", "POSTGRES_PASSWORD=secret", "POSTGRES_DB=orders"}
	out, err := cmd.CombinedOutput()
	if !strings.Contains(string(out), "42") {
		t.Errorf("%v: %s", err, out)
	}
}
