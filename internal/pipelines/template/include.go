package template

import (
	"maps"
	"slices"
	"strings"

	"slipway/internal/pipelines/nearest"
	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/yaml"
)

// include is what the template that an item refers to puts into a list.
func (e *expander) include(item *yaml.Node, w where, sc *scope) []*yaml.Node {
	body := e.body(item, sc)
	if body == nil {
		return nil
	}
	key := string(w)
	if w == inJobs && body.Get(key) == nil && body.Get("phases") != nil {
		key = "phases"
	}
	list := body.Get(key)
	if list == nil {
		e.problems.Add(item.Get("template").At, "template %s stands among %s, but has no key %q%s", body.At.File, w, w, has(body))
		return nil
	}
	for _, p := range body.Pairs {
		if p.Key.Text != key {
			e.problems.Add(p.Key.At, "a template of %s has the keys parameters and %s, not %q", w, w, p.Key.Text)
		}
	}
	if w == inVariables && list.Kind == yaml.Map {
		return variableItems(list)
	}
	if list.Kind != yaml.List {
		if !list.IsNull() && list.Text != "" {
			e.problems.Add(list.At, "%s is a list, not %s", w, list.Kind)
		}
		return nil
	}
	return list.Items
}

func has(body *yaml.Node) string {
	for _, key := range []string{"stages", "jobs", "phases", "steps", "variables", "extends"} {
		if body.Get(key) != nil {
			return " but " + key
		}
	}
	return ""
}

// variableItems is a map of variables in the list form.
func variableItems(m *yaml.Node) []*yaml.Node {
	list := make([]*yaml.Node, len(m.Pairs))
	for i, p := range m.Pairs {
		name := yaml.Text(p.Key.Text, p.Key.At)
		list[i] = &yaml.Node{Kind: yaml.Map, At: p.Key.At, Pairs: []yaml.Pair{
			{Key: yaml.Text("name", p.Key.At), Value: name},
			{Key: yaml.Text("value", p.Key.At), Value: p.Value},
		}}
	}
	return list
}

// body is the expanded file that `template` and `parameters` of a map refer to, nil after a problem. The map is expanded
// already.
func (e *expander) body(reference *yaml.Node, sc *scope) *yaml.Node {
	name := reference.Get("template")
	if name.Kind != yaml.Scalar {
		e.problems.Add(name.At, "template is the path of a file, not %s", name.Kind)
		return nil
	}
	if e.inclusions++; e.inclusions > MaxInclusions {
		e.problems.Limit(name.At, "the pipeline includes templates more than %d times", MaxInclusions)
		e.stopped = true
		return nil
	}
	if len(e.sources) > MaxFiles {
		e.problems.Limit(name.At, "the pipeline includes more than %d files", MaxFiles)
		e.stopped = true
		return nil
	}
	if sc.depth >= MaxNesting {
		e.problems.Limit(name.At, "templates include each other more than %d deep%s", MaxNesting, e.circle(name, sc))
		e.stopped = true
		return nil
	}
	s, ok := e.resolve(name.Text, name.At, sc)
	if !ok {
		return nil
	}
	tree := e.read(s, e.including(sc), name)
	if tree == nil {
		return nil
	}
	definitions, untyped := e.definitions(tree.Get("parameters"))
	values, ok := e.given(e.beside(reference, definitions))
	if !ok {
		return nil
	}
	before := len(e.problems)
	fields := e.bind(definitions, untyped, values, name.At, s.label())
	if len(e.problems) > before {
		// Expanding it with wrong parameters would only report what follows from that.
		return nil
	}
	if !untyped {
		closeParameters(fields, definitions)
	}
	inner := newScope(fields, copyFields(sc.variables), sc.depth+1)
	inner.file = &included{s.label(), sc.file}
	e.declareRepositories(tree, inner)
	return e.expandMap(tree, inRoot, inner)
}

// circle says by which files a template comes to include itself, "" if it does not.
func (e *expander) circle(reference *yaml.Node, sc *scope) string {
	s, ok := e.resolve(reference.Text, reference.At, sc)
	if !ok {
		return ""
	}
	names := []string{s.label()}
	for f := sc.file; f != nil; f = f.by {
		names = append(names, f.label)
		if f.label != s.label() {
			continue
		}
		if len(names) == 2 {
			return ": " + s.label() + " includes itself"
		}
		slices.Reverse(names)
		return ": " + strings.Join(names, " includes ")
	}
	return ""
}

// beside is what a reference gives as parameters. Keys that it does not have are told, and those that are a slip of parameters or parameters of the
// template themselves are read as what they mean.
func (e *expander) beside(reference *yaml.Node, declared []definition) *yaml.Node {
	parameters := reference.Get("parameters")
	for _, p := range reference.Pairs {
		key := p.Key.Text
		if key == "template" || key == "parameters" {
			continue
		}
		meant := nearest.Find(key, schema.TemplateReference.Names())
		switch {
		case slices.ContainsFunc(declared, func(d definition) bool { return d.Name == key }):
			e.problems.Add(p.Key.At, "unknown key %q beside template: it is a parameter of the template: write it below parameters, indented deeper", key)
			if parameters == nil || parameters.IsNull() || parameters.Kind == yaml.Map {
				whole := &yaml.Node{Kind: yaml.Map, At: p.Key.At}
				if parameters != nil {
					whole.Pairs = slices.Clone(parameters.Pairs)
				}
				whole.Pairs = append(whole.Pairs, p)
				parameters = whole
			}
		case meant != "":
			e.problems.Add(p.Key.At, "unknown key %q beside template, did you mean %q?", key, meant)
			if meant == "parameters" && parameters == nil {
				parameters = p.Value
			}
		default:
			e.problems.Add(p.Key.At, "unknown key %q beside template: a template is given parameters alone; it may read one as its own %s, or stand below ${{ if }}", key, key)
		}
	}
	return parameters
}

// given are the values under `parameters` of a reference.
func (e *expander) given(n *yaml.Node) ([]given, bool) {
	if n == nil || n.IsNull() {
		return nil, true
	}
	if n.Kind != yaml.Map {
		e.problems.Add(n.At, "parameters of a template are a map of names and values, not %s", n.Kind)
		return nil, false
	}
	list := make([]given, len(n.Pairs))
	for i, p := range n.Pairs {
		list[i] = given{p.Key.Text, p.Value, p.Key.At}
	}
	return list, true
}

// extend replaces `extends` of an expanded root by what the template has.
func (e *expander) extend(root *yaml.Node, sc *scope) *yaml.Node {
	extends := root.Get("extends")
	if extends == nil {
		return root
	}
	if extends.Kind != yaml.Map || extends.Get("template") == nil {
		hint := ""
		if extends.Kind == yaml.List && len(extends.Items) > 0 && extends.Items[0].Kind == yaml.Map {
			hint = ", not a list: remove the dash"
		}
		e.problems.Add(extends.At, "extends is a map with template and parameters%s", hint)
		return root
	}
	inner := sc.inner()
	if variables := root.Get("variables"); variables != nil {
		e.defineAll(variables, inner)
	}
	out := &yaml.Node{Kind: yaml.Map, At: root.At}
	for _, p := range root.Pairs {
		if p.Key.Text == "extends" {
			continue
		}
		if slices.Contains([]string{"stages", "jobs", "phases", "steps"}, p.Key.Text) {
			e.problems.Add(p.Key.At, "%s cannot stand beside extends: the template gives them", p.Key.Text)
			continue
		}
		out.Pairs = append(out.Pairs, p)
	}
	body := e.body(extends, inner)
	if body == nil {
		return out
	}
	inner.depth++
	inner.file = &included{body.At.File, inner.file}
	body = e.extend(body, inner)
	for _, p := range body.Pairs {
		e.extendWith(out, p)
	}
	return out
}

func (e *expander) extendWith(out *yaml.Node, p yaml.Pair) {
	for i, old := range out.Pairs {
		if old.Key.Text != p.Key.Text {
			continue
		}
		if p.Key.Text == "resources" {
			out.Pairs[i].Value = mergeResources(old.Value, p.Value)
			return
		}
		if p.Key.Text != "variables" {
			e.problems.Add(p.Key.At, "%s is set by the pipeline that extends this template, on line %d", p.Key.Text, old.Key.At.Line)
			return
		}
		out.Pairs[i].Value = &yaml.Node{Kind: yaml.List, At: p.Value.At, Items: slices.Concat(itemsOf(p.Value), itemsOf(old.Value))}
		return
	}
	out.Pairs = append(out.Pairs, p)
}

// mergeResources joins the resources of a pipeline and of a template that it extends.
func mergeResources(a, b *yaml.Node) *yaml.Node {
	if a == nil || a.Kind != yaml.Map || b.Kind != yaml.Map {
		return b
	}
	out := &yaml.Node{Kind: yaml.Map, At: a.At, Pairs: slices.Clone(a.Pairs)}
	for _, p := range b.Pairs {
		i := slices.IndexFunc(out.Pairs, func(o yaml.Pair) bool { return o.Key.Text == p.Key.Text })
		if i < 0 {
			out.Pairs = append(out.Pairs, p)
			continue
		}
		old := out.Pairs[i].Value
		out.Pairs[i].Value = &yaml.Node{Kind: yaml.List, At: old.At, Items: slices.Concat(old.Items, p.Value.Items)}
	}
	return out
}

func itemsOf(n *yaml.Node) []*yaml.Node {
	if n.Kind == yaml.Map {
		return variableItems(n)
	}
	return n.Items
}

func (e *expander) nearestRepository(alias string) string {
	return nearest.Suggest(alias, slices.Sorted(maps.Keys(e.repositories)))
}
