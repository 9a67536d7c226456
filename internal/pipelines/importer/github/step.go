package github

import (
	"fmt"
	"path"
	"strings"

	"slipway/internal/pipelines/importer/draft"
	"slipway/internal/pipelines/yaml"
)

// declareSteps remembers the steps whose outputs can be read, those of local actions too.
func (j *job) declareSteps(list *yaml.Node, sc *scope, inside map[string]bool) {
	for i, n := range j.w.flat(list) {
		id := ""
		if v := n.Get("id"); v != nil {
			id = v.Text
		}
		uses := n.Get("uses")
		switch {
		case n.Get("run") != nil:
		case uses == nil:
			continue
		case strings.HasPrefix(uses.Text, "./"):
			j.declareAction(n, uses.Text, fmt.Sprintf("%s%d/", sc.prefix, i), sc.prefix+id, inside)
			continue
		case actionOf(uses.Text) == nil || !actionOf(uses.Text).outputs:
			continue
		}
		if id != "" {
			j.stepIDs[sc.prefix+id] = &stepRef{name: j.stepSet.Take(id)}
		}
	}
}

// flat are the steps of a list, those that run side by side one after the other.
func (w *workflow) flat(list *yaml.Node) []*yaml.Node {
	var all []*yaml.Node
	for _, n := range list.Items {
		inner := n.Get("parallel")
		if inner == nil {
			all = append(all, n)
			continue
		}
		w.note(n.At, "parallel: the steps run one after the other, as those of a job do here", "make jobs of them")
		all = append(all, inner.Items...)
	}
	return all
}

// declareAction remembers the steps of a local action and its outputs.
func (j *job) declareAction(n *yaml.Node, uses, prefix, id string, inside map[string]bool) {
	steps, root, folder, why := j.w.action(uses)
	if why != "" || inside[folder] || len(inside) >= maxDepth {
		return
	}
	nested := map[string]bool{folder: true}
	for f := range inside {
		nested[f] = true
	}
	j.declareSteps(steps, &scope{prefix: prefix}, nested)
	ref := &stepRef{composite: map[string]string{"": ""}}
	if outputs := root.Get("outputs"); outputs != nil {
		for _, p := range outputs.Pairs {
			if v := p.Value.Get("value"); v != nil {
				ref.composite[p.Key.Text] = v.Text
			}
		}
	}
	ref.inside = &scope{at: n.At, prefix: prefix, inputs: withDefaults(root.Get("inputs"), n.Get("with")), folder: folder}
	j.stepIDs[id] = ref
}

// action reads a local composite action.
func (w *workflow) action(uses string) (steps, root *yaml.Node, folder, why string) {
	folder = path.Clean(uses)
	for _, name := range []string{"action.yml", "action.yaml"} {
		if root, why = w.read(path.Join(folder, name)); why == "" {
			break
		}
	}
	if why != "" {
		return nil, nil, folder, why
	}
	if using := root.Get("runs").Get("using"); using == nil || using.Text != "composite" {
		return nil, nil, folder, "it is a program, and no list of steps"
	}
	if steps = root.Get("runs").Get("steps"); steps == nil {
		return nil, nil, folder, "it has no steps"
	}
	return steps, root, folder, ""
}

// steps writes the job's steps.
func (j *job) steps(sc *scope) []*yaml.Node {
	list := j.n.Get("steps")
	var out []*yaml.Node
	if list != nil {
		out = j.writeSteps(list, sc, "", 0)
	}
	if last := j.outputStep(sc); last != nil {
		out = append(out, last)
	}
	checkout, work := false, 0
	for _, n := range out {
		if n.Get("checkout") != nil {
			checkout = true
		} else {
			work++
		}
	}
	if work == 0 {
		out = append(out, failing("No step of job "+j.id+" could be carried over."))
	}
	if !checkout {
		out = append([]*yaml.Node{(&draft.Map{}).Text("checkout", "none").Node()}, out...)
	}
	return out
}

// writeSteps writes a list of steps. outer is the condition of the action that they stand in.
func (j *job) writeSteps(list *yaml.Node, sc *scope, outer string, depth int) []*yaml.Node {
	var out []*yaml.Node
	for i, n := range j.w.flat(list) {
		s := &step{j: j, n: n, outer: outer, t: &translator{w: j.w, j: j, place: inStep, scope: sc.place(n.At)}}
		if env := n.Get("env"); env != nil {
			own := map[string]string{}
			for _, p := range env.Pairs {
				own[p.Key.Text] = p.Value.Text
			}
			s.t.scope = s.t.scope.with(own)
		}
		var made []*yaml.Node
		switch uses := n.Get("uses"); {
		case n.Get("run") != nil:
			made = s.run()
		case uses == nil:
			s.leave("a step without run and uses is left out", "")
		case strings.HasPrefix(uses.Text, "./"):
			made = s.local(uses, fmt.Sprintf("%s%d/", sc.prefix, i), depth)
		default:
			made = s.uses(uses)
		}
		if len(made) > 0 && depth == 0 {
			j.w.carried++
		}
		out = append(out, made...)
	}
	return out
}

// step is a step that is being carried over.
type step struct {
	j     *job
	n     *yaml.Node
	t     *translator
	outer string
	notes []draft.Note
}

// leave notes a step that the pipeline does not have; the note stands before the next one, or at the job.
func (s *step) leave(why, instead string) {
	name := ""
	if n := s.n.Get("name"); n != nil {
		name = " (" + n.Text + ")"
	}
	s.j.notes = append(s.j.notes, s.j.w.note(s.n.At, why+name, instead))
}

func (s *step) note(n *yaml.Node, why, instead string) {
	s.notes = append(s.notes, s.j.w.note(n.At, why, instead))
}

func (s *step) get(key string) string {
	if n := s.n.Get(key); n != nil && n.Kind == yaml.Scalar {
		return n.Text
	}
	return ""
}

// common writes what all steps may have. Each step's condition is its own and that of the action around it.
func (s *step) common(out *draft.Map, title string) *draft.Map {
	if ref := s.j.stepIDs[s.t.scope.prefix+s.get("id")]; s.get("id") != "" && ref != nil && ref.name != "" {
		out.Text("name", ref.name)
	}
	if name := s.get("name"); name != "" {
		title = s.t.text(name, &s.notes)
	}
	out.Text("displayName", title)
	out.Text("condition", s.condition())
	switch c := s.get("continue-on-error"); c {
	case "", "false":
	case "true":
		out.Word("continueOnError", "true")
	default:
		s.note(s.n.Get("continue-on-error"), "continue-on-error: "+c+" is not known when the run is queued: a failure of the step counts", "write true or false")
	}
	if minutes := s.get("timeout-minutes"); minutes != "" {
		if text := wholeMinutes(s.t.text(minutes, &s.notes)); !strings.Contains(text, "$") {
			out.Word("timeoutInMinutes", text)
		} else {
			s.note(s.n.Get("timeout-minutes"), "timeout-minutes: "+minutes+" is left out: it is not known when the run is queued", "write a number")
		}
	}
	return out
}

func (s *step) condition() string {
	text, err := s.t.condition(s.get("if"))
	if err != nil {
		s.note(s.n.Get("if"), "if: "+s.get("if")+": "+err.Error(), "write the condition; until then the step does not run")
		return "false"
	}
	switch {
	case s.outer == "":
		return text
	case text == "":
		return s.outer
	}
	return join("and", s.outer, text)
}

// local puts the steps of a local action in its place.
func (s *step) local(uses *yaml.Node, prefix string, depth int) []*yaml.Node {
	steps, root, folder, why := s.j.w.action(uses.Text)
	if why == "" && depth >= maxDepth {
		why = "it stands in itself"
	}
	if why != "" {
		s.leave("uses: "+uses.Text+" is left out: "+why, "write what it does as a script step")
		return nil
	}
	inner := &scope{outer: s.t.scope, at: uses.At, inputs: withDefaults(root.Get("inputs"), s.n.Get("with")), prefix: prefix, folder: folder, jobPrefix: s.t.scope.jobPrefix}
	if ref := s.j.stepIDs[s.t.scope.prefix+s.get("id")]; ref != nil && ref.inside != nil {
		ref.inside.outer = s.t.scope
	}
	made := s.j.writeSteps(steps, inner, s.condition(), depth+1)
	if len(made) > 0 && made[0].Comment() == "" {
		for _, n := range s.notes {
			made[0].SetComment("import: " + n.String())
		}
	}
	return made
}

// outputStep sets the outputs of the job that are no single output of a step.
func (j *job) outputStep(sc *scope) *yaml.Node {
	var lines []string
	t := &translator{w: j.w, j: j, place: inStep, scope: sc.place(j.n.At)}
	var notes []draft.Note
	outputs := j.n.Get("outputs")
	if outputs == nil {
		return nil
	}
	for _, p := range outputs.Pairs {
		v, err := j.output(p.Key.Text)
		if err != nil || v.isLit() || v.expr != outputsStep+"."+outputName(p.Key.Text) {
			continue
		}
		t.scope = t.scope.place(p.Value.At)
		lines = append(lines, `echo "##vso[task.setvariable variable=`+outputName(p.Key.Text)+`;isOutput=true]`+t.text(p.Value.Text, &notes)+`"`)
	}
	if len(lines) == 0 {
		return nil
	}
	return (&draft.Map{}).Text("bash", strings.Join(lines, "\n")).Text("name", outputsStep).Text("displayName", "Outputs of the job").Comment(notes...).Node()
}

// outputsStep is the name of the step that sets outputs.
const outputsStep = "job_outputs"

// output is where an output of the job is: STEP.NAME, or a value that is known.
func (j *job) output(name string) (value, error) {
	n := j.outputs[name]
	if n == nil {
		return known(""), nil
	}
	list, err := pieces(n.Text)
	if err != nil {
		return value{}, err
	}
	if len(list) == 0 || len(list) == 1 && list[0].expr == nil {
		return known(n.Text), nil
	}
	if len(list) == 1 && list[0].expr.kind == contextPath && len(list[0].expr.keys) == 4 && list[0].expr.keys[0] == "steps" {
		ref := j.stepIDs[list[0].expr.keys[1]]
		switch {
		case ref == nil:
			return value{}, fmt.Errorf("output %s of job %s is of a step that could not be carried over", name, j.id)
		case ref.name != "":
			return value{expr: ref.name + "." + outputName(list[0].expr.keys[3])}, nil
		}
	}
	return value{expr: outputsStep + "." + outputName(name)}, nil
}
