package agent

import (
	"os/exec"
	"strings"
	"testing"
)

// The file is encrypted by openssl itself.
func TestDecryptFile(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, nil, "plain.txt", "the text\n", "folder/x", "")
	const passphrase = "correct horse $(battery)"
	out, err := exec.CommandContext(t.Context(), "openssl", "aes-256-cbc", "-e", "-in", w.absolute("plain.txt"), "-out", w.absolute("secret.enc"), "-pass", "pass:"+passphrase).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	given := map[string]string{"cipher": "aes-256-cbc", "inFile": "secret.enc", "passphrase": passphrase}
	w.must("DecryptFile@1", given)
	given["outFile"] = "folder"
	w.must("DecryptFile@1", given)
	given["outFile"] = "folder/plain.txt"
	w.must("DecryptFile@1", given)
	for _, file := range []string{"secret.enc.out", "folder/plain.txt"} {
		if got := w.read(file); got != "the text\n" {
			t.Errorf("%s is %q", file, got)
		}
	}
	if text := w.text(); strings.Contains(text, "horse") || !strings.Contains(text, "aes-256-cbc -d -in S/secret.enc -out S/secret.enc.out -pass env:DECRYPT_PASSPHRASE") {
		t.Errorf("log\n%s", text)
	}
	given["passphrase"] = "wrong"
	w.fails("DecryptFile@1", given, "openssl exited with code 1")
	w.env["PATH"] = "/nowhere"
	w.fails("DecryptFile@1", given, `there is no program "openssl" in the job's image: give the job a container that has it`)
}
