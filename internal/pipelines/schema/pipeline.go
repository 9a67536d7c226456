package schema

import "slices"

// File is the root of a pipeline's file.
var File = &Object{
	Name: "a pipeline", Doc: "A pipeline: when it starts, what it needs, and what it does in stages, jobs or steps.",
	Keys: slices.Concat([]Key{
		{Name: "name", Value: text(), Doc: "The format of a run's number, such as $(Date:yyyyMMdd)$(Rev:.r), which is the default."},
		{Name: "appendCommitMessageToRunName", Value: boolean(), Doc: "Whether the commit's message stands behind the run's number; true by default, else it is the pipeline's name."},
		{Name: "trigger", Value: Value{Text: true, List: &Value{Text: true}, Maps: []*Object{Trigger}}, Doc: "Which pushes start a run: a list of branches, a map of filters, or none. Without it, every branch."},
		{Name: "pr", Value: Value{Text: true, List: &Value{Text: true}, Maps: []*Object{PullRequest}}, Doc: "Which pull requests start a run: a list of target branches, a map of filters, or none."},
		{Name: "schedules", Value: list(object(Schedule)), Doc: "Times at which a run starts."},
		{Name: "resources", Value: Value{Maps: []*Object{Resources}, List: &Value{Maps: []*Object{LegacyResource}}}, Doc: "What the pipeline uses from elsewhere: repositories, containers, other pipelines."},
		{Name: "parameters", Value: Value{List: &Value{Maps: []*Object{ParameterDefinition}}, Names: &Value{Any: true}}, Doc: "Values that are asked for when a run is queued, or that the including file gives; ${{ parameters.NAME }} reads them."},
		{Name: "variables", Value: Variables, Doc: "Variables of all stages: a map of names and values, or a list with groups and templates."},
		{Name: "stages", Value: list(object(StageObject, TemplateReference)), Doc: "The stages, which run one after the other unless dependsOn says otherwise."},
		{Name: "jobs", Value: Jobs, Doc: "The jobs of a pipeline without stages, which run side by side unless dependsOn says otherwise."},
		{Name: "phases", Value: list(object(PhaseObject, TemplateReference)), Doc: "The old name of jobs; each is a phase with a queue."},
		{Name: "steps", Value: Steps, Doc: "The steps of a pipeline with a single job, one after the other."},
		{Name: "extends", Value: object(TemplateReference), Doc: "A template that gives the stages, jobs or steps; this file gives its parameters."},
		{Name: "pool", Value: Pool, Doc: "The pool of all jobs that name none."},
		{Name: "queue", Value: Queue, Doc: "The old name of pool."},
		{Name: "lockBehavior", Value: option("sequential", "runLatest"), Doc: "How runs that wait for an exclusive lock queue."},
	}, beside("steps", soleJob)),
	Refused: map[string]string{
		"matrix": "write it under strategy", "pull_request": "write pr", "on": "write trigger",
		"template": "write it under extends", "server": "write pool: server", "cancelTimeoutInMinutes": "write it in a job",
	},
}

// soleJob are the keys of a job that a file of steps may have at its root.
var soleJob = []string{"strategy", "container", "services", "workspace", "continueOnError", "displayName", "condition", "timeoutInMinutes",
	"cancelTimeoutInMinutes"}

// beside takes keys of a job that stand beside another key.
func beside(with string, list []string) []Key {
	keys := make([]Key, len(list))
	for i, name := range list {
		keys[i] = *JobObject.Key(name)
		keys[i].With = with
	}
	return keys
}

// TemplateReference includes a file where stages, jobs, steps or variables stand.
var TemplateReference = &Object{
	Name: "a template", Mark: "template", Doc: "A file whose stages, jobs, steps or variables are put in this place.",
	Keys: []Key{
		{Name: "template", Required: true, Value: refers(Template), Doc: "The file: relative to this one, from the repository's root with a leading slash, or FILE@REPOSITORY."},
		{Name: "parameters", Value: Value{Names: &Value{Any: true}, Refers: Arguments}, Doc: "Values for the template's parameters."},
	},
}

// ParameterDefinition declares a parameter of a pipeline or a template.
var ParameterDefinition = &Object{
	Name: "a parameter", Doc: "A parameter: ${{ parameters.NAME }} reads it.",
	Keys: []Key{
		{Name: "name", Required: true, Value: text(), Doc: "The name, in ${{ parameters.NAME }}."},
		{Name: "displayName", Value: text(), Doc: "What the form calls it that asks for values."},
		{Name: "type", Value: Value{Options: ParameterTypes(), Exact: true, Refers: Parameter}, Doc: "The type, which is checked; string by default."},
		{Name: "default", Value: anything(), Doc: "The value when none is given; without it, one must be."},
		{Name: "values", Value: list(text()), Doc: "The only values that are allowed."},
	},
}

// Shape says what a parameter's type takes.
type Shape uint8

// The shapes of parameters.
const (
	AnyShape Shape = iota
	ScalarShape
	MapShape
	ListShape
)

// parameterTypes are the types of parameters in the order in which they are told.
var parameterTypes = []struct {
	name  string
	shape Shape
}{
	{"string", ScalarShape}, {"number", ScalarShape}, {"boolean", ScalarShape}, {"object", AnyShape}, {"stringList", ListShape},
	{"step", MapShape}, {"stepList", ListShape}, {"job", MapShape}, {"jobList", ListShape}, {"deployment", MapShape}, {"deploymentList", ListShape},
	{"stage", MapShape}, {"stageList", ListShape}, {"container", AnyShape}, {"containerList", ListShape}, {"environment", ScalarShape},
	{"filePath", ScalarShape}, {"pool", AnyShape}, {"secureFile", ScalarShape}, {"serviceConnection", ScalarShape}, {"legacyObject", AnyShape},
}

// ParameterTypes are the names of the types of parameters.
func ParameterTypes() []string {
	list := make([]string, len(parameterTypes))
	for i, t := range parameterTypes {
		list[i] = t.name
	}
	return list
}

// ParameterShape is what a type, spelt as ParameterTypes does, takes.
func ParameterShape(name string) Shape {
	for _, t := range parameterTypes {
		if t.name == name {
			return t.shape
		}
	}
	return AnyShape
}

// Variables is a `variables` section: the map or the list form.
var Variables = Value{Names: &Value{Text: true}, List: &Value{Maps: []*Object{TemplateReference, Variable}}}

// Variable is one variable of the list form.
var Variable = &Object{
	Name: "a variable", Doc: "A variable, which $(NAME) and variables['NAME'] read, or a group of them.", OneOf: []string{"name", "group"},
	Keys: []Key{
		{Name: "name", Value: text(), Doc: "The name, in any case."},
		{Name: "value", Value: text(), Doc: "The value: text, which may hold macros, or one $[ ] that is evaluated when the run starts."},
		{Name: "readonly", Value: boolean(), Doc: "Whether steps are kept from setting it."},
		{Name: "group", Value: text(), Doc: "A variable group of the project, whose variables stand here."},
	},
	Elsewhere: map[string]string{"condition": "put ${{ if … }}: before the entry", "default": "write value", "type": "variables are texts: leave it out"},
}
