package github

import (
	"path"
	"strings"

	"slipway/internal/pipelines/yaml"
)

// calledWorkflow is a reusable workflow in the place of the job that calls it.
type calledWorkflow struct {
	jobs    []*job
	needs   []string          // of the calling job, as full ids
	outputs map[string]string // raw
	scope   *scope            // inside of it
}

// maxDepth is how deep workflows and actions may stand in one another: GitHub allows four and ten.
const maxDepth = 10

// call puts the jobs of a reusable workflow of this repository in place of the job that calls it.
func (w *workflow) call(id string, n *yaml.Node, sc *scope, conditions []callCondition) {
	uses := n.Get("uses")
	gone := func(why, instead string) {
		w.jobs[id] = &job{w: w, id: id, dropped: true}
		w.steps++
		w.header = append(w.header, w.note(uses.At, why, instead))
	}
	if !strings.HasPrefix(uses.Text, "./") {
		gone("job "+id+" calls "+uses.Text+", a workflow of another repository", "import that workflow, and make a template of it")
		return
	}
	if n.Get("strategy") != nil {
		gone("job "+id+" calls a workflow for each leg of a matrix", "write the calls out, one job for each")
		return
	}
	file := path.Clean(uses.Text)
	root, why := w.read(file)
	if why != "" || root.Get("jobs") == nil || root.Get("jobs").Kind != yaml.Map || w.depth >= maxDepth {
		if why == "" {
			why = "it is no workflow, or calls itself"
		}
		gone("job "+id+" calls "+uses.Text+": "+why, "give the file, and import again")
		return
	}
	on := root.Get("on").Get("workflow_call")
	inner := &scope{outer: sc.place(uses.At), at: uses.At, inputs: withDefaults(on.Get("inputs"), n.Get("with")), secrets: map[string]string{}, jobPrefix: id + "/"}
	if given := n.Get("secrets"); given != nil {
		for _, p := range given.Pairs {
			inner.secrets[p.Key.Text] = p.Value.Text
		}
	}
	called := &calledWorkflow{outputs: map[string]string{}, scope: inner}
	for _, item := range items(n.Get("needs")) {
		called.needs = append(called.needs, sc.jobPrefix+item.Text)
	}
	if list := on.Get("outputs"); list != nil {
		for _, p := range list.Pairs {
			if v := p.Value.Get("value"); v != nil {
				called.outputs[p.Key.Text] = v.Text
			}
		}
	}
	w.called[id] = called
	if c := n.Get("if"); c != nil {
		conditions = append(conditions[:len(conditions):len(conditions)], callCondition{c.Text, sc.place(c.At)})
	}
	w.depth++
	defer func() { w.depth-- }()
	w.declare(root, inner, id, conditions...)
}

// read reads a file of the repository; why says in words why it cannot.
func (w *workflow) read(file string) (root *yaml.Node, why string) {
	if w.files == nil || strings.HasPrefix(file, "..") {
		return nil, "the file is not here"
	}
	data, err := w.files.ReadFile(file)
	if err != nil {
		return nil, "the file is not here"
	}
	documents, err := yaml.ReadDocuments(file, data)
	if err != nil {
		return nil, "it is not valid YAML"
	}
	return documents[0], ""
}

// withDefaults are the inputs of a call, by name in lower case.
func withDefaults(declared, given *yaml.Node) map[string]string {
	inputs := map[string]string{}
	if declared != nil {
		for _, p := range declared.Pairs {
			if d := p.Value.Get("default"); d != nil {
				inputs[strings.ToLower(p.Key.Text)] = d.Text
			}
		}
	}
	if given != nil {
		for _, p := range given.Pairs {
			inputs[strings.ToLower(p.Key.Text)] = p.Value.Text
		}
	}
	return inputs
}

// output is one of the workflow's, which is one of a job of it.
func (c *calledWorkflow) output(t *translator, name string) (value, error) {
	inner := *t
	inner.scope = c.scope
	return inner.textValue(c.outputs[name])
}
