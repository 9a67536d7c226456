package api_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"slipway/internal/identity"
)

func TestGeneralSettings(t *testing.T) {
	t.Parallel()
	w, _, _ := pipelineWorld(t)
	root, owner, contributor := w.user("root", true), w.member("olga", identity.RoleAdministrator), w.member("carl", identity.RoleContributor)
	const own, all = "/Shop/_apis/build/generalsettings?api-version=7.1", "/_apis/slipway/generalsettings"
	for _, c := range []struct {
		token, method, path, body string
		status                    int
		want                      string
	}{
		{contributor, http.MethodGet, own, "", http.StatusOK, `{"enforceJobAuthScope":true}`},
		{contributor, http.MethodPatch, own, `{"enforceJobAuthScope":false}`, http.StatusForbidden, ""},
		{owner, http.MethodPatch, own, `{"enforceJobAuthScope":false}`, http.StatusConflict, ""},
		{owner, http.MethodPatch, all, `{"enforceJobAuthScope":false}`, http.StatusForbidden, ""},
		{root, http.MethodPatch, all, `{"enforceJobAuthScope":false}`, http.StatusOK, `{"enforceJobAuthScope":false}`},
		{owner, http.MethodGet, own, "", http.StatusOK, `{"enforceJobAuthScope":true}`},
		{owner, http.MethodPatch, own, `{}`, http.StatusBadRequest, ""},
		{owner, http.MethodPatch, own, `{"enforceJobAuthScope":false}`, http.StatusOK, `{"enforceJobAuthScope":false}`},
		{root, http.MethodPatch, all, `{"enforceJobAuthScope":true}`, http.StatusOK, `{"enforceJobAuthScope":true}`},
		{contributor, http.MethodGet, own, "", http.StatusOK, `{"enforceJobAuthScope":true}`},
	} {
		var got json.RawMessage
		w.call(c.token, c.method, c.path, c.body, c.status, &got)
		if c.want != "" && string(got) != c.want {
			t.Errorf("%s %s %s: %s, want %s", c.method, c.path, c.body, got, c.want)
		}
	}
}
