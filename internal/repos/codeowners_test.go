package repos

import (
	"strings"
	"testing"

	"github.com/hmarr/codeowners"
)

// The patterns are those of GitHub's own examples (docs.github.com, "About code owners"), in the order of its page, whose comments say what they match.
func TestCodeOwnersPatterns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ pattern, owned, others string }{
		{"*", "a docs/b.md deep/er/c", ""},
		{"*.js", "a.js deep/er/b.js", "a.jsx a.go"},
		{"/build/logs/", "build/logs/x build/logs/deep/x", "x/build/logs/x build/logs.txt build/x"},
		{"docs/*", "docs/getting-started.md", "docs/build-app/troubleshooting.md x/docs/a.md"},
		{"apps/", "apps/a apps/deep/a x/apps/a x/apps/deep/a", "apps myapps/a"},
		{"/docs/", "docs/a docs/deep/a", "x/docs/a"},
		{"/scripts/", "scripts/a", "x/scripts/a"},
		{"**/logs", "build/logs/a scripts/logs/a deeply/nested/logs/a logs/a", "logsx/a"},
		{"/apps/github", "apps/github apps/github/a", "apps/githubx x/apps/github"},
		{"*.Txt", "a.Txt", "a.txt"},
	} {
		rules, err := codeowners.ParseFile(strings.NewReader(c.pattern + " @owner # " + c.pattern + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		for want, paths := range map[bool]string{true: c.owned, false: c.others} {
			for _, path := range strings.Fields(paths) {
				rule, err := rules.Match(path)
				if err != nil || (rule != nil) != want {
					t.Errorf("%s owns %s: %v, %v; want %v", c.pattern, path, rule != nil, err, want)
				}
			}
		}
	}
	// The last that matches decides, and one without owners takes them away.
	rules, err := codeowners.ParseFile(strings.NewReader("* @all\n/apps/ @apps\n/apps/github\n/apps/github/doctocat @doc\n"))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"a": "@all", "apps/a": "@apps", "apps/github/a": "", "apps/github/doctocat": "@doc"} {
		rule, err := rules.Match(path)
		got := ""
		if err == nil && rule != nil && len(rule.Owners) > 0 {
			got = rule.Owners[0].String()
		}
		if got != want {
			t.Errorf("%s is owned by %q, want %q (%v)", path, got, want, err)
		}
	}
}
