package localrun_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/localrun"
	"slipway/internal/pipelines/compile"
	"slipway/internal/pipelines/folder"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

// world is a repository with a pipeline file.
type world struct {
	t       testing.TB
	top     string
	out     bytes.Buffer
	options localrun.Options
}

func newWorld(t testing.TB, pipeline string) *world {
	t.Helper()
	w := &world{t: t, top: t.TempDir()}
	w.git("init", "-q", "-b", "main", ".")
	w.git("config", "user.name", "Ada")
	w.git("config", "user.email", "ada@example.com")
	w.write("azure-pipelines.yml", strings.TrimPrefix(pipeline, "\n"))
	w.git("add", "-A")
	w.git("commit", "-q", "-m", "first")
	files, path, err := folder.Around(filepath.Join(w.top, "azure-pipelines.yml"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { files.Close() })
	w.options = localrun.Options{Top: w.top, Folder: t.TempDir(), Out: &w.out,
		Input: compile.Input{Path: path, Files: files, Repository: func(plan.Repository) (compile.Files, error) { return nil, nil }}}
	return w
}

func (w *world) git(args ...string) string {
	w.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = w.top
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (w *world) write(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.top, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) run(ctx context.Context) *localrun.Report {
	w.t.Helper()
	r, err := localrun.NewRunner(ctx, w.options)
	if err != nil {
		w.t.Fatal(err)
	}
	report, err := r.Run(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	return report
}

// said checks lines of the log.
func (w *world) said(lines ...string) {
	w.t.Helper()
	for _, line := range lines {
		if !strings.Contains("\n"+w.out.String(), "\n"+line+"\n") {
			w.t.Errorf("the log has no line %q:\n%s", line, w.out.String())
		}
	}
}

// results are those of jobs by their names, and of stages in brackets.
func results(r *localrun.Report) map[string]schedule.Result {
	m := map[string]schedule.Result{}
	for _, s := range r.Stages {
		m["["+s.Name+"]"] = s.Result
		for _, j := range s.Jobs {
			m[j.Name] = j.Result
		}
	}
	return m
}

func TestStagesOutputsAndArtifacts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
name: $(Build.DefinitionName)-$(Rev:r)
variables:
  colour: blue
stages:
- stage: Build
  jobs:
  - job: make
    steps:
    - bash: |
        echo "colour $(colour) of $(Build.SourceBranchName)"
        echo "##vso[task.setvariable variable=version;isOutput=true]1.2.3"
        echo hello >$(Build.ArtifactStagingDirectory)/greeting.txt
      name: set
    - publish: $(Build.ArtifactStagingDirectory)
      artifact: drop
  - job: legs
    strategy:
      matrix: {old: {v: 1}, new: {v: 2}}
    steps:
    - script: echo leg $(v)
- stage: Test
  variables:
    version: $[ stageDependencies.Build.make.outputs['set.version'] ]
  jobs:
  - job: use
    steps:
    - checkout: none
    - download: current
      artifact: drop
    - bash: echo "version $(version) says $(cat $(Pipeline.Workspace)/drop/greeting.txt)"
- stage: Ship
  jobs:
  - deployment: web
    environment: production
    strategy: {runOnce: {deploy: {steps: [{script: exit 1}]}}}
- stage: After
  jobs:
  - job: never
    steps: [{script: exit 1}]
`)
	w.options.Variables = variable.Of(map[string]string{"colour": "red"})
	r := w.run(t.Context())
	w.said("Build.make | colour red of main", "Build.legs.old | leg 1", "Build.legs.new | leg 2", "Test.use | version 1.2.3 says hello",
		"##[section]Job Ship.web: Skipped, it deploys to environment production: name a cluster with --kubeconfig to run it")
	want := map[string]schedule.Result{"[Build]": "Succeeded", "Build.make": "Succeeded", "Build.legs.old": "Succeeded", "Build.legs.new": "Succeeded",
		"[Test]": "Succeeded", "Test.use": "Succeeded", "[Ship]": "Skipped", "Ship.web": "Skipped", "[After]": "Skipped"}
	if diff := cmp.Diff(want, results(r)); diff != "" {
		t.Errorf("results (-want +got)\n%s", diff)
	}
	if r.Number != filepath.Base(w.top)+"-1" || !r.Succeeded() {
		t.Errorf("number %q, result %s", r.Number, r.Result)
	}
	out := t.TempDir()
	if err := r.Unpack(out); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(out, "drop", "greeting.txt")); err != nil || string(b) != "hello\n" {
		t.Errorf("the unpacked artifact: %q, %v", b, err)
	}
}

// What runs is the working tree as it is, and it stays as it is.
func TestWhatIsKnownWhenARunBegins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
variables: {limit: 7}
jobs:
- job: A
  timeoutInMinutes: $[ variables.limit ]
  variables:
    year: $[ format('{0:yyyy}', pipeline.startTime) ]
    commit: $[ resources.repositories['self'].version ]
    n: $[ counter('a', 5) ]
  steps:
  - bash: echo "$(year) $(n)"; test $(commit) = $(Build.SourceVersion) && echo same
  - bash: echo "collection $(System.CollectionId)"
`)
	if got := results(w.run(t.Context()))["A"]; got != schedule.Succeeded {
		t.Errorf("A is %s", got)
	}
	w.said(time.Now().UTC().Format("2006")+" 5", "same", "collection "+variable.CollectionID)
}

func TestTheWorkingTree(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
steps:
- checkout: self
  fetchDepth: 0
- bash: |
    cat kept.txt new.txt
    ls
    touch made-by-the-run
    git log -1 --format='is %s after %P'
    git count-objects -v | awk '/^(count|in-pack):/ {n += $2} END {print "holds " n " objects"}'
    git fsck --connectivity-only
`)
	w.write("kept.txt", "old\n")
	w.write(".gitignore", "*.log\n")
	w.git("add", "-A")
	w.git("commit", "-q", "-m", "second")
	head := w.git("rev-parse", "HEAD")
	w.write("kept.txt", "changed\n")
	w.write("new.txt", "new\n")
	w.write("noise.log", "ignored\n")
	before := w.git("status", "--porcelain")
	objects := w.git("count-objects")
	r := w.run(t.Context())
	w.said("changed", "new", "is working tree after "+head, "holds 0 objects") // all of them are borrowed
	if strings.Contains(w.out.String(), "noise.log\n") {
		t.Error("an ignored file is checked out")
	}
	if after := w.git("status", "--porcelain"); after != before {
		t.Errorf("the working tree changed from\n%s\nto\n%s", before, after)
	}
	if after := w.git("count-objects"); after != objects {
		t.Errorf("the repository has %s, and had %s", after, objects)
	}
	if !r.Succeeded() {
		t.Errorf("result %s", r.Result)
	}
}

func TestChoice(t *testing.T) {
	t.Parallel()
	const file = `
stages:
- stage: A
  jobs:
  - job: one
    steps: [{script: echo a-one}]
- stage: B
  jobs:
  - job: two
    steps: [{script: echo b-two}]
  - job: three
    dependsOn: two
    steps:
    - script: echo b-three
    - script: echo b-last
      displayName: Last
`
	for name, c := range map[string]struct {
		choice localrun.Choice
		want   []string
	}{
		"everything":   {localrun.Choice{}, []string{"a-one", "b-two", "b-three", "b-last"}},
		"a stage":      {localrun.Choice{Stages: []string{"b"}}, []string{"b-two", "b-three", "b-last"}},
		"a job":        {localrun.Choice{Jobs: []string{"Three"}}, []string{"b-three", "b-last"}},
		"a step":       {localrun.Choice{Jobs: []string{"three"}, Steps: []string{"last"}}, []string{"b-last"}},
		"a step alone": {localrun.Choice{Steps: []string{"last"}}, []string{"b-last"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, file)
			w.options.Choice = c.choice
			if r := w.run(t.Context()); !r.Succeeded() {
				t.Errorf("result %s\n%s", r.Result, w.out.String())
			}
			var got []string
			for line := range strings.Lines(w.out.String()) {
				line = strings.TrimSpace(line[strings.LastIndex(line, "| ")+1:])
				if strings.HasPrefix(line, "a-") || strings.HasPrefix(line, "b-") {
					got = append(got, line)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("ran (-want +got)\n%s", diff)
			}
		})
	}
	w := newWorld(t, strings.Replace(file, "echo b-three", "echo b-three\n      enabled: $(on)", 1))
	w.options.Variables = variable.Of(map[string]string{"on": "true"})
	w.options.Choice = localrun.Choice{Steps: []string{"last"}}
	if steps := w.run(t.Context()).Stages[0].Jobs[0].Steps; len(steps) != 3 || steps[1].Result != schedule.Skipped || steps[1].Reason != "not chosen" {
		t.Errorf("a step that was not chosen is %+v", steps)
	}
	w = newWorld(t, file)
	for want, c := range map[string]localrun.Choice{
		`there is no stage "AA" in the pipeline: it has A, B`:                         {Stages: []string{"AA"}},
		`there is no job "tree" in the pipeline, did you mean "three"?`:               {Jobs: []string{"tree"}},
		`there is no step "Lst" in the chosen jobs, did you mean "Last"?`:             {Jobs: []string{"three"}, Steps: []string{"Lst"}},
		`there is no step "zzz" in the chosen jobs: they have Checkout self, CmdLine`: {Jobs: []string{"one"}, Steps: []string{"zzz"}},
		`there is no job "one" in the pipeline: it has two, three`:                    {Stages: []string{"B"}, Jobs: []string{"one"}},
	} {
		w.options.Choice = c
		w.options.Folder = t.TempDir()
		r, err := localrun.NewRunner(t.Context(), w.options)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Run(t.Context()); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// A slip in the name of a variable is told, and in that of a repository refused.
func TestSlips(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
variables: {colour: blue, level: 1}
resources: {repositories: [{repository: lib, type: git, name: lib}]}
steps:
- checkout: none
- bash: echo "$(colour) $SHADE"
- ${{ if eq(variables.lever, '3') }}:
  - bash: echo three
`)
	w.options.Variables = variable.Of(map[string]string{"color": "red", "shade": "dark", "lever": "3", "colour": "green", "unlike": "any"})
	if r := w.run(t.Context()); !r.Succeeded() {
		t.Fatalf("result %s\n%s", r.Result, w.out.String())
	}
	w.said(`##[warning]Nothing in the file names the variable color, did you mean "colour"?`, "green dark")
	if n := strings.Count(w.out.String(), "##[warning]"); n != 1 {
		t.Errorf("%d warnings\n%s", n, w.out.String())
	}
	for want, alias := range map[string]string{`--repository lbi=…: the file declares no such repository, did you mean "lib"?`: "lbi",
		"--repository elsewhere=…: the file declares no such repository: resources.repositories has lib": "elsewhere"} {
		w.options.Folder, w.options.Repositories = t.TempDir(), map[string]string{alias: w.top}
		r, err := localrun.NewRunner(t.Context(), w.options)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Run(t.Context()); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestFailureSecretsAndReports(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
jobs:
- job: bad
  steps:
  - bash: echo "token $TOKEN"
    env: {TOKEN: $(token)}
  - bash: |
      echo "##vso[task.logissue type=error]it is broken"
      exit 3
    displayName: Break
  - bash: echo not reached
  - bash: echo always reached
    condition: always()
- job: after
  dependsOn: bad
  steps: [{script: echo no}]
- job: boxed
  container: alpine:3
  steps: [{script: echo no}]
`)
	w.options.Engine = "no-such-engine"
	w.options.Variables.Put("token", variable.Value{Text: "hunter2hunter2", Secret: true})
	r := w.run(t.Context())
	w.said("bad | token ***", "bad | always reached")
	if want := "##[section]Job boxed: Failed, there is no program no-such-engine on this machine: install it, or give --on-host to run the job on this machine itself"; !strings.Contains(w.out.String(), want) {
		t.Errorf("the log does not say %q", want)
	}
	if r.Result != schedule.Failed || strings.Contains(w.out.String(), "hunter2") {
		t.Errorf("result %s\n%s", r.Result, w.out.String())
	}
	if diff := cmp.Diff(map[string]schedule.Result{"[__default]": "Failed", "bad": "Failed", "after": "Skipped", "boxed": "Failed"}, results(r)); diff != "" {
		t.Errorf("results (-want +got)\n%s", diff)
	}
	var junit bytes.Buffer
	if err := r.WriteJUnit(&junit); err != nil {
		t.Fatal(err)
	}
	var suites struct {
		Suites []struct {
			Name     string `xml:"name,attr"`
			Tests    int    `xml:"tests,attr"`
			Failures int    `xml:"failures,attr"`
			Errors   *int   `xml:"errors,attr"` // which schemas of JUnit's format require
			Skipped  int    `xml:"skipped,attr"`
			Cases    []struct {
				Name    string  `xml:"name,attr"`
				Failure *string `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(junit.Bytes(), &suites); err != nil {
		t.Fatalf("%v\n%s", err, junit.String())
	}
	first := suites.Suites[0]
	if len(suites.Suites) != 3 || first.Tests != 5 || first.Failures != 1 || first.Skipped != 1 || first.Errors == nil || *first.Errors != 0 || first.Cases[2].Failure == nil || !strings.Contains(*first.Cases[2].Failure, "it is broken") {
		t.Errorf("JUnit:\n%s", junit.String())
	}
	var text, asJSON bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "✗ Break") || !strings.Contains(text.String(), ": failed in ") {
		t.Errorf("text:\n%s", text.String())
	}
	var again localrun.Report
	if err := r.WriteJSON(&asJSON); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(asJSON.Bytes(), &again); err != nil || again.Result != r.Result || len(again.Stages) != len(r.Stages) {
		t.Errorf("JSON: %v\n%s", err, asJSON.String())
	}
}

// A canceled run stops what runs at once, and what runs after a cancel does run.
func TestCancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
steps:
- checkout: none
- bash: |
    echo running
    touch "$STARTED"
    sleep 600
- bash: echo cleaned up
  condition: always()
`)
	started := filepath.Join(t.TempDir(), "started")
	w.options.Variables = variable.Of(map[string]string{"started": started})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for {
			if _, err := os.Stat(started); err == nil {
				cancel()
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	r := w.run(ctx)
	w.said("running", "cleaned up")
	if r.Result != schedule.Canceled {
		t.Errorf("result %s", r.Result)
	}
}

func TestStagesOfAFileWithoutStages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "steps:\n- script: echo\n")
	w.options.Choice = localrun.Choice{Stages: []string{"Build"}}
	r, err := localrun.NewRunner(t.Context(), w.options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Run(t.Context()); err == nil || err.Error() != "the pipeline has no stages: leave --stage out" {
		t.Errorf("error %v", err)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "steps:\n- scritp: echo\n")
	r, err := localrun.NewRunner(t.Context(), w.options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), `azure-pipelines.yml:2:3: `) {
		t.Errorf("%v", err)
	}
}

// A deployment to virtual machines is shown and skipped, or runs on this machine if it is asked for.
func TestDeploymentToMachines(t *testing.T) {
	t.Parallel()
	const file = `
jobs:
- deployment: web
  environment: {name: prod, resourceType: virtualMachine, tags: web}
  strategy:
    rolling:
      deploy: {steps: [{bash: echo "deploys to $(Environment.ResourceName)"}]}
`
	w := newWorld(t, file)
	if r := w.run(t.Context()); r.Result != schedule.Skipped {
		t.Errorf("result %s", r.Result)
	}
	w.said("##[section]Job web: Skipped, it deploys to the machines of environment prod: give --as-machine to run it on this one")
	w = newWorld(t, file)
	w.options.Machine = true
	if r := w.run(t.Context()); r.Result != schedule.Succeeded {
		t.Errorf("result %s\n%s", r.Result, w.out.String())
	}
	if !strings.Contains(w.out.String(), "deploys to localhost") {
		t.Errorf("the log:\n%s", w.out.String())
	}
}
