package github

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/pipelines/importer/draft"
	"slipway/internal/pipelines/yaml"
)

// Files reads files of the repository: paths are relative to its root.
type Files interface {
	ReadFile(path string) ([]byte, error)
}

// workflow is one that is being carried over.
type workflow struct {
	file   string
	files  Files
	root   *yaml.Node
	notes  draft.Notes
	header []draft.Note // notes about the whole file

	parameters    map[string]parameter // by name in lower case
	parameterList []*yaml.Node
	variables     []*yaml.Node // of the root
	declared      map[string]bool
	needs         map[string]bool // names of variables that somebody has to give; true is a secret

	jobs       map[string]*job // by id, with the prefix of its workflow
	order      []*job
	called     map[string]*calledWorkflow
	names      draft.Names
	containers []*yaml.Node
	aliases    draft.Names

	unknown, evaluations int
	steps, carried       int
	depth                int // of reusable workflows and actions in one another
}

// parameter is an input of the run.
type parameter struct {
	name    string
	boolean bool
}

// Import makes a pipeline of the workflow in the file. Its error says why there is none: the file is no workflow.
func Import(file string, data []byte, files Files) (draft.Result, error) {
	documents, err := yaml.ReadDocuments(file, data)
	if err != nil {
		return draft.Result{}, err
	}
	w := &workflow{file: file, files: files, root: documents[0], parameters: map[string]parameter{}, declared: map[string]bool{}, needs: map[string]bool{},
		jobs: map[string]*job{}, called: map[string]*calledWorkflow{}}
	if w.root.Kind != yaml.Map || w.root.Get("jobs") == nil || w.root.Get("jobs").Kind != yaml.Map {
		return draft.Result{}, slipway.Invalid("the file is no workflow of GitHub Actions: it has no map of jobs").At(w.root.At)
	}
	out := &draft.Map{}
	w.triggers(out)
	w.names.Take("__default")
	w.declare(w.root, &scope{at: w.root.At}, "")
	w.environment()
	w.ignored(w.root, "permissions")
	var jobs []*yaml.Node
	for _, j := range w.order {
		if n := j.write(); n != nil {
			jobs = append(jobs, n)
		}
	}
	if len(jobs) == 0 {
		jobs = []*yaml.Node{nothing(w.names.Take("nothing"), "No job of the workflow could be carried over.")}
	}
	w.leaveOutEmpty(jobs)
	w.finish(out, jobs)
	return draft.Result{Root: out, Header: w.headerLines(), Notes: w.notes.Sorted(), Steps: w.steps, Carried: w.carried}, nil
}

// nothing is a job that fails and says why, so that what is missing is not taken for done.
func nothing(name, why string) *yaml.Node {
	return (&draft.Map{}).Text("job", name).Put("steps", draft.List((&draft.Map{}).Text("checkout", "none").Node(), failing(why))).Node()
}

func failing(why string) *yaml.Node {
	return (&draft.Map{}).Text("bash", "echo \"##vso[task.logissue type=error]"+why+"\"\nexit 1").Text("displayName", "What is missing").Node()
}

func (w *workflow) note(at slipway.Position, message, instead string) draft.Note {
	return w.notes.Add(at, message, instead)
}

// ignored notes a key that changes nothing here.
func (w *workflow) ignored(n *yaml.Node, key string) {
	why, ok := map[string][2]string{
		"permissions": {"permissions are left out: a job's token may do what the project lets its jobs do", ""},
		"concurrency": {"concurrency of a job is left out", "let a deployment job hold an exclusive lock on its environment"},
	}[key]
	if v := n.Get(key); ok && v != nil {
		w.note(v.At, why[0], why[1])
	}
}

// finish puts together what the jobs have asked for.
func (w *workflow) finish(out *draft.Map, jobs []*yaml.Node) {
	out.Put("parameters", draft.List(w.parameterList...))
	if len(w.containers) > 0 {
		out.Put("resources", (&draft.Map{}).Put("containers", draft.List(w.containers...)).Node())
	}
	variables := w.variables
	if len(w.needs) > 0 {
		variables = append([]*yaml.Node{(&draft.Map{}).Text("group", group).Node()}, variables...)
	}
	out.Put("variables", draft.List(variables...))
	out.Put("pool", (&draft.Map{}).Text("vmImage", "ubuntu-latest").Node())
	out.Put("jobs", draft.List(jobs...))
}

// group is the variable group that holds what the workflow took from the settings of its repository.
const group = "imported"

func (w *workflow) headerLines() []string {
	lines := []string{"Made of " + w.file + " by slipway import."}
	for _, kind := range []struct {
		secret bool
		what   string
	}{{true, "Secrets"}, {false, "Variables"}} {
		var names []string
		for _, name := range slices.Sorted(maps.Keys(w.needs)) {
			if w.needs[name] == kind.secret {
				names = append(names, name)
			}
		}
		if len(names) > 0 {
			lines = append(lines, kind.what+" that the variable group "+group+" has to hold: "+strings.Join(names, ", ")+".")
		}
	}
	for _, n := range w.header {
		lines = append(lines, "import: "+n.String())
	}
	return lines
}

// needed remembers a variable that somebody has to give.
func (w *workflow) needed(name string, secret bool) string {
	w.needs[name] = w.needs[name] || secret
	return name
}

// rootVariable makes a variable of the root with a run-time expression once, under the name or one of its own.
func (w *workflow) rootVariable(name, expr string) string {
	if name == "" {
		for i := 1; name == "" || w.declared[name]; i++ {
			name = fmt.Sprintf("run.expression_%d", i)
		}
	}
	if !w.declared[name] {
		w.declared[name] = true
		w.variables = append(w.variables, (&draft.Map{}).Text("name", name).Text("value", "$[ "+expr+" ]").Node())
	}
	return name
}

// environment makes variables of the workflow's env.
func (w *workflow) environment() {
	w.variables = append(w.variables, (&draft.Map{}).Text("name", "CI").Put("value", draft.Scalar("true")).Node())
	t := &translator{w: w, place: inRun, scope: &scope{at: w.root.At}}
	env := w.root.Get("env")
	if env != nil && env.Kind == yaml.Scalar && !env.IsNull() {
		w.header = append(w.header, w.note(env.At, "env: "+plainly(env.Text)+" is left out: which names it has is not known here", "give the variables that steps read in a variable group, and secrets by the env of each step"))
	}
	plain, _ := t.splitEnv(env)
	for _, p := range plain {
		var notes []draft.Note
		t.scope = t.scope.place(p.Value.At)
		text := t.text(p.Value.Text, &notes)
		w.variables = append(w.variables, (&draft.Map{}).Text("name", p.Key.Text).Put("value", draft.Scalar(text)).Comment(notes...).Node())
	}
}

// splitEnv parts env into what can be variables, which all scripts see under their names in capitals, and what has to be given to
// each step: secrets, and names with small letters.
func (t *translator) splitEnv(env *yaml.Node) (plain []yaml.Pair, spread map[string]string) {
	spread = map[string]string{}
	if env == nil {
		return nil, spread
	}
	for _, p := range env.Pairs {
		if p.Value.Kind != yaml.Scalar {
			continue
		}
		raw := p.Value.Text
		secret := strings.Contains(raw, "secrets.") || strings.Contains(raw, "github.token") || strings.Contains(raw, "secrets[")
		if secret || p.Key.Text != strings.ToUpper(p.Key.Text) || reserved(p.Key.Text) {
			spread[p.Key.Text] = raw
			continue
		}
		plain = append(plain, p)
	}
	return plain, spread
}

// reserved reports names that would hide what steps need to run.
func reserved(name string) bool {
	up := strings.ToUpper(name)
	return up == "PATH" || up == "HOME"
}
