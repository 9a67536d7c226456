package agent

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/schema"
)

// The compiler warns of commands that are not in the language's list, so that the list has what the agent obeys, and no more than it answers.
func TestLoggingCommandsOfTheLanguage(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "obey.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	answered := slices.Collect(maps.Keys(notObeyed))
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name != "obey" {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if c, ok := n.(*ast.CaseClause); ok {
				for _, word := range c.List {
					if text, ok := word.(*ast.BasicLit); ok {
						name, err := strconv.Unquote(text.Value)
						if err != nil {
							t.Fatal(err)
						}
						answered = append(answered, name)
					}
				}
			}
			return true
		})
	}
	var listed []string
	for _, known := range schema.LoggingCommands() {
		listed = append(listed, known.Name)
	}
	slices.Sort(answered)
	slices.Sort(listed)
	if diff := cmp.Diff(answered, listed); diff != "" {
		t.Errorf("(-the agent +the language)\n%s", diff)
	}
}
