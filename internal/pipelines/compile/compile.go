package compile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/task"
	"slipway/internal/pipelines/template"
	"slipway/internal/pipelines/yaml"
)

// Files reads files of one repository at the run's commit. Paths are relative to its root, with slashes, cleaned, and
// never lead out of it. An absent file is an error for which errors.Is(err, fs.ErrNotExist).
type Files = template.Files

// Lister is what Files may be too, to suggest a file in place of one that is not there.
type Lister = template.Lister

// Problems is everything that is wrong with a file, each with its place. Every error of this package that is the file's
// fault is one; errors.As finds its first *slipway.Problem.
type Problems = yaml.Problems

// Input is what a compilation depends on.
type Input struct {
	// Path of the root file, relative to the root of its repository.
	Path string
	// Files of the repository at the commit of the run.
	Files Files
	// Repository opens another repository that `resources.repositories` declares, at its ref. Nil refuses `@alias` and
	// the checkout of other repositories.
	Repository func(plan.Repository) (Files, error)
	// Parameters are the values of run-time parameters, by name: string, bool, float64, []any, map[string]any as JSON
	// gives them, or strings, which are converted to the parameter's type.
	Parameters map[string]any
	// Variables are those known before the run exists, which `${{ variables.x }}` sees: predefined ones such as
	// Build.SourceBranch and Build.Reason, and those given when the run was queued.
	Variables map[string]string
	// Webhook is the alias of the webhook whose call starts the run, "" for another reason, and Payload the body of the call as
	// JSON gives it, which `${{ parameters.ALIAS.path }}` reads.
	Webhook string
	Payload any
	// Registry is the host of this server's registry in image names, "" if it is not known.
	Registry string
	// Images says whether a vmImage can be run beside the ubuntu-* ones, which all are. Nil allows no other.
	Images func(vmImage string) bool
	// Tasks are those that were uploaded, besides the built-in ones.
	Tasks task.Catalog
	// Pools gives the capabilities of a pool that the installation has, nil for one of machines, which differ, by the name or vmImage that a file writes; false
	// for others. Nil is for none.
	Pools func(name string) (capabilities map[string]string, ok bool)
	// Pipeline says that the file is a pipeline's and no template, which Check cannot always tell.
	Pipeline bool
}

// Compile makes the plan. Its error is a Problems when the file is at fault.
func Compile(in Input) (*plan.Plan, error) {
	c := &compiler{in: in}
	p := c.compile()
	if err := c.problems.Err(); err != nil {
		return nil, err
	}
	p.Warnings = append(c.warnings, warnings(p)...)
	return p, nil
}

// compile makes the plan, which is whole if there are no problems, and nil if there is nothing to read.
func (c *compiler) compile() *plan.Plan {
	in := c.in
	out, err := expand(in, c.draft)
	c.problems.Append(slipway.Position{File: in.Path, Line: 1, Column: 1}, err)
	c.sources, c.unread, c.template, c.drafted = out.Sources, out.Unread, out.Template, out.Drafted
	c.parameters = out.Parameters
	for _, w := range out.Warnings {
		c.warn(w.At, w.Message)
	}
	if out.Root == nil {
		return nil
	}
	p := &plan.Plan{Version: plan.Version, File: in.Path, Sources: out.Sources, Parameters: out.Parameters}
	c.root(p, out.Root)
	return p
}

// Expand is the file with all templates expanded, as YAML text that means the same without parameters.
func Expand(in Input) ([]byte, error) {
	out, err := expand(in, false)
	if err != nil {
		return nil, err
	}
	text, err := yaml.Write(out.Root)
	if err != nil {
		return nil, fmt.Errorf("expand %s: %w", in.Path, err)
	}
	return text, nil
}

func expand(in Input, draft bool) (template.Output, error) {
	input := template.Input{Path: in.Path, Files: in.Files, Parameters: in.Parameters, Variables: in.Variables, Draft: draft, Pipeline: in.Pipeline,
		Webhook: in.Webhook, Payload: in.Payload}
	if in.Repository != nil {
		input.Repository = func(alias string, resources *yaml.Node) (template.Files, error) {
			c := &compiler{in: in}
			for _, item := range c.items(resources.Get("repositories"), "repositories") {
				if r, ok := c.repository(item); ok && strings.EqualFold(r.Alias, alias) {
					return in.Repository(r) // nil files of a draft are left out
				}
			}
			return nil, c.problems.Err()
		}
	}
	return template.Expand(input)
}

// Triggers reads only the triggers of a file, so that a push can be judged without compiling it.
func Triggers(path string, data []byte) (plan.Triggers, error) {
	root, err := yaml.Read(path, data)
	if err != nil {
		return plan.Triggers{}, err
	}
	c := &compiler{}
	if root.Kind != yaml.Map {
		c.problems.Add(root.At, "a pipeline file is a map of keys like steps and trigger, this is %s", root.Kind)
		return plan.Triggers{}, c.problems.Err()
	}
	t := c.triggers(root)
	t.Pipelines, t.Resources = sources(root), resourceTriggers(root)
	return t, c.problems.Err()
}

// Parameters reads only the run-time parameters of a file, for a page that asks for their values. Value is the default.
func Parameters(path string, data []byte) ([]plan.Parameter, error) {
	return template.Parameters(path, data)
}

// compiler makes a plan of an expanded tree and collects everything that is wrong with it.
type compiler struct {
	in Input
	// draft checks a file without a run.
	draft      bool
	sources    []string
	unread     []template.Unread
	template   bool // a draft of a file that others include
	drafted    bool // parameters got values of their type
	problems   yaml.Problems
	warnings   []plan.Warning
	containers map[string]plan.Container // by lower-case alias
	resources  plan.Resources
	checkouts  map[string]plan.Checkout // by alias in lower case: what resources say of a repository's checkouts
	builds     []string                 // aliases of resources.builds, in lower case
	known      names                    // variables of the root, and of the stage that is read

	rootVariables []plan.Variable
	parameters    []plan.Parameter // of the file
	allStages     *yaml.Node       // of the expanded file, nil if it has none

	noPowerShell      *plan.Job // the last job that was warned of
	windowsPowerShell bool      // it was warned of
}

func (c *compiler) root(p *plan.Plan, n *yaml.Node) {
	if other := otherLanguage(n); other != "" {
		c.problems.Unsupported(n.At, "%s", other)
		return
	}
	n = c.modern(n)
	o, ok := c.object(n, schema.File)
	if !ok {
		return
	}
	n = o.n
	p.Name = o.text("name")
	p.PlainName = !o.boolean("appendCommitMessageToRunName", true)
	p.LockBehavior = o.option("lockBehavior", "")
	p.Triggers = c.triggers(n)
	p.Resources = c.readResources(n.Get("resources"))
	c.resources = p.Resources
	p.Variables = c.variables(n.Get("variables"), rootScope)
	c.known, c.rootVariables = c.known.with(p.Variables), p.Variables
	c.known.list = append(c.known.list, slices.Sorted(maps.Keys(c.in.Variables))...)
	pool := c.pool(n.Get("pool"))
	c.allStages = n.Get("stages")

	first := ""
	for _, key := range []string{"stages", "jobs", "steps"} {
		switch {
		case n.Get(key) == nil:
			continue
		case first == "":
			first = key
		default:
			c.problems.Add(o.at(key), "%s stands beside %s of line %d: a pipeline has one of stages, jobs and steps; put steps into a job and jobs into a stage", key, first, o.at(first).Line)
		}
		switch key {
		case "stages":
			p.Stages = c.stages(n.Get(key), pool)
		case "jobs":
			p.Stages = []plan.Stage{{Name: plan.DefaultStage, Jobs: c.jobs(n.Get(key), pool), At: n.Get(key).At}}
		default:
			p.Stages = []plan.Stage{{Name: plan.DefaultStage, Jobs: []plan.Job{c.soleJob(o, pool)}, At: n.At}}
		}
	}
	if first == "" && c.whole() && !c.template {
		c.problems.Add(n.At, "the pipeline has nothing to do: it needs stages, jobs or steps")
	}
	p.Resources.Pipelines = c.resources.Pipelines       // with those that download tasks name
	p.Resources.Repositories = c.resources.Repositories // with those that checkouts name
	c.checkUnits(p)
}

// warn records what is allowed and most likely a mistake.
func (c *compiler) warn(at slipway.Position, message string) {
	if w := (plan.Warning{Message: message, At: at}); len(c.warnings) < 100 && !slices.Contains(c.warnings, w) {
		c.warnings = append(c.warnings, w)
	}
}

// warnOf is warn with a format.
func (c *compiler) warnOf(at slipway.Position, format string, args ...any) {
	c.warn(at, fmt.Sprintf(format, args...))
}

// whole reports whether everything was read and nothing is wrong yet: otherwise what is missing may follow from that.
func (c *compiler) whole() bool { return len(c.problems) == 0 && len(c.unread) == 0 && !c.drafted }

// open reports that names may be declared where the draft does not see them.
func (c *compiler) open() bool { return c.template || len(c.unread) > 0 }

// MaxInstances bounds the jobs of a run, every leg counted.
const MaxInstances = 5000

func (c *compiler) checkUnits(p *plan.Plan) {
	count := 0
	for i := range p.Stages {
		for j := range p.Stages[i].Jobs {
			count += len(plan.Instances(&p.Stages[i], &p.Stages[i].Jobs[j], nil))
		}
	}
	if count > MaxInstances {
		c.problems.Limit(p.Stages[0].At, "the pipeline has %d jobs, every leg counted, more than the %d allowed", count, MaxInstances)
	}
}
