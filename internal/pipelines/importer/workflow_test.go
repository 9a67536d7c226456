package importer_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/pipelines/compile"
	"slipway/internal/pipelines/importer"
)

// Actions that have an equivalent, and those whose place is at GitHub.
func TestMoreActionsOfGitHub(t *testing.T) {
	t.Parallel()
	out, p := imported(t, importer.GitHub, `
on: {push: {tags: ['v*']}}
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
    - uses: actions/checkout@v4
    - {uses: nick-fields/retry@v3, with: {max_attempts: 3, timeout_minutes: 10, command: make test}}
    - {uses: github/codeql-action/upload-sarif@v3, with: {sarif_file: out.sarif}, if: always()}
    - {uses: stefanzweifel/git-auto-commit-action@v5, with: {commit_message: Format the code}}
    - {uses: actions/upload-pages-artifact@v3, with: {path: site}}
    - {uses: softprops/action-gh-release@v2, with: {files: "dist/*.zip", draft: true, body: hello}}
    - {uses: azure/login@v2}
    - {uses: azure/cli@v2, with: {inlineScript: az account show}}
    - {uses: codespell-project/actions-codespell@v2, with: {skip: "*.svg"}}
    - parallel:
      - run: echo one
      - run: echo two
    - {uses: actions/stale@v9}
`, nil)
	has(t, out, "retryCountOnTaskFailure: 2", "timeoutInMinutes: 10", "publish: $(Build.SourcesDirectory)/out.sarif", "artifact: CodeAnalysisLogs",
		"persistCredentials: true", "artifact: github-pages", "task: GitHubRelease@1", "bash: az account show", `codespell --skip "*.svg"`)
	notes(t, out, "azure/login@v2 is left out: az of a job works on this server", "make one of type GitHub with this name", "parallel: the steps run one after the other",
		"actions/stale@v9 is left out: it works on what lies at GitHub")
	if out.Steps != 12 || out.Carried != 11 || len(p.Stages[0].Jobs[0].Steps) != 10 {
		t.Errorf("%d of %d steps, %d written", out.Carried, out.Steps, len(p.Stages[0].Jobs[0].Steps))
	}
}

// Images are named as docker/metadata-action's documentation says, by a script that bash runs.
func TestNamesOfImages(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ rules, ref, want string }{
		{"", "refs/heads/feature/x", "acme/shop:feature-x"},
		{"", "refs/tags/v1.2.3", "acme/shop:v1.2.3 acme/shop:latest"},
		{"", "refs/pull/7/merge", "acme/shop:pr-7"},
		{"type=semver,pattern={{version}}\ntype=semver,pattern={{major}}.{{minor}}\ntype=semver,pattern=v{{major}}", "refs/tags/v1.2.3", "acme/shop:1.2.3 acme/shop:1.2 acme/shop:v1 acme/shop:latest"},
		{"type=semver,pattern={{version}}\ntype=semver,pattern={{major}}", "refs/tags/v2.0.0-rc.1", "acme/shop:2.0.0-rc.1"},
		{"type=sha\ntype=raw,value=edge,enable={{is_default_branch}}", "refs/heads/main", "acme/shop:sha-0123456 acme/shop:edge"},
		{"type=raw,value=edge,enable={{is_default_branch}}\ntype=ref,event=branch,suffix=-x", "refs/heads/next", "acme/shop:next-x"},
	} {
		text := "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n    - id: meta\n      uses: docker/metadata-action@v5\n      with:\n        images: acme/shop\n"
		if tt.rules != "" {
			text += "        tags: |\n          " + strings.ReplaceAll(tt.rules, "\n", "\n          ") + "\n"
		}
		text += "    - uses: docker/build-push-action@v6\n      with: {tags: '${{ steps.meta.outputs.tags }}', push: true}\n"
		out, p := imported(t, importer.GitHub, text, nil)
		var scripts []string
		for _, st := range p.Stages[0].Jobs[0].Steps {
			if st.Script != nil {
				scripts = append(scripts, st.Script.Text)
			}
		}
		if len(scripts) != 2 {
			t.Fatalf("%d scripts\n%s", len(scripts), out.Pipeline)
		}
		script := strings.NewReplacer("$(Build.SourceBranch)", tt.ref, "$(Build.SourceVersion)", "0123456789abcdef0123456789abcdef01234567", "$(Build.Reason)", "IndividualCI").Replace(scripts[0])
		said, err := exec.Command("bash", "-c", script).CombinedOutput()
		if first, _, _ := strings.Cut(string(said), "\n"); err != nil || first != "Tags: "+tt.want {
			t.Errorf("%s of %s: %v\n%s, want %s\n%s", tt.rules, tt.ref, err, said, tt.want, script)
		}
		// Each line of the output is a tag of the build.
		build := strings.NewReplacer("$(meta.tags)", strings.ReplaceAll(tt.want, " ", "\n"), "docker build", "echo").Replace(scripts[1])
		said, err = exec.Command("bash", "-c", build).CombinedOutput()
		if want := "--tag " + strings.ReplaceAll(tt.want, " ", " --tag "); err != nil || !strings.Contains(string(said), want) {
			t.Errorf("the build: %v\n%s, want %s\n%s", err, said, want, out.Pipeline)
		}
	}
}

// Inputs that are empty mean nothing at GitHub, and a pipeline has no empty scripts, containers and versions.
func TestInputsThatMayBeEmpty(t *testing.T) {
	t.Parallel()
	out, p := imported(t, importer.GitHub, `
on:
  workflow_call:
    inputs:
      setup: {type: string, default: ""}
      image: {type: string}
      python: {type: string, required: false}
      branch: {type: choice, default: main, options: [next]}
jobs:
  a:
    runs-on: ubuntu-latest
    container: ${{ inputs.image }}
    steps:
    - {uses: actions/setup-python@v5, with: {python-version: "${{ inputs.python }}"}}
    - {name: Setup, run: "${{ inputs.setup }}"}
    - {run: "make ${{ inputs.branch }}"}
    - {uses: azure/cli@v1, with: {azcliversion: latest}}
`, nil)
	has(t, out, "${{ if ne(parameters.setup, '') }}:", "${{ if ne(parameters.image, '') }}:", "container: ${{ parameters.image }}", "${{ if ne(parameters.python, '') }}:", "values:", "main", "next")
	if steps := p.Stages[0].Jobs[0].Steps; len(steps) != 1 || p.Stages[0].Jobs[0].Container != nil {
		t.Errorf("%d steps of a run whose inputs are empty, container %v", len(steps), p.Stages[0].Jobs[0].Container)
	}
	full, err := compile.Compile(compile.Input{Path: "azure-pipelines.yml", Files: repository{"azure-pipelines.yml": string(out.Pipeline)},
		Parameters: map[string]any{"setup": "make deps", "image": "golang:1.26", "python": "3.12"}})
	if err != nil {
		t.Fatalf("%v\n%s", err, out.Pipeline)
	}
	if steps := full.Stages[0].Jobs[0].Steps; len(steps) != 3 || full.Stages[0].Jobs[0].Container == nil {
		t.Errorf("%d steps of a run whose inputs are given", len(steps))
	}
}

// A workflow that only other activities of pull requests start is no check of pull requests.
func TestActivitiesOfPullRequests(t *testing.T) {
	t.Parallel()
	for types, want := range map[string]string{"[closed]": "pr: none", "labeled": "pr: none", "[opened, labeled]": "pr:", "synchronize": "pr:"} {
		out, _ := imported(t, importer.GitHub, "on: {push: {branches: [main]}, pull_request: {types: "+types+"}}\njobs: {a: {runs-on: ubuntu-latest, steps: [{run: make}]}}\n", nil)
		has(t, out, want)
	}
}

// The digest of a build is read by later steps, as in GitHub's own template that signs what it pushes.
func TestDigestOfBuild(t *testing.T) {
	t.Parallel()
	out, _ := imported(t, importer.GitHub, `
on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
    - uses: actions/checkout@v4
    - {id: build-and-push, uses: docker/build-push-action@v6, with: {push: true, tags: "ghcr.io/acme/shop:1"}}
    - {run: "cosign sign --yes ghcr.io/acme/shop@${DIGEST}", env: {DIGEST: "${{ steps.build-and-push.outputs.digest }}"}}
`, nil)
	has(t, out, "name: build_and_push", "DIGEST: $(build_and_push.digest)", `--metadata-file "$(Agent.TempDirectory)/build.json" \`)
	notes(t, out)
	// What docker buildx 0.12 writes.
	file := filepath.Join(t.TempDir(), "build.json")
	if err := os.WriteFile(file, []byte(`{"buildx.build.ref": "default/default/x", "containerimage.config.digest": "sha256:c0ffee",
  "containerimage.descriptor": {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": "sha256:beef"},
  "containerimage.digest": "sha256:beef", "image.name": "ghcr.io/acme/shop:1"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	_, script, _ := strings.Cut(string(out.Pipeline), "      result()")
	script, _, _ = strings.Cut("result()"+script, "    displayName")
	got, err := exec.Command("bash", "-euc", strings.ReplaceAll(script, "$(Agent.TempDirectory)/build.json", file)).CombinedOutput()
	want := "##vso[task.setvariable variable=digest;isOutput=true]sha256:beef\n##vso[task.setvariable variable=imageid;isOutput=true]sha256:c0ffee\n"
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, got)
	}
}
