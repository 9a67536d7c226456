package compile

import "testing"

// Where `$[ ]` is evaluated says "Runtime expression syntax" of Microsoft's page Define variables: as the whole value of a variable,
// and in conditions.
func TestRule4WarnsOfRuntimeExpressionsThatStayText(t *testing.T) {
	t.Parallel()
	warned(t, "in steps", `
variables: {a: b, part: "x $[ variables.a ]", whole: "$[ variables.a ]"}
jobs:
- job: A
  displayName: $[ variables.a ]
  timeoutInMinutes: $[ variables.a ]
  steps:
  - script: echo $[ variables['a'] ] $[ 1 + 2 ] $[x] $['abc']
    displayName: is $[ eq(variables.a, 'b') ]
    env: {X: "$[ dependencies.B.outputs['s.v'] ]"}
    continueOnError: $[ variables.a ]
    condition: $[ eq(variables.a, 'b') ]
  - task: Docker@2
    inputs: {command: login, containerRegistry: "$[ variables.a ]"}
`, `
p.yml:1:28: $[ ] is evaluated only where it is the whole value, so it stays as it is written: write $[ format('…{0}', …) ], or a variable of its own whose macro stands here
p.yml:4:16: $[ ] is not evaluated here, so it stays as it is written: write $(a)
p.yml:7:18: $[ ] is not evaluated here, so it stays as it is written: write $(a)
p.yml:8:21: $[ ] is not evaluated here, so it stays as it is written: make it the value of a variable, and write that variable's macro here
p.yml:9:15: $[ ] is not evaluated here, so it stays as it is written: make it the value of a variable, and write that variable's macro here
p.yml:13:50: $[ ] is not evaluated here, so it stays as it is written: write $(a)
`)
}

// "You overwrite the default condition succeeded()": Microsoft's page Specify conditions.
func TestRule14WarnsOfConditionsThatDropSucceeded(t *testing.T) {
	t.Parallel()
	const drops = " also runs after a failure or a cancel, since its condition takes the place of succeeded(): write and(succeeded(), …), or and(always(), …) if that is meant\n"
	warned(t, "all levels", `
stages:
- stage: A
  condition: eq(variables.a, 'b')
  jobs:
  - job: One
    condition: eq(variables.a, 'b')
    steps:
    - checkout: self
      condition: eq(variables.a, 'b')
    - script: x
      condition: eq(variables.a, 'b')
    - script: x
      condition: eq(variables.a, 'b')
    - script: x
      condition: and(always(), eq(variables.a, 'b'))
    - script: x
      condition: false
    - script: x
      condition: eq(variables['Agent.JobStatus'], 'Failed')
  - job: Two
    dependsOn: One
    condition: eq(variables.a, 'b')
    steps: [{script: x}]
  - job: Three
    dependsOn: One
    condition: in(dependencies.One.result, 'Failed', 'Skipped')
    steps: [{script: x}]
- stage: B
  condition: eq(variables.a, 'b')
  jobs: [{job: J, steps: [{script: x}]}]
`, "p.yml:13:18: the step"+drops+"p.yml:22:16: job Two"+drops+"p.yml:29:14: stage B"+drops)
}
