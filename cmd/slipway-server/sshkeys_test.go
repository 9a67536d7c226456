package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestSSHKeysCommand(t *testing.T) {
	t.Parallel()
	_, data := served(t, "steps:\n- bash: x\n")
	c := commandTest{t, data}
	path := filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "laptop", "-f", path).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	listed, err := exec.Command("ssh-keygen", "-l", "-f", path+".pub").Output() // 256 SHA256:... laptop (ED25519)
	if err != nil {
		t.Fatal(err)
	}
	fingerprint := strings.Fields(string(listed))[1]
	c.says("you have no keys", "ssh-keys")
	c.fails("private key", "ssh-keys", "add", path)
	c.says("added laptop ("+fingerprint+")", "ssh-keys", "add", path+".pub")
	c.fails("in use already", "ssh-keys", "add", path+".pub", "--name", "again")
	c.says(fingerprint, "ssh-keys")
	c.says("removed "+fingerprint, "ssh-keys", "remove", fingerprint)
	c.says("you have no keys", "ssh-keys")
}
