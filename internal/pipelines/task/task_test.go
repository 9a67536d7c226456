package task

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFind(t *testing.T) {
	t.Parallel()
	f := func(reference, want string) {
		t.Helper()
		d, err := Find(reference)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = d.String()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", reference, got, want)
		}
	}
	f("docker@2", "Docker@2")
	f("KubernetesManifest@0", "KubernetesManifest@0")
	f("Docker@1", "task Docker@1 is not there: use Docker@2")
	f("Docker", `task "Docker" has no version: write NAME@MAJOR, as Docker@2`)
	f("Docker@2.1", `task "Docker@2.1": only the major version is chosen, write Docker@2`)
	f("Docker@x", `task "Docker@x": "x" is no major version, a whole number`)
	f("Dokcer@2", `unknown task Dokcer@2, did you mean "Docker"?`)
	f("azurecli@2", "task AzureCLI@2 is not there yet: run az in a bash step, with its credentials in env")
	f("SFP.build-tasks.custom-build-task-1.EsrpCodeSigning@5",
		"task SFP.build-tasks.custom-build-task-1.EsrpCodeSigning@5 is an extension's, which is not there: write what it does as a script or bash step")
	f("Frobnicate@1", "unknown task Frobnicate@1: write what it does as a script or bash step")
}

func TestResolve(t *testing.T) {
	t.Parallel()
	d, err := Find("Docker@2")
	if err != nil {
		t.Fatal(err)
	}
	inputs, mistakes := d.Resolve(map[string]string{"dockerfile": "src/Dockerfile", "dockerRegistryEndpoint": "acr", "REPOSITORY": "app"})
	want := map[string]string{"Dockerfile": "src/Dockerfile", "containerRegistry": "acr", "repository": "app", "command": "buildAndPush",
		"buildContext": "**", "tags": "$(Build.BuildId)", "addPipelineData": "true", "addBaseImageData": "true"}
	if diff := cmp.Diff(want, inputs); diff != "" || len(mistakes) > 0 {
		t.Errorf("%v (-want +got)\n%s", mistakes, diff)
	}
	_, mistakes = d.Resolve(map[string]string{"comand": "build", "command": "buildAndPsh", "addPipelineData": "maybe", "tags": "$(x)",
		"containerRegistry": "a", "dockerRegistryEndpoint": "b"})
	var got []string
	for _, m := range mistakes {
		got = append(got, m.Message)
	}
	wantMistakes := []string{
		`input "addPipelineData" of task Docker@2 is true or false, not "maybe"`,
		`task Docker@2 has no input "comand", did you mean "command"?`,
		`input "command" of task Docker@2 may be buildAndPush, build, push, login, logout, start, stop, not "buildAndPsh", did you mean "buildAndPush"?`,
		`inputs "containerRegistry" and "dockerRegistryEndpoint" of task Docker@2 are the same: give one`,
	}
	if diff := cmp.Diff(wantMistakes, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	_, mistakes = d.Resolve(map[string]string{})
	if len(mistakes) != 1 || mistakes[0].Message != `task Docker@2 needs the input "repository" when command is buildAndPush` {
		t.Errorf("%v", mistakes)
	}
	_, mistakes = d.Resolve(map[string]string{"command": "start"})
	if len(mistakes) != 1 || !mistakes[0].Unsupported {
		t.Errorf("%v", mistakes)
	}
}

func TestDefinitionsAreSound(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for i := range definitions {
		d := &definitions[i]
		if seen[d.String()] {
			t.Errorf("%s stands twice", d)
		}
		seen[d.String()] = true
		for j := range d.Inputs {
			in := &d.Inputs[j]
			if d.Input(in.Name) != in {
				t.Errorf("%s: input %s is hidden by another", d, in.Name)
			}
			for _, alias := range in.Aliases {
				if d.Input(alias) != in {
					t.Errorf("%s: alias %s of %s is hidden by another", d, alias, in.Name)
				}
			}
			if in.Default != "" {
				if m := in.check(d, in.Name, in.Default); m != nil {
					t.Errorf("%s: the default of %s is refused: %s", d, in.Name, m.Message)
				}
			}
			if in.NeededFor != "" && d.Input(in.NeededFor) == nil {
				t.Errorf("%s: %s is needed for %s, which is not there", d, in.Name, in.NeededFor)
			}
		}
	}
}
