package web

import (
	"net/url"
	"strings"
	"testing"
)

// Administrators read who did what, with what jobs and the server did if they ask, of one kind or of all.
func TestAuditPage(t *testing.T) {
	t.Parallel()
	s := newPipelineSite(t)
	s.push("steps:\n- bash: one\n")
	s.post("/_library", url.Values{"group": {"Shared"}, "name": {"key"}, "value": {"hunter2"}, "secret": {"on"}})
	s.get("/_settings", "/Shop/_settings/audit")
	body := s.get("/_settings/audit", "variable group changed", "name: Shared", `set: [&#34;key&#34;]`, "run queued")
	if strings.Contains(body, "hunter2") {
		t.Error("a secret is in the audit log")
	}
	if body := s.get("/_settings/audit?kind=pipelines.variable_group_changed", "name: Shared", "Everything"); strings.Contains(body, "run queued") {
		t.Error("another kind is listed")
	}
	s.get("/_settings/audit?everybody=1", "Only people")
}
