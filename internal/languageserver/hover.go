package languageserver

import (
	"fmt"
	"strings"

	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/task"
)

// hover explains what stands at a place; nil has nothing to say.
func (s *Server) hover(d *document, line, at int) *hover {
	text := d.line(line)
	n, onKey := d.outline.find(line, at)
	if _, ok := embeddedAt(text, at, n); ok {
		r := referenceAt(text, at)
		if doc := d.explain(n, r); doc != "" {
			return &hover{markdown(doc), d.span(line, r.start, r.end)}
		}
		return nil
	}
	switch {
	case n == nil || d.outline.block[line] != nil:
		return nil
	case onKey:
		if doc := s.explainKey(d, n); doc != "" {
			return &hover{markdown(doc), d.span(line, n.column, n.end)}
		}
		return nil
	}
	v, _ := valueOf(n)
	doc := ""
	switch v.Refers {
	case schema.Task:
		if t, err := s.Tasks.Find(n.value); err == nil {
			doc = explainTask(t)
		} else {
			doc = err.Error()
		}
	case schema.Template:
		if other := s.included(d, n.value); other != nil {
			doc = explainTemplate(n.value, other)
		}
	}
	if doc == "" {
		return nil
	}
	return &hover{markdown(doc), d.span(line, n.valueAt, n.valueAt+len(n.value))}
}

func (s *Server) explainKey(d *document, n *node) string {
	around, ok := valueOf(n.parent)
	if !ok {
		return ""
	}
	switch around.Refers {
	case schema.Inputs:
		if t := s.taskOf(n.parent); t != nil {
			if in := t.Input(n.key); in != nil {
				return fmt.Sprintf("**%s**, input of %s: %s", in.Name, t, inputDoc(in))
			}
		}
		return ""
	case schema.Arguments:
		if t := n.parent.parent.get("template"); t != nil {
			if other := s.included(d, t.value); other != nil {
				if p := find(other.outline.parameters(), n.key); p != nil {
					return fmt.Sprintf("**%s**, parameter of %s: %s", p.name, t.value, p.detail)
				}
			}
		}
		return ""
	}
	k := keyOf(n.parent, around, n.key)
	if k == nil {
		return ""
	}
	doc := "**" + k.Name + "**: " + k.Doc
	if len(k.Value.Options) > 0 && k.Value.Refers != schema.Parameter {
		doc += "\n\nOne of " + strings.Join(k.Value.Options, ", ") + "."
	}
	return doc
}

func explainTask(t *task.Definition) string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**: %s\n", t, t.Doc)
	for i := range t.Inputs {
		in := &t.Inputs[i]
		if _, never := in.Unsupported[""]; never {
			continue
		}
		fmt.Fprintf(&b, "\n- `%s`: %s", in.Name, in.Doc)
		if in.Default != "" {
			fmt.Fprintf(&b, " Default: `%s`", in.Default)
		}
	}
	return b.String()
}

func explainTemplate(name string, d *document) string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**", name)
	for _, p := range d.outline.parameters() {
		fmt.Fprintf(&b, "\n- `%s`: %s", p.name, p.detail)
	}
	return b.String()
}

// explain says what a name in an expression or macro is.
func (d *document) explain(n *node, r reference) string {
	switch strings.ToLower(r.root) {
	case "parameters":
		if p := find(d.outline.parameters(), r.name); p != nil {
			return fmt.Sprintf("**%s**, parameter: %s", p.name, p.detail)
		}
		return ""
	case "variables":
		if v := find(d.outline.variables(n), r.name); v != nil {
			return fmt.Sprintf("**%s**, variable: `%s`", v.name, v.detail)
		}
		if p := schema.PredefinedVariable(r.name); p != nil {
			return "**" + p.Name + "**: " + p.Doc
		}
		return ""
	case "":
		for _, f := range expression.Descriptions() {
			if strings.EqualFold(f.Name, r.name) {
				return "**" + f.Name + f.Arguments + "**: " + f.Doc
			}
		}
		for _, w := range directives {
			if r.name == w[0] {
				return "**" + w[0] + "**: " + w[1]
			}
		}
	}
	return ""
}
