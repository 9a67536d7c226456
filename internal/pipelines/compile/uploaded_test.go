package compile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/task"
)

const helloManifest = `{"id": "7f1c1b4e-5a51-4d7b-9c52-0e7a7f6d2c11", "name": "Hello", "version": {"Major": 1, "Minor": 2, "Patch": 3}, "instanceNameFormat": "Say hello to $(who)",
	"inputs": [{"name": "who", "type": "string", "required": true, "aliases": ["name"]}, {"name": "cert", "type": "secureFile"}, {"name": "service", "type": "connectedService:Generic"}],
	"outputVariables": [{"name": "answer"}], "prejobexecution": {"Node20_1": {"target": "pre.js"}}, "execution": {"Node20_1": {"target": "run.js"}}}`

// uploaded are tasks of the manifests.
func uploaded(t *testing.T, manifests ...string) task.Catalog {
	t.Helper()
	var list []*task.Definition
	for _, text := range manifests {
		m, err := task.ReadManifest([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, m.Definition("fabrikam.greetings.hello", "sha256:1"))
	}
	return task.Newest(list)
}

func TestUploadedTask(t *testing.T) {
	t.Parallel()
	in := input("steps:\n- task: Hello@1\n  name: hi\n  inputs: {name: Ada, cert: a.p12}\n- script: echo $(hi.answer)\n")
	in.Tasks = uploaded(t, helloManifest)
	p, err := Compile(in)
	if err != nil {
		t.Fatal(err)
	}
	got := p.Stages[0].Jobs[0].Steps[1]
	want := &plan.Task{Name: "Hello", Major: 1, Inputs: map[string]string{"who": "Ada", "cert": "a.p12"}, Given: []string{"cert", "who"},
		Package: &plan.TaskPackage{ID: "7f1c1b4e-5a51-4d7b-9c52-0e7a7f6d2c11", Version: "1.2.3", Digest: "sha256:1", PreJob: true, Connections: []string{"service"}, SecureFiles: []string{"cert"}}}
	if diff := cmp.Diff(want, got.Task); diff != "" || got.DisplayName != "Say hello to Ada" || got.Kind != plan.StepTask {
		t.Errorf("%+v (-want +got)\n%s", got, diff)
	}
}

func TestUploadedTaskMistakes(t *testing.T) {
	t.Parallel()
	windows := strings.NewReplacer("Node20_1", "PowerShell3", `"Hello"`, `"Windows"`, "7f1c", "8f1c").Replace(helloManifest)
	f := func(step, want string) {
		t.Helper()
		in := input("steps:\n" + step)
		in.Tasks, in.Pipeline = uploaded(t, helloManifest, windows), true
		report := Check(in)
		var got []string
		for _, p := range report.Problems {
			got = append(got, p.Error())
		}
		for _, w := range report.Warnings {
			got = append(got, w.At.String()+": "+w.Message)
		}
		if strings.Join(got, "\n") != want {
			t.Errorf("%s\n%s, want\n%s", step, strings.Join(got, "\n"), want)
		}
	}
	f("- task: Hello@1\n", `p.yml:2:9: task Hello@1 needs the input "who" (name)`)
	f("- task: Hello@2\n", "p.yml:2:9: task Hello@2 is not there: use Hello@1")
	f("- task: fabrikam.greetings.hello.Hello@1\n  inputs: {who: Ada, srevice: x}\n", `p.yml:3:22: task Hello@1 has no input "srevice", so it has no effect, did you mean "service"?`)
	f("- task: Windows@1\n  inputs: {who: Ada}\n", "p.yml:2:9: task Windows@1 (1.2.3) cannot run here: its execution has only handlers for PowerShell3, and jobs here run those of Node.js: write what it does as a script or bash step")
	f("- task: Hello@1\n  name: hi\n  inputs: {who: Ada}\n- script: echo $(hi.answr)\n", `p.yml:5:16: $(hi.answr) is no variable, so it stays as it is written, did you mean "hi.answer"?`)
	in := input("pool: server\nsteps:\n- task: Hello@1\n  inputs: {who: Ada}\n")
	in.Tasks = uploaded(t, helloManifest)
	if _, err := Compile(in); err == nil || !strings.Contains(err.Error(), "has no agent for this step") {
		t.Errorf("in an agentless job: %v", err)
	}
}
