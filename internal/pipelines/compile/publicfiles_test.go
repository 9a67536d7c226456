package compile

import "testing"

func TestWarnsOfBracesThatStayBraces(t *testing.T) {
	t.Parallel()
	warned(t, "patterns whose braces Azure's tasks do not expand, too", `
steps:
- task: CopyFiles@2
  inputs:
    contents: |
      **/*.{js,ts}
      !**/{1..3}
    targetFolder: a
- task: CopyFiles@2
  inputs: {contents: '${a,b} {one} $(x) a{b}.js', targetFolder: a}
- task: DeleteFiles@1
  inputs: {contents: '*.{js,ts}'}
- task: PublishTestResults@2
  inputs: {testResultsFiles: 'TEST-{1..3}.xml'}
- download: current
  artifact: drop
  patterns: '{a,b}/**'
`, `
p.yml:4:5: {js,ts} stands for itself in this pattern, which matches no name without braces: write a line for each, or @(js|ts)
p.yml:13:12: {1..3} stands for itself in this pattern, which matches no name without braces: write a line for each
p.yml:16:13: {a,b} stands for itself in this pattern, which matches no name without braces: write a line for each, or @(a|b)
`)
}

// FileTransform@1.206.0 of Azure/data-api-builder, .pipelines/dwsql-pipelines.yml.
func TestWholeVersionsOfTasks(t *testing.T) {
	t.Parallel()
	p := warned(t, "a whole version", `
steps:
- task: CopyFiles@2.198.0
  inputs: {targetFolder: a}
`, `
p.yml:2:9: only the major version of a task is chosen, so this is CopyFiles@2
`)
	if s := p.Stages[0].Jobs[0].Steps; s[len(s)-1].Task == nil || s[len(s)-1].Task.Major != 2 {
		t.Errorf("steps %+v", s)
	}
}

// As lmatuo/devops-azure-pipelines-templates has it: the variables of the root say whose artifacts are taken.
func TestSourceOfADownloadByVariable(t *testing.T) {
	t.Parallel()
	p := compiled(t, `
variables:
- {name: from, value: specific}
- {name: From, value: current}
- {name: other, value: specific}
steps:
- task: DownloadPipelineArtifact@2
  inputs: {source: $(from), path: a}
- task: DownloadPipelineArtifact@2
  inputs: {source: $(other), pipeline: shop, runVersion: latest, path: a}
`)
	steps := p.Stages[0].Jobs[0].Steps
	if got := steps[len(steps)-2].Download.Source + ", " + steps[len(steps)-1].Download.Source; got != "current, latest of shop" {
		t.Errorf("the sources are %s", got)
	}
}

// A strategy may be maxParallel alone (Azure's schema of jobStrategy requires no matrix), as in stages/cleanup.yml of
// Mauwii/azure-pipelines-with-github-repo; checkout: none is a step, as in stages/setup-service-connections.yml of dotnet/dotnet-docker.
func TestTakesJobsThatHaveLittle(t *testing.T) {
	t.Parallel()
	p := warned(t, "no matrix, and no step but checkout: none", `
jobs:
- job: Alone
  strategy: {maxParallel: 1}
  steps: [{script: x}]
- job: Empty
  steps: [{checkout: none}]
`, `
p.yml:3:14: maxParallel has no effect without a matrix, since the job is one
`)
	jobs := p.Stages[0].Jobs
	if len(jobs) != 2 || jobs[0].Strategy != nil || len(jobs[1].Steps) != 0 {
		t.Errorf("two jobs without legs, the second without steps, not %+v", jobs)
	}
}
