package jobserver_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"slipway/internal/pipelines/schedule"
)

// A checkout whose connections break is tried again, twice. Once, a server that started anew while git was fetching failed the job.
func TestBrokenCheckout(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		broken int32
		want   schedule.Result
	}{{2, schedule.Succeeded}, {3, schedule.Failed}} {
		t.Run(fmt.Sprintf("%d", test.broken), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			programs := strings.TrimSpace(w.command("git", "--exec-path"))
			backend := &cgi.Handler{Path: filepath.Join(programs, "git-http-backend"),
				Env: []string{"GIT_PROJECT_ROOT=" + filepath.Dir(w.source.dir), "GIT_HTTP_EXPORT_ALL=1"}}
			var packs atomic.Int32
			host := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				answer := httptest.NewRecorder()
				backend.ServeHTTP(answer, r)
				body := answer.Body.Bytes()
				if bytes.Contains(body, []byte("PACK")) && packs.Add(1) <= test.broken {
					conn, out, err := http.NewResponseController(rw).Hijack()
					if err != nil {
						t.Error(err)
						return
					}
					fmt.Fprintf(out, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", answer.Header().Get("Content-Type"), len(body), body[:len(body)/2])
					_ = out.Flush()
					_ = conn.Close()
					return
				}
				for name, values := range answer.Header() {
					rw.Header()[name] = values
				}
				rw.WriteHeader(answer.Code)
				_, _ = rw.Write(body)
			}))
			t.Cleanup(host.Close)
			w.source.repository.URL = host.URL + "/" + filepath.Base(w.source.dir)
			tl := w.completed(w.one(w.push("steps:\n- checkout: self\n- bash: cat README\n  displayName: look\n", "README", "it is here")))
			j := w.job(tl, "__default.Job")
			if j.Result != test.want || packs.Load() != 3 {
				t.Errorf("the job is %s after %d packs, want %s after 3", j.Result, packs.Load(), test.want)
			}
			if test.want == schedule.Succeeded && !strings.Contains(w.log(j, "look"), "it is here") {
				t.Error(w.log(j, "look"))
			}
		})
	}
}
