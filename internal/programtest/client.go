package programtest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// Client is where a client of others is that test/clients builds: helm or cosign. CI builds them before the tests; whoever runs a test alone
// waits for some minutes, once.
func Client(name string) (string, error) {
	top, err := os.Getwd()
	if err != nil {
		return "", err
	}
	script := filepath.Join("test", "clients", "build.sh")
	for {
		if _, err := os.Stat(filepath.Join(top, script)); err == nil {
			break
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if top == filepath.Dir(top) {
			return "", fmt.Errorf("no folder above has %s", script)
		}
		top = filepath.Dir(top)
	}
	folder := filepath.Join(os.TempDir(), "slipway-test-tools", "clients")
	if out, err := exec.Command(filepath.Join(top, script), folder).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", script, err, out)
	}
	return filepath.Join(folder, name), nil
}
