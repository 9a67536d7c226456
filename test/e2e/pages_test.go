package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pagesOpen opens and clicks every page in headless Chromium, driven by Playwright.
func pagesOpen(t *testing.T, i *installation) {
	shots := filepath.Join(os.TempDir(), "slipway-screenshots")
	t.Log(browse(t, i, "pages.mjs", shots))
	t.Log("screenshots are in " + shots)
}

// everyPageReached follows every link, and finds each page that internal/web serves.
func everyPageReached(t *testing.T, i *installation) {
	routes := filepath.Join(t.TempDir(), "routes")
	if err := os.WriteFile(routes, []byte(strings.Join(pageRoutes(t, i.top), "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Log(browse(t, i, "crawl.mjs", filepath.Join(os.TempDir(), "slipway-screenshots-crawl"), routes, sample, results))
}

// pageRoutes are the patterns of what internal/web answers to GET, from its registrations.
func pageRoutes(t *testing.T, top string) []string {
	t.Helper()
	registration := regexp.MustCompile(`\.(Project|Installation|Public)\("GET", "([^"]*)"`)
	files, err := filepath.Glob(filepath.Join(top, "internal", "web", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || filepath.Base(file) == "doc.go" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range registration.FindAllStringSubmatch(string(text), -1) {
			if m[1] == "Project" {
				m[2] = "/{project}" + m[2]
			}
			list = append(list, m[2])
		}
	}
	if len(list) < 50 {
		t.Fatalf("found %d pages: pages are registered otherwise now", len(list))
	}
	return list
}

// browse runs one of the scripts of test/browser against the installation, with more arguments behind the folder for
// screenshots, and returns what it says.
func browse(t *testing.T, i *installation, script, shots string, more ...string) string {
	t.Helper()
	if i.Password == "" {
		t.Fatal("slipway up did not show the first administrator's password")
	}
	work := t.TempDir()
	if err := os.CopyFS(work, os.DirFS(filepath.Join(i.top, "test", "browser"))); err != nil {
		t.Fatal(err)
	}
	run(t, work, []string{"PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1"}, "npm", "install", "--no-audit", "--no-fund", "--silent")
	return run(t, work, nil, "node", append([]string{script, i.url(), i.Password, shots}, more...)...)
}
