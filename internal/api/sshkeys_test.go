package api_test

import (
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"slipway/internal/api"
)

func TestSSHKeys(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ada, ben := w.user("ada", false), w.user("ben", false)
	const path = "/_apis/slipway/sshkeys"
	file := filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "laptop", "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	public, err := os.ReadFile(file + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	listed, err := exec.Command("ssh-keygen", "-l", "-f", file+".pub").Output() // 256 SHA256:... laptop (ED25519)
	if err != nil {
		t.Fatal(err)
	}
	body := `{"key":` + strconv.Quote(string(public)) + `}`
	var key api.SSHKey
	w.call("", "POST", path, body, http.StatusUnauthorized, nil)
	w.call(ada, "POST", path, `{"key":"ssh-dss AAAAB3NzaC1kc3MAAACBAA=="}`, http.StatusBadRequest, nil)
	w.call(ada, "POST", path, body, http.StatusCreated, &key)
	if want := strings.Fields(string(listed))[1]; key.Fingerprint != want || key.Name != "laptop" || key.Algorithm != "ssh-ed25519" || key.Used != nil {
		t.Errorf("%+v, want %s", key, want)
	}
	w.call(ben, "POST", path, body, http.StatusConflict, nil)
	var list struct{ Value []api.SSHKey }
	w.call(ben, "GET", path, "", http.StatusOK, &list)
	if len(list.Value) != 0 {
		t.Errorf("others see %+v", list.Value)
	}
	w.call(ben, "DELETE", path+"/"+key.ID, "", http.StatusNotFound, nil)
	w.call(ada, "DELETE", path+"/"+url.PathEscape(key.Fingerprint), "", http.StatusNoContent, nil)
	w.call(ada, "GET", path, "", http.StatusOK, &list)
	if len(list.Value) != 0 {
		t.Errorf("after the removal there are %+v", list.Value)
	}
}
