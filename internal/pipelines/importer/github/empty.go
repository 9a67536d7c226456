package github

import (
	"cmp"
	"regexp"
	"slices"

	"slipway"
	"slipway/internal/pipelines/importer/draft"
	"slipway/internal/pipelines/yaml"
)

// An input that is empty means a script without commands, a job without a container, or the version of a tool that is there. In a
// pipeline these cannot be empty, so what a parameter gives that may be is left out when it is.

// wholeParameter is text that is a parameter and nothing else.
var wholeParameter = regexp.MustCompile(`^\s*\$\{\{ parameters\.([A-Za-z0-9_]+) \}\}\s*$`)

// filled are the keys of steps, and filledInputs the inputs of tasks that must not be empty.
var filled = []string{"script", "bash", "pwsh", "powershell"}

var filledInputs = []string{"version", "versionSpec"}

// leaveOutEmpty writes conditions before what parameters give that may be empty.
func (w *workflow) leaveOutEmpty(jobs []*yaml.Node) {
	empty := map[string]bool{}
	for _, p := range w.parameterList {
		if d := p.Get("default"); d != nil && d.Text == "" {
			empty[p.Get("name").Text] = true
		}
	}
	if len(empty) == 0 {
		return
	}
	for _, job := range jobs {
		for i, pair := range job.Pairs {
			if name := cmp.Or(parameterOf(pair.Value, empty), parameterOf(pair.Value.Get("image"), empty)); pair.Key.Text == "container" && name != "" {
				job.Pairs[i] = yaml.Pair{Key: unlessEmpty(name), Value: (&draft.Map{}).Put("container", pair.Value).Node()}
			}
		}
		if steps := job.Get("steps"); steps != nil {
			steps.Items = slices.Clone(steps.Items)
			for i, step := range steps.Items {
				if name := emptyStep(step, empty); name != "" {
					steps.Items[i] = &yaml.Node{Kind: yaml.Map, Pairs: []yaml.Pair{{Key: unlessEmpty(name), Value: draft.List(step)}}}
				}
			}
		}
	}
}

func unlessEmpty(name string) *yaml.Node {
	return yaml.Plain("${{ if ne(parameters."+name+", '') }}", slipway.Position{})
}

// emptyStep is the parameter without which the step has nothing to do, "" for most steps.
func emptyStep(step *yaml.Node, empty map[string]bool) string {
	for _, key := range filled {
		if name := parameterOf(step.Get(key), empty); name != "" {
			return name
		}
	}
	for _, key := range filledInputs {
		if name := parameterOf(step.Get("inputs").Get(key), empty); name != "" {
			return name
		}
	}
	return ""
}

// parameterOf is the parameter that a value is, if that may be empty.
func parameterOf(n *yaml.Node, empty map[string]bool) string {
	if n == nil {
		return ""
	}
	if m := wholeParameter.FindStringSubmatch(n.Text); m != nil && empty[m[1]] {
		return m[1]
	}
	return ""
}
