package agent

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/job"
)

// The files arrive by curl itself.
func TestCurlUploader(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		user, password, _ := r.BasicAuth()
		if password == "wrong" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		got = append(got, strings.Join([]string{r.Method, r.URL.Path, user, password, r.Header.Get("X-Kind"), string(body)}, " "))
	}))
	t.Cleanup(server.Close)
	j := newToolJob(t, map[string]string{"Build.BuildId": "7"})
	j.path += ":" + sysPath
	const password = `pass"wo\rd x`
	j.withConnections(job.Connection{Name: "files", Type: "generic", URL: server.URL + "/base/", Parameters: map[string]string{"username": "ada", "password": password}, Secret: []string{"password"}},
		job.Connection{Name: "open", Type: "generic", URL: server.URL})
	j.write("out/a b.zip", "one")
	j.write("out/sub/c.zip", "two")
	received := func(want ...string) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("received (-want +got)\n%s", diff)
		}
		got = nil
	}
	log := j.must("cURLUploader@2", map[string]string{"files": "out/**/*.zip", "serviceEndpoint": "files", "options": `-H "X-Kind: zip"`})
	received("PUT /base/upload/7/a b.zip ada "+password+" zip one", "PUT /base/upload/7/c.zip ada "+password+" zip two")
	if strings.Contains(log, "wo") && strings.Contains(log, "rd x") {
		t.Errorf("log\n%s", log)
	}
	j.must("cURLUploader@2", map[string]string{"files": "out/sub/c.zip", "authType": "UserAndPass", "url": server.URL, "remotePath": `a\b/`, "username": "bob", "password": "x", "redirectStderr": "false"})
	received("PUT /a/b/c.zip bob x  two")
	j.must("cURLUploader@2", map[string]string{"files": "out/sub/c.zip", "authType": "UserAndPass", "url": server.URL + "/", "remotePath": ""})
	received("PUT /c.zip    two")
	for want, given := range map[string]map[string]string{
		"no file matches *.tar":           {"files": "*.tar", "serviceEndpoint": "files"},
		"there is no file":                {"files": "gone.zip", "serviceEndpoint": "files"},
		"needs a URL, a username and":     {"files": "out/sub/c.zip", "serviceEndpoint": "open"},
		"curl exited with code 22":        {"files": "out/sub/c.zip", "authType": "UserAndPass", "url": server.URL, "username": "x", "password": "wrong"},
		"there is no service connection ": {"files": "out/sub/c.zip", "serviceEndpoint": "gone"},
	} {
		if _, err := j.run("cURLUploader@2", given); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", given, err, want)
		}
	}
}
