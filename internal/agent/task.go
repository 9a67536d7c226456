package agent

import (
	"fmt"
	"strings"

	"slipway/internal/pipelines/plan"
)

// inputs are a task's inputs with macros expanded.
type inputs struct {
	t *task
	m map[string]string // by lower-case name
}

// text is an input, "" when it is absent.
func (i inputs) text(name string) string { return strings.TrimSpace(i.m[strings.ToLower(name)]) }

func (i inputs) flag(name string, byDefault bool) bool {
	return i.t.flag(i.m[strings.ToLower(name)], byDefault)
}

// list is an input of several values, one a line or parted by commas.
func (i inputs) list(name string) []string {
	var list []string
	for _, part := range strings.FieldsFunc(i.text(name), func(r rune) bool { return r == '\n' || r == ',' }) {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

// task runs a task that is more than a script.
func (t *task) task(p *plan.Task) error {
	in := inputs{t, map[string]string{}}
	for name, text := range p.Inputs {
		in.m[strings.ToLower(name)] = t.text(text)
	}
	switch strings.ToLower(fmt.Sprintf("%s@%d", p.Name, p.Major)) {
	case "docker@2":
		return docker{t, in}.do()
	case "kubernetesmanifest@1", "kubernetesmanifest@0":
		return t.kubernetesManifest(in)
	case "publishtestresults@2":
		return t.publishTestResults(in)
	case "copyfiles@2":
		return t.copyFiles(in)
	case "publishpipelineartifact@1":
		return t.publish(&plan.Publish{Path: in.text("targetPath"), Artifact: in.text("artifactName")})
	case "publishbuildartifacts@1":
		return t.publish(&plan.Publish{Path: in.text("PathtoPublish"), Artifact: in.text("ArtifactName")})
	case "downloadpipelineartifact@2":
		return t.download(&plan.Download{Source: in.text("buildType"), Artifact: in.text("artifactName"), Patterns: in.text("itemPattern"), Path: in.text("targetPath")})
	case "bash@3":
		s := &plan.Script{Shell: plan.ShellBash, Arguments: in.text("arguments"), WorkingDirectory: in.text("workingDirectory"), FailOnStderr: in.text("failOnStderr")}
		if strings.EqualFold(in.text("targetType"), "inline") {
			s.Text = in.m["script"]
		} else {
			s.FilePath = in.text("filePath")
		}
		return t.script(s)
	case "cmdline@2":
		return t.script(&plan.Script{Shell: plan.ShellDefault, Text: in.m["script"], WorkingDirectory: in.text("workingDirectory"), FailOnStderr: in.text("failOnStderr")})
	}
	return fmt.Errorf("this agent cannot run the task %s@%d", p.Name, p.Major)
}
