package web_test

import (
	"net/url"
	"strings"
	"testing"
)

func TestRepositorySettingsPages(t *testing.T) {
	t.Parallel()
	w := newCodeWorld(t)
	form := func(token, path string, status int, pairs ...string) string {
		t.Helper()
		values := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			values.Set(pairs[i], pairs[i+1])
		}
		got, body, _ := w.do(token, "POST", path, values)
		if got != status {
			t.Errorf("POST %s %v: %d, want %d\n%s", path, pairs, got, status, body)
		}
		return body
	}
	const settings, mirrors = "/tools/_git/My%20Shop/settings", "/tools/_git/My%20Shop/settings/mirrors"
	w.shows(settings, "has nothing to do with another host", "Limits of pushes", "Upkeep")
	form(w.writer, mirrors, 403, "kind", "push", "url", "https://example.com/x.git")
	form(w.administrator, mirrors, 400, "kind", "push", "url", "file:///etc")
	form(w.administrator, mirrors, 403, "kind", "push", "url", "https://example.com/x.git", "private", "yes")
	if body := form(w.administrator, mirrors, 200, "kind", "pull", "url", "https://example.com/x.git", "every", "90"); !strings.Contains(body, "every 1 h 30 m") || !strings.Contains(body, "hx-trigger") {
		t.Errorf("after the mirror was made:\n%s", body)
	}
	w.shows(mirrors, "https://example.com/x.git", "queued")
	form(w.administrator, mirrors+"/1", 200, "do", "cancel")
	w.shows(settings, "canceled")
	form(w.administrator, mirrors+"/1", 200, "do", "off")
	form(w.administrator, mirrors+"/1", 400, "do", "nothing")
	form(w.administrator, mirrors+"/1", 200, "do", "delete")
	form(w.administrator, settings, 200, "do", "limits", "file", "1234")
	w.shows(settings, "1234")
	form(w.administrator, "/tools/_settings/repositories", 200, "do", "limits", "refs", "77")
	w.shows(settings, "77")
	form(w.administrator, settings, 200, "do", "upkeep")
	w.shows(settings, "waiting")
	form(w.administrator, settings, 200, "do", "disable")
	if status, _, _ := w.do(w.reader, "GET", "/tools/_git/My%20Shop", nil); status != 403 {
		t.Errorf("the files of a disabled repository: %d", status)
	}
	form(w.administrator, settings, 200, "do", "enable")
	form(w.administrator, settings, 200, "do", "rename", "name", "Store")
	w.shows("/tools/_git/My%20Shop", "Store") // by the old name
	form(w.administrator, "/tools/_git/Store/settings", 200, "do", "delete")
	w.shows("/tools/_settings/repositories", "Store, deleted")
	form(w.administrator, "/tools/_settings/repositories", 200, "do", "restore", "repository", string(w.id))
	w.shows("/tools/_git/Store", "Store")
	if status, body, _ := w.do(w.administrator, "GET", "/tools/_import", nil); status != 200 || !strings.Contains(body, "Import a repository") {
		t.Errorf("the page for imports: %d", status)
	}
	if body := form(w.administrator, "/tools/_import", 200, "kind", "import", "url", "https://example.com/hats.git", "name", "hats"); !strings.Contains(body, "import <code>https://example.com/hats.git</code>") {
		t.Errorf("after the import began:\n%s", body)
	}
	form(w.writer, "/tools/_import", 403, "kind", "import", "url", "https://example.com/hats.git", "name", "caps")
}
