package agent

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/pipelines/job"
)

// OpenSSH's own programs make the key and find it.
func TestInstallSSHKey(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	key := filepath.Join(folder, "id")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "open sesame", "-C", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	private, public := textOf(t, key), textOf(t, key+".pub")
	j := newToolJob(t, nil)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := r.URL.Query().Get("name"); !strings.HasSuffix(r.URL.Path, "/securefiles") || name != "deploy" {
			http.Error(w, "there is no secure file "+name, http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(job.SecureFile{ID: "1", Name: "deploy", Content: []byte(private)})
	}))
	t.Cleanup(server.Close)
	j.client.base = server.URL + "/_slipway/jobs/1"
	j.env["PATH"] = j.path + ":" + os.Getenv("PATH")
	ssh := filepath.Join(j.env["HOME"], ".ssh")
	if err := os.MkdirAll(ssh, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(ssh, "known_hosts"), []byte("old.example ssh-ed25519 AAAA\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	given := map[string]string{"knownHostsEntry": "git.example ssh-ed25519 BBBB", "sshKeySecureFile": "deploy", "sshPassphrase": "wrong"}
	fails := func(want string) {
		t.Helper()
		if log, err := j.run("InstallSSHKey@0", given); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %q\n%s", err, want, log)
		}
	}
	fails("read the key of secure file")
	given["sshPassphrase"] = ""
	fails("it has a passphrase: give it as sshPassphrase")
	given["sshPassphrase"], given["sshPublicKey"] = "open sesame", "ssh-rsa"
	fails("no public key of SSH")
	given["sshPublicKey"] = public
	given["addEntryToConfig"], given["configHostAlias"], given["configHostname"], given["configUser"] = "true", "deploy-host", "10.1.2.3", "ada"
	j.must("InstallSSHKey@0", given)
	log := j.must("CmdLine@1", map[string]string{"filename": "ssh-add", "arguments": "-L"})
	if fields := strings.Fields(public); !strings.Contains(log, fields[0]+" "+fields[1]) {
		t.Errorf("ssh-add lists\n%s, want\n%s", log, public)
	}
	// ssh reads its configuration from the home folder of the passwd file.
	log = j.must("CmdLine@1", map[string]string{"filename": "ssh", "arguments": "-G -F " + filepath.Join(ssh, "config") + " deploy-host"})
	if !strings.Contains(log, "hostname 10.1.2.3\n") || !strings.Contains(log, "user ada\n") {
		t.Errorf("ssh reads\n%s", log)
	}
	if got := textOf(t, filepath.Join(ssh, "known_hosts")); got != "old.example ssh-ed25519 AAAA\ngit.example ssh-ed25519 BBBB\n" {
		t.Errorf("known_hosts is\n%s", got)
	}
	j.runPosts()
	if got := textOf(t, filepath.Join(ssh, "known_hosts")); got != "old.example ssh-ed25519 AAAA\n" {
		t.Errorf("known_hosts is left as\n%s", got)
	}
	if _, err := os.Stat(filepath.Join(ssh, "config")); !os.IsNotExist(err) {
		t.Errorf("config is left: %v", err)
	}
	if log, err := j.run("CmdLine@1", map[string]string{"filename": "ssh-add", "arguments": "-L"}); err == nil {
		t.Errorf("the key can be had after the job:\n%s", log)
	}
}
