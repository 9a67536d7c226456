package secret_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"slipway/internal/secret"
)

func TestBox(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys", "master")
	box, err := secret.OpenKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := box.Seal([]byte("hunter2"), "variable/1/PASSWORD")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("hunter2")) {
		t.Fatal("the sealed value holds the plain one")
	}
	t.Run("opens again after a restart", func(t *testing.T) {
		again, err := secret.OpenKeyFile(path)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := again.Open(sealed, "variable/1/PASSWORD")
		if err != nil || string(plain) != "hunter2" {
			t.Errorf("got %q, %v", plain, err)
		}
	})
	t.Run("does not open in another place", func(t *testing.T) {
		if _, err := box.Open(sealed, "variable/2/PASSWORD"); err == nil {
			t.Error("opened under another context")
		}
	})
	t.Run("does not open when damaged", func(t *testing.T) {
		bad := bytes.Clone(sealed)
		bad[len(bad)-1] ^= 1
		if _, err := box.Open(bad, "variable/1/PASSWORD"); err == nil {
			t.Error("opened a damaged value")
		}
	})
	t.Run("key file is private", func(t *testing.T) {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	})
}
