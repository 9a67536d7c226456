package template

import (
	"maps"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/yaml"
)

// Input is what an expansion depends on.
type Input struct {
	// Path of the root file, relative to the root of its repository.
	Path  string
	Files Files
	// Repository opens the repository with an alias; resources is the expanded resources section. Without it, or its files, `@alias` is refused.
	Repository func(alias string, resources *yaml.Node) (Files, error)
	// Parameters are the values of run-time parameters as JSON gives them.
	Parameters map[string]any
	// Variables are those known before the run exists.
	Variables map[string]string
	// Webhook is the alias of the webhook whose call starts the run, "" for another reason, and Payload the call's body as JSON gives it. To
	// `${{ parameters.ALIAS }}` the other webhooks of the file are empty objects.
	Webhook string
	Payload any
	// Draft expands a file to check it, without a run: parameters of the root file without a value get one of their type, and
	// templates of repositories that cannot be opened are left out and told in Output.Unread.
	Draft bool
	// Pipeline says that the root file is a pipeline's and no template, which a draft cannot always tell.
	Pipeline bool
}

// Output is an expanded file.
type Output struct {
	// Root has no parameters, no expressions and no templates left. It is nil if the file cannot be read at all.
	Root *yaml.Node
	// Parameters of the root file with their values.
	Parameters []plan.Parameter
	// Sources are the files that were read, the root file first.
	Sources []string
	// Unread are the templates that a draft left out.
	Unread []Unread
	// Drafted says that parameters had no value and got one of their type.
	Drafted bool
	// Template says that a draft is of a file that others include.
	Template bool
	// Warnings are what is allowed and most likely a mistake.
	Warnings []plan.Warning
}

// where says which part of the language a node is, as far as templates care: the name of the list that it is, or is an
// item of.
type where string

const (
	elsewhere    where = ""
	inRoot       where = "root"
	inStages     where = "stages"
	inJobs       where = "jobs"
	inSteps      where = "steps"
	inVariables  where = "variables"
	inStrategy   where = "strategy" // below a deployment's strategy, whose hooks have steps
	inParameters where = "parameters"
)

// below is the part that the value of a key is.
func (w where) below(key string) where {
	switch {
	case w == inRoot && key == "phases": // the old name of jobs
		return inJobs
	case w == inRoot && (key == "stages" || key == "jobs"),
		w == inStages && key == "jobs",
		(w == inRoot || w == inJobs || w == inStrategy) && key == "steps",
		(w == inRoot || w == inStages || w == inJobs) && key == "variables":
		return where(key)
	case w == inJobs && key == "strategy", w == inStrategy && key != "matrix" && key != "pool":
		return inStrategy
	}
	return elsewhere
}

type expander struct {
	in           Input
	problems     yaml.Problems
	trees        map[string]*yaml.Node
	byLabel      map[string]source
	sources      []string
	repositories map[string]*repository
	resources    *yaml.Node
	parsed       map[string]parsed
	unread       []Unread
	template     bool // a draft of a file that others include
	drafted      bool // parameters got values of their type
	untyped      bool // the root file takes any parameter
	tests        []test
	hollow       []plan.Warning       // about directives with nothing below them
	loops        map[*yaml.Node]*loop // by the keys of each

	inclusions, evaluations, nodes, bytes int
	stopped                               bool
}

type parsed struct {
	expression *expression.Expression
	err        error
}

// Expand expands the root file. The error is a yaml.Problems; the output is as far as it came.
func Expand(in Input) (Output, error) {
	e := &expander{in: in, trees: map[string]*yaml.Node{}, byLabel: map[string]source{}, repositories: map[string]*repository{}, parsed: map[string]parsed{}, loops: map[*yaml.Node]*loop{}}
	s := source{path: in.Path}
	top := slipway.Position{File: in.Path, Line: 1, Column: 1}
	root := e.read(s, s, &yaml.Node{At: top})
	out := Output{Sources: e.sources}
	if root == nil {
		return out, e.problems.Err()
	}
	e.template = in.Draft && !in.Pipeline && isTemplate(in.Path, root)
	definitions, untyped := e.definitions(root.Get("parameters"))
	e.untyped = untyped
	if untyped && len(definitions) > 0 && (!in.Draft || in.Pipeline || isPipeline(in.Path, root)) {
		e.problems.Add(root.Get("parameters").At, "parameters of the root file are a list, each with name, type and default: write - name: %s, and below it type and default", definitions[0].Name)
	}
	for _, d := range definitions {
		if d.Type == "legacyObject" && !e.template {
			e.problems.Add(d.At, "legacyObject is a type of templates' parameters: write object")
		}
	}
	values := e.queued(definitions, top)
	if in.Draft {
		if untyped {
			definitions = nil // the old form is a template's
			values = oldForm(root.Get("parameters"))
			e.drafted = e.template || len(values) > 0
		}
		values = e.draft(definitions, values)
	}
	fields := e.bind(definitions, in.Draft && untyped, values, top, in.Path)
	for _, d := range definitions {
		v, _ := fields.Get(d.Name)
		d.Value = jsonOf(v)
		if d.node != nil {
			d.Default = jsonOf(valueOf(d.node))
		}
		out.Parameters = append(out.Parameters, d.Parameter)
	}
	e.webhooks(root, fields)
	if untyped && e.template {
		e.guess(root, fields)
	}
	if !untyped || !e.template {
		closeParameters(fields, definitions)
	}
	var variables expression.Fields
	for _, p := range sortedPairs(in.Variables) {
		variables.Put(p[0], expression.Str(p[1]))
	}
	if _, known := variables.Get("System.TeamProject"); in.Draft && !known {
		variables.Put("System.TeamProject", expression.Str("project")) // every run has one, and it is no other empty text
	}
	sc := newScope(fields, &variables, 0)
	e.declareRepositories(root, sc)
	out.Root = e.extend(e.expandMap(root, inRoot, sc), sc)
	out.Sources, out.Unread, out.Drafted, out.Template = e.sources, e.unread, e.drafted, e.template
	out.Warnings = slices.Concat(e.unused(), e.late(), e.hollow, e.lacking())
	return out, e.problems.Err()
}

// queued are the run-time parameters that were given. Text for a parameter that is no text is YAML.
func (e *expander) queued(definitions []definition, at slipway.Position) []given {
	var list []given
	for _, name := range slices.Sorted(maps.Keys(e.in.Parameters)) {
		v := e.in.Parameters[name]
		n, err := NodeOf(v, slipway.Position{})
		if text, ok := v.(string); ok && err == nil && slices.ContainsFunc(definitions, func(d definition) bool {
			return strings.EqualFold(d.Name, name) && schema.ParameterShape(d.Type) != schema.ScalarShape
		}) {
			n, err = yaml.Read("parameter "+name, []byte(text))
		}
		if err != nil {
			e.problems.Add(at, "parameter %q: %v", name, err)
			continue
		}
		list = append(list, given{name, n, at})
	}
	return list
}

// webhooks puts the bodies of calls beside the parameters, unless a parameter has the name.
func (e *expander) webhooks(root *yaml.Node, fields *expression.Fields) {
	resources := root.Get("resources")
	if resources == nil || resources.Kind != yaml.Map {
		return
	}
	list := resources.Get("webhooks")
	if list == nil || list.Kind != yaml.List {
		return
	}
	for _, item := range list.Items {
		alias := item.Get("webhook")
		if alias == nil || alias.Kind != yaml.Scalar {
			continue
		}
		if _, declared := fields.Get(alias.Text); declared {
			continue
		}
		body := expression.Obj(&expression.Fields{})
		if strings.EqualFold(alias.Text, e.in.Webhook) {
			n, err := NodeOf(e.in.Payload, alias.At)
			if err != nil {
				e.problems.Add(alias.At, "the body of webhook %s: %v", alias.Text, err)
				continue
			}
			body = valueOf(n)
		}
		e.drafted = e.drafted || e.in.Draft // what a call has is not known
		fields.Put(alias.Text, body)
	}
}

// declareRepositories makes the aliases of the root, or of a template that it extends, known.
func (e *expander) declareRepositories(root *yaml.Node, sc *scope) {
	resources := root.Get("resources")
	if resources == nil || resources.Kind != yaml.Map {
		return
	}
	e.resources = mergeResources(e.resources, e.expand(resources, elsewhere, sc))
	list := e.resources.Get("repositories")
	if list == nil {
		return
	}
	for _, item := range list.Items {
		alias := item.Get("repository")
		if alias != nil && alias.Kind == yaml.Scalar && e.repositories[strings.ToLower(alias.Text)] == nil {
			e.repositories[strings.ToLower(alias.Text)] = &repository{}
		}
	}
}

// expand is a node without expressions and templates.
func (e *expander) expand(n *yaml.Node, w where, sc *scope) *yaml.Node {
	if e.settled(n, w) || !e.count(n) {
		return n
	}
	switch n.Kind {
	case yaml.Map:
		return e.expandMap(n, w, sc)
	case yaml.List:
		return e.expandList(n, w, sc)
	}
	if !strings.Contains(n.Text, "${{") {
		return n
	}
	v, _, ok := e.scalar(n, sc)
	if !ok { // what is wrong with it is said, and nothing of what follows from that
		return yaml.Text("unknown", yaml.Nowhere)
	}
	return e.settle(v, w, sc)
}

// count bounds the work; ok is false when it is enough.
func (e *expander) count(n *yaml.Node) bool {
	if e.stopped {
		return false
	}
	e.nodes++
	e.bytes += len(n.Text)
	switch {
	case e.nodes > MaxNodes:
		e.problems.Limit(n.At, "the expansion has more than %d values", MaxNodes)
	case e.bytes > MaxBytes:
		e.problems.Limit(n.At, "the expansion has more than %d bytes", MaxBytes)
	default:
		return true
	}
	e.stopped = true
	return false
}
