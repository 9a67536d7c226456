package template

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"slipway/internal/pipelines/yaml"
)

// archive is a repository of the files of a txtar text.
type archive map[string]string

func (a archive) ReadFile(path string) ([]byte, error) {
	text, ok := a[path]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return []byte(text), nil
}

func repositoryOf(text string) archive {
	a := archive{}
	for _, f := range txtar.Parse([]byte(text)).Files {
		a[f.Name] = string(f.Data)
	}
	return a
}

// expanded is the expansion of p.yml of a txtar text as YAML, or its problems.
func expanded(text string, change func(*Input)) string {
	in := Input{Path: "p.yml", Files: repositoryOf(text), Variables: map[string]string{"Build.Reason": "Manual"}}
	if change != nil {
		change(&in)
	}
	out, err := Expand(in)
	if err != nil {
		return err.Error() + "\n"
	}
	data, err := yaml.Write(out.Root)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func check(t *testing.T, name, in, want string) {
	t.Helper()
	want = strings.TrimLeft(want, "\n")
	if n, err := yaml.Read("want", []byte(want)); err == nil && n.Kind == yaml.Map {
		data, err := yaml.Write(n)
		if err != nil {
			t.Fatal(err)
		}
		want = string(data)
	}
	if diff := cmp.Diff(want, expanded(in, nil)); diff != "" {
		t.Errorf("%s: (-want +got)\n%s", name, diff)
	}
}

func TestRule8Conditions(t *testing.T) {
	t.Parallel()
	check(t, "if merges a map into a map and splices a list into a list", `
-- p.yml --
parameters:
- name: on
  type: boolean
  default: true
variables:
  ${{ if parameters.on }}:
    a: 1
  ${{ else }}:
    a: 2
  b: ${{ variables.a }}
steps:
- ${{ if eq(parameters.on, false) }}:
  - script: one
- ${{ elseif eq(variables['Build.Reason'], 'Manual') }}:
  - script: two
  - script: three
- ${{ else }}:
  - script: four
- script: five
  ${{ if parameters.on }}:
    displayName: it is ${{ parameters.on }}
`, `
variables:
  a: 1
  b: '1'
steps:
  - script: two
  - script: three
  - script: five
    displayName: it is True
`)
	check(t, "else without if", `
-- p.yml --
steps:
- script: x
- ${{ else }}:
  - script: y
`, "p.yml:3:3: else follows an if or elseif in the same collection, here is none before it, or an each, insert or else between\n")
}

func TestRule8Each(t *testing.T) {
	t.Parallel()
	check(t, "lists, maps, nested, insert", `
-- p.yml --
parameters:
- name: envs
  type: object
  default:
    dev: [a, b]
    prod: [c]
jobs:
- ${{ each env in parameters.envs }}:
  - ${{ each app in env.value }}:
    - job: ${{ env.key }}_${{ app }}
      variables:
        ${{ insert }}:
          env: ${{ env.key }}
      steps: []
`, `
jobs:
  - job: dev_a
    variables:
      env: dev
    steps: []
  - job: dev_b
    variables:
      env: dev
    steps: []
  - job: prod_c
    variables:
      env: prod
    steps: []
`)
}

func TestRule7WholeValuesKeepTheirShape(t *testing.T) {
	t.Parallel()
	check(t, "objects and lists", `
-- p.yml --
parameters:
- name: pool
  type: object
  default: {vmImage: ubuntu-latest}
- name: more
  type: stepList
  default:
  - script: given
- name: flag
  type: boolean
  default: false
pool: ${{ parameters.pool }}
steps:
- script: before
- ${{ parameters.more }}
- script: echo ${{ parameters.flag }}
`, `
pool:
  vmImage: ubuntu-latest
steps:
  - script: before
  - script: given
  - script: echo False
`)
	check(t, "an object in text", `
-- p.yml --
parameters:
- name: o
  type: object
  default: {a: 1}
steps:
- script: echo ${{ parameters.o }}
`, "p.yml:6:16: an object cannot stand inside text: write it alone, or use convertToJson or join\n")
}

func TestRule2CompileTimeSeesLiteralText(t *testing.T) {
	t.Parallel()
	check(t, "a macro is its own text, an undefined variable is empty", `
-- p.yml --
variables:
  a: $(b)
steps:
- script: x
  displayName: ${{ eq(variables.a, 'b') }} ${{ variables.a }} [${{ variables.nothing }}]
`, `
variables:
  a: $(b)
steps:
  - script: x
    displayName: False $(b) []
`)
}

func TestRule28Parameters(t *testing.T) {
	t.Parallel()
	check(t, "every mistake in one pass", `
-- p.yml --
steps:
- template: t.yml
  parameters:
    nmae: x
    count: many
    flag: maybe
    color: pink
    list: text
- template: t.yml
-- t.yml --
parameters:
- name: name
- name: count
  type: number
  default: 1
- name: flag
  type: boolean
  default: false
- name: color
  type: string
  default: red
  values: [red, green]
- name: list
  type: stepList
  default: []
steps:
- script: ${{ parameters.name }}
`, `
p.yml:2:13: parameter "name" of t.yml has no default and is not given
p.yml:4:5: t.yml has no parameter "nmae", did you mean "name"?
p.yml:5:12: parameter "count" is a number, "many" is not
p.yml:6:11: parameter "flag" is a boolean, "maybe" is not
p.yml:7:12: parameter "color" may be red, green, not "pink"
p.yml:8:11: parameter "list" is a list (stepList), "text" is not
p.yml:9:13: parameter "name" of t.yml has no default and is not given
`)
	check(t, "the old map form is untyped; parameters are not visible to nested templates", `
-- p.yml --
steps:
- template: t.yml
  parameters:
    flag: false
    extra: e
-- t.yml --
parameters:
  flag: true
  name: default
steps:
- ${{ if eq(parameters.flag, 'false') }}:
  - script: ${{ parameters.name }}-${{ parameters.extra }}
- template: u.yml
-- u.yml --
steps:
- script: "[${{ parameters.name }}]"
`, `
steps:
  - script: default-e
  - script: '[]'
`)
}

func TestRunTimeParameters(t *testing.T) {
	t.Parallel()
	got := expanded(`
-- p.yml --
parameters:
- name: image
- name: n
  type: number
  default: 3.10
- name: list
  type: object
  default: []
steps:
- script: ${{ parameters.image }} ${{ parameters.n }} ${{ join(',', parameters.list) }}
`, func(in *Input) {
		in.Parameters = map[string]any{"IMAGE": "debian", "list": []any{"a", 1.5, true}}
	})
	if want := "steps:\n- script: debian 3.10 a,1.5,true\n"; got != want {
		t.Errorf("%s", cmp.Diff(want, got))
	}
	got = expanded("-- p.yml --\nparameters:\n- name: list\n  type: object\nsteps:\n- script: ${{ join(',', parameters.list) }}\n", func(in *Input) {
		in.Parameters = map[string]any{"list": "[a, b]"}
	})
	if want := "steps:\n- script: a,b\n"; got != want {
		t.Errorf("%s", cmp.Diff(want, got))
	}
}

func TestRule29Paths(t *testing.T) {
	t.Parallel()
	check(t, "relative to the including file, a slash is the root, @self", `
-- p.yml --
stages:
- template: ci/stages.yml
-- ci/stages.yml --
stages:
- stage: A
  jobs:
  - template: jobs/build.yml
-- ci/jobs/build.yml --
jobs:
- job: B
  variables:
  - template: /vars.yml
  - name: z
    value: ${{ variables.x }}
  steps:
  - template: ../steps.yml@self
-- ci/steps.yml --
steps:
- script: ${{ variables.x }}${{ variables.z }}
-- vars.yml --
variables:
  x: X
`, `
stages:
  - stage: A
    jobs:
      - job: B
        variables:
          - name: x
            value: X
          - name: z
            value: X
        steps:
          - script: XX
`)
	check(t, "refusals", `
-- p.yml --
steps:
- template: missing.yml
- template: ../../out.yml
- template: x.yml@other
- template: jobs.yml
- template: 
-- jobs.yml --
jobs: []
`, `
p.yml:2:13: there is no file missing.yml in this repository
p.yml:3:13: template path "../../out.yml" leads out of the repository
p.yml:4:13: no repository "other" is declared under resources.repositories
p.yml:5:13: template jobs.yml stands among steps, but has no key "steps" but jobs
p.yml:6:12: the template has no path
`)
}

func TestOtherRepositories(t *testing.T) {
	t.Parallel()
	const text = `
-- p.yml --
resources:
  repositories:
  - repository: lib
    type: git
    name: lib
steps:
- template: dir/a.yml@lib
`
	check(t, "refused without a resolver", text,
		"p.yml:7:13: templates of other repositories (@lib) cannot be read here: on your machine name its folder with --repository lib=FOLDER, or put the file into this repository and leave @lib out\n")
	lib := repositoryOf(`
-- dir/a.yml --
steps:
- template: b.yml
- template: root.yml@self
-- dir/b.yml --
steps:
- script: b
- bad: ${{ nothing }}
`)
	got := expanded(text+"-- root.yml --\nsteps:\n- script: root\n", func(in *Input) {
		in.Repository = func(string, *yaml.Node) (Files, error) { return lib, nil }
	})
	if want := "dir/b.yml@lib:3:12: unknown value \"nothing\": here are parameters, variables; text stands in single quotes\n"; got != want {
		t.Errorf("%s", cmp.Diff(want, got))
	}
}

func TestRule30Extends(t *testing.T) {
	t.Parallel()
	check(t, "the template gives the stages, the caller its variables and steps", `
-- p.yml --
trigger: none
variables:
  mine: 1
extends:
  template: base.yml
  parameters:
    build:
    - script: build
    - template: inner.yml
-- inner.yml --
steps:
- script: inner
-- base.yml --
parameters:
- name: build
  type: stepList
variables:
- name: theirs
  value: 2
stages:
- stage: S
  jobs:
  - job: J
    steps:
    - script: before ${{ variables.mine }}
    - ${{ each step in parameters.build }}:
      - ${{ step }}
`, `
trigger: none
variables:
  - name: theirs
    value: 2
  - name: mine
    value: 1
stages:
  - stage: S
    jobs:
      - job: J
        steps:
          - script: before 1
          - script: build
          - script: inner
`)
}

func TestEachInjectsIntoSteps(t *testing.T) {
	t.Parallel()
	check(t, "each over the pairs of a step", `
-- p.yml --
parameters:
- name: jobs
  type: jobList
  default:
  - job: A
    steps:
    - script: a
jobs:
- ${{ each job in parameters.jobs }}:
  - ${{ each pair in job }}:
      ${{ if ne(pair.key, 'steps') }}:
        ${{ pair.key }}: ${{ pair.value }}
    steps:
    - script: first
    - ${{ job.steps }}
`, `
jobs:
  - job: A
    steps:
      - script: first
      - script: a
`)
}

func TestRule31Limits(t *testing.T) {
	t.Parallel()
	check(t, "a template that includes itself", `
-- p.yml --
steps:
- template: t.yml
-- t.yml --
steps:
- template: t.yml
`, "t.yml:2:13: templates include each other more than 100 deep: t.yml includes itself\n")
	wide := "-- p.yml --\nsteps:\n"
	for i := range MaxFiles + 1 {
		wide += fmt.Sprintf("- template: t%d.yml\n", i)
	}
	for i := range MaxFiles + 1 {
		wide += fmt.Sprintf("-- t%d.yml --\nsteps: []\n", i)
	}
	check(t, "many files", wide, "p.yml:202:13: the pipeline includes more than 200 files\n")
	check(t, "many inclusions", `
-- p.yml --
steps:
- ${{ each i in split('`+strings.Repeat(",", MaxInclusions)+`', ',') }}:
  - template: t.yml
-- t.yml --
steps: []
`, "p.yml:3:15: the pipeline includes templates more than 5000 times\n")
	many := strings.Repeat("x, ", 400)
	check(t, "each in each in each", `
-- p.yml --
parameters:
- name: l
  type: object
  default: [`+many+`]
steps:
- ${{ each a in parameters.l }}:
  - ${{ each b in parameters.l }}:
    - ${{ each c in parameters.l }}:
      - script: x
`, "p.yml:9:17: the expansion has more than 200000 values\n")
	check(t, "many expressions", `
-- p.yml --
parameters:
- name: l
  type: object
  default: [`+many+`]
steps:
- ${{ each a in parameters.l }}:
  - ${{ each b in parameters.l }}:
    - script: ${{ a }}${{ b }}${{ a }}${{ b }}
`, "p.yml:8:15: the expansion evaluates more than 100000 expressions\n")
	check(t, "long texts", `
-- p.yml --
parameters:
- name: long
  type: string
  default: `+strings.Repeat("x", 500_000)+`
- name: l
  type: object
  default: [`+many+`]
steps:
- ${{ each a in parameters.l }}:
  - script: ${{ parameters.long }} ${{ a }}
`, "p.yml:10:13: the expansion has more than 16777216 bytes\n")
}

func TestExpressionMistakesHavePlaces(t *testing.T) {
	t.Parallel()
	check(t, "in a key, in text, in a block", `
-- p.yml --
steps:
- ${{ if eq(a, 1) }}:
  - script: x
- script: echo ${{ succeeded() }}
- script: |
    one
      two ${{ parameters.x.y == 1 }}
- script: ${{ 'a'
- script: "${{ format('}}') }}"
`, `
p.yml:2:13: unknown value "a": here are parameters, variables; text stands in single quotes
p.yml:4:20: succeeded() is only known when a stage, job or step is about to start: use it in a condition
p.yml:7:30: the language has no operator ==: write eq(a, b)
p.yml:8:11: ${{ has no closing }}
`)
}

func TestExpandIsIdempotent(t *testing.T) {
	t.Parallel()
	text := `
-- p.yml --
parameters:
- name: n
  default: "true"
steps:
- script: |
    if true; then
      echo "${{ parameters.n }}"
    fi
- bash: "echo 'x: y'"
  env:
    A: ${{ parameters.n }}
    B: "on"
`
	first := expanded(text, nil)
	second := expanded("-- p.yml --\n"+first, nil)
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("(-first +second)\n%s", diff)
	}
}

func FuzzExpand(f *testing.F) {
	f.Add("steps:\n- ${{ each a in parameters.b }}:\n  - script: ${{ a }}\n")
	f.Add("parameters:\n- name: x\n  type: object\n  default: {a: [1]}\n${{ insert }}: ${{ parameters.x }}\n")
	f.Add("variables:\n  ${{ if true }}:\n    a: b\njobs:\n- template: p.yml\n")
	f.Fuzz(func(t *testing.T, in string) {
		out, err := Expand(Input{Path: "p.yml", Files: archive{"p.yml": in}})
		if err != nil {
			problems, ok := err.(yaml.Problems)
			if !ok {
				t.Fatalf("not problems: %v", err)
			}
			for _, p := range problems {
				if p.Position == nil || p.Position.File == "" || p.Position.Line < 1 || p.Position.Column < 1 {
					t.Fatalf("no place: %v", p)
				}
			}
			return
		}
		if strings.Contains(in, "${{") {
			return
		}
		if _, err := yaml.Write(out.Root); err != nil {
			t.Fatal(err)
		}
	})
}
