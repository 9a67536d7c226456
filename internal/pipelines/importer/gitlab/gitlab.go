package gitlab

import (
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

// file is a file that is being carried over.
type file struct {
	path   string
	files  Files
	root   *yaml.Node
	notes  draft.Notes
	header []draft.Note

	jobs   []*job
	byName map[string]*job
	stages []string

	globals    map[string]string // variables of the file
	used       map[string]bool   // predefined variables that something reads
	variables  []*yaml.Node
	containers []*yaml.Node
	aliases    draft.Names
	names      draft.Names
	requests   bool   // the file knows merge requests
	workflow   bool   // it has workflow: rules
	whole      string // their condition, "true" without any
	steps      int
	carried    int
	reads      int // files that were included
}

// globalKeys are no jobs.
var globalKeys = []string{"default", "include", "stages", "variables", "workflow", "image", "services", "cache", "before_script", "after_script", "spec", "types"}

// Import makes a pipeline of the file. Its error says why there is none.
func Import(path string, data []byte, files Files) (draft.Result, error) {
	f := &file{path: path, files: files, byName: map[string]*job{}, globals: map[string]string{}, used: map[string]bool{}}
	root, err := f.read(path, data)
	if err != nil {
		return draft.Result{}, err
	}
	f.root = f.included(root)
	f.root = f.references(f.root)
	f.readStages()
	f.requests = strings.Contains(string(data), "merge_request") || strings.Contains(string(data), "CI_MERGE_REQUEST")
	f.readVariables()
	f.readWorkflow()
	f.readJobs()
	out := &draft.Map{}
	f.triggers(out)
	units := f.units()
	if at := circle(units); at != nil {
		return draft.Result{}, slipway.Invalid("job %s needs itself, by way of others: GitLab refuses that too", at.title).At(at.jobs[0].n.At)
	}
	stages := write(units)
	switch {
	case len(stages) > 0:
	case f.steps == 0 && f.root.Get("include") == nil:
		return draft.Result{}, slipway.Invalid("the file has no jobs of GitLab CI: a job has a script").At(root.At)
	default:
		f.say(f.root.At, "no job of the file could be carried over", "")
		job := (&draft.Map{}).Text("job", "nothing").Put("steps", draft.List((&draft.Map{}).Text("checkout", "none").Node(),
			(&draft.Map{}).Text("bash", "echo \"##vso[task.logissue type=error]No job of the file could be carried over.\"\nexit 1").Node()))
		stages = append(stages, (&draft.Map{}).Text("stage", "nothing").Put("jobs", draft.List(job.Node())).Node())
	}
	f.finish(out, stages)
	return draft.Result{Root: out, Header: f.headerLines(), Notes: f.notes.Sorted(), Steps: f.steps, Carried: f.carried}, nil
}

func (f *file) note(at slipway.Position, message, instead string) draft.Note {
	return f.notes.Add(at, message, instead)
}

func (f *file) say(at slipway.Position, message, instead string) {
	f.header = append(f.header, f.note(at, message, instead))
}

// read reads a file; the last document is the pipeline, since a header with `spec` may stand before it.
func (f *file) read(path string, data []byte) (*yaml.Node, error) {
	documents, err := yaml.ReadDocuments(path, data)
	if err != nil {
		return nil, err
	}
	root := documents[len(documents)-1]
	if root.Kind != yaml.Map {
		return nil, slipway.Invalid("a file of GitLab CI is a map of jobs, this is %s", root.Kind).At(root.At)
	}
	return root, nil
}

func (f *file) readStages() {
	stages := f.root.Get("stages")
	if stages == nil {
		stages = f.root.Get("types")
	}
	for _, item := range texts(stages) {
		f.stages = append(f.stages, item.Text)
	}
	if len(f.stages) == 0 {
		f.stages = []string{"build", "test", "deploy"}
	}
	f.stages = append(append([]string{".pre"}, slices.DeleteFunc(f.stages, func(s string) bool { return s == ".pre" || s == ".post" })...), ".post")
}

func (f *file) readJobs() {
	for _, p := range f.root.Pairs {
		name := p.Key.Text
		if strings.HasPrefix(name, ".") || slices.Contains(globalKeys, name) || p.Value.Kind != yaml.Map {
			continue
		}
		n := f.extended(p.Value, nil)
		n.At = p.Key.At
		switch {
		case n.Get("trigger") != nil:
			f.steps++
			f.say(n.Get("trigger").At, "job "+name+" is left out: it starts a pipeline of another file or project", "make a pipeline of that file, with a trigger under resources.pipelines")
			continue
		case n.Get("script") == nil:
			if run := n.Get("run"); run != nil {
				f.steps++
				f.say(run.At, "job "+name+" is left out: run of steps has no counterpart", "write its script")
			}
			continue // a map that is no job
		}
		j := f.newJob(name, n)
		f.jobs = append(f.jobs, j)
		f.byName[name] = j
	}
	// An environment's URL and a release are noted where they stand; jobs are ordered by their stages.
	slices.SortStableFunc(f.jobs, func(a, b *job) int { return slices.Index(f.stages, a.stage) - slices.Index(f.stages, b.stage) })
}

// triggers are those of GitLab: every branch and tag, and merge requests if the file has rules for them.
func (f *file) triggers(out *draft.Map) {
	all := func() *yaml.Node { return (&draft.Map{}).Put("include", draft.Texts([]string{"*"})).Node() }
	out.Put("trigger", (&draft.Map{}).Put("branches", all()).Put("tags", all()).Node())
	if !f.requests {
		out.Text("pr", "none")
		return
	}
	out.Put("pr", (&draft.Map{}).Put("branches", all()).Node())
}

func (f *file) finish(out *draft.Map, stages []*yaml.Node) {
	if len(f.containers) > 0 {
		out.Put("resources", (&draft.Map{}).Put("containers", draft.List(f.containers...)).Node())
	}
	out.Put("variables", draft.List(append(f.predefined(), f.variables...)...))
	out.Put("pool", (&draft.Map{}).Text("vmImage", "ubuntu-latest").Node())
	out.Put("stages", draft.List(stages...))
}

func (f *file) headerLines() []string {
	lines := []string{"Made of " + f.path + " by slipway import.", "Variables of the project's settings have to be in a variable group; secrets come to a script by env."}
	for _, n := range f.header {
		lines = append(lines, "import: "+n.String())
	}
	return lines
}

// texts are those of a list, or the one text in its place.
func texts(n *yaml.Node) []*yaml.Node {
	switch {
	case n.IsNull():
		return nil
	case n.Kind == yaml.Scalar:
		return []*yaml.Node{n}
	case n.Kind == yaml.List:
		var list []*yaml.Node
		for _, item := range n.Items {
			list = append(list, texts(item)...) // lists in lists are one, as !reference makes them
		}
		return list
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
