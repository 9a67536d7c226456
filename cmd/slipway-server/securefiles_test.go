package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSecureFilesCommand(t *testing.T) {
	t.Parallel()
	_, data := served(t, "steps:\n- bash: x\n")
	c := commandTest{t, data}
	path := filepath.Join(t.TempDir(), "signing (1).p12")
	if err := os.WriteFile(path, []byte("the key"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.says("there is no secure file", "secure-files")
	c.says("signing (1).p12 is uploaded: 7 bytes, id ", "secure-files", "upload", path)
	c.says("other is uploaded", "secure-files", "upload", path, "--name", "other")
	c.fails("delete it first", "secure-files", "upload", path, "--name", "OTHER")
	c.fails("no such file", "secure-files", "upload", path+"x")
	c.says("signing (1).p12  7", "secure-files")
	c.says("signing (1).p12 is deleted", "secure-files", "delete", "signing (1).p12", "other")
	c.says("there is no secure file", "secure-files")
}
