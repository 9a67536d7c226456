package languageserver

import (
	"strings"

	"slipway/internal/pipelines/schema"
)

// reference is a name in an expression or macro: parameters.NAME, variables['NAME'], $(NAME), dependencies.JOB …
type reference struct {
	// root is parameters, variables, dependencies or stageDependencies, "" for a name that stands alone.
	root string
	// path is what stands between root and name.
	path []string
	name string
	// start and end are the bytes of the name in its line.
	start, end int
}

// referenceAt is the name at a byte of a line.
func referenceAt(line string, at int) (r reference) {
	w, start := word(line, at)
	r = reference{name: w, start: start, end: start + len(w)}
	if before := line[:start]; strings.HasSuffix(before, "['") {
		root, _ := word(line, start-2)
		parts := strings.Split(root, ".")
		r.root, r.path = parts[0], parts[1:]
		return r
	} else if strings.HasSuffix(before, "$(") {
		r.root = "variables"
		return r
	}
	parts := strings.Split(w, ".")
	for i, p := range parts {
		end := start + len(p)
		if at <= end || i == len(parts)-1 {
			r.name, r.start, r.end = p, start, end
			if i > 0 {
				r.root, r.path = parts[0], parts[1:i]
			}
			return r
		}
		start = end + 1
	}
	return r
}

// definition is where the thing at a place is declared; nil if it is not known.
func (s *Server) definition(d *document, line, at int) []location {
	text := d.line(line)
	n, onKey := d.outline.find(line, at)
	if _, ok := embeddedAt(text, at, n); ok {
		return d.declared(n, line, at)
	}
	if n == nil || d.outline.block[line] != nil {
		return nil
	}
	if onKey {
		return s.parameterOf(d, n)
	}
	v, _ := valueOf(n)
	name, _ := word(text, at)
	var list []declaration
	switch v.Refers {
	case schema.Template:
		if other := s.included(d, n.value); other != nil {
			return []location{{other.uri, textRange{}}}
		}
		_, name, _ = strings.Cut(n.value, "@")
		list = d.outline.resources("repositories", "repository", "")
	case schema.Stage:
		list = d.outline.stages()
	case schema.Job:
		list = d.outline.jobsAround(n)
	case schema.Repository:
		list = d.outline.resources("repositories", "repository", "")
	case schema.Container:
		list = d.outline.resources("containers", "container", "")
	case schema.Pipeline:
		list = d.outline.resources("pipelines", "pipeline", "")
	case schema.Package:
		list = d.outline.resources("packages", "package", "")
	}
	return d.locate(find(list, name))
}

// parameterOf is where the template declares the parameter that a key under `parameters` gives.
func (s *Server) parameterOf(d *document, n *node) []location {
	v, ok := valueOf(n.parent)
	if !ok || v.Refers != schema.Arguments {
		return nil
	}
	t := n.parent.parent.get("template")
	if t == nil {
		return nil
	}
	other := s.included(d, t.value)
	if other == nil {
		return nil
	}
	return other.locate(find(other.outline.parameters(), n.key))
}

// declared is where the name at a place of an expression is declared.
func (d *document) declared(n *node, line, at int) []location {
	if n == nil {
		n = d.outline.before(line, at)
	}
	r := referenceAt(d.line(line), at)
	var list []declaration
	switch root := strings.ToLower(r.root); {
	case root == "parameters":
		list = d.outline.parameters()
	case root == "variables":
		list = d.outline.variables(n)
	case root == "dependencies" && len(r.path) == 0:
		if list = d.outline.stages(); ancestor(n, "jobs") != nil {
			list = d.outline.jobsAround(n)
		}
	case root == "stagedependencies" && len(r.path) == 0:
		list = d.outline.stages()
	case root == "stagedependencies" && len(r.path) == 1:
		list = d.outline.jobsOfStage(r.path[0])
	}
	return d.locate(find(list, r.name))
}

func (d *document) locate(x *declaration) []location {
	if x == nil {
		return nil
	}
	n := x.at
	if n.value == x.name {
		return []location{{d.uri, d.span(n.line, n.valueAt, n.valueAt+len(n.value))}}
	}
	return []location{{d.uri, d.span(n.line, n.column, n.end)}}
}

// symbols are the stages, jobs and steps of a file.
func (d *document) symbols() []documentSymbol { return d.symbolsUnder(d.outline.root) }

func (d *document) symbolsUnder(n *node) []documentSymbol {
	list := []documentSymbol{}
	for _, c := range n.children {
		name, kind := "", 0
		detail := ""
		if c.item {
			if o := objectOf(c); o != nil && o.Mark != "" && c.get(o.Mark) != nil {
				name, kind = c.get(o.Mark).value, symbolOf(o)
				if t := c.get("displayName"); t != nil {
					detail = t.value
				}
				if kind == symbolFunction {
					name = o.Mark
					if detail == "" {
						detail = c.get(o.Mark).value
					}
				}
			}
		}
		inner := d.symbolsUnder(c)
		if name == "" {
			list = append(list, inner...)
			continue
		}
		end := d.line(c.last)
		list = append(list, documentSymbol{Name: name, Detail: detail, Kind: kind, Children: inner, SelectionRange: d.span(c.line, c.column, len(d.line(c.line))),
			Range: textRange{d.span(c.line, c.column, c.column).Start, position{c.last, unitsOf(end, len(end))}}})
	}
	return list
}

func symbolOf(o *schema.Object) int {
	switch o.Mark {
	case "stage":
		return symbolModule
	case "job", "deployment":
		return symbolObject
	case "template":
		return symbolProperty
	}
	return symbolFunction
}
