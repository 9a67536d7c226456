package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"slipway/internal/identity"
)

// A browser sends its session with what a page on another port of the same host asks for: that reads, and changes nothing.
func TestOtherOrigins(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.user("ada", true)
	session, _, err := w.identity.SignIn(context.Background(), "ada", "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	f := func(method string, headers map[string]string, want int) {
		t.Helper()
		r, err := http.NewRequest(method, w.url+"/_apis/slipway/sshkeys", strings.NewReader(`{"key":"x"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.AddCookie(identity.SessionCookie(session, false))
		for name, value := range headers {
			r.Header.Set(name, value)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s with %v: %d, want %d", method, headers, resp.StatusCode, want)
		}
	}
	f("POST", map[string]string{"Origin": "http://127.0.0.1:3000"}, http.StatusForbidden)
	f("POST", map[string]string{"Origin": "http://127.0.0.1:3000", "Sec-Fetch-Site": "same-site"}, http.StatusForbidden)
	f("POST", map[string]string{"Sec-Fetch-Site": "cross-site"}, http.StatusForbidden)
	f("POST", map[string]string{"Origin": w.url, "Sec-Fetch-Site": "same-origin"}, http.StatusBadRequest) // the key is none
	f("POST", nil, http.StatusBadRequest)
	f("GET", map[string]string{"Origin": "http://127.0.0.1:3000", "Sec-Fetch-Site": "same-site"}, http.StatusOK)
}
