package template

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/yaml"
)

// listed is an archive that can be looked through.
type listed struct{ archive }

func (l listed) List(folder string) []string {
	var names []string
	for file := range l.archive {
		if below, ok := strings.CutPrefix("/"+file, strings.TrimSuffix(path.Join("/", folder), "/")+"/"); ok {
			name, _, _ := strings.Cut(below, "/")
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// A template that is not there is most often there under a slightly other name.
func TestMissingTemplates(t *testing.T) {
	t.Parallel()
	const text = `
-- ci/p.yml --
steps:
- template: Templates/Build.yml
- template: template/biuld.yml
- template: templates/build.yaml
- template: ci/templates/build
- template: templates/build
- template: other.yml
- template: /share/deploy.yml
- template: nothing/like/it.yml
-- ci/templates/build.yml --
steps: []
-- shared/deploy.yml --
steps: []
`
	got := expanded(text, func(in *Input) { in.Path, in.Files = "ci/p.yml", listed{repositoryOf(text)} })
	const want = `ci/p.yml:2:13: there is no file ci/Templates/Build.yml in this repository, did you mean "templates/build.yml"?
ci/p.yml:3:13: there is no file ci/template/biuld.yml in this repository, did you mean "templates/build.yml"?
ci/p.yml:4:13: there is no file ci/templates/build.yaml in this repository, did you mean "templates/build.yml"?
ci/p.yml:5:13: there is no file ci/ci/templates/build in this repository
ci/p.yml:6:13: there is no file ci/templates/build in this repository, did you mean "templates/build.yml"?
ci/p.yml:7:13: there is no file ci/other.yml in this repository
ci/p.yml:8:13: there is no file share/deploy.yml in this repository, did you mean "/shared/deploy.yml"?
ci/p.yml:9:13: there is no file ci/nothing/like/it.yml in this repository
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	check(t, "from the root, without a list", `
-- p.yml --
steps:
- template: ci/a.yml
-- ci/a.yml --
steps:
- template: ci/b.yml
-- ci/b.yml --
steps: []
`, "ci/a.yml:2:13: there is no file ci/ci/b.yml in this repository: a path begins in the folder of the file that includes it, write \"/ci/b.yml\" to begin at the root of the repository\n")
}

// What is wrong with the way in which a template is included is said in words that help.
func TestInclusionMistakes(t *testing.T) {
	t.Parallel()
	check(t, "templates that include each other", `
-- p.yml --
steps:
- template: t.yml
-- t.yml --
steps:
- template: dir/u.yml
-- dir/u.yml --
steps:
- template: ../t.yml
`, "dir/u.yml:2:13: templates include each other more than 100 deep: t.yml includes dir/u.yml includes t.yml\n")
	check(t, "templates that extend each other", `
-- p.yml --
extends:
  template: t.yml
-- t.yml --
extends:
  template: u.yml
-- u.yml --
extends:
  template: t.yml
`, "u.yml:2:13: templates include each other more than 100 deep: t.yml includes u.yml includes t.yml\n")
	check(t, "an address in place of a path", `
-- p.yml --
steps:
- template: https://example.com/t.yml
`, "p.yml:2:13: template \"https://example.com/t.yml\" is no path: a template is a file of this repository, or with PATH@ALIAS of one under resources.repositories\n")
	check(t, "a condition beside a template", `
-- p.yml --
steps:
- template: t.yml
  condition: always()
-- t.yml --
steps:
- script: a
`, "p.yml:3:3: unknown key \"condition\" beside template: a template is given parameters alone; it may read one as its own condition, or stand below ${{ if }}\n")
	check(t, "all that is wrong in one text", `
-- p.yml --
steps:
- script: |
    echo ${{ parameters.x }}
    echo ${{ 'a' + 'b' }} ${{ eq(1) }}
    echo ${{ true }}
`, `p.yml:3:14: parameter "x" is not declared in this file: declare it under parameters
p.yml:4:18: the language has no operator +: it joins texts with format('{0}{1}', a, b), chooses with iif(test, a, b), and does not calculate
p.yml:4:31: eq takes 2 arguments, not 1
`)
}

// The templates of a parameter's steps begin where they are put in, in the repository of that file: Azure's error in
// microsoft/azure-pipelines-yaml issue 271 says so, and microsoft/go-images' build-test-publish-repo.yml is written for it.
func TestTemplatesOfParametersBeginInTheIncludingFile(t *testing.T) {
	t.Parallel()
	check(t, "inserted whole, each by itself, and in a job of a parameter", `
-- p.yml --
stages:
- template: common/stages/all.yml
  parameters:
    custom:
    - template: ../../own/steps/one.yml
    jobs:
    - job: B
      steps:
      - template: ../own/steps/one.yml
-- common/stages/all.yml --
parameters:
- {name: custom, type: object}
- {name: jobs, type: object}
stages:
- stage: S
  jobs:
  - template: ../jobs/build.yml
    parameters:
      custom: ${{ parameters.custom }}
  - template: ../more.yml
    parameters: {jobs: "${{ parameters.jobs }}"}
-- common/jobs/build.yml --
parameters: {custom: []}
jobs:
- job: A
  steps:
  - ${{ parameters.custom }}
  - ${{ each one in parameters.custom }}:
    - ${{ one }}
-- common/more.yml --
parameters: [{name: jobs, type: jobList}]
jobs: "${{ parameters.jobs }}"
-- own/steps/one.yml --
steps:
- script: one
`, `
stages:
  - stage: S
    jobs:
      - job: A
        steps:
          - script: one
          - script: one
      - job: B
        steps:
          - script: one
`)
	lib := repositoryOf(`
-- jobs/build.yml --
parameters: {custom: []}
jobs:
- job: A
  steps: "${{ parameters.custom }}"
-- jobs/lib.yml --
steps:
- script: of the library
`)
	got := expanded(`
-- p.yml --
resources: {repositories: [{repository: lib, type: git, name: x/lib}]}
jobs:
- template: jobs/build.yml@lib
  parameters:
    custom:
    - template: lib.yml
    - template: own/one.yml
    - template: /own/one.yml@self
-- own/one.yml --
steps:
- script: one
`, func(in *Input) {
		in.Repository = func(string, *yaml.Node) (Files, error) { return lib, nil }
	})
	if want := "p.yml:7:17: there is no file jobs/own/one.yml in repository lib: the templates of a parameter begin in the folder of the file " +
		"that includes them, jobs/build.yml@lib, write \"/own/one.yml@self\"\n"; got != want {
		t.Errorf("%s", cmp.Diff(want, got))
	}
}
