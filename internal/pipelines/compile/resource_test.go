package compile

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/plan"
)

const withPipeline = `
resources:
  pipelines:
  - pipeline: Lib
    source: library ci
    branch: main
    tags: [signed]
    trigger:
      branches: [main]
      stages: [Build]
      tags: [signed]
`

func TestPipelineResources(t *testing.T) {
	t.Parallel()
	p := compiled(t, withPipeline+`
stages:
- stage: S
  jobs:
  - job: J
    steps:
    - download: Lib
      artifact: a
    - task: DownloadPipelineArtifact@2
      inputs: {source: specific, project: $(System.TeamProject), pipeline: library ci, runVersion: latest, preferTriggeringPipeline: true, artifact: b, path: p}
    - task: DownloadBuildArtifacts@0
      inputs: {buildType: specific, project: $(resources.pipeline.Lib.projectID), pipeline: $(resources.pipeline.Lib.pipelineName), buildVersionToDownload: specific,
        allowPartiallySucceededBuilds: true, buildId: $(resources.pipeline.lib.runID), artifactName: c, downloadPath: p}
    - task: DownloadPipelineArtifact@1
      inputs: {buildType: specific, project: $(System.TeamProjectId), pipeline: lib, buildVersionToDownload: latestFromBranch, branchName: $(resources.pipeline.Lib.sourceBranch)}
    - task: DownloadPipelineArtifact@0
      inputs: {pipelineId: $(resources.pipeline.Lib.runID), targetPath: p}
  - deployment: D
    environment: e
    strategy: {runOnce: {deploy: {steps: [{script: x}]}}}
`)
	want := plan.Pipeline{Alias: "Lib", Source: "library ci", Branch: "main", Tags: []string{"signed"}, At: p.Resources.Pipelines[0].At,
		Trigger: &plan.PipelineTrigger{Branches: plan.Filter{Include: []string{"main"}}, Stages: []string{"Build"}, Tags: []string{"signed"}}}
	if diff := cmp.Diff([]plan.Pipeline{want}, p.Resources.Pipelines); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	var got []plan.Download
	for _, steps := range [][]plan.Step{p.Stages[0].Jobs[0].Steps, p.Stages[0].Jobs[1].Deployment.Hooks[0].Steps} {
		for _, s := range steps {
			if s.Download != nil {
				got = append(got, *s.Download)
			}
		}
	}
	downloads := []plan.Download{{Source: "Lib", Artifact: "a"}, {Source: "Lib", Artifact: "b", Patterns: "**", Path: "p"},
		{Source: "Lib", Artifact: "c", Patterns: "**", Path: "p", Folders: true, Clean: "false"}, {Source: "Lib", Patterns: "**", Path: "$(System.ArtifactsDirectory)"},
		{Source: "Lib", Artifact: "drop", Path: "p"},
		{Source: "current", Implicit: true}, {Source: "Lib", Implicit: true}} // a deployment job fetches everything first
	if diff := cmp.Diff(downloads, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A push is judged by the file before it is expanded: what needs templates starts nothing and is no mistake there.
func TestTriggersOfPipelineResources(t *testing.T) {
	t.Parallel()
	tr, err := Triggers("p.yml", []byte(withPipeline+"  - pipeline: B\n    source: other\n  - ${{ if eq(1, 1) }}:\n    - pipeline: C\n      source: third\n      trigger: true\nsteps: []\n"))
	if err != nil || len(tr.Pipelines) != 1 || tr.Pipelines[0].Source != "library ci" || tr.Pipelines[0].Trigger.Stages[0] != "Build" {
		t.Errorf("%+v, %v", tr, err)
	}
}
