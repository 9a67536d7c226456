package compile

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/yaml"
)

func (c *compiler) script(o object, s *plan.Step, key string, shell plan.Shell, title string) bool {
	n := o.get(key)
	switch {
	case n.Kind != yaml.Scalar:
		instead := ""
		if n.Kind == yaml.List {
			instead = ": write " + key + ": | and the lines below it, indented deeper and without dashes"
		}
		c.problems.Add(n.At, "%s of %s is text, not %s%s", key, o.what, n.Kind, instead)
		return false
	case n.IsNull() || strings.TrimSpace(n.Text) == "":
		if n.At != yaml.Nowhere { // where a draft does not know it
			c.problems.Add(o.at(key), "the %s step has no script", key)
		}
		return false
	}
	s.Kind = plan.StepScript
	s.Script = &plan.Script{Shell: shell, Text: n.Text, WorkingDirectory: o.text("workingDirectory"), FailOnStderr: o.flag("failOnStderr")}
	c.title(s, title)
	return true
}

// powershell reads the steps that are another spelling of the task PowerShell@2.
func (c *compiler) powershell(o object, s *plan.Step, key string, j *plan.Job) bool {
	if !c.script(o, s, key, "", "PowerShell") {
		return false
	}
	given := map[string]string{"targetType": "inline", "script": s.Script.Text, "pwsh": strconv.FormatBool(key == "pwsh"), "failOnStderr": s.Script.FailOnStderr,
		"workingDirectory": s.Script.WorkingDirectory, "errorActionPreference": o.text("errorActionPreference"), "ignoreLASTEXITCODE": o.flag("ignoreLASTEXITCODE")}
	d, err := c.in.Tasks.Find("PowerShell@2")
	if err != nil {
		c.problems.Add(o.at(key), "%v", err)
		return false
	}
	maps.DeleteFunc(given, func(_, text string) bool { return text == "" })
	inputs, mistakes := d.Resolve(given)
	for _, m := range mistakes {
		c.problems.Add(o.at(m.Input), "%s", m.Message)
	}
	s.Kind, s.Script = plan.StepTask, nil
	s.Task = &plan.Task{Name: d.Name, Major: d.Major, Inputs: inputs, Given: slices.Sorted(maps.Keys(given))}
	c.warnPowerShell(o.at(key), s.Task, j)
	return true
}

// warnPowerShell says once for each job that its image has no PowerShell if it is the pool's own, and once for the file
// that there is no Windows PowerShell.
func (c *compiler) warnPowerShell(at slipway.Position, t *plan.Task, j *plan.Job) {
	image := j.Pool.Image
	own := j.Container == nil && !strings.Contains(image, "$(") && (c.in.Images == nil || !c.in.Images(image))
	if own && c.noPowerShell != j {
		c.noPowerShell = j
		what, example := "PowerShell", "mcr.microsoft.com/powershell, or write bash"
		if t.Name == "AzurePowerShell" {
			what, example = "PowerShell with the module Az", "mcr.microsoft.com/azure-powershell"
		}
		c.warn(at, fmt.Sprintf("the pool's image has no %s, so the step will fail: give the job a container that has it, such as %s", what, example))
	}
	if !strings.EqualFold(t.Inputs["pwsh"], "true") && !c.windowsPowerShell {
		c.windowsPowerShell = true
		c.warn(at, "jobs run on Linux, where PowerShell is pwsh: there is no Windows PowerShell")
	}
}
