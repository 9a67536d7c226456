package ociserver_test

import (
	"strings"
	"testing"
)

// Clients of the Bearer flow read why they may not, too: their token has no scope for what its owner may not have.
func TestDeniedByReason(t *testing.T) {
	t.Parallel()
	w := sqlite(t)
	crane := w.client(t, goInstall(t, craneTool, "crane"))
	crane.run("auth", "login", w.host, "-u", "any", "-p", w.admin)
	if out, err := crane.try("ls", w.host+"/nowhere/web"); err == nil || !strings.Contains(out, `there is no project "nowhere"`) {
		t.Errorf("%v %s", err, out)
	}
}
