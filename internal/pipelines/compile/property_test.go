package compile

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"slipway"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/task"
	"slipway/internal/pipelines/yaml"
)

// words are texts that files hold, right and wrong ones.
var words = []string{"", "a", "b", "A", "Build", "1", "10", "-3", "257", "true", "no", "none", "self", "current", "ubuntu-latest", "windows-2022", "host",
	"main", "releases/*", "0 3 * * *", "$(a)", "$(Build.BuildId)", "$(imageNmae)", "x $(b) y", "$[ variables.a ]", "$[ counter('a', 1) ]", "$[ dependencies.a.result ]",
	"$[ resources.repositories['self'].ref ]", "$[ format('{0:yyyy}', pipeline.startTime) ]", "${{ parameters.p }}", "${{ variables.a }}",
	"${{ if eq(parameters.p, 'x') }}", "${{ each }}", "succeeded()", "eq(variables.a, 'b')", "and(succeeded(), ne(variables['a'], ''))", "t.yml", "t.yml@a",
	"- x", "a: b", "${{", "$[", "é\u2028", strings.Repeat("x", 200)}

// draw makes a tree that the table of the language allows, but for a word here and there.
type draw struct {
	t            *rapid.T
	nodes, names int
	inner        bool // of a template, which includes no other
}

func (d *draw) chance(of int) bool { return rapid.IntRange(1, of).Draw(d.t, "chance") == 1 }

func (d *draw) word() *yaml.Node { return d.one(words) }

func (d *draw) one(list []string) *yaml.Node {
	return yaml.Plain(rapid.SampledFrom(list).Draw(d.t, "text"), slipway.Position{})
}

// likely are texts that are right under a key, and "" where only leaving the key out is.
var likely = map[string][]string{
	"vmImage": {"ubuntu-latest", "$(image)"}, "vmImageName": {"ubuntu-22.04"}, "os": {"linux"}, "cron": {"0 3 * * 1-5"}, "options": {"--user 0", "-e A=b --init"},
	"checkout": {"self", "none"}, "download": {"current", "none"}, "downloadBuild": {"current"}, "submodules": {"true", "recursive"}, "fetchDepth": {"0", "$(depth)"},
	"task": {"PublishTestResults@2", "publishtestresults@2"}, "trigger": {""}, "pr": {"none"}, "repo": {"self"}, "phases": {""}, "queue": {""}, "type": {"git", "npm", "linux"}, "dependsOn": {""}, "target": {"host"},
	"container": {"golang:1.26", "$[ variables.image ]"}, "extends": {""}, "endpoint": {""}, "project": {""}, "resourceType": {"Kubernetes"}, "tags": {""},
	"resourceId": {""}, "workspaceRepo": {""}, "errorActionPreference": {""}, "ignoreLASTEXITCODE": {""}, "uses": {""}, "path": {"a/b"}, "artifact": {"a"},
	"branches": {""}, "group": {""}, "lockBehavior": {"sequential"}, "ports": {"80", "1:2"}, "settableVariables": {"none"}, "increments": {""},
}

// likelyText is what a text most likely is by what it refers to.
func (d *draw) likelyText(v schema.Value) *yaml.Node {
	switch {
	case v.Integer:
		return d.one([]string{"1", "2", "10"})
	case v.Boolean:
		return d.one([]string{"true", "false", "yes"})
	case v.Refers == schema.Expression:
		return d.one([]string{"succeeded()", "eq(variables.a, 'b')", "and(succeeded(), ne(variables['a'], ''))", "always()"})
	}
	d.names++
	return yaml.Plain("n"+itoa(d.names), slipway.Position{})
}

func (d *draw) value(v schema.Value, depth int) *yaml.Node {
	if d.nodes++; d.nodes > 400 || depth > 12 || d.chance(150) {
		return d.word()
	}
	var shapes []func() *yaml.Node
	if v.Text || v.Any || v.Integer || v.Boolean {
		shapes = append(shapes, func() *yaml.Node { return d.likelyText(v) })
	}
	if v.Refers == schema.Task {
		shapes = append(shapes, func() *yaml.Node { return d.one(task.Catalog(nil).All()) })
	}
	if len(v.Options) > 0 {
		shapes = append(shapes, func() *yaml.Node { return d.one(v.Options) })
	}
	if len(v.Maps) > 0 {
		object := func() *yaml.Node {
			o := rapid.SampledFrom(v.Maps).Draw(d.t, "object")
			switch {
			case o == schema.TemplateReference:
				return d.template(v.Maps)
			case o.Mark == "pwsh" || o.Mark == "powershell": // the pool's image has none
				o = schema.StepObject("bash")
			}
			return d.object(o, depth+1)
		}
		shapes = append(shapes, object, object)
	}
	if v.List != nil {
		list := func() *yaml.Node {
			n := &yaml.Node{Kind: yaml.List}
			for range rapid.IntRange(0, 3).Draw(d.t, "items") {
				n.Items = append(n.Items, d.value(*v.List, depth+1))
			}
			return n
		}
		shapes = append(shapes, list, list)
	}
	if v.Names != nil {
		shapes = append(shapes, func() *yaml.Node {
			n := &yaml.Node{Kind: yaml.Map}
			for range rapid.IntRange(0, 3).Draw(d.t, "entries") {
				d.put(n, rapid.SampledFrom(words).Draw(d.t, "name"), d.value(*v.Names, depth+1))
			}
			return n
		})
	}
	if len(shapes) == 0 {
		return d.word()
	}
	return rapid.SampledFrom(shapes).Draw(d.t, "shape")()
}

// template includes the file that has what may stand beside it.
func (d *draw) template(beside []*schema.Object) *yaml.Node {
	n := &yaml.Node{Kind: yaml.Map}
	for name, o := range map[string]*schema.Object{"stages": schema.StageObject, "jobs": schema.JobObject, "steps": schema.StepObjects[0], "variables": schema.Variable} {
		if slices.Contains(beside, o) && !d.inner {
			d.put(n, "template", yaml.Plain(name+".yml", slipway.Position{}))
			d.put(n, "parameters", &yaml.Node{Kind: yaml.Map})
		}
	}
	if len(n.Pairs) == 0 {
		return d.object(beside[0], 10)
	}
	return n
}

func (d *draw) object(o *schema.Object, depth int) *yaml.Node {
	n := &yaml.Node{Kind: yaml.Map}
	for _, k := range o.Keys {
		needed := k.Name == o.Mark || k.Required && !d.chance(40) || slices.Index(o.OneOf, k.Name) == 0 ||
			(o == schema.DeploymentObject && k.Name == "strategy" || o == schema.DeploymentStrategy && k.Name == "runOnce") && !d.chance(5) ||
			k.Name == "image" && !d.chance(20)
		if k.With != "" && !d.chance(40) || !needed && !d.chance(5) {
			continue
		}
		switch list := likely[k.Name]; {
		case len(list) == 0 || d.chance(20):
			d.put(n, k.Name, d.value(k.Value, depth))
		case list[0] != "":
			d.put(n, k.Name, d.one(list))
		}
	}
	if d.chance(80) {
		d.put(n, rapid.SampledFrom(words).Draw(d.t, "key"), d.word())
	}
	return n
}

// put adds an entry under a key that is not there yet.
func (d *draw) put(n *yaml.Node, key string, value *yaml.Node) {
	if n.Get(key) == nil {
		n.Pairs = append(n.Pairs, yaml.Pair{Key: yaml.Text(key, slipway.Position{}), Value: value})
	}
}

// files are a pipeline and templates of all kinds, each with a parameter p.
func (d *draw) files() archive {
	root := d.object(schema.File, 0)
	shapes := []string{"stages", "jobs", "steps"}
	kept := &yaml.Node{Kind: yaml.Map}
	for _, p := range root.Pairs {
		if !slices.Contains(append([]string{"phases", "extends", "parameters"}, shapes...), p.Key.Text) && schema.File.Key(p.Key.Text) != nil {
			kept.Pairs = append(kept.Pairs, p)
		}
	}
	shape := rapid.SampledFrom(append(shapes, "phases")).Draw(d.t, "shape")
	if shape != "steps" {
		kept.Pairs = slices.DeleteFunc(kept.Pairs, func(p yaml.Pair) bool { return schema.File.Key(p.Key.Text).With != "" })
	}
	files := archive{"p.yml": d.text(kept, shape)}
	d.inner = true
	for _, shape := range append(shapes, "variables") {
		files[shape+".yml"] = d.text(&yaml.Node{Kind: yaml.Map}, shape)
	}
	return files
}

// text is a file of one list beside what it has already.
func (d *draw) text(n *yaml.Node, shape string) string {
	d.nodes = 0
	if list := schema.File.Key(shape).Value.List; list != nil && !d.chance(40) {
		items := &yaml.Node{Kind: yaml.List}
		for range rapid.IntRange(1, 3).Draw(d.t, "items") {
			items.Items = append(items.Items, d.value(*list, 0))
		}
		d.put(n, shape, items)
	}
	d.put(n, shape, d.value(schema.File.Key(shape).Value, 0))
	text, err := yaml.Write(n)
	if err != nil {
		d.t.Fatal(err)
	}
	return "parameters: [{name: p, default: x}]\n" + string(text)
}

// Whatever stands in files, the compiler comes to an end, says the same twice, and places every mistake.
func TestAnyFileIsJudgedTheSameTwice(t *testing.T) {
	t.Parallel()
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		d := &draw{t: t}
		files := d.files()
		judge(t, files)
		if _, err := Compile(Input{Path: "p.yml", Files: files}); err == nil {
			accepted++
		}
	})
	if accepted == 0 {
		t.Error("no file was accepted: nothing was tried of what plans promise")
	}
}

type failer interface {
	Fatalf(format string, args ...any)
}

func judge(t failer, files archive) {
	in := Input{Path: "p.yml", Files: files, Variables: map[string]string{"imageName": "a", "imagename1": "b", "imageNama": "c", "imagNmae": "d"}}
	in.Repository = func(plan.Repository) (Files, error) { return files, nil }
	r := Check(in)
	for _, p := range r.Problems {
		if p.Position == nil || p.Position.File == "" || p.Position.Line < 1 || p.Position.Column < 1 || p.Message == "" {
			t.Fatalf("a problem without a place: %+v", p)
		}
	}
	for _, w := range r.Warnings {
		if w.At.File == "" || w.Message == "" {
			t.Fatalf("a warning without a place: %+v", w)
		}
	}
	if diff := cmp.Diff(r, Check(in)); diff != "" {
		t.Fatalf("a second check says something else (-first +second)\n%s", diff)
	}
	p, err := Compile(in)
	again, errAgain := Compile(in)
	if diff := cmp.Diff(encoded(t, p, err), encoded(t, again, errAgain)); diff != "" {
		t.Fatalf("a second compilation differs (-first +second)\n%s", diff)
	}
	if err != nil {
		var problem *slipway.Problem
		if !errors.As(err, &problem) {
			t.Fatalf("not a problem of the file: %v", err)
		}
		return
	}
	units := 0
	for i := range p.Stages {
		for j := range p.Stages[i].Jobs {
			for _, in := range plan.Instances(&p.Stages[i], &p.Stages[i].Jobs[j], nil) {
				units++
				for k, s := range in.Steps() {
					if s.ID != k+1 || s.DisplayName == "" {
						t.Fatalf("step %d of %s: %+v", k, in.ID, s)
					}
				}
			}
		}
	}
	if units > MaxInstances || len(p.Stages) == 0 || len(p.Warnings) > 200 {
		t.Fatalf("%d jobs in %d stages with %d warnings", units, len(p.Stages), len(p.Warnings))
	}
	sameWhenExpanded(t, in, p)
}

func encoded(t failer, p *plan.Plan, err error) string {
	if err != nil {
		return err.Error()
	}
	text, err := p.Encode()
	if err != nil {
		t.Fatalf("%v", err)
	}
	decoded, err := plan.Decode(text)
	if err != nil {
		t.Fatalf("%v", err)
	}
	if diff := cmp.Diff(p, decoded, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("the plan does not survive its encoding (-want +got)\n%s", diff)
	}
	return string(text)
}

// sameWhenExpanded holds for every file: with its templates expanded it means the same.
func sameWhenExpanded(t failer, in Input, p *plan.Plan) {
	text, err := Expand(in)
	if err != nil {
		t.Fatalf("a file that compiles does not expand: %v", err)
	}
	in.Files = archive{"p.yml": string(text)}
	again, err := Compile(in)
	if err != nil {
		t.Fatalf("the expanded file does not compile: %v\n%s", err, text)
	}
	if diff := cmp.Diff(p, again, withoutPlaces, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(plan.Plan{}, "Sources", "Parameters", "Warnings")); diff != "" {
		t.Fatalf("the expanded file means something else (-first +expanded)\n%s\n%s", diff, text)
	}
}

// FuzzCompiler is the same for files that nobody's table made.
func FuzzCompiler(f *testing.F) {
	f.Add(strings.TrimPrefix(typical, "\n"), "steps: [{script: x}]\n")
	f.Add("parameters: [{name: a, default: b}]\nextends: {template: t.yml}\n", "phases:\n- phase: A\n  queue: {name: x, parallel: 2, matrix: {a: {b: c}}}\n  steps: [{script: $(b)}]\n")
	f.Add("jobs:\n- deployment: D\n  environment: e\n  strategy: {canary: {increments: [10, 20], deploy: {steps: [{template: t.yml}]}}}\n", "steps:\n- ${{ each x in split('a,b', ',') }}:\n  - script: ${{ x }}\n    target: {commands: restricted}\n")
	f.Add("resources: {containers: [{container: c, image: i, options: '-u 0 -e A=b'}], webhooks: [{webhook: w, connection: k}]}\njobs: [{job: a, container: c, steps: [{script: x, target: c}]}]\n", "")
	f.Add(typical, "steps:\n- script: ${{ parameters.x }}\n")
	f.Add("parameters: [{name: a, type: object}]\nstages:\n- ${{ each s in parameters.a }}:\n  - template: t.yml\n", "stages:\n- stage: A\n  jobs:\n  - deployment: D\n    environment: e\n    strategy: {runOnce: {deploy: {steps: [{task: Docker@2}]}}}\n")
	f.Add("extends: {template: t.yml, parameters: {a: 1}}\nvariables: [{group: g}]", "parameters: {a: ''}\njobs:\n- job: x\n  strategy: {matrix: {a: {b: c}}, maxParallel: 2}\n  steps: [{checkout: none}, {task: Bash@3, inputs: {script: x, targetType: inline}}]\n")
	f.Add("resources: {pipelines: [{pipeline: p, source: q, trigger: {branches: [a]}}], containers: [{container: c, image: i}]}\njobs: [{job: a, container: c, services: {d: c}, steps: [{template: t.yml}]}]", "steps: [{publish: x, artifact: y}, {download: current}]")
	f.Fuzz(func(t *testing.T, root, other string) {
		judge(t, archive{"p.yml": root, "t.yml": other})
	})
}
