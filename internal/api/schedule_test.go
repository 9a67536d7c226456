package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/pipelinestest"
)

func TestLimitsAndExplanation(t *testing.T) {
	t.Parallel()
	w, s, token := pipelineWorldOf(t, "jobs:\n- job: Make\n  steps: [{bash: x}]\n- job: Never\n  condition: eq(1, 2)\n  steps: [{bash: x}]\n")
	contributor := w.member("carl", identity.RoleContributor)
	const path = "/Shop/_apis/slipway/limits"
	w.call(contributor, http.MethodPut, path, `{"jobs": 2}`, http.StatusForbidden, nil)
	w.call(token, http.MethodPut, path, `{"jobs": -2}`, http.StatusBadRequest, nil)
	var l api.Limits
	w.call(token, http.MethodPut, path, `{"jobs": 2, "runJobs": 1}`, http.StatusOK, &l)
	if l.Jobs != 2 || l.RunJobs != 1 || l.Installation.Jobs != pipelines.DefaultJobs {
		t.Errorf("limits %+v", l)
	}
	run, err := s.Pushed(context.Background(), pipelines.Push{Event: 1, Repository: pipelinestest.RepositoryID, Ref: "refs/heads/main", After: pipelinestest.Commit, PathsUnknown: true, Actor: slipway.System})
	if err != nil || len(run) != 1 {
		t.Fatalf("%d runs, %v", len(run), err)
	}
	w.call(contributor, http.MethodGet, path, "", http.StatusOK, &l)
	if l.Waiting != 1 || l.Running != 0 {
		t.Errorf("load %+v", l)
	}
	var why struct{ Value []api.Explanation }
	base := fmt.Sprintf("/Shop/_apis/slipway/runs/%d/", run[0].ID)
	w.call(contributor, http.MethodGet, base+"explanation", "", http.StatusOK, &why)
	if len(why.Value) != 3 || why.Value[2].Reason != "was skipped: eq(1, 2) is False" || why.Value[2].Condition != "eq(1, 2)" || why.Value[2].Result != "skipped" {
		t.Errorf("explanation %+v", why.Value)
	}
	var decisions struct{ Value []api.Decision }
	w.call(contributor, http.MethodGet, base+"decisions", "", http.StatusOK, &decisions)
	if n := len(decisions.Value); n == 0 || decisions.Value[n-1].Difference != "" {
		t.Errorf("decisions %+v", decisions.Value)
	}
	w.call(w.user("eve", false), http.MethodGet, base+"explanation", "", http.StatusNotFound, nil)
}

func TestPipelineSettings(t *testing.T) {
	t.Parallel()
	w, _, token := pipelineWorld(t)
	reader := w.member("rita", identity.RoleReader)
	const path = "/Shop/_apis/slipway/pipelines/1"
	for _, c := range []struct {
		token, method, body string
		status              int
		want                string
	}{
		{reader, http.MethodGet, "", http.StatusOK, `{"id":1,"name":"shop","disabled":false,"retryLost":null}`},
		{reader, http.MethodPatch, `{"disabled":true}`, http.StatusForbidden, ""},
		{token, http.MethodPatch, `{"retryLost":2}`, http.StatusOK, `{"id":1,"name":"shop","disabled":false,"retryLost":2}`},
		{token, http.MethodPatch, `{"disabled":true}`, http.StatusOK, `{"id":1,"name":"shop","disabled":true,"retryLost":2}`},
		{token, http.MethodPatch, `{"retryLost":null}`, http.StatusOK, `{"id":1,"name":"shop","disabled":true,"retryLost":null}`},
		{token, http.MethodPatch, `{"retryLost":"often"}`, http.StatusBadRequest, ""},
		{token, http.MethodPatch, `{"retryLost":-1}`, http.StatusBadRequest, ""},
	} {
		var got json.RawMessage
		w.call(c.token, c.method, path, c.body, c.status, &got)
		if c.want != "" && string(got) != c.want {
			t.Errorf("%s %s: %s, want %s", c.method, c.body, got, c.want)
		}
	}
	w.call(token, http.MethodGet, "/Shop/_apis/slipway/pipelines/7", "", http.StatusNotFound, nil)
}

func TestWebhookRoutes(t *testing.T) {
	t.Parallel()
	w, _, token := pipelineWorldOf(t, "steps: [{bash: x}]\n")
	const path = "/Shop/_apis/slipway/webhooks"
	w.call(w.member("carl", identity.RoleContributor), http.MethodPost, path, `{"name":"hook"}`, http.StatusForbidden, nil)
	var made api.Webhook
	w.call(token, http.MethodPost, path, `{"name":"git hub","address":"WebHook","secret":"s3cret"}`, http.StatusOK, &made)
	if made.Header != "X-Hub-Signature" || !made.Secured || made.Secret != "" || !strings.HasSuffix(made.URL, "/_apis/public/distributedtask/webhooks/WebHook") {
		t.Errorf("made %+v", made)
	}
	// Nobody signs in: the signature says who calls. This one has none.
	for _, prefix := range []string{"", "/DefaultCollection"} {
		w.call("", http.MethodPost, prefix+"/_apis/public/distributedtask/webhooks/WebHook?api-version=6.0-preview", `{"a":1}`, http.StatusForbidden, nil)
	}
	w.call("", http.MethodPost, "/_apis/public/distributedtask/webhooks/other?api-version=6.0-preview", `{"a":1}`, http.StatusNotFound, nil)
	w.call(token, http.MethodPost, path, `{"name":"open"}`, http.StatusOK, nil)
	w.call("", http.MethodPost, "/_apis/public/distributedtask/webhooks/open?api-version=6.0-preview", `{"a":1}`, http.StatusOK, nil)
	w.call("", http.MethodPost, "/_apis/public/distributedtask/webhooks/open?api-version=6.0-preview", `no json`, http.StatusBadRequest, nil)
	var list struct{ Value []api.Webhook }
	w.call(token, http.MethodGet, path, "", http.StatusOK, &list)
	if len(list.Value) != 2 || list.Value[1].LastCall == nil || list.Value[0].LastCall != nil {
		t.Errorf("list %+v", list.Value)
	}
	w.call(token, http.MethodDelete, fmt.Sprintf("%s/%d", path, made.ID), "", http.StatusNoContent, nil)
	w.call(token, http.MethodDelete, fmt.Sprintf("%s/%d", path, made.ID), "", http.StatusNotFound, nil)
}
