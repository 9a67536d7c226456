package otlpserver_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"slipway"
	"slipway/internal/identity"
)

// post sends OTLP as JSON and returns the status and the answer.
func (w *world) post(t *testing.T, path, token, contentType string, body io.Reader, headers ...string) (int, map[string]any, http.Header) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, w.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer map[string]any
	if strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
	}
	return response.StatusCode, answer, response.Header
}

// span is an OTLP request in JSON (OTLP specification, "JSON Protobuf Encoding": ids in hex, 64-bit numbers as text).
func span(project, trace string, at time.Time) string {
	return fmt.Sprintf(`{"resourceSpans":[{"resource":{"attributes":[{"key":"slipway.project","value":{"stringValue":%q}}]},
		"scopeSpans":[{"spans":[{"traceId":%q,"spanId":"00f067aa0ba902b7","name":"s","kind":2,"startTimeUnixNano":"%d","endTimeUnixNano":"%d"}]}]}]}`,
		project, trace, at.UnixNano(), at.Add(time.Second).UnixNano())
}

const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"

func TestOTLPAnswers(t *testing.T) {
	t.Parallel()
	w := setup(t)
	f := func(name string, want int, token, contentType, body string, headers ...string) map[string]any {
		t.Helper()
		status, answer, h := w.post(t, "/v1/traces", token, contentType, strings.NewReader(body), headers...)
		if status != want {
			t.Errorf("%s: %d %v, want %d", name, status, answer, want)
		}
		if status == http.StatusUnauthorized && h.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no WWW-Authenticate", name)
		}
		return answer
	}
	good := span("any", traceID, time.Now())
	if a := f("all taken", 200, w.workload, "application/json", good); a["partialSuccess"] != nil && len(a["partialSuccess"].(map[string]any)) > 0 {
		t.Errorf("all taken: %v", a)
	}
	a := f("an old span", 200, w.workload, "application/json", span("any", traceID, time.Now().Add(-1000*24*time.Hour)))
	if p, ok := a["partialSuccess"].(map[string]any); !ok || p["rejectedSpans"] != "1" || p["errorMessage"] == "" {
		t.Errorf("an old span: %v, want one rejected", a)
	}
	f("no token", 401, "", "application/json", good)
	f("a wrong token", 401, strings.Repeat("x", 52), "application/json", good)
	if a := f("not OTLP", 400, w.workload, "application/json", `{"resourceSpans":7}`); a["code"] != 3.0 { // INVALID_ARGUMENT
		t.Errorf("not OTLP: %v", a)
	}
	f("another content type", 415, w.workload, "text/plain", good)
	f("broken gzip", 400, w.workload, "application/json", "\x1f\x8bnonsense", "Content-Encoding", "gzip")
	f("another encoding", 400, w.workload, "application/json", good, "Content-Encoding", "br")
	f("the other header", 200, "", "application/json", good, "X-Slipway-Token", w.workload)
}

func TestABombOfGzipIsTooLarge(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	zeros := make([]byte, 1<<20)
	for range 65 {
		if _, err := z.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := w.post(t, "/v1/logs", w.workload, "application/x-protobuf", &b, "Content-Encoding", "gzip"); status != http.StatusRequestEntityTooLarge {
		t.Errorf("65 MiB: %d, want 413", status)
	}
}

func TestUsersNeedToContribute(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := context.Background()
	token := func(name string, role identity.Role) string {
		u, err := w.identity.CreateUser(ctx, slipway.System, identity.NewUser{Name: name, Password: "correct horse"})
		if err == nil {
			err = w.identity.SetRole(ctx, slipway.System, w.project.ID, u.ID, role)
		}
		if err != nil {
			t.Fatal(err)
		}
		secret, err := w.identity.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenPersonal, Name: "t", Actor: slipway.Actor{Kind: slipway.ActorUser, ID: string(u.ID), Name: name}})
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	reader, contributor := token("reader", identity.RoleReader), token("contributor", identity.RoleContributor)
	f := func(name string, want int, token, project string) {
		t.Helper()
		if status, answer, _ := w.post(t, "/v1/traces", token, "application/json", strings.NewReader(span(project, traceID, time.Now()))); status != want {
			t.Errorf("%s: %d %v, want %d", name, status, answer, want)
		}
	}
	f("contributor by name", 200, contributor, "SHOP")
	f("contributor by id", 200, contributor, string(w.project.ID))
	f("reader", 403, reader, "shop")
	f("no such project", 404, contributor, "elsewhere")
	rows, err := w.insights.Operation(ctx, w.project.ID, traceID, time.Time{}, time.Time{})
	if err != nil || len(rows) != 2 {
		t.Errorf("%d rows, %v, want the contributor's two", len(rows), err)
	}
}
