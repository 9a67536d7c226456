package compile

import (
	"regexp"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/task"
	"slipway/internal/pipelines/yaml"
)

// task reads a task step. Tasks that are another spelling of a keyword become that keyword's step.
func (c *compiler) task(o object, s *plan.Step) bool {
	reference := o.needed("task")
	if reference == "" {
		return false
	}
	d, err := c.in.Tasks.Find(reference)
	if err != nil {
		c.problems.Unsupported(o.get("task").At, "%v", err)
		return false
	}
	if _, version, _ := strings.Cut(reference, "@"); strings.Contains(version, ".") {
		c.warnOf(o.get("task").At, "only the major version of a task is chosen, so this is %s", d)
	}
	if why := d.Refused(); why != "" {
		c.problems.Unsupported(o.get("task").At, "%s", why)
		return false
	}
	given := o.textMap("inputs")
	inputs := c.inputs(o, d, given)
	c.title(s, d.DisplayName(inputs))
	for i := range d.Inputs {
		for _, name := range d.Inputs[i].Connections(inputs[d.Inputs[i].Name]) {
			s.Connections = append(s.Connections, plan.Connection{Name: name, Types: d.Inputs[i].Connection, Optional: d.Inputs[i].Own, At: c.givenPlace(o, d, given, d.Inputs[i].Name)})
		}
	}
	if d.Package == nil && c.keyword(o, s, d.String(), inputs) {
		return true
	}
	s.Kind = plan.StepTask
	s.Task = &plan.Task{Name: d.Name, Major: d.Major, Inputs: inputs, Package: taskPackage(d)}
	for name := range given {
		if in := d.Input(name); in != nil {
			s.Task.Given = append(s.Task.Given, in.Name)
		}
	}
	slices.Sort(s.Task.Given)
	return true
}

// inputs checks the inputs of a task and completes them.
func (c *compiler) inputs(o object, d *task.Definition, given map[string]string) map[string]string {
	inputs, mistakes := d.Resolve(given)
	if n := o.get("inputs"); n != nil && !n.IsNull() && n.Kind != yaml.Map {
		mistakes = nil // that they are no map is told, and all that they lack follows from it
	}
	for _, m := range mistakes {
		at := c.inputPlace(o, m.Input)
		switch {
		case (m.Empty || m.Unsupported) && c.unknownInput(o, m.Input): // who includes the template gives it, or leaves it out
		case m.Harmless:
			c.warn(at, m.Message)
		case m.Empty && o.text("condition") != "": // which may say that the step does not run then
			c.warnOf(at, "%s, which is empty here: if the condition lets the step run, it fails", m.Message)
		case m.Unsupported:
			c.problems.Unsupported(at, "%s", m.Message)
		default:
			c.problems.Add(at, "%s", m.Message)
		}
	}
	for name, value := range given {
		if in := d.Input(name); in != nil && in.PlainBraces {
			c.braces(c.inputPlace(o, name), value)
		}
	}
	if len(mistakes) == 0 {
		c.serverInputs(o, d, given, inputs)
	}
	return inputs
}

// inputsBeside is a task step whose inputs stand beside the key inputs, which has nothing below it, with them where they belong. It is told.
func (c *compiler) inputsBeside(n *yaml.Node) *yaml.Node {
	reference, inputs := n.Get("task"), n.Get("inputs")
	if reference == nil || inputs == nil || !inputs.IsNull() {
		return n
	}
	d, err := c.in.Tasks.Find(reference.Text)
	if err != nil {
		return n
	}
	step := schema.StepObject("task")
	own := &yaml.Node{Kind: yaml.Map, At: inputs.At}
	out := &yaml.Node{Kind: yaml.Map, At: n.At}
	for _, p := range n.Pairs {
		switch {
		case p.Key.Text == "inputs":
			out.Pairs = append(out.Pairs, yaml.Pair{Key: p.Key, Value: own})
		case step.Key(p.Key.Text) == nil && d.Input(p.Key.Text) != nil:
			own.Pairs = append(own.Pairs, p)
		default:
			out.Pairs = append(out.Pairs, p)
		}
	}
	if len(own.Pairs) == 0 {
		return n
	}
	c.problems.Add(own.Pairs[0].Key.At, "%q is an input of task %s: inputs stand below inputs, indented deeper", own.Pairs[0].Key.Text, d)
	return out
}

// unknownInput reports an input whose value a draft does not know.
func (c *compiler) unknownInput(o object, name string) bool {
	inputs := o.get("inputs")
	if inputs == nil {
		return false
	}
	value := inputs.Get(name)
	return value != nil && value.At == yaml.Nowhere
}

// keyword makes a task that is another spelling of a keyword into that keyword's step; false for others.
func (c *compiler) keyword(o object, s *plan.Step, reference string, inputs map[string]string) bool {
	switch reference {
	case "CmdLine@2":
		s.Kind = plan.StepScript
		s.Script = &plan.Script{Shell: plan.ShellDefault, Text: inputs["script"], WorkingDirectory: inputs["workingDirectory"], FailOnStderr: lower(inputs["failOnStderr"])}
	case "Bash@3":
		s.Kind = plan.StepScript
		s.Script = &plan.Script{Shell: plan.ShellBash, WorkingDirectory: inputs["workingDirectory"], FailOnStderr: lower(inputs["failOnStderr"]), BashEnv: inputs["bashEnvValue"]}
		if strings.EqualFold(inputs["targetType"], "inline") {
			s.Script.Text = inputs["script"]
		} else {
			s.Script.FilePath, s.Script.Arguments = inputs["filePath"], inputs["arguments"]
		}
	case "PublishPipelineArtifact@0", "PublishPipelineArtifact@1":
		s.Kind = plan.StepPublish
		s.Publish = &plan.Publish{Path: inputs["targetPath"], Artifact: inputs["artifactName"], Properties: inputs["properties"]}
	case "PublishBuildArtifacts@1":
		s.Kind = plan.StepPublish
		s.Publish = &plan.Publish{Path: inputs["PathtoPublish"], Artifact: inputs["ArtifactName"], Add: true, Tar: unlessFalse(inputs["StoreAsTar"])}
	case "DownloadPipelineArtifact@0", "DownloadPipelineArtifact@1", "DownloadPipelineArtifact@2":
		s.Kind = plan.StepDownload
		s.Download = c.downloadSource(o, inputs)
		s.Download.Artifact, s.Download.Patterns, s.Download.Path = inputs["artifactName"], inputs["itemPattern"], inputs["targetPath"]
	case "DownloadBuildArtifacts@0", "DownloadBuildArtifacts@1":
		s.Kind = plan.StepDownload
		s.Download = c.downloadSource(o, inputs)
		s.Download.Patterns, s.Download.Path, s.Download.Folders, s.Download.Clean = inputs["itemPattern"], inputs["downloadPath"], true, lower(inputs["cleanDestinationFolder"])
		s.Download.ExtractTars = unlessFalse(inputs["extractTars"])
		if strings.EqualFold(inputs["downloadType"], "single") {
			s.Download.Artifact = inputs["artifactName"]
		}
	default:
		return false
	}
	return true
}

// taskPackage is what the plan keeps of an uploaded task, nil for one that is built in.
func taskPackage(d *task.Definition) *plan.TaskPackage {
	if d.Package == nil {
		return nil
	}
	p := &plan.TaskPackage{ID: d.Package.ID, Version: d.Package.Version, Digest: d.Package.Digest, PreJob: d.Package.PreJob, PostJob: d.Package.PostJob}
	for _, in := range d.Inputs {
		if in.Connection != nil {
			p.Connections = append(p.Connections, in.Name)
		}
		if in.SecureFile {
			p.SecureFiles = append(p.SecureFiles, in.Name)
		}
	}
	return p
}

// resourceMacro is a macro that names something of a pipeline's run: $(resources.pipeline.ALIAS.NAME).
var resourceMacro = regexp.MustCompile(`(?i)^\$\(resources\.pipeline\.([^.]+)\.([a-z]+)\)$`)

// ofResource is the alias whose value of one of the names the text is, "" for other texts.
func ofResource(text string, names ...string) string {
	m := resourceMacro.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil || !slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, m[2]) }) {
		return ""
	}
	return m[1]
}

// downloadSource is whose artifacts a download task fetches: those of this run, of a run by its number, or of a pipeline
// under resources or one that the task names. Which run of the pipeline that is is settled when this one is queued.
func (c *compiler) downloadSource(o object, inputs map[string]string) *plan.Download {
	place := func(names ...string) slipway.Position {
		for _, name := range names {
			if at := c.inputPlace(o, name); at != o.get("task").At {
				return at
			}
		}
		return o.get("task").At
	}
	current := &plan.Download{Source: "current"}
	kind, runID, version := inputs["buildType"], inputs["pipelineId"], inputs["buildVersionToDownload"]
	kind = c.rootText(kind)
	switch {
	case kind == "" && runID != "": // DownloadPipelineArtifact@0
		version = "specific"
	case strings.Contains(kind, "$(") && c.open(): // the file that includes this one may have the variable
		return current
	case strings.Contains(kind, "$("):
		c.problems.Unsupported(place("buildType", "source"), "buildType must be known when the run is made: write current or specific, or a variable of the root that says so, not %q", kind)
		return current
	case !strings.EqualFold(kind, "specific"):
		return current
	}
	name := inputs["definition"]
	if alias := ofResource(name, "pipelineName", "pipelineID"); alias != "" {
		name = alias
	}
	switch {
	case strings.EqualFold(version, "specific"):
		alias := ofResource(runID, "runID")
		if alias == "" {
			if runID == "" {
				c.problems.Add(place("buildVersionToDownload", "runVersion"), "the number of the run is missing: give runId")
			}
			return &plan.Download{Source: "current", Run: runID} // whatever its project, if the job may read that
		}
		name = alias
	case strings.EqualFold(version, "latestFromBranch") && ofResource(inputs["branchName"], "sourceBranch") == "":
		if inputs["branchName"] == "" {
			c.problems.Add(place("buildVersionToDownload", "runVersion"), "the branch is missing: give runBranch")
		}
		return c.latestRun(place("branchName", "runBranch", "definition", "pipeline"), name, inputs)
	}
	for _, p := range c.resources.Pipelines {
		if !p.Implied && (strings.EqualFold(p.Source, name) && strings.EqualFold(p.Project, c.downloadProject(inputs)) || strings.EqualFold(p.Alias, name)) {
			return &plan.Download{Source: p.Alias}
		}
	}
	if name != "" && !c.template {
		return c.latestRun(place("definition", "pipeline", "pipelineId"), name, inputs)
	}
	return &plan.Download{Source: name}
}

// latestRun is a download of the last run of a pipeline that the task itself names, of a branch or of any. As for one that is declared
// under resources, the run is chosen when this one is queued, so that all of its jobs take the same.
func (c *compiler) latestRun(at slipway.Position, name string, inputs map[string]string) *plan.Download {
	branch := inputs["branchName"]
	if !strings.EqualFold(inputs["buildVersionToDownload"], "latestFromBranch") {
		branch = ""
	}
	p := plan.Pipeline{Alias: "latest of " + name, Source: name, Project: c.downloadProject(inputs), Branch: branch, Implied: true, At: at}
	if branch != "" {
		p.Alias += " of " + branch
	}
	if p.Project != "" {
		p.Alias += " in " + p.Project
	}
	if !slices.ContainsFunc(c.resources.Pipelines, func(known plan.Pipeline) bool { return strings.EqualFold(known.Alias, p.Alias) }) {
		c.resources.Pipelines = append(c.resources.Pipelines, p)
	}
	return &plan.Download{Source: p.Alias}
}

// downloadProject is the project that a download task names, "" for the pipeline's own.
func (c *compiler) downloadProject(inputs map[string]string) string {
	project := inputs["project"]
	if strings.HasPrefix(strings.ToLower(project), "$(system.teamproject") || c.ownProject(project) {
		return ""
	}
	if alias := ofResource(project, "projectID", "projectName"); alias != "" {
		for _, p := range c.resources.Pipelines {
			if strings.EqualFold(p.Alias, alias) {
				return p.Project
			}
		}
		return ""
	}
	return project
}

// lower writes a boolean as plans do; a macro stays as it is.
func lower(text string) string {
	if strings.Contains(text, "$(") {
		return text
	}
	return strings.ToLower(text)
}

// unlessFalse is lower for a boolean that is false if it is not said.
func unlessFalse(text string) string {
	if text = lower(text); text == "false" {
		return ""
	}
	return text
}

// givenPlace is where an input is written by its own name or another.
func (c *compiler) givenPlace(o object, d *task.Definition, given map[string]string, own string) slipway.Position {
	for name := range given {
		if in := d.Input(name); in != nil && in.Name == own {
			return c.inputPlace(o, name)
		}
	}
	return o.get("task").At
}

// inputPlace is where an input is written, or the task for one that is missing.
func (c *compiler) inputPlace(o object, name string) slipway.Position {
	n := o.get("inputs")
	if n != nil && n.Kind == yaml.Map && name != "" {
		for _, p := range n.Pairs {
			if p.Key.Text == name {
				return p.Key.At
			}
		}
	}
	return o.get("task").At
}
