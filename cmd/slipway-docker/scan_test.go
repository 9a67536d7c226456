package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// `docker scan` waits for the server's answer and ends by the severity that was named.
func TestScan(t *testing.T) {
	t.Parallel()
	const answer = `{"image":"shop/web@sha256:1","packages":2,"counts":{"unchecked":1},"findings":[{"id":"DSA-1","severity":"high","package":"openssl","version":"3","fixed":"4"},
		{"id":"DSA-2","severity":"low","package":"zlib","version":"1"},
		{"id":"DSA-3","severity":"critical","package":"curl","version":"1","accepted":{"reason":"never called","until":"2027-01-01T00:00:00Z"}}]}`
	server := func(t *testing.T) (string, *int) {
		asked := 0
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked++
			user, token, _ := r.BasicAuth()
			switch {
			case user == "job" && token == "secret" && r.URL.Path == "/Shop/_apis/slipway/images/verdict":
				_, _ = io.WriteString(w, `{"enforced":true,"problem":"the policy does not accept `+r.URL.Query().Get("image")+`"}`)
			case user != "job" || token != "secret" || r.URL.Path != "/Shop/_apis/slipway/images/vulnerabilities":
				w.WriteHeader(http.StatusForbidden)
			case r.URL.Query().Get("image") == "shop/none:1":
				w.WriteHeader(http.StatusNotFound)
				_, _ = io.WriteString(w, `{"code":"not_found","message":"there is no manifest \"1\""}`)
			case asked == 1:
				w.WriteHeader(http.StatusConflict)
				_, _ = io.WriteString(w, `{"code":"conflict","message":"still being taken"}`)
			default:
				_, _ = io.WriteString(w, answer)
			}
		}))
		t.Cleanup(s.Close)
		return s.URL, &asked
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"lists":            {[]string{"shop/web:1"}, 0, "2 packages, 3 vulnerabilities; 1 packages"},
		"exception":        {[]string{"shop/web:1"}, 0, "accepted up to 2026-12-31: never called"},
		"policy":           {[]string{"--policy", "shop/web:1"}, 1, "the policy does not accept shop/web:1"},
		"fails":            {[]string{"--fail-on", "high", "shop/web:1"}, 1, "1 vulnerabilities of shop/web@sha256:1 are high or worse"},
		"worse than there": {[]string{"--fail-on=critical", "shop/web:1"}, 0, "DSA-2"},
		"no image":         {nil, 125, "usage: docker scan"},
		"no severity":      {[]string{"--fail-on", "grave", "shop/web:1"}, 125, "write critical, high"},
		"unknown image":    {[]string{"shop/none:1"}, 1, "there is no manifest"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, _ := server(t)
			var out bytes.Buffer
			env := map[string]string{"SYSTEM_COLLECTIONURI": address + "/", "SYSTEM_TEAMPROJECT": "Shop", "SLIPWAY_JOB_TOKEN": "secret"}
			p := program{getenv: func(name string) string { return env[name] }, stdin: strings.NewReader(""), stdout: &out, stderr: &out}
			if code := p.main(context.Background(), append([]string{"scan"}, c.args...)); code != c.code || !strings.Contains(out.String(), c.want) {
				t.Errorf("ended with %d, want %d and %q:\n%s", code, c.code, c.want, out.String())
			}
		})
	}
}
