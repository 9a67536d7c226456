package template

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"slipway/internal/pipelines/nearest"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/yaml"
)

// unused warns of parameters that their own file never reads, of the files of this repository.
func (e *expander) unused() (list []plan.Warning) {
	for _, label := range e.sources {
		root := e.trees[label]
		if root == nil || strings.Contains(label, "@") {
			continue
		}
		declared := root.Get("parameters")
		if declared == nil {
			continue
		}
		if declared.Kind != yaml.List {
			list = append(list, typedInMap(declared)...)
			continue // the old map form says what others may give
		}
		read := reading{names: map[string]bool{}}
		for _, p := range root.Pairs {
			if p.Key.Text != "parameters" {
				read.add(p.Key)
				read.walk(p.Value)
			}
		}
		var names []string
		for _, item := range declared.Items {
			if name := item.Get("name"); name != nil {
				names = append(names, name.Text)
			}
		}
		for _, item := range declared.Items {
			name := item.Get("name")
			if name == nil || name.Kind != yaml.Scalar || name.Text == "" || strings.Contains(name.Text, "${{") {
				continue
			}
			if !read.all && !read.names[strings.ToLower(name.Text)] && !read.misspelt(name.Text, names) {
				list = append(list, plan.Warning{At: name.At, Message: fmt.Sprintf("parameter %q is declared and never read: remove it, or read it as ${{ %s }}", name.Text, readAs(name.Text))})
			}
		}
	}
	return list
}

// typedInMap warns of parameters that are written as in a list of parameters with types and stand in the old map of names and defaults, where
// their type is a part of the default.
func typedInMap(declared *yaml.Node) (list []plan.Warning) {
	types := schema.ParameterTypes()
	isType := func(n *yaml.Node) bool { return n != nil && n.Kind == yaml.Scalar && slices.Contains(types, n.Text) }
	if name := declared.Get("name"); name != nil && name.Kind == yaml.Scalar && isType(declared.Get("type")) {
		return []plan.Warning{{At: declared.At, Message: fmt.Sprintf("these are parameters with the names name and type: begin the line with a dash if one parameter is meant, - name: %s", name.Text)}}
	}
	for _, p := range declared.Pairs {
		if p.Value.Kind == yaml.Map && isType(p.Value.Get("type")) && (p.Value.Get("default") != nil || len(p.Value.Pairs) == 1) {
			list = append(list, plan.Warning{At: p.Key.At, Message: fmt.Sprintf("the default of parameter %q is all of this map, with type and default as its keys: write parameters that have types as a list, - name: %s with type and default below it", p.Key.Text, p.Key.Text)})
		}
	}
	return list
}

// readAs is the expression that reads a parameter.
func readAs(name string) string {
	if isName(name) {
		return "parameters." + name
	}
	return "parameters['" + strings.ReplaceAll(name, "'", "''") + "']"
}

// misspelt reports whether a name is read that nobody declares and that is a slip of this one.
func (r *reading) misspelt(name string, declared []string) bool {
	for read := range r.names {
		if !slices.ContainsFunc(declared, func(d string) bool { return strings.EqualFold(d, read) }) && strings.EqualFold(nearest.Find(read, declared), name) {
			return true
		}
	}
	return false
}

// reading are the parameters that expressions of a file name, in lower case; all of them if one reads the whole.
type reading struct {
	names map[string]bool
	all   bool
}

func (r *reading) walk(n *yaml.Node) {
	r.add(n)
	for _, item := range n.Items {
		r.walk(item)
	}
	for _, p := range n.Pairs {
		r.add(p.Key)
		r.walk(p.Value)
	}
}

// misread is a parameter in other brackets than those of an expression, of which the compiler says what to write.
var misread = regexp.MustCompile(`(?:\$\(|\{) *parameters\.`)

var parameterRead = regexp.MustCompile(`(?i)\bparameters\b\s*(?:\.\s*([a-z_][a-z0-9_]*(?:-[a-z0-9_]+)*)|\[\s*'((?:[^']|'')*)'\s*\])?`)

func (r *reading) add(n *yaml.Node) {
	if n.Kind != yaml.Scalar || !strings.Contains(n.Text, "${{") && !misread.MatchString(n.Text) {
		return
	}
	for _, found := range parameterRead.FindAllStringSubmatch(n.Text, -1) {
		name := found[1] + strings.ReplaceAll(found[2], "''", "'")
		if name == "" {
			r.all = true
		}
		r.names[strings.ToLower(name)] = true
	}
}
