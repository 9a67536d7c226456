package jobserver_test

import "testing"

// The expected places are those of azure-pipelines-agent: PipelineArtifactPluginV2.cs chooses between one artifact and several, and FileContainerProvider.cs
// joins folder and name.
func TestDownloadsOfSeveralArtifacts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tl := w.completed(w.one(w.push(`
steps:
- checkout: none
- bash: mkdir a && echo 1 > a/x.txt && echo 2 > a/y.txt
- publish: a
  artifact: first
- publish: a
  artifact: second
- download: current
  path: $(Pipeline.Workspace)/several
  patterns: |
    first/x.txt
    **/y.txt
- download: current
  artifact: second
  path: $(Pipeline.Workspace)/one
  patterns: x.txt
- task: DownloadPipelineArtifact@2
  inputs: {artifact: second, path: below, patterns: y.txt}
- bash: cd $(Pipeline.Workspace) && find several one s/below -type f | LC_ALL=C sort
  displayName: look
`)))
	w.has(w.log(w.job(tl, "__default.Job"), "look"), "one/x.txt\ns/below/y.txt\nseveral/first/x.txt\nseveral/first/y.txt\nseveral/second/y.txt\n")
}
