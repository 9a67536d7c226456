package template

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/nearest"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/yaml"
)

// definition is one declared parameter.
type definition struct {
	plan.Parameter
	node   *yaml.Node // the default, nil without one
	values []*yaml.Node
}

// definitions reads a `parameters` section. untyped says that it is the old map form, or absent, which takes any value.
func (e *expander) definitions(n *yaml.Node) (list []definition, untyped bool) {
	switch {
	case n == nil || n.IsNull():
		return nil, true
	case n.Kind == yaml.Map:
		for _, p := range n.Pairs {
			list = append(list, definition{Parameter: plan.Parameter{Name: p.Key.Text, Type: "object", At: p.Key.At}, node: p.Value})
		}
		return list, true
	case n.Kind != yaml.List:
		e.problems.Add(n.At, "parameters is a list of parameters, each with name, type and default")
		return nil, true
	}
	seen := map[string]bool{}
	for _, item := range n.Items {
		d, ok := e.definition(item)
		if !ok {
			continue
		}
		if seen[strings.ToLower(d.Name)] {
			e.problems.Add(item.At, "parameter %q is declared a second time", d.Name)
		}
		seen[strings.ToLower(d.Name)] = true
		list = append(list, d)
	}
	return list, false
}

func (e *expander) definition(n *yaml.Node) (d definition, ok bool) {
	if n.Kind != yaml.Map {
		e.problems.Add(n.At, "a parameter is a map with name, type and default")
		return d, false
	}
	d.At, d.Type = n.At, "string"
	for _, p := range n.Pairs {
		switch key := p.Key.Text; key {
		case "name", "displayName", "type":
			if p.Value.Kind != yaml.Scalar {
				e.problems.Add(p.Value.At, "%s is text, not %s", key, p.Value.Kind)
				return d, false
			}
			switch key {
			case "name":
				d.Name = p.Value.Text
			case "displayName":
				d.DisplayName = p.Value.Text
			default:
				d.Type = e.parameterType(p.Value)
			}
		case "default":
			d.node = e.literal(p.Value)
		case "values":
			if p.Value.Kind != yaml.List {
				e.problems.Add(p.Value.At, "values is a list of the values that are allowed")
				continue
			}
			d.values = p.Value.Items
			for _, v := range d.values {
				d.Values = append(d.Values, v.Text)
			}
		default:
			if key == "template" {
				e.problems.Add(p.Key.At, "parameters cannot be in a template of their own: write them out")
				continue
			}
			e.problems.Add(p.Key.At, "unknown key %q of a parameter%s", key, nearest.Suggest(key, schema.ParameterDefinition.Names()))
		}
	}
	if d.Name == "" {
		e.problems.Add(n.At, "the parameter has no name")
		return d, false
	}
	return d, true
}

// literal reads the one expression that a default may be: a text in quotes.
func (e *expander) literal(n *yaml.Node) *yaml.Node {
	inside, found := strings.CutPrefix(n.Text, "${{")
	if n.Kind != yaml.Scalar || !strings.Contains(n.Text, "${{") {
		return n
	}
	inside, closed := strings.CutSuffix(inside, "}}")
	inside = strings.TrimSpace(inside)
	if text := strings.TrimSuffix(strings.TrimPrefix(inside, "'"), "'"); found && closed && len(text) == len(inside)-2 && !strings.Contains(strings.ReplaceAll(text, "''", ""), "'") {
		return yaml.Text(strings.ReplaceAll(text, "''", "'"), n.At)
	}
	e.problems.Add(n.At, "a default is read before every expression: write a value, and what depends on others where the parameter is read: ${{ coalesce(parameters.NAME, …) }}")
	return yaml.Text("", n.At)
}

func (e *expander) parameterType(n *yaml.Node) string {
	names := schema.ParameterTypes()
	if slices.Contains(names, n.Text) {
		return n.Text
	}
	for _, name := range names {
		if strings.EqualFold(name, n.Text) {
			e.problems.Add(n.At, "unknown parameter type %q: write %s, capitals count", n.Text, name)
			return name
		}
	}
	instead := nearest.Suggest(n.Text, names)
	if right := foreignTypes[strings.ToLower(n.Text)]; right != "" {
		instead = ": write " + right
	}
	e.problems.Add(n.At, "unknown parameter type %q%s", n.Text, instead)
	return "object"
}

// foreignTypes are the names of types elsewhere, with those of this language. The map is never changed.
var foreignTypes = map[string]string{
	"bool": "boolean", "int": "number", "integer": "number", "float": "number", "text": "string", "str": "string", "choice": "string, with the choices under values",
	"enum": "string, with the choices under values", "list": "object, or stringList", "array": "object, or stringList", "map": "object", "dict": "object", "any": "object",
}

// given is a value for a parameter and where it stands.
type given struct {
	name string
	node *yaml.Node
	at   slipway.Position
}

// bind checks the given values against the declared parameters of file and makes the `parameters` of a scope. at is where
// a missing one is reported.
func (e *expander) bind(list []definition, untyped bool, values []given, at slipway.Position, file string) *expression.Fields {
	var fields expression.Fields
	used := map[string]bool{}
	for i := range list {
		d := &list[i]
		node, place := d.node, d.At
		for _, g := range values {
			if strings.EqualFold(g.name, d.Name) {
				node, place = g.node, g.at
				used[g.name] = true
			}
		}
		if node == nil && e.template && e.untyped {
			node, place = placeholder(d), yaml.Nowhere // a wrapper may hand on what it does not declare
		}
		if node == nil {
			e.problems.Add(at, "parameter %q of %s has no default and is not given", d.Name, file)
			continue
		}
		v := valueOf(node)
		if !untyped {
			v = e.convert(d, node, place)
		}
		fields.Put(d.Name, v)
	}
	for _, g := range values {
		switch {
		case used[g.name]:
		case untyped:
			fields.Put(g.name, valueOf(g.node))
		default:
			names := make([]string, len(list))
			for i, d := range list {
				names[i] = d.Name
			}
			e.problems.Add(g.at, "%s has no parameter %q%s", file, g.name, nearest.Suggest(g.name, names))
		}
	}
	return &fields
}

// closeParameters has reading a parameter that a file does not declare be a mistake, as it is in Azure Pipelines. Of a file without declared types nobody
// knows what it is given.
func closeParameters(fields *expression.Fields, declared []definition) {
	names := make([]string, len(declared))
	for i, d := range declared {
		names[i] = d.Name
	}
	fields.Missing = func(name string) string {
		if slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) {
			return "" // it has no value, which is told where it should have been given
		}
		meant := nearest.Suggest(name, names)
		if meant == "" {
			meant = ": declare it under parameters"
		}
		return fmt.Sprintf("parameter %q is not declared in this file%s", name, meant)
	}
}

func jsonOf(v expression.Value) json.RawMessage {
	text, err := v.JSON()
	if err != nil {
		return nil
	}
	var b json.RawMessage
	if json.Unmarshal([]byte(text), &b) != nil {
		return nil
	}
	return b
}

// convert checks a value against a parameter's type and allowed values.
func (e *expander) convert(d *definition, n *yaml.Node, at slipway.Position) expression.Value {
	if n.At.Line > 0 || n.At == yaml.Nowhere {
		at = n.At
	}
	wrong := func(what string) expression.Value {
		e.problems.Add(at, "parameter %q is %s, %s is not", d.Name, what, describe(n))
		if n.At == yaml.Nowhere {
			return expression.Value{Origin: placed{n.At}}
		}
		return expression.Value{}
	}
	shape := schema.ParameterShape(d.Type)
	switch {
	case shape == schema.ScalarShape && n.Kind != yaml.Scalar:
		return wrong("a " + d.Type)
	case shape == schema.MapShape && n.Kind != yaml.Map:
		return wrong("one " + d.Type)
	case shape == schema.ListShape && n.Kind != yaml.List && !n.IsNull() && n.Text != "":
		return wrong("a list (" + d.Type + ")")
	}
	var v expression.Value
	switch d.Type {
	case "number":
		number, ok := expression.NumText(strings.TrimSpace(n.Text))
		if !ok {
			return wrong("a number")
		}
		v = number
	case "boolean":
		b, ok := yaml.Bool(n.Text)
		if !ok {
			return wrong("a boolean")
		}
		v = expression.Bool(b)
	default:
		v = valueOf(n)
		if shape == schema.ScalarShape {
			v = expression.Str(v.String())
		}
	}
	e.checkAllowed(d, n, v, at)
	if n.At == yaml.Nowhere {
		v.Origin = placed{n.At}
		if n.Kind != yaml.Scalar {
			v.Origin = n
		}
	}
	return v
}

func (e *expander) checkAllowed(d *definition, n *yaml.Node, v expression.Value, at slipway.Position) {
	if len(d.values) == 0 || schema.ParameterShape(d.Type) == schema.AnyShape {
		return
	}
	one := func(n *yaml.Node) {
		if !slices.Contains(d.Values, n.Text) && !slices.ContainsFunc(d.Values, func(s string) bool { return strings.EqualFold(s, v.String()) }) {
			e.problems.Add(at, "parameter %q may be %s, not %q", d.Name, strings.Join(d.Values, ", "), n.Text)
		}
	}
	if n.Kind == yaml.List {
		for _, item := range n.Items {
			if !slices.Contains(d.Values, item.Text) {
				one(item)
			}
		}
		return
	}
	one(n)
}

func describe(n *yaml.Node) string {
	if n.Kind != yaml.Scalar {
		return n.Kind.String()
	}
	return "\"" + n.Text + "\""
}

// Parameters reads only the run-time parameters that a file declares; Value is the default.
func Parameters(path string, data []byte) ([]plan.Parameter, error) {
	root, err := yaml.Read(path, data)
	if err != nil {
		return nil, err
	}
	e := &expander{}
	n := root.Get("parameters")
	declared, untyped := e.definitions(n)
	if untyped && len(declared) > 0 {
		e.problems.Add(n.At, "parameters of the root file are a list, each with name, type and default")
	}
	list := make([]plan.Parameter, len(declared))
	for i := range declared {
		if d := &declared[i]; d.node != nil {
			d.Default = jsonOf(e.convert(d, d.node, d.At))
			d.Value = d.Default
		}
		list[i] = declared[i].Parameter
	}
	return list, e.problems.Err()
}
