package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

// pagesOpen opens and clicks every page in headless Chromium, driven by Playwright.
func pagesOpen(t *testing.T, i *installation) {
	if i.Password == "" {
		t.Fatal("slipway up did not show the first administrator's password")
	}
	work := t.TempDir()
	if err := os.CopyFS(work, os.DirFS(filepath.Join(i.top, "test", "browser"))); err != nil {
		t.Fatal(err)
	}
	run(t, work, []string{"PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1"}, "npm", "install", "--no-audit", "--no-fund", "--silent")
	shots := filepath.Join(os.TempDir(), "slipway-screenshots")
	t.Log(run(t, work, nil, "node", "pages.mjs", i.url(), i.Password, shots))
	t.Log("screenshots are in " + shots)
}
