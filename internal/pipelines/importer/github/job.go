package github

import (
	"fmt"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/pipelines/importer/draft"
	"slipway/internal/pipelines/yaml"
)

// job is a job of the workflow, or of a reusable one that it calls.
type job struct {
	w     *workflow
	id    string // with the prefix of its workflow
	name  string
	n     *yaml.Node
	root  *yaml.Node // its workflow
	scope *scope     // of its workflow
	needs []string
	// caller is the id of the job that calls its workflow, "" for the workflow itself.
	caller string
	// callConditions are those of the calls, for a job of a reusable workflow.
	callConditions []callCondition

	dropped     bool
	legs        []draft.Leg
	matrixNames map[string]bool   // matrix.KEY
	singleValue map[string]string // of a matrix with one leg left

	outputs map[string]*yaml.Node
	stepIDs map[string]*stepRef // by id, with the prefix of its action
	stepSet draft.Names

	variables []*yaml.Node
	declared  map[string]string // expression to name
	taken     map[string]bool
	spread    map[string]string // env that each step gets
	defaults  shellDefaults
	notes     []draft.Note
}

// callCondition is the `if` of a job that calls a workflow.
type callCondition struct {
	text  string
	scope *scope
}

// stepRef is a step whose outputs others read.
type stepRef struct {
	name      string
	composite map[string]string // outputs of a local action, raw
	inside    *scope
}

// shellDefaults are those of `defaults.run`.
type shellDefaults struct{ shell, folder string }

// declare notes the jobs of a workflow, so that others can name them; those of reusable workflows come in place of their callers.
func (w *workflow) declare(root *yaml.Node, sc *scope, caller string, conditions ...callCondition) {
	for _, p := range root.Get("jobs").Pairs {
		id, n := sc.jobPrefix+p.Key.Text, p.Value
		if uses := n.Get("uses"); uses != nil {
			w.call(id, n, sc, conditions)
			continue
		}
		j := &job{w: w, id: id, n: n, scope: sc, callConditions: conditions, matrixNames: map[string]bool{}, outputs: map[string]*yaml.Node{}, stepIDs: map[string]*stepRef{},
			declared: map[string]string{}, taken: map[string]bool{}, root: root, caller: caller}
		w.jobs[id] = j
		w.order = append(w.order, j)
		j.name = w.names.Take(id)
		for _, item := range items(n.Get("needs")) {
			j.needs = append(j.needs, item.Text)
		}
		if called := w.called[caller]; called != nil {
			called.jobs = append(called.jobs, j)
		}
		j.readOutputs()
		j.defaults = defaultsOf(root, shellDefaults{})
		j.defaults = defaultsOf(n, j.defaults)
		j.readMatrix()
		j.runsOn()
		if steps := n.Get("steps"); steps != nil {
			w.steps += len(w.flat(steps))
			j.declareSteps(steps, &scope{}, map[string]bool{})
		}
	}
}

// items are those of a list, or the one text that stands in its place.
func items(n *yaml.Node) []*yaml.Node {
	if n != nil && n.Kind == yaml.Scalar && !n.IsNull() {
		return []*yaml.Node{n}
	}
	if n == nil {
		return nil
	}
	return n.Items
}

func (j *job) readOutputs() {
	if outputs := j.n.Get("outputs"); outputs != nil {
		for _, p := range outputs.Pairs {
			j.outputs[p.Key.Text] = p.Value
		}
	}
}

func defaultsOf(n *yaml.Node, d shellDefaults) shellDefaults {
	run := n.Get("defaults").Get("run")
	if s := run.Get("shell"); s != nil {
		d.shell = s.Text
	}
	if f := run.Get("working-directory"); f != nil {
		d.folder = f.Text
	}
	return d
}

// runsOn drops a job that runs on another system, and the legs that do.
func (j *job) runsOn() {
	n := j.n.Get("runs-on")
	if n == nil {
		return
	}
	labels := items(n)
	if n.Kind == yaml.Map {
		labels = items(n.Get("labels"))
	}
	var text []string
	for _, l := range labels {
		text = append(text, l.Text)
	}
	all := strings.Join(text, " ")
	if strings.Contains(all, "matrix.") && len(j.legs) > 0 {
		j.keepLinux(n, all)
		return
	}
	if system := otherSystem(all); system != "" {
		j.drop(n.At, "job "+j.id+" runs on "+system+", and jobs run in Linux containers", "leave it out, or make it run on Linux")
		return
	}
	group := n.Get("group")
	if strings.Contains(all, "${{") && !strings.Contains(all, "matrix.") || group != nil {
		if group != nil {
			all = strings.TrimSpace(all + " of the group " + group.Text)
		}
		j.notes = append(j.notes, j.w.note(n.At, "runs-on: "+plainly(all)+" is not read: the job runs in the image of ubuntu-latest", "write container for another image, and a condition where it is no Linux"))
		return
	}
	if strings.Contains(all, "self-hosted") || !strings.Contains(all, "ubuntu") && !strings.Contains(all, "${{") {
		j.notes = append(j.notes, j.w.note(n.At, "runs-on: "+all+" is a runner of its own: the job runs in the image of ubuntu-latest", "write container for another image"))
	}
}

// keepLinux drops the legs of other systems.
func (j *job) keepLinux(n *yaml.Node, label string) {
	var kept []draft.Leg
	systems := map[string]bool{}
	for _, leg := range j.legs {
		runner := label
		for _, c := range leg {
			runner = strings.NewReplacer("${{ matrix."+c.Name+" }}", c.Value, "${{matrix."+c.Name+"}}", c.Value, "matrix."+c.Name, c.Value).Replace(runner)
		}
		if system := otherSystem(runner); system != "" {
			systems[system] = true
			continue
		}
		kept = append(kept, leg)
	}
	if len(kept) == len(j.legs) {
		return
	}
	dropped := len(j.legs) - len(kept)
	j.legs = kept
	what := "Windows and macOS"
	if len(systems) == 1 {
		for s := range systems {
			what = s
		}
	}
	if len(kept) == 0 {
		j.drop(n.At, "job "+j.id+" runs on "+what+" alone, and jobs run in Linux containers", "leave it out, or make it run on Linux")
		return
	}
	j.notes = append(j.notes, j.w.note(n.At, fmt.Sprintf("%d of %d legs of job %s are left out: they run on %s, and jobs run in Linux containers", dropped, dropped+len(kept), j.id, what), ""))
}

func otherSystem(label string) string {
	switch low := strings.ToLower(label); {
	case strings.Contains(low, "windows"):
		return "Windows"
	case strings.Contains(low, "macos") || strings.Contains(low, "mac-os"):
		return "macOS"
	}
	return ""
}

// plainly is text of a workflow with its expressions so that they are none here, where the text stands in a comment.
func plainly(text string) string {
	return strings.NewReplacer("${{ ", "", "${{", "", " }}", "", "}}", "").Replace(text)
}

func (j *job) drop(at slipway.Position, why, instead string) {
	j.dropped = true
	j.w.header = append(j.w.header, j.w.note(at, why, instead))
}

// write is the job, nil if it is dropped.
func (j *job) write() *yaml.Node {
	if j.dropped {
		return nil
	}
	t := &translator{w: j.w, j: j, place: inJob, scope: j.scope.place(j.n.At)}
	outer := j.condition(t)
	jobEnv := j.environment(t)
	out := &draft.Map{}
	environment := j.n.Get("environment")
	deployment := environment != nil && len(j.legs) == 0 && len(j.outputs) == 0
	if environment != nil && !deployment {
		j.notes = append(j.notes, j.w.note(environment.At, "environment of a job with a matrix or outputs is left out", "write a deployment job of its own for it"))
	}
	if deployment {
		out.Text("deployment", j.name)
	} else {
		out.Text("job", j.name)
	}
	if n := j.n.Get("name"); n != nil {
		out.Text("displayName", t.text(n.Text, &j.notes))
	}
	j.dependsOn(out)
	out.Text("condition", outer)
	if deployment {
		out.Put("environment", j.environmentName(t, environment))
	}
	j.strategy(t, out, deployment)
	j.limits(t, out)
	j.machines(t, out)
	steps := j.steps(jobEnv)
	out.Put("variables", draft.List(j.variables...))
	if deployment {
		hook := (&draft.Map{}).Put("deploy", (&draft.Map{}).Put("steps", draft.List(steps...)).Node())
		out.Put("strategy", (&draft.Map{}).Put("runOnce", hook.Node()).Node())
	} else {
		out.Put("steps", draft.List(steps...))
	}
	return out.Comment(j.notes...).Node()
}

// condition is the job's own, with those of the calls that it stands in.
func (j *job) condition(t *translator) string {
	list := append(j.callConditions[:len(j.callConditions):len(j.callConditions)], callCondition{scope: t.scope})
	if n := j.n.Get("if"); n != nil {
		list[len(list)-1] = callCondition{n.Text, t.scope.place(n.At)}
	}
	all := ""
	for _, c := range list {
		inner := *t
		inner.scope, inner.status = c.scope, false
		text, err := inner.condition(c.text)
		if err != nil {
			j.notes = append(j.notes, j.w.note(c.scope.at, "if: "+c.text+": "+err.Error(), "write the condition; until then the job does not run"))
			text = "false"
		}
		switch {
		case text == "":
		case all == "":
			all = text
		default:
			all = join("and", all, text)
		}
	}
	return all
}

func (j *job) dependsOn(out *draft.Map) {
	needs := make([]string, len(j.needs))
	for i, id := range j.needs {
		needs[i] = j.scope.jobPrefix + id
	}
	if called := j.w.called[j.caller]; called != nil && len(needs) == 0 {
		needs = called.needs
	}
	var list []string
	for _, full := range needs {
		if called := j.w.called[full]; called != nil {
			for _, inner := range called.jobs {
				if !inner.dropped {
					list = append(list, inner.name)
				}
			}
			continue
		}
		if other := j.w.jobs[full]; other != nil && !other.dropped && other != j {
			list = append(list, other.name)
		}
	}
	switch len(list) {
	case 0:
	case 1:
		out.Text("dependsOn", list[0])
	default:
		out.Put("dependsOn", draft.Texts(list))
	}
}

func (j *job) environmentName(t *translator, n *yaml.Node) *yaml.Node {
	text := n.Text
	if n.Kind == yaml.Map {
		text = ""
		if name := n.Get("name"); name != nil {
			text = name.Text
		}
		if url := n.Get("url"); url != nil {
			j.w.note(url.At, "the URL of an environment is left out: its page tells what runs in it", "")
		}
	}
	return draft.Scalar(t.text(text, &j.notes))
}

func (j *job) limits(t *translator, out *draft.Map) {
	minutes := "360" // GitHub's own limit
	if n := j.n.Get("timeout-minutes"); n != nil {
		minutes = wholeMinutes(t.text(n.Text, &j.notes))
		if strings.Contains(minutes, "$") {
			j.notes = append(j.notes, j.w.note(n.At, "timeout-minutes: "+n.Text+" is not known when the run is queued: it is 360", ""))
			minutes = "360"
		}
	}
	out.Word("timeoutInMinutes", minutes)
	if n := j.n.Get("continue-on-error"); n != nil {
		switch n.Text {
		case "true", "false":
			out.Word("continueOnError", n.Text)
		default:
			j.notes = append(j.notes, j.w.note(n.At, "continue-on-error: "+n.Text+" is not known when the run is queued: a failure of the job counts", "write true or false"))
		}
	}
	for _, key := range []string{"permissions", "concurrency"} {
		j.w.ignored(j.n, key)
	}
}

// wholeMinutes rounds minutes up, since GitHub allows parts of them.
func wholeMinutes(text string) string {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	n := int(f)
	if float64(n) < f {
		n++
	}
	return strconv.Itoa(max(n, 1))
}

// variable makes a variable of the job whose value is a run-time expression, under the name or one of its own.
func (j *job) variable(name, expr string) string {
	if old, ok := j.declared[expr]; ok {
		return old
	}
	for i := 1; name == "" || j.taken[name]; i++ {
		name = fmt.Sprintf("expression_%d", i)
	}
	j.taken[name], j.declared[expr] = true, name
	j.variables = append(j.variables, (&draft.Map{}).Text("name", name).Text("value", "$[ "+expr+" ]").Node())
	return name
}

// environment makes variables of the job's env, and is the scope of its steps.
func (j *job) environment(t *translator) *scope {
	shared, spread := t.splitEnv(j.root.Get("env"))
	sc := t.scope.with(spread)
	plain, own := t.splitEnv(j.n.Get("env"))
	if j.root != j.w.root {
		plain = append(shared, plain...)
	}
	for name, raw := range own {
		spread[name] = raw
	}
	inner := *t
	for _, p := range plain {
		inner.scope = sc.place(p.Value.At)
		var notes []draft.Note
		text := inner.text(p.Value.Text, &notes)
		j.taken[p.Key.Text] = true
		j.variables = append(j.variables, (&draft.Map{}).Text("name", p.Key.Text).Put("value", draft.Scalar(text)).Comment(notes...).Node())
	}
	j.spread = spread
	return sc.with(own)
}
