package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

// pagesOpen opens and clicks every page in headless Chromium, driven by Playwright.
func pagesOpen(t *testing.T, i *installation) {
	shots := filepath.Join(os.TempDir(), "slipway-screenshots")
	t.Log(browse(t, i, "pages.mjs", shots))
	t.Log("screenshots are in " + shots)
}

// browse runs one of the scripts of test/browser against the installation, and returns what it says.
func browse(t *testing.T, i *installation, script, shots string) string {
	t.Helper()
	if i.Password == "" {
		t.Fatal("slipway up did not show the first administrator's password")
	}
	work := t.TempDir()
	if err := os.CopyFS(work, os.DirFS(filepath.Join(i.top, "test", "browser"))); err != nil {
		t.Fatal(err)
	}
	run(t, work, []string{"PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1"}, "npm", "install", "--no-audit", "--no-fund", "--silent")
	return run(t, work, nil, "node", script, i.url(), i.Password, shots)
}
