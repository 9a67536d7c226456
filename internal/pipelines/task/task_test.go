package task

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFind(t *testing.T) {
	t.Parallel()
	f := func(reference, want string) {
		t.Helper()
		d, err := Catalog(nil).Find(reference)
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
	f("qetza.replacetokens.replacetokens-task.replacetokens@5", "replacetokens@5")
	f("ms-devlabs.custom-terraform-tasks.custom-terraform-installer-task.TerraformInstaller@0", "TerraformInstaller@0")
	f("ms-devlabs.custom-terraform-tasks.custom-terraform-release-task.TerraformTaskV4@4", "TerraformTaskV4@4")
	f("ReplaceTokens@3", "replacetokens@3")
	f("replacetokens@2", "task replacetokens@2 is not there: use replacetokens@3 or replacetokens@4 or replacetokens@5 or replacetokens@6")
	f("Docker@3", "task Docker@3 is not there: use Docker@0 or Docker@1 or Docker@2")
	f("Docker", `task "Docker" has no version: write NAME@MAJOR, as Docker@2`)
	f("Docker@2.1", "Docker@2")
	f("FileTransform@1.206.0", "FileTransform@1")
	f("Docker@3.1.0", "task Docker@3 is not there: use Docker@0 or Docker@1 or Docker@2")
	f("Docker@2.x", `task "Docker@2.x": "2.x" is no major version, a whole number, as in Docker@2`)
	f("Docker@x", `task "Docker@x": "x" is no major version, a whole number, as in Docker@2`)
	f("Dokcer@2", `unknown task Dokcer@2, did you mean "Docker"?`)
	f("azurecli@2", "AzureCLI@2")
	f("azurekeyvault@2", "AzureKeyVault@2")
	f("SFP.build-tasks.custom-build-task-1.EsrpCodeSigning@5",
		"task SFP.build-tasks.custom-build-task-1.EsrpCodeSigning@5 is an extension's, which is not there: upload the extension (slipway tasks upload), name its file with --task on your machine, or write what it does as a script or bash step")
	f("Frobnicate@1", "unknown task Frobnicate@1: upload it if it is one of your own (slipway tasks upload), name its folder with --task on your machine, or write what it does as a script or bash step")
}

func TestResolve(t *testing.T) {
	t.Parallel()
	d, err := Catalog(nil).Find("Docker@2")
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
		`input "addPipelineData" of task Docker@2 is "maybe", which counts as false: write true or false`,
		`task Docker@2 has no input "comand", so it has no effect, did you mean "command"?`,
		`input "command" of task Docker@2 may be buildAndPush, build, push, login, logout, start, stop, tag, images, version, run, not "buildAndPsh", did you mean "buildAndPush"?`,
		`inputs "containerRegistry" and "dockerRegistryEndpoint" of task Docker@2 are the same: give one`,
	}
	if diff := cmp.Diff(wantMistakes, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	_, mistakes = d.Resolve(map[string]string{})
	if len(mistakes) != 1 || mistakes[0].Message != `task Docker@2 needs the input "repository" (containerRepository) when command is buildAndPush` {
		t.Errorf("%v", mistakes)
	}
	_, mistakes = d.Resolve(map[string]string{"command": "start"})
	if len(mistakes) != 1 || !mistakes[0].Unsupported {
		t.Errorf("%v", mistakes)
	}
}

// What a task of a family cannot do is refused, with what to write instead.
func TestBuildTasksRefuse(t *testing.T) {
	t.Parallel()
	f := func(reference string, given map[string]string, want string) {
		t.Helper()
		d, err := Catalog(nil).Find(reference)
		if err != nil {
			t.Fatal(err)
		}
		_, mistakes := d.Resolve(given)
		got := ""
		for _, m := range mistakes {
			got += m.Message + "\n"
		}
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", reference, got, want)
		}
	}
	f("Npm@1", nil, "")
	f("Npm@1", map[string]string{"customRegistry": "useFeed", "customFeed": "x"}, "there are no feeds of packages here")
	f("Npm@1", map[string]string{"command": "publish"}, `needs the input "publishEndpoint" when command is publish`)
	f("Npm@1", map[string]string{"command": "custom"}, `needs the input "customCommand"`)
	f("Maven@4", map[string]string{"mavenPomFile": "pom.xml"}, "")
	f("Maven@3", map[string]string{"azureSubscription": "x"}, `has no input "azureSubscription"`)
	f("Maven@4", map[string]string{"azureSubscription": "x"}, "there are no subscriptions of Azure")
	f("Maven@4", map[string]string{"codeCoverageToolOption": "JaCoCo"}, "let the build run the coverage tool")
	f("Maven@4", map[string]string{"mavenAuthenticateFeed": "true"}, "write settings.xml in a script step")
	f("Gradle@3", map[string]string{"codeCoverageToolOption": "None", "javaHomeOption": "Path"}, `needs the input "jdkUserInputPath"`)
	f("Gradle@4", map[string]string{"codeCoverageToolOption": "None"}, `task Gradle@4 has no input "codeCoverageToolOption"`)
	f("Gradle@2", map[string]string{"jdkArchitecture": "arm"}, "may be x86, x64, arm64, not")
	f("KubernetesManifest@1", map[string]string{"action": "bake", "renderType": "kustomize"}, "")
	f("KubernetesManifest@1", map[string]string{"action": "bake"}, `needs the input "helmChart"`)
	f("KubernetesManifest@0", map[string]string{"action": "scale", "kind": "deployment", "replicas": "2"}, `needs the input "name"`)
	f("KubernetesManifest@1", map[string]string{"action": "patch", "patch": "{}"}, `needs the input "resourceFileToPatch"`)
	f("KubernetesManifest@1", map[string]string{"strategy": "canary", "trafficSplitMethod": "smi", "manifests": "x"}, "use pod")
	f("DotNetCoreCLI@2", map[string]string{"command": "push"}, "run dotnet nuget push in a script step")
	f("DotNetCoreCLI@2", map[string]string{"command": "restore", "feedsToUse": "select", "vstsFeed": "x"}, "there are no feeds of packages here")
	f("DotNetCoreCLI@2", map[string]string{"command": "restore", "feedsToUse": "select", "vstsFeed": "x/$(feed)"}, "there are no feeds of packages here")
	f("NuGetCommand@2", map[string]string{"command": "push"}, "run dotnet nuget push in a script step")
	f("UsePythonVersion@0", map[string]string{"architecture": "x86"}, "jobs are of 64 bits")
	f("JavaToolInstaller@0", map[string]string{"versionSpec": "17", "jdkArchitectureOption": "x64", "jdkSourceOption": "PreInstalled"}, "")
	f("JavaToolInstaller@1", map[string]string{"versionSpec": "17", "jdkArchitectureOption": "x64", "jdkSourceOption": "AzureStorage"}, "use PreInstalled")
	f("TerraformTaskV4@4", map[string]string{"provider": "aws", "command": "plan"}, "")
	f("TerraformTaskV4@4", map[string]string{"backendServiceArm": "x"}, "")
	f("TerraformTaskV4@4", map[string]string{"environmentServiceNameGCP": "x"}, "terraform gets connections to Azure and AWS alone")
	f("TerraformTaskV2@2", map[string]string{"command": "show"}, "may be init, validate, plan, apply, destroy, not")
	f("NodeTool@0", map[string]string{"versionSource": "fromFile"}, `needs the input "versionFilePath" when versionSource is fromFile`)
	f("GoTool@0", map[string]string{"goDownloadUrl": "https://aka.ms/golang/release/latest"}, "Microsoft's builds of Go are not installed")
}

func TestDefinitionsAreSound(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for i := range definitions() {
		d := &definitions()[i]
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

// A task that is there needs no advice on what to do without it.
func TestAbsencesAreNotHere(t *testing.T) {
	t.Parallel()
	for _, d := range definitions() {
		if a, ok := Absent(d.Name); ok {
			t.Errorf("%s is there, and yet one is told: %s", d.Name, a.Instead)
		}
	}
	for name := range absences {
		if name != strings.ToLower(name) {
			t.Errorf("%s is never found: it is not in lower case", name)
		}
	}
}
