package compile

import (
	"slices"
	"strings"

	"slipway"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/task"
	"slipway/internal/pipelines/yaml"
)

// task reads a task step. Tasks that are another spelling of a keyword become that keyword's step.
func (c *compiler) task(o object, s *plan.Step) bool {
	reference := o.needed("task")
	if reference == "" {
		return false
	}
	d, err := task.Find(reference)
	if err != nil {
		c.problems.Unsupported(o.get("task").At, "%v", err)
		return false
	}
	given := o.textMap("inputs")
	inputs, mistakes := d.Resolve(given)
	for _, m := range mistakes {
		at := c.inputPlace(o, m.Input)
		switch {
		case m.Harmless:
			c.warn(at, m.Message)
		case m.Unsupported:
			c.problems.Unsupported(at, "%s", m.Message)
		default:
			c.problems.Add(at, "%s", m.Message)
		}
	}
	c.title(s, d.Title)
	switch d.String() {
	case "CmdLine@2":
		s.Kind = plan.StepScript
		s.Script = &plan.Script{Shell: plan.ShellDefault, Text: inputs["script"], WorkingDirectory: inputs["workingDirectory"], FailOnStderr: lower(inputs["failOnStderr"])}
	case "Bash@3":
		s.Kind = plan.StepScript
		s.Script = &plan.Script{Shell: plan.ShellBash, WorkingDirectory: inputs["workingDirectory"], FailOnStderr: lower(inputs["failOnStderr"])}
		if strings.EqualFold(inputs["targetType"], "inline") {
			s.Script.Text = inputs["script"]
		} else {
			s.Script.FilePath, s.Script.Arguments = inputs["filePath"], inputs["arguments"]
		}
	case "PublishPipelineArtifact@1":
		s.Kind = plan.StepPublish
		s.Publish = &plan.Publish{Path: inputs["targetPath"], Artifact: inputs["artifactName"], Properties: inputs["properties"]}
	case "PublishBuildArtifacts@1":
		s.Kind = plan.StepPublish
		s.Publish = &plan.Publish{Path: inputs["PathtoPublish"], Artifact: inputs["ArtifactName"]}
	case "DownloadPipelineArtifact@2":
		s.Kind = plan.StepDownload
		s.Download = &plan.Download{Source: c.downloadSource(o, inputs), Artifact: inputs["artifactName"], Patterns: inputs["itemPattern"], Path: inputs["targetPath"]}
	default:
		s.Kind = plan.StepTask
		s.Task = &plan.Task{Name: d.Name, Major: d.Major, Inputs: inputs}
		for name := range given {
			if in := d.Input(name); in != nil {
				s.Task.Given = append(s.Task.Given, in.Name)
			}
		}
		slices.Sort(s.Task.Given)
	}
	return true
}

// downloadSource is the alias of the pipeline whose artifacts the task DownloadPipelineArtifact fetches, or "current".
func (c *compiler) downloadSource(o object, inputs map[string]string) string {
	place := func(names ...string) slipway.Position {
		for _, name := range names {
			if at := c.inputPlace(o, name); at != o.get("task").At {
				return at
			}
		}
		return o.get("task").At
	}
	switch kind := inputs["buildType"]; {
	case strings.Contains(kind, "$("):
		c.problems.Unsupported(place("buildType", "source"), "buildType must be known when the run is made: write current or specific, not %q", kind)
		return "current"
	case !strings.EqualFold(kind, "specific"):
		return "current"
	}
	if project := inputs["project"]; project != "" && !strings.HasPrefix(strings.ToLower(project), "$(system.teamproject") {
		c.problems.Unsupported(place("project"), "project %s is not there yet: the pipeline is one of the same project, write $(System.TeamProject)", project)
	}
	name := inputs["definition"]
	for _, p := range c.resources.Pipelines {
		if strings.EqualFold(p.Source, name) || strings.EqualFold(p.Alias, name) {
			return p.Alias
		}
	}
	if name != "" && !c.template {
		c.problems.Unsupported(place("definition", "pipeline"), "pipeline %q is not declared under resources.pipelines: declare it there, which also says which run is taken", name)
	}
	return name
}

// lower writes a boolean as plans do; a macro stays as it is.
func lower(text string) string {
	if strings.Contains(text, "$(") {
		return text
	}
	return strings.ToLower(text)
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
