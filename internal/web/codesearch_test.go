package web_test

import (
	"strings"
	"testing"
)

// Words that say where to look are no part of the text, as in the search of Azure DevOps:
// https://learn.microsoft.com/azure/devops/project/search/functional-code-search
func TestSearchFilters(t *testing.T) {
	t.Parallel()
	w := newCodeWorld(t)
	w.put("begin", "src/a.go", "sell hats\n", "src/deep/b.go", "sell hats\n", "src/c.md", "sell hats\n", "docs/d.go", "sell hats\n", "e.txt", "ext:go is a filter\n")
	names := []string{"src/a.go", "src/deep/b.go", "src/c.md", "docs/d.go", "e.txt"}
	for query, want := range map[string][]string{
		"text=sell+hats":                         {"src/a.go", "src/deep/b.go", "src/c.md", "docs/d.go"},
		"text=sell+hats+ext:go":                  {"src/a.go", "src/deep/b.go", "docs/d.go"},
		"text=path:/src/+sell+hats":              {"src/a.go", "src/deep/b.go", "src/c.md"},
		"text=ext:go+sell+hats+path:src":         {"src/a.go", "src/deep/b.go"},
		"text=sell+hats+ext:go+ext:.md+path:src": {"src/a.go", "src/deep/b.go", "src/c.md"},
		"text=ext:go":                            {"e.txt"}, // a text of nothing else is the text
		"text=ext:go+is&regex=1":                 {"e.txt"},
		"text=sell+hats&paths=!docs/+!src/deep/": {"src/a.go", "src/c.md"},
		"text=sell+hats+ext:go&paths=!src/deep/": {"src/a.go", "docs/d.go"},
	} {
		page := w.shows(shopPages + "/search?" + query)
		in := map[string]bool{}
		for _, name := range want {
			in[name] = true
		}
		for _, name := range names {
			if got := strings.Contains(page, ">"+name+"</a>"); got != in[name] {
				t.Errorf("%s: %s is found: %v", query, name, got)
			}
		}
	}
}
