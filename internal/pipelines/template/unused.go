package template

import (
	"fmt"
	"regexp"
	"strings"

	"slipway/internal/pipelines/plan"
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
		if declared == nil || declared.Kind != yaml.List {
			continue // the old map form says what others may give
		}
		read := reading{names: map[string]bool{}}
		for _, p := range root.Pairs {
			if p.Key.Text != "parameters" {
				read.add(p.Key)
				read.walk(p.Value)
			}
		}
		for _, item := range declared.Items {
			name := item.Get("name")
			if name == nil || name.Kind != yaml.Scalar || name.Text == "" || strings.Contains(name.Text, "${{") {
				continue
			}
			if !read.all && !read.names[strings.ToLower(name.Text)] {
				list = append(list, plan.Warning{At: name.At, Message: fmt.Sprintf("parameter %q is declared and never read: remove it, or read it as ${{ parameters.%s }}", name.Text, name.Text)})
			}
		}
	}
	return list
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

var parameterRead = regexp.MustCompile(`(?i)\bparameters\b\s*(?:\.\s*([a-z_][a-z0-9_]*)|\[\s*'((?:[^']|'')*)'\s*\])?`)

func (r *reading) add(n *yaml.Node) {
	if n.Kind != yaml.Scalar || !strings.Contains(n.Text, "${{") {
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
