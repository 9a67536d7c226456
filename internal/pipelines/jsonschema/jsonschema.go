// Package jsonschema writes the language of pipeline files as a JSON schema (draft 7), for editors that check YAML by one.
//
// It is generated from the tables of packages schema and task, which the compiler uses too, and so knows what they know:
// keys, their values, tasks and their inputs. What takes a whole file to judge, such as names in dependsOn, expressions and
// templates, is the compiler's and the language server's.
package jsonschema

import (
	"encoding/json"
	"fmt"
	"strings"

	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/task"
)

// node is a part of a JSON schema.
type node = map[string]any

const (
	// expression matches text that templates replace, about which nothing is known.
	expression = `\$\{\{`
	// directive matches keys such as ${{ if }} and ${{ each }}, whose values are merged into the map.
	directive = `^\s*\$\{\{`
	// macro matches text that is known when the step runs.
	macro = `\$\(|\$\{\{`
	// runtime matches text that is known when the run is queued.
	runtime = `\$\(|\$\[|\$\{\{`
)

// Generate is the schema as JSON, the same bytes each time. It knows the built-in tasks and those given.
func Generate(tasks task.Catalog) ([]byte, error) {
	g := &generator{tasks: tasks, definitions: node{}, names: map[*schema.Object]string{}}
	root := g.object(schema.File)
	delete(root, "description")
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["title"] = "Azure Pipelines, as Slipway runs them"
	root["description"] = schema.File.Doc
	root["anyOf"] = []any{required("stages"), required("jobs"), required("phases"), required("steps"), required("extends"), required("variables"), hasDirective()}
	root["definitions"] = g.definitions
	b, err := json.MarshalIndent(root, "", " ")
	if err != nil {
		return nil, fmt.Errorf("write the JSON schema: %w", err)
	}
	return append(b, '\n'), nil
}

type generator struct {
	tasks       task.Catalog
	definitions node
	names       map[*schema.Object]string
}

func required(key string) node { return node{"required": []string{key}} }

// hasKey holds for maps with a key that matches the pattern.
func hasKey(pattern string) node {
	return node{"not": node{"propertyNames": node{"not": node{"pattern": pattern}}}}
}

func hasDirective() node { return hasKey(directive) }

// reference is the object as a definition.
func (g *generator) reference(o *schema.Object) node {
	name, ok := g.names[o]
	if !ok {
		name = strings.NewReplacer(" ", "-", "'", "").Replace(strings.TrimPrefix(strings.TrimPrefix(o.Name, "a "), "an "))
		g.names[o] = name
		g.definitions[name] = g.object(o)
	}
	return node{"$ref": "#/definitions/" + name}
}

func (g *generator) object(o *schema.Object) node {
	properties := node{}
	var needed []string
	with := node{}
	for _, k := range o.Keys {
		v := g.value(k.Value)
		v["description"] = k.Doc
		properties[k.Name] = v
		if k.Required {
			needed = append(needed, k.Name)
		}
		if k.With != "" {
			with[k.Name] = []string{k.With}
		}
	}
	n := node{"type": "object", "description": o.Doc, "properties": properties, "additionalProperties": false,
		"patternProperties": node{directive: node{}}}
	if len(needed) > 0 {
		n["if"], n["then"] = node{"not": hasDirective()}, node{"required": needed}
	}
	if o == schema.RepositoryResource { // self is this repository, whose name and type are known
		self := node{"required": []string{"repository"}, "properties": node{"repository": node{"enum": []string{"self"}}}}
		n["then"] = node{"anyOf": []any{node{"required": needed}, self}}
	}
	if len(o.OneOf) > 0 {
		one := []any{hasDirective()}
		for _, key := range o.OneOf {
			one = append(one, required(key))
		}
		n["anyOf"] = one
	}
	if len(with) > 0 {
		n["dependencies"] = with
	}
	if o.Mark == "task" {
		properties["task"] = g.taskName()
		n["allOf"] = g.taskInputs()
	}
	return n
}

// value is what may stand somewhere: any of the shapes.
func (g *generator) value(v schema.Value) node {
	if v.Any {
		return node{}
	}
	shapes := []any{node{"type": "null"}}
	pattern := expression
	switch {
	case v.Macro:
		pattern = macro
	case v.Runtime:
		pattern = runtime
	}
	if !v.Text {
		shapes = append(shapes, node{"type": "string", "pattern": pattern})
	}
	if v.Text {
		shapes = append(shapes, node{"type": []string{"string", "number", "boolean"}})
	}
	if v.Boolean && v.Macro {
		shapes = append(shapes, node{"type": "string"}) // other words count as false, which the compiler warns of
	}
	if v.Boolean {
		shapes = append(shapes, node{"type": "boolean"}, node{"type": "string", "pattern": anyCase("true", "y", "yes", "on", "false", "n", "no", "off")})
	}
	if v.Integer {
		shapes = append(shapes, node{"type": "integer", "minimum": v.Least, "maximum": v.Most}, node{"type": "string", "pattern": `^\s*[0-9]+\s*$`})
	}
	if len(v.Options) > 0 {
		shapes = append(shapes, node{"enum": v.Options})
		if !v.Exact {
			shapes = append(shapes, node{"type": "string", "pattern": anyCase(v.Options...)})
		}
	}
	for _, o := range v.Maps {
		shapes = append(shapes, g.reference(o))
	}
	if v.Names != nil {
		shapes = append(shapes, node{"type": "object", "additionalProperties": g.value(*v.Names), "patternProperties": node{directive: node{}}})
	}
	if v.List != nil {
		item := g.value(*v.List)
		shapes = append(shapes, node{"type": "array", "items": node{"anyOf": []any{item, onlyDirectives(), node{"type": "string", "pattern": expression}}}})
	}
	return node{"anyOf": shapes}
}

// onlyDirectives is an item such as `- ${{ if x }}:` whose value is spliced into the list.
func onlyDirectives() node {
	return node{"type": "object", "minProperties": 1, "propertyNames": node{"pattern": directive}}
}

// anyCase matches one of the words in any case.
func anyCase(words ...string) string {
	var b strings.Builder
	b.WriteString("^(")
	for i, w := range words {
		if i > 0 {
			b.WriteByte('|')
		}
		for _, r := range w {
			lower, upper := strings.ToLower(string(r)), strings.ToUpper(string(r))
			switch {
			case lower != upper:
				b.WriteString("[" + lower + upper + "]")
			case strings.ContainsRune(`.*+?()[]{}^$|\`, r):
				b.WriteString(`\` + string(r))
			default:
				b.WriteRune(r)
			}
		}
	}
	b.WriteString(")$")
	return b.String()
}

// anyTask is anyCase of references to tasks, of whose versions only the major one counts.
func anyTask(references ...string) string {
	return strings.TrimSuffix(anyCase(references...), "$") + `(\.[0-9]+){0,2}$`
}

func (g *generator) taskName() node {
	return node{"description": schema.StepObject("task").Doc, "anyOf": []any{
		node{"enum": g.tasks.All()}, node{"type": "string", "pattern": anyTask(append(g.tasks.All(), g.tasks.Qualified()...)...)}, node{"type": "string", "pattern": expression},
	}}
}
