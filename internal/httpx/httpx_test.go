package httpx

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestMiddleware(t *testing.T) {
	t.Parallel()
	served := Middleware(slog.New(slog.DiscardHandler), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/fault" {
			panic("a fault")
		}
	}))
	for _, test := range []struct {
		target string
		status int
	}{
		{"/sample/_git/sample?path=/a%20b", http.StatusOK},
		{"/sample/_git/sample?path=/a%FF", http.StatusOK}, // names of files need not be UTF-8
		{"/sample%00/_git", http.StatusBadRequest},
		{"/_search?text=a%00b", http.StatusBadRequest},
		{"/fault", http.StatusInternalServerError},
	} {
		answer := httptest.NewRecorder()
		served.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, test.target, nil))
		if answer.Code != test.status || answer.Header().Get("X-Request-Id") == "" {
			t.Errorf("%s: %d, request %q", test.target, answer.Code, answer.Header().Get("X-Request-Id"))
		}
	}
}
