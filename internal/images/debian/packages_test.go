package debian

import (
	"os"
	"os/exec"
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
	if len(a) != 3 || len(b) != 1 {
		t.Fatalf("%d and %d layers, want 3 and 1", len(a), len(b))
	}
	lower, _ := a[0].Digest()
	only, _ := b[0].Digest()
	if lower != only {
		t.Errorf("the job image begins with %s, Debian is %s", lower, only)
	}
	root := unpack(t, job)
	out, err := exec.Command("chroot", root, "/bin/bash", "-c",
		"set -e; git --version; curl --version >/dev/null; jq -n 1+1; ssh -V; unzip -v >/dev/null; dpkg --audit; test -s /etc/ssl/certs/ca-certificates.crt; test -x /usr/local/go/bin/go; apt-get --version >/dev/null").CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
