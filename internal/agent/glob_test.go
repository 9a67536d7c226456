package agent

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What the extended globs match is what minimatch says, in the version of Azure's task library and with its options. minimatch.json was
// written by it: node -e "…require('minimatch')(path, pattern, options)…" for each pattern and path.
func TestExtendedGlobs(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/minimatch.json")
	if err != nil {
		t.Fatal(err)
	}
	var table struct {
		Paths   []string `json:"paths"`
		Matches []struct {
			Pattern string   `json:"pattern"`
			Paths   []string `json:"paths"`
		} `json:"matches"`
	}
	if err := json.Unmarshal(data, &table); err != nil {
		t.Fatal(err)
	}
	if len(table.Matches) < 70 || len(table.Paths) < 40 {
		t.Fatalf("%d patterns, %d paths", len(table.Matches), len(table.Paths))
	}
	for _, m := range table.Matches {
		t.Run(m.Pattern, func(t *testing.T) {
			t.Parallel()
			matches, got := globMatcher(m.Pattern), []string{}
			for _, path := range table.Paths {
				if matches(path) {
					got = append(got, path)
				}
			}
			if diff := cmp.Diff(m.Paths, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Many parentheses cost no more than their number.
func TestManyParentheses(t *testing.T) {
	t.Parallel()
	for _, one := range []string{"@(", "+(a", "!(a|", "{", "@(a|{b,"} {
		pattern := ""
		for range 5_000 {
			pattern += one
		}
		if globMatcher(pattern + "@(b)")("a") {
			t.Errorf("%s… matches", one)
		}
	}
}

func TestFindByExtendedGlobs(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, nil, "out/a.js", "", "out/a.ts", "", "out/a.d.ts", "", "out/deep/b.js", "", "etc/c.js", "")
	w.must("CopyFiles@2", map[string]string{"SourceFolder": "out", "Contents": "**/*.+(js|ts)\n!**/*.d.ts", "TargetFolder": "to"})
	if diff := cmp.Diff([]string{"a.js", "a.ts", "deep/", "deep/b.js"}, w.tree("to")); diff != "" {
		t.Error(diff)
	}
	elsewhere := t.TempDir()
	found, err := find(elsewhere, patterns{w.absolute("@(out|etc)/*.js")})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{w.absolute("etc/c.js"), w.absolute("out/a.js")}, found); diff != "" {
		t.Error(diff)
	}
}

// Braces expand for the tasks that ask for it, and stand for themselves for the others. minimatch-braces.json is as minimatch.json; "paths"
// are what matches with nobrace, and "expanded" without.
func TestBraces(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/minimatch-braces.json")
	if err != nil {
		t.Fatal(err)
	}
	var table struct {
		Paths   []string `json:"paths"`
		Matches []struct {
			Pattern  string   `json:"pattern"`
			Paths    []string `json:"paths"`
			Expanded []string `json:"expanded"`
		} `json:"matches"`
	}
	if err := json.Unmarshal(data, &table); err != nil {
		t.Fatal(err)
	}
	matched := func(list patterns) []string {
		matches, got := list.matcher(), []string{}
		for _, path := range table.Paths {
			if matches(path) {
				got = append(got, path)
			}
		}
		return got
	}
	for _, m := range table.Matches {
		if diff := cmp.Diff(m.Paths, matched(patterns{m.Pattern})); diff != "" {
			t.Errorf("%s:\n%s", m.Pattern, diff)
		}
		if diff := cmp.Diff(m.Expanded, matched(patterns{m.Pattern}.expanded())); diff != "" {
			t.Errorf("%s expanded:\n%s", m.Pattern, diff)
		}
	}
}

// As the sources of azure-pipelines-tasks have it: CopyFiles calls match with its defaults, DeleteFiles with options of its own.
func TestBracesByTask(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, nil, "out/a.js", "", "out/a.ts", "", "out/{a,b}.js", "", "out/{x}/b.ts", "")
	w.must("CopyFiles@2", map[string]string{"SourceFolder": "out", "Contents": "*.{js,ts}\n{a,b}.js\n{x}/**", "TargetFolder": "to"})
	if diff := cmp.Diff([]string{"{a,b}.js", "{x}/", "{x}/b.ts"}, w.tree("to")); diff != "" {
		t.Error(diff)
	}
	w.must("DeleteFiles@1", map[string]string{"SourceFolder": "out", "Contents": "a.{js,ts}"})
	if diff := cmp.Diff([]string{"{a,b}.js", "{x}/", "{x}/b.ts"}, w.tree("out")); diff != "" {
		t.Error(diff)
	}
}
