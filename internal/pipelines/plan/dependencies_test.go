package plan_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// pure are the packages of the language: no I/O, no clock, no database, no network. Each may import what is listed, the
// standard library but for what is forbidden, and package slipway.
var pure = map[string][]string{
	"nearest":    nil,
	"yaml":       {"go.yaml.in/yaml/v4"},
	"expression": {"nearest", "variable"},
	"variable":   nil,
	"plan":       nil,
	"task":       {"expression", "nearest"},
	"schema":     {"variable"},
	"template":   {"expression", "nearest", "plan", "schema", "yaml"},
	"trigger":    {"plan"},
	"compile":    {"expression", "nearest", "plan", "schema", "task", "template", "trigger", "variable", "yaml"},
	"schedule":   {"expression", "plan", "variable", "yaml"},
	"coverage":   nil,
	"agentless":  {"expression", "plan", "schedule", "variable"},
}

// forbidden are packages of the standard library that reach outside; io/fs is only its errors.
var forbidden = []string{"os", "net", "net/http", "syscall", "log", "log/slog", "database/sql", "math/rand", "math/rand/v2", "crypto/rand", "context",
	"os/exec", "path/filepath", "io/ioutil", "unsafe", "embed"}

func TestPurePackagesImportOnlyWhatTheyMay(t *testing.T) {
	t.Parallel()
	const own = "slipway/internal/pipelines/"
	for name, allowed := range pure {
		files, err := filepath.Glob(filepath.Join("..", name, "*.go"))
		if err != nil || len(files) == 0 {
			t.Errorf("package %s has no files: %v", name, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			// Of sync, OnceValue alone keeps nothing that changes: a table that is the same whoever makes it.
			ast.Inspect(parsed, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name != "OnceValue" {
					if x, ok := s.X.(*ast.Ident); ok && x.Name == "sync" {
						t.Errorf("%s uses sync.%s", file, s.Sel.Name)
					}
				}
				return true
			})
			for _, spec := range parsed.Imports {
				path := strings.Trim(spec.Path.Value, `"`)
				switch {
				case path == "slipway":
				case strings.HasPrefix(path, own):
					if !slices.Contains(allowed, strings.TrimPrefix(path, own)) {
						t.Errorf("%s imports %s", file, path)
					}
				case strings.Contains(path, "."):
					if !slices.Contains(allowed, path) {
						t.Errorf("%s imports %s", file, path)
					}
				case strings.HasPrefix(path, "slipway/"), slices.Contains(forbidden, path):
					t.Errorf("%s imports %s", file, path)
				}
			}
		}
	}
}

// A rule gets its times as values: no package of the language reads the clock.
func TestPurePackagesReadNoClock(t *testing.T) {
	t.Parallel()
	for name := range pure {
		files, err := filepath.Glob(filepath.Join("..", name, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, call := range []string{"time.Now(", "time.Since(", "time.After("} {
				if strings.Contains(string(data), call) && !strings.HasSuffix(file, "_test.go") {
					t.Errorf("%s calls %s)", file, call)
				}
			}
		}
	}
}
