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

// tasks are the tasks that the agent runs, by NAME@MAJOR in lower case. Those that are another spelling of a keyword have
// become that keyword's step already. The map is never changed.
var tasks = map[string]func(*task, inputs) error{
	"copyfiles@2":          (*task).copyFiles,
	"docker@2":             func(t *task, in inputs) error { return docker{t, in}.do() },
	"kubernetesmanifest@0": (*task).kubernetesManifest,
	"kubernetesmanifest@1": (*task).kubernetesManifest,
	"publishtestresults@2": (*task).publishTestResults,
}

// task runs a task.
func (t *task) task(p *plan.Task) error {
	run, ok := tasks[strings.ToLower(fmt.Sprintf("%s@%d", p.Name, p.Major))]
	if !ok {
		return fmt.Errorf("this agent cannot run the task %s@%d: use the agent image of the server's release", p.Name, p.Major)
	}
	in := inputs{t, map[string]string{}}
	for name, text := range p.Inputs {
		in.m[strings.ToLower(name)] = t.text(text)
	}
	return run(t, in)
}
