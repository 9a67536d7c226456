package template

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What `${{ }}` does not see is rule 2, and the column "Available in templates?" of Microsoft's page Predefined variables.
func TestRule2WarnsOfTestsThatComeTooEarly(t *testing.T) {
	t.Parallel()
	const text = `
-- p.yml --
variables:
  static: b
  counted: $[ counter('x', 1) ]
  other: $(static)
steps:
- script: echo "##vso[task.setvariable variable=late]1"
- ${{ if eq(variables['late'], '1') }}:
  - script: x
- ${{ if eq(variables.counted, '1') }}:
  - script: x
- ${{ elseif eq(variables.other, 'b') }}:
  - script: x
- ${{ if eq('$(static)', 'b') }}:
  - script: x
- ${{ if eq(variables['System.PullRequest.PullRequestId'], '') }}:
  - script: x
- ${{ if and(eq(variables.static, 'b'), eq(variables.given, 'c'), eq(variables['Build.Reason'], 'Manual')) }}:
  - script: ${{ variables.counted }}
- template: t.yml
  parameters: {where: $(static)}
-- t.yml --
parameters: [{name: where, type: string}]
steps:
- ${{ if eq(parameters.where, 'b') }}:
  - script: ${{ parameters.where }}
`
	out, err := Expand(Input{Path: "p.yml", Files: repositoryOf(text), Variables: map[string]string{"Build.Reason": "Manual"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range out.Warnings {
		got = append(got, w.At.String()+": "+w.Message)
	}
	want := strings.Split(strings.TrimSpace(`
p.yml:7:13: variable late is set by a step, after ${{ if }} was decided, where it is always empty: write the test as the condition of the step, job or stage
p.yml:9:13: ${{ if }} sees the text $[ ] of variable counted and not its value, which only a run has: write the test as the condition of the step, job or stage
p.yml:11:17: ${{ if }} sees the text $(static) in variable other and not its value, which only a run has: write the test as the condition of the step, job or stage
p.yml:13:13: in ${{ if }} $(static) is this text and not the value of a variable: write variables['static'], or write the test as the condition of the step, job or stage
p.yml:15:13: ${{ if }} is decided before the run exists, where System.PullRequest.PullRequestId is always empty: write the test as the condition of the step, job or stage
t.yml:3:13: ${{ if }} sees the text $(static) that parameter where was given and not the variable's value, which only a run has: write the test as the condition of the step, job or stage
`), "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestDirectivesOfOtherLanguages(t *testing.T) {
	t.Parallel()
	check(t, "words", `
-- p.yml --
parameters: [{name: a, type: boolean, default: true}, {name: list, type: object, default: [x]}]
steps:
- ${{ if parameters.a }}:
  - script: x
- ${{ elif parameters.a }}:
  - script: y
- ${{ else }}:
  - script: z
- ${{ for x in parameters.list }}:
  - script: ${{ x }}
`, "p.yml:5:3: there is no ${{ elif }}: write ${{ elseif }}\np.yml:9:3: there is no ${{ for }}: write ${{ each NAME in LIST }}\n")
	check(t, "the variable of an each", `
-- p.yml --
parameters: [{name: list, type: object, default: [x]}]
steps:
- ${{ each for in parameters.list }}:
  - script: a
    env:
      ${{ for }}: b
`, "steps:\n- script: a\n  env: {x: b}\n")
}
