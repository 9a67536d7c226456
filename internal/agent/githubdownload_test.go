package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The requests are those of Azure's task (DownloadGitHubReleaseV0/main.ts), the answers those of docs.github.com/rest/releases.
func TestDownloadGitHubRelease(t *testing.T) {
	t.Parallel()
	g := newFakeGitHub(t, "[]", map[string]string{
		"GET releases/tags/v2":   `200 {"id": 7, "tag_name": "v2"}`,
		"GET releases/9":         `200 {"id": 9, "tag_name": "v9"}`,
		"GET releases/1/assets":  `200 [{"id": 70, "name": "app.zip"}, {"id": 71, "name": "app.sha256"}]`,
		"GET releases/7/assets":  `200 [{"id": 70, "name": "app.zip"}]`,
		"GET releases/9/assets":  `200 [{"id": 72, "name": "../evil"}]`,
		"GET releases/assets/70": `200 zipped`,
		"GET releases/assets/71": `200 sum`,
	})
	j := g.job(t)
	f := func(given map[string]string, want map[string]string, fails string) {
		t.Helper()
		folder := t.TempDir()
		given["connection"], given["userRepository"], given["downloadPath"] = "hub", "ada/shop", filepath.Join(folder, "new")
		log, err := j.run("DownloadGitHubRelease@0", given)
		if fails == "" && err != nil || fails != "" && (err == nil || !strings.Contains(err.Error(), fails)) {
			t.Errorf("%v: %v, want %q\n%s", given, err, fails, log)
		}
		got := map[string]string{}
		entries, _ := os.ReadDir(filepath.Join(folder, "new"))
		for _, e := range entries {
			got[e.Name()] = textOf(t, filepath.Join(folder, "new", e.Name()))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v (-want +got)\n%s", given, diff)
		}
	}
	none := map[string]string{}
	f(map[string]string{}, map[string]string{"app.zip": "zipped", "app.sha256": "sum"}, "")
	f(map[string]string{"itemPattern": "app.{sha256,tar}"}, map[string]string{"app.sha256": "sum"}, "")
	f(map[string]string{"itemPattern": "*.tar"}, none, "")
	f(map[string]string{"defaultVersionType": "specificTag", "version": "v2"}, map[string]string{"app.zip": "zipped"}, "")
	f(map[string]string{"defaultVersionType": "specificVersion", "version": "9"}, none, "that is no name of a file")
	f(map[string]string{"defaultVersionType": "specificTag", "version": "v3"}, none, "there is no release v3 in ada/shop")
}
