package languageserver

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sourcegraph/jsonrpc2"
)

// editor is a client of a running server with a repository on the disk.
type editor struct {
	t           *testing.T
	dir         string
	conn        *jsonrpc2.Conn
	diagnostics chan diagnosticsParams
}

func start(t *testing.T, repository map[string]string) *editor {
	t.Helper()
	e := &editor{t: t, dir: t.TempDir(), diagnostics: make(chan diagnosticsParams, 100)}
	for path, text := range repository {
		e.write(path, text)
	}
	e.write(".git/HEAD", "")
	here, there := net.Pipe()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	served := make(chan error, 1)
	go func() { served <- New(slog.New(slog.DiscardHandler), time.Millisecond).Serve(ctx, there) }()
	e.conn = jsonrpc2.NewConn(ctx, jsonrpc2.NewBufferedStream(here, jsonrpc2.VSCodeObjectCodec{}), e, jsonrpc2.SetLogger(printer{slog.New(slog.DiscardHandler)}))
	t.Cleanup(func() {
		_ = e.conn.Close()
		if err := <-served; err != nil {
			t.Errorf("the server ended: %v", err)
		}
		cancel()
	})
	var r initializeResult
	e.call("initialize", struct{}{}, &r)
	if r.Capabilities.TextDocumentSync.Change != 2 {
		t.Errorf("%+v", r)
	}
	return e
}

// Handle implements jsonrpc2.Handler: it takes what the server tells.
func (e *editor) Handle(_ context.Context, _ *jsonrpc2.Conn, req *jsonrpc2.Request) {
	if p, err := read[diagnosticsParams](req.Params); err == nil && req.Method == "textDocument/publishDiagnostics" {
		e.diagnostics <- p
	}
}

func (e *editor) write(path, text string) {
	e.t.Helper()
	file := filepath.Join(e.dir, path)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		e.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		e.t.Fatal(err)
	}
}

func (e *editor) uri(path string) string { return uriOf(filepath.Join(e.dir, path)) }

func (e *editor) call(method string, params, result any) {
	e.t.Helper()
	if err := e.conn.Call(e.t.Context(), method, params, result); err != nil {
		e.t.Fatalf("%s: %v", method, err)
	}
}

func (e *editor) notify(method string, params any) {
	e.t.Helper()
	if err := e.conn.Notify(e.t.Context(), method, params); err != nil {
		e.t.Fatalf("%s: %v", method, err)
	}
}

// open opens a file of a text in which | is the cursor, and gives its place.
func (e *editor) open(path, marked string) positionParams {
	before, after, _ := strings.Cut(strings.TrimPrefix(marked, "\n"), "|")
	e.notify("textDocument/didOpen", didOpenParams{textDocumentItem{URI: e.uri(path), Version: 1, Text: before + after}})
	line := strings.Count(before, "\n")
	return positionParams{textDocumentItem{URI: e.uri(path)}, position{line, unitsOf(before, len(before)) - unitsOf(before, strings.LastIndexByte(before, '\n')+1)}}
}

// told waits for the diagnostics of a file, as LINE:START-END message.
func (e *editor) told(path string, version int) []string {
	e.t.Helper()
	for {
		select {
		case p := <-e.diagnostics:
			if p.URI != e.uri(path) || p.Version == nil && version > 0 || p.Version != nil && *p.Version != version {
				continue
			}
			list := []string{}
			for _, d := range p.Diagnostics {
				b, _ := json.Marshal([]int{d.Range.Start.Line, d.Range.Start.Character, d.Range.End.Character, d.Severity})
				list = append(list, string(b)+" "+d.Message)
			}
			return list
		case <-e.t.Context().Done():
			e.t.Fatal("no diagnostics")
		case <-time.After(30 * time.Second):
			e.t.Fatal("no diagnostics in time")
		}
	}
}

func TestDiagnosticsWhileTyping(t *testing.T) {
	t.Parallel()
	e := start(t, map[string]string{"t.yml": "parameters: [{name: a}]\nsteps:\n- bsah: ${{ parameters.a }}\n"})
	e.open("azure-pipelines.yml", "steps:\n- script: x\n  dispalyName: äx\n- template: t.yml\n  parameters: {a: 1}\n")
	want := []string{`[2,2,13,1] unknown key "dispalyName" of a script step, did you mean "displayName"?`}
	if diff := cmp.Diff(want, e.told("azure-pipelines.yml", 1)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	// A template that is not open has its mistakes too.
	want = []string{`[2,2,6,1] a step has one of the keys script, bash, pwsh, powershell, checkout, publish, upload, download, downloadBuild, getPackage, reviewApp, task, did you mean "bash"?`}
	if diff := cmp.Diff(want, e.told("t.yml", 0)); diff != "" {
		t.Errorf("template (-want +got)\n%s", diff)
	}
	// The key is put right, in part of the line; then the template is opened and put right.
	change := didChangeParams{TextDocument: textDocumentItem{URI: e.uri("azure-pipelines.yml"), Version: 2},
		ContentChanges: []contentChange{{Range: &textRange{position{2, 2}, position{2, 13}}, Text: "displayName"}}}
	e.notify("textDocument/didChange", change)
	if got := e.told("azure-pipelines.yml", 2); len(got) != 0 {
		t.Errorf("still told: %v", got)
	}
	e.notify("textDocument/didOpen", didOpenParams{textDocumentItem{URI: e.uri("t.yml"), Version: 7, Text: "parameters: [{name: a}]\nsteps:\n- bash: ${{ parameters.a }}\n"}})
	if got := e.told("t.yml", 7); len(got) != 0 {
		t.Errorf("the open template still has %v", got)
	}
}

func TestOtherYAMLIsLeftAlone(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	e.open("compose.yml", "services:\n  db: {image: x}\n")
	if got := e.told("compose.yml", 1); len(got) != 0 {
		t.Errorf("%v", got)
	}
	e.open("ci.yml", "on: push\njobs:\n  a:\n    steps:\n    - run: x\n")
	if got := e.told("ci.yml", 1); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

// labels are what is offered at the cursor of a text.
func (e *editor) labels(marked string) []string {
	e.t.Helper()
	at := e.open("azure-pipelines.yml", marked)
	var list completionList
	e.call("textDocument/completion", at, &list)
	labels := []string{}
	for _, i := range list.Items {
		labels = append(labels, i.Label)
	}
	return labels
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	e := start(t, map[string]string{"ci/build.yml": "parameters:\n- name: image\n  type: string\n- name: push\n  type: boolean\nsteps: []\n", "x.txt": ""})
	f := func(name, marked string, want, not []string) {
		t.Helper()
		got := e.labels(marked)
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("%s: %q is not offered, but %v", name, w, got)
			}
		}
		for _, w := range not {
			if slices.Contains(got, w) {
				t.Errorf("%s: %q is offered", name, w)
			}
		}
	}
	f("root keys", "trigger: none\n|\n", []string{"pool", "stages", "steps", "variables"}, []string{"trigger", "displayName", "vmImage"})
	f("root keys of a file of steps", "|\nsteps:\n- bash: x\n", []string{"timeoutInMinutes", "container"}, []string{"steps"})
	f("part of a key", "steps:\n- bash: x\n  disp|\n", []string{"displayName", "env"}, []string{"bash", "inputs", "task"})
	f("a new step", "steps:\n- bash: x\n- |\n", []string{"bash", "task", "checkout", "template"}, []string{"displayName", "job"})
	f("a new step below steps", "steps:\n  |\n", []string{"- bash", "- task"}, nil)
	f("a new job", "jobs:\n- |\n", []string{"job", "deployment", "template"}, nil)
	f("keys of a job", "stages:\n- stage: A\n  jobs:\n  - job: B\n    |\n", []string{"steps", "pool", "dependsOn", "strategy"}, []string{"environment", "job", "stage"})
	f("keys of a deployment", "jobs:\n- deployment: B\n  |\n  strategy:\n", []string{"environment", "pool"}, []string{"steps", "strategy"})
	f("hooks", "jobs:\n- deployment: B\n  strategy:\n    runOnce:\n      |\n", []string{"deploy", "on", "preDeploy"}, nil)
	f("in a directive", "steps:\n- ${{ if true }}:\n  - bash: x\n    |\n", []string{"env", "displayName"}, nil)
	f("tasks", "steps:\n- task: |\n", []string{"Docker@2", "CopyFiles@2"}, nil)
	f("inputs", "steps:\n- task: Docker@2\n  inputs:\n    command: build\n    |\n", []string{"repository", "tags", "Dockerfile"}, []string{"command", "container"})
	f("values of an input", "steps:\n- task: Docker@2\n  inputs:\n    command: |\n", []string{"build", "buildAndPush"}, []string{"start"})
	f("a boolean", "steps:\n- bash: x\n  continueOnError: |\n", []string{"true", "false"}, nil)
	f("words", "resources:\n  repositories:\n  - type: |\n", []string{"git", "github"}, nil)
	f("stages to depend on", "stages:\n- stage: A\n- stage: B\n  dependsOn: |\n", []string{"A"}, []string{"B"})
	f("jobs to depend on", "stages:\n- stage: S\n  jobs:\n  - job: A\n  - deployment: C\n  - job: B\n    dependsOn:\n    - |\n- stage: T\n  jobs: [{job: Z}]\n", []string{"A", "C"}, []string{"B", "Z", "S"})
	f("a list in brackets", "stages:\n- stage: A\n- stage: B\n- stage: C\n  dependsOn: [A, |]\n", []string{"A", "B"}, []string{"C"})
	f("repositories", "resources:\n  repositories:\n  - repository: tools\n    name: x\nsteps:\n- checkout: |\n", []string{"self", "none", "tools", "git://PROJECT/REPOSITORY"}, nil)
	f("repositories that a job uses", "resources:\n  repositories:\n  - repository: tools\njobs:\n- job: A\n  uses:\n    repositories: [|]\n", []string{"tools"}, []string{"git://PROJECT/REPOSITORY"})
	f("template files", "steps:\n- template: |\n", []string{"ci/build.yml"}, []string{"azure-pipelines.yml", "x.txt"})
	f("parameters of a template", "steps:\n- template: ci/build.yml\n  parameters:\n    image: x\n    |\n", []string{"push"}, []string{"image"})
	f("macros in a block", "variables:\n  mine: 1\nsteps:\n- bash: >\n    echo $(|\n", []string{"mine", "Build.BuildId"}, nil)
	f("text of a block", "steps:\n- bash: >\n    echo |\n", nil, []string{"displayName", "bash"})
	f("macros in a script", "variables:\n  mine: 1\nsteps:\n- bash: echo $(|\n", []string{"mine", "Build.BuildId"}, nil)
	f("variables of the job", "jobs:\n- job: A\n  variables:\n  - name: own\n    value: 1\n  steps:\n  - bash: echo $(|)\n- job: B\n  variables: {other: 1}\n", []string{"own"}, []string{"other"})
	f("expressions", "parameters:\n- name: a\nsteps:\n- bash: ${{ | }}\n", []string{"parameters", "if", "eq", "format"}, []string{"succeeded", "dependencies"})
	f("parameters", "parameters:\n- name: image\n  type: string\nsteps:\n- bash: ${{ parameters.| }}\n", []string{"image"}, []string{"eq"})
	f("variables of templates", "variables:\n- name: v\n  value: 1\nsteps:\n- bash: ${{ variables.| }}\n", []string{"v", "Build.SourceBranch"}, []string{"Agent.OS"})
	f("each", "steps:\n- ${{ each item in parameters.a }}:\n  - bash: ${{ i| }}\n", []string{"item"}, nil)
	f("a condition", "steps:\n- bash: x\n  condition: |\n", []string{"succeeded", "and", "variables"}, []string{"parameters"})
	f("variables in brackets", "steps:\n- bash: x\n  condition: eq(variables['|\n", []string{"Build.Reason"}, []string{"eq"})
	f("dependencies", "jobs:\n- job: A\n  steps:\n  - bash: x\n    name: set\n- job: B\n  condition: eq(dependencies.|, 1)\n", []string{"A"}, []string{"variables"})
	f("outputs", "jobs:\n- job: A\n  steps:\n  - bash: x\n    name: set\n- job: B\n  variables:\n    v: $[ dependencies.A.outputs['|\n", []string{"set."}, nil)
	f("jobs of a stage", "stages:\n- stage: S\n  jobs:\n  - job: A\n- stage: T\n  jobs:\n  - job: B\n    condition: stageDependencies.S.|\n", []string{"A"}, []string{"B"})
	f("values of the run", "jobs:\n- job: A\n  variables:\n    v: $[ pipeline.|\n", []string{"startTime"}, []string{"eq"})
	f("repositories of the run", "resources:\n  repositories:\n  - repository: tools\n    name: x\njobs:\n- job: A\n  variables:\n    v: $[ resources.repositories['|\n", []string{"self", "tools"}, nil)
	f("a target", "steps:\n- bash: x\n  target:\n    |\n", []string{"container", "commands", "settableVariables"}, []string{"env"})
	f("hooks of a canary", "jobs:\n- deployment: B\n  strategy:\n    canary:\n      |\n", []string{"increments", "deploy"}, nil)
	f("phases to depend on", "phases:\n- phase: A\n- phase: B\n  dependsOn: |\n", []string{"A"}, nil)
	f("a comment", "# |\n", nil, []string{"steps"})
}

func TestCompletionReplacesWhatIsTyped(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	at := e.open("azure-pipelines.yml", "steps:\n- bash: ä\n  disp|\n")
	var list completionList
	e.call("textDocument/completion", at, &list)
	i := slices.IndexFunc(list.Items, func(i completionItem) bool { return i.Label == "displayName" })
	want := textEdit{textRange{position{2, 2}, position{2, 6}}, "displayName: "}
	if diff := cmp.Diff(&want, list.Items[i].TextEdit); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestHover(t *testing.T) {
	t.Parallel()
	e := start(t, map[string]string{"t.yml": "parameters:\n- name: image\n  type: string\nsteps: []\n"})
	f := func(marked, want string) {
		t.Helper()
		at := e.open("azure-pipelines.yml", marked)
		var h *hover
		e.call("textDocument/hover", at, &h)
		if h == nil {
			if want != "" {
				t.Errorf("nothing is said, want %q", want)
			}
			return
		}
		if want == "" || !strings.Contains(h.Contents.Value, want) {
			t.Errorf("%q, want %q", h.Contents.Value, want)
		}
	}
	f("steps:\n- bash: x\n  displ|ayName: y\n", "What people see.")
	f("pool:\n  vmI|mage: x\n", "**vmImage**: The image")
	f("steps:\n- task: Dock|er@2\n", "`repository`: The name of the image")
	f("steps:\n- task: Azure|FunctionApp@2\n", "is not there yet")
	f("steps:\n- task: docker@2\n  inputs:\n    TA|GS: x\n", "**tags**, input of Docker@2: Tags of the image")
	f("steps:\n- bash: echo $(Build.Build|Id)\n", "**Build.BuildId**: The number of the run")
	f("variables:\n  own: text\nsteps:\n- bash: echo $(o|wn)\n", "**own**, variable: `text`")
	f("steps:\n- bash: x\n  condition: e|q(1, 2)\n", "**eq(a,b)**: Whether both are equal")
	f("parameters:\n- name: a\n  type: number\nsteps:\n- bash: ${{ parameters.|a }}\n", "**a**, parameter: number")
	f("steps:\n- ${{ ea|ch x in parameters.y }}:\n  - bash: x\n", "**each**: Repeats")
	f("steps:\n- template: t.|yml\n", "`image`: string")
	f("steps:\n- template: t.yml\n  parameters:\n    ima|ge: x\n", "**image**, parameter of t.yml: string")
	f("steps:\n- bash: ec|ho x\n", "")
	f("wrong:\n  key|s: x\n", "")
}

func TestDefinition(t *testing.T) {
	t.Parallel()
	e := start(t, map[string]string{"ci/t.yml": "parameters:\n- name: image\nsteps: []\n"})
	f := func(marked, want string) {
		t.Helper()
		at := e.open("azure-pipelines.yml", marked)
		var list []location
		e.call("textDocument/definition", at, &list)
		got := ""
		for _, l := range list {
			b, _ := json.Marshal(l.Range)
			got += strings.TrimPrefix(l.URI, e.uri("")) + " " + string(b)
		}
		if diff := cmp.Diff(want, strings.TrimPrefix(got, "/")); diff != "" {
			t.Errorf("%s (-want +got)\n%s", marked, diff)
		}
	}
	at := func(line, start, end int) string {
		b, _ := json.Marshal(textRange{position{line, start}, position{line, end}})
		return "azure-pipelines.yml " + string(b)
	}
	f("steps:\n- template: ci/t|.yml\n", `ci/t.yml {"start":{"line":0,"character":0},"end":{"line":0,"character":0}}`)
	f("steps:\n- template: /ci/t|.yml@self\n", `ci/t.yml {"start":{"line":0,"character":0},"end":{"line":0,"character":0}}`)
	f("steps:\n- template: ci/t.yml\n  parameters:\n    im|age: x\n", `ci/t.yml {"start":{"line":1,"character":8},"end":{"line":1,"character":13}}`)
	f("parameters:\n- name: image\nsteps:\n- bash: ${{ parameters.im|age }}\n", at(1, 8, 13))
	f("variables:\n  own: x\nsteps:\n- bash: echo $(o|wn)\n", at(1, 2, 5))
	f("variables:\n- name: a.b\n  value: x\nsteps:\n- bash: x\n  condition: eq(variables['a.|b'], 1)\n", at(1, 8, 11))
	f("stages:\n- stage: A\n- stage: B\n  dependsOn: |A\n", at(1, 9, 10))
	f("stages:\n- stage: A\n- stage: B\n  dependsOn: [X, |A]\n", at(1, 9, 10))
	f("jobs:\n- job: A\n- job: B\n  dependsOn:\n  - |A\n", at(1, 7, 8))
	f("jobs:\n- job: A\n- job: B\n  condition: dependencies.|A.result\n", at(1, 7, 8))
	f("stages:\n- stage: S\n  jobs:\n  - job: A\n- stage: T\n  condition: eq(stageDependencies.S.|A.result, 1)\n", at(3, 9, 10))
	f("resources:\n  repositories:\n  - repository: tools\nsteps:\n- checkout: too|ls\n", at(2, 16, 21))
	f("resources:\n  repositories:\n  - repository: tools\nsteps:\n- template: x.yml@too|ls\n", at(2, 16, 21))
	f("steps:\n- bash: x|\n", "")
}

func TestSymbols(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	e.open("azure-pipelines.yml", "stages:\n- stage: A\n  jobs:\n  - job: J\n    steps:\n    - bash: |2\n        x\n      displayName: Build it\n    - ${{ if true }}:\n      - task: Docker@2\n")
	var list []documentSymbol
	e.call("textDocument/documentSymbol", documentParams{textDocumentItem{URI: e.uri("azure-pipelines.yml")}}, &list)
	var lines []string
	var walk func(list []documentSymbol, indent string)
	walk = func(list []documentSymbol, indent string) {
		for _, s := range list {
			lines = append(lines, strings.TrimRight(indent+s.Name+" "+s.Detail, " "))
			walk(s.Children, indent+" ")
		}
	}
	walk(list, "")
	if diff := cmp.Diff([]string{"A", " J", "  bash Build it", "  task Docker@2"}, lines); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// What is offered for the diagnostics of a text, applied to it.
func TestQuickFixes(t *testing.T) {
	t.Parallel()
	s := New(slog.New(slog.DiscardHandler), time.Millisecond)
	f := func(text, want string) {
		t.Helper()
		d := newDocument("untitled:azure-pipelines.yml", 1, text)
		s.documents[d.uri] = d
		got := d
		for _, p := range s.diagnose() {
			for _, a := range d.actions(p.Diagnostics) {
				e := a.Edit.Changes[d.uri][0]
				got = got.changed(2, []contentChange{{&e.Range, e.NewText}})
			}
		}
		if got.text != want {
			t.Errorf("%q, want %q", got.text, want)
		}
	}
	f("steps:\n- bsah: ü\n- bash: x\n  dispalyName: ü # y\n", "steps:\n- bash: ü\n- bash: x\n  displayName: ü # y\n")
	f("steps: [{task: Dokcer@2}]\n", "steps: [{task: Docker@2}]\n")
	f("stages:\n- stage: Build\n  jobs: [{job: a, steps: [{script: x}]}]\n- stage: B\n  dependsOn: 'Biuld'\n  jobs: [{job: a, steps: [{script: x}]}]\n",
		"stages:\n- stage: Build\n  jobs: [{job: a, steps: [{script: x}]}]\n- stage: B\n  dependsOn: Build\n  jobs: [{job: a, steps: [{script: x}]}]\n")
	f("resources: {repositories: [{repository: shared, type: git, name: x}]}\nsteps:\n- template: x.yml@sahred\n", "resources: {repositories: [{repository: shared, type: git, name: x}]}\nsteps:\n- template: x.yml@sahred\n")
}

func TestUnknownMethods(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	err := e.conn.Call(t.Context(), "textDocument/rename", struct{}{}, nil)
	var answer *jsonrpc2.Error
	if err == nil || !asError(err, &answer) || answer.Code != jsonrpc2.CodeMethodNotFound {
		t.Errorf("a request: %v", err)
	}
	e.notify("$/setTrace", struct{}{})
	var h *hover
	e.call("textDocument/hover", positionParams{textDocumentItem{URI: "untitled:x"}, position{}}, &h)
	if h != nil {
		t.Errorf("a file that is not open: %+v", h)
	}
}

func asError(err error, target **jsonrpc2.Error) bool {
	e, ok := err.(*jsonrpc2.Error) //nolint:errorlint // the library gives it as it is
	*target = e
	return ok
}

// Positions count UTF-16 code units (LSP 3.17, "Position").
func TestChanges(t *testing.T) {
	t.Parallel()
	d := newDocument("x", 1, "a: 😀b\r\nc: d\n")
	d = d.changed(2, []contentChange{{Range: &textRange{position{0, 5}, position{0, 6}}, Text: "xy"}, {Range: &textRange{position{1, 3}, position{9, 9}}, Text: "e"}})
	if d.text != "a: 😀xy\r\nc: e" || d.lines[0] != "a: 😀xy" || d.version != 2 {
		t.Errorf("%q", d.text)
	}
	if d = d.changed(3, []contentChange{{Text: "new"}}); d.text != "new" {
		t.Errorf("%q", d.text)
	}
}

// Whatever is typed, wherever the cursor is, there is an answer.
func FuzzAnswers(f *testing.F) {
	f.Add("steps:\n- bash: echo $(x)\n  condition: eq(variables['a'], 1)\n- template: a.yml\n  parameters: {x: y}\n", 1, 9)
	f.Add("stages:\n- stage: A\n  jobs:\n  - ${{ if x }}:\n    - job: B\n      steps:\n      - task: Docker@2\n        inputs:\n          co", 8, 12)
	f.Add("- - - a:\n b: |\n  c\n ? d", 2, 1)
	f.Fuzz(func(t *testing.T, text string, line, character int) {
		s := New(slog.New(slog.DiscardHandler), time.Millisecond)
		d := newDocument("untitled:azure-pipelines.yml", 1, text)
		s.documents[d.uri] = d
		if line < 0 || line >= len(d.lines) {
			return
		}
		at := bytesOf(d.line(line), character)
		s.complete(d, line, at)
		s.hover(d, line, at)
		s.definition(d, line, at)
		d.symbols()
		for _, p := range s.diagnose() {
			for _, x := range p.Diagnostics {
				if x.Range.Start.Line < 0 || x.Range.Start.Character > x.Range.End.Character {
					t.Errorf("%+v", x)
				}
			}
		}
	})
}
