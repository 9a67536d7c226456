package template

import (
	"maps"
	"path"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/yaml"
)

// Unread is a template that a draft could not read, since its repository is not there.
type Unread struct {
	Repository string
	At         slipway.Position
}

// isTemplate reports whether a file looks as if others include it: besides parameters it has one list of stages, jobs, steps
// or variables, or extends a template, and nothing else, and its name is not that of a pipeline. In a folder of templates it may have
// variables beside the list, as one that pipelines extend.
func isTemplate(file string, root *yaml.Node) bool {
	if isPipeline(file, root) || strings.HasPrefix(strings.ToLower(path.Base(file)), "azure-pipelines") && root.Get("variables") == nil {
		return false
	}
	lists := 0
	for _, p := range root.Pairs {
		switch p.Key.Text {
		case "parameters":
		case string(inStages), string(inJobs), string(inSteps), string(inVariables), "extends":
			lists++
		default:
			return false
		}
	}
	return lists == 1 || lists == 2 && root.Get("variables") != nil && amongTemplates(file)
}

// amongTemplates reports a file below a folder that is called so.
func amongTemplates(file string) bool {
	return slices.ContainsFunc(strings.Split(strings.ToLower(path.Dir(file)), "/"), func(folder string) bool { return folder == "templates" || folder == "template" })
}

// isPipeline reports a file that is no template for sure: its name is that of a pipeline, or it says when it runs.
func isPipeline(file string, root *yaml.Node) bool {
	name, _, _ := strings.Cut(strings.ToLower(path.Base(file)), ".")
	return name == "azure-pipelines" || root.Get("trigger") != nil || root.Get("pr") != nil || root.Get("schedules") != nil
}

// draft adds values for the parameters that have none. An empty default of a template means that one must be given.
func (e *expander) draft(list []definition, values []given) []given {
	for i := range list {
		d := &list[i]
		empty := d.node == nil || e.template && isEmpty(d.node)
		if empty && !slices.ContainsFunc(values, func(g given) bool { return strings.EqualFold(g.name, d.Name) }) {
			value := placeholder(d)
			if d.node != nil && d.node.Kind != yaml.Scalar {
				value = &yaml.Node{Kind: d.node.Kind, At: yaml.Nowhere}
			}
			values = append(values, given{d.Name, value, yaml.Nowhere})
			e.drafted = true
		}
	}
	return values
}

// guess puts texts of a draft beside the parameters that a template reads and says nothing of: the file that includes it gives them.
func (e *expander) guess(root *yaml.Node, fields *expression.Fields) {
	read := reading{names: map[string]bool{}}
	for _, p := range root.Pairs {
		if p.Key.Text != "parameters" {
			read.walk(p.Value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(read.names)) {
		if _, given := fields.Get(name); given || name == "" {
			continue
		}
		v := expression.Str(identifier(name))
		v.Origin = placed{yaml.Nowhere}
		fields.Put(name, v)
		e.drafted = true
	}
}

// oldForm are the defaults of parameters in the old map form.
func oldForm(n *yaml.Node) []given {
	if n == nil || n.Kind != yaml.Map {
		return nil
	}
	list := make([]given, len(n.Pairs))
	for i, p := range n.Pairs {
		value := p.Value
		if meant := value.Get("default"); value.Kind == yaml.Map && meant != nil && value.Get("type") != nil {
			value = &yaml.Node{Kind: meant.Kind, Text: meant.Text, Plain: meant.Plain, At: yaml.Nowhere} // it is warned of
		}
		switch {
		case value.Kind != yaml.Scalar && isEmpty(value):
			value = &yaml.Node{Kind: value.Kind, At: yaml.Nowhere}
		case isEmpty(value) || value.IsNull():
			value = yaml.Text(identifier(p.Key.Text), yaml.Nowhere)
		}
		list[i] = given{p.Key.Text, value, p.Key.At}
	}
	return list
}

// isEmpty reports a default that says nothing: no text but spaces, or a map or list without entries.
func isEmpty(n *yaml.Node) bool {
	return strings.TrimSpace(n.Text) == "" && len(n.Pairs) == 0 && len(n.Items) == 0
}

// placeholder is a value of a parameter's type for one that nobody gave. It stands nowhere, so that nothing is said about
// what follows from it.
func placeholder(d *definition) *yaml.Node {
	text := func(s string) *yaml.Node { return yaml.Text(s, yaml.Nowhere) }
	pair := func(key string, value *yaml.Node) *yaml.Node {
		return &yaml.Node{Kind: yaml.Map, At: yaml.Nowhere, Pairs: []yaml.Pair{{Key: text(key), Value: value}}}
	}
	listOf := func(items ...*yaml.Node) *yaml.Node {
		return &yaml.Node{Kind: yaml.List, At: yaml.Nowhere, Items: items}
	}
	steps := listOf(pair("script", text("true")))
	job := pair("job", text(d.Name))
	job.Pairs = append(job.Pairs, yaml.Pair{Key: text("steps"), Value: steps})
	stage := pair("stage", text(d.Name))
	stage.Pairs = append(stage.Pairs, yaml.Pair{Key: text("jobs"), Value: listOf(job)})
	for _, v := range d.values {
		if v.Kind == yaml.Scalar && !isEmpty(v) {
			return &yaml.Node{Text: v.Text, Plain: v.Plain, At: yaml.Nowhere}
		}
	}
	switch d.Type {
	case "number":
		return yaml.Plain("1", yaml.Nowhere)
	case "boolean":
		return yaml.Plain("false", yaml.Nowhere)
	case "step":
		return steps.Items[0]
	case "stepList":
		return steps
	case "job", "deployment":
		return job
	case "jobList", "deploymentList":
		return listOf(job)
	case "stage":
		return stage
	case "stageList":
		return listOf(stage)
	case "container":
		return pair("image", text("image"))
	}
	switch schema.ParameterShape(d.Type) {
	case schema.ListShape:
		return listOf()
	case schema.ScalarShape:
		return text(identifier(d.Name))
	}
	return &yaml.Node{Kind: yaml.Map, At: yaml.Nowhere}
}

// identifier is a name as stages, jobs and steps may have it.
func identifier(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
}
