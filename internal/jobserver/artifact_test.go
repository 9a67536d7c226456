package jobserver_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/schedule"
)

func TestOutputsAndArtifacts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tl := w.completed(w.one(w.push(twoJobs)))
	if tl.Run.Result != schedule.Succeeded {
		t.Fatalf("result %s:\n%s", tl.Run.Result, w.describe(tl))
	}
	if diff := cmp.Diff([]string{"good"}, tl.Run.Tags); diff != "" {
		t.Error(diff)
	}
	make, use := w.job(tl, "__default.make"), w.job(tl, "__default.use")
	if diff := cmp.Diff(map[string]string{"set.answer": "42"}, make.Outputs); diff != "" {
		t.Error(diff)
	}
	// The secret is masked in whatever way it is printed, is no environment variable, and an unknown macro stays.
	if log := w.log(make, "use"); !strings.Contains(log, "plain=a b answer=42 macro=*** env=[] mapped=*** undefined=") || strings.Contains(log, "swordfish") {
		t.Errorf("log of use:\n%s", log)
	}
	if log := w.log(make, "set"); strings.Contains(log, "]swordfish-1") || strings.Contains(log, "]swordfish-2") {
		t.Errorf("log of set shows the secret:\n%s", log)
	}
	if log := w.log(use, "look"); !strings.Contains(log, "got 42\ntwo\nexecutable\n") {
		t.Errorf("log of look:\n%s", log)
	}
	files, err := w.ArtifactFiles(context.Background(), tl.Run.ID, "drop")
	if err != nil || len(files) != 2 {
		t.Fatalf("files %v, %v", files, err)
	}
	r, size, err := w.OpenArtifactFile(context.Background(), tl.Run.ID, "DROP", "deep/two.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if b, err := io.ReadAll(r); err != nil || string(b) != "two\n" || size != 4 {
		t.Errorf("file %q of %d bytes, %v", b, size, err)
	}
}

// The older task puts each artifact into a folder of its name, and its patterns begin with that.
func TestDownloadBuildArtifacts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.one(w.push(`
jobs:
- job: make
  steps:
  - bash: mkdir -p one/deep two && echo 1 > one/deep/a.txt && echo 1 > one/b.log && echo 2 > two/a.txt
  - task: PublishBuildArtifacts@1
    inputs: {PathtoPublish: one, ArtifactName: one}
  - task: PublishPipelineArtifact@0
    inputs: {targetPath: two, artifactName: two}
- job: use
  dependsOn: make
  steps:
  - checkout: none
  - bash: mkdir -p $(System.ArtifactsDirectory) got && touch $(System.ArtifactsDirectory)/old got/old
  - task: DownloadBuildArtifacts@0
    inputs: {artifactName: one, cleanDestinationFolder: true}
  - task: DownloadBuildArtifacts@1
    inputs:
      downloadType: specific
      downloadPath: got
      itemPattern: |
        **/*.txt
        !two/**
  - task: DownloadPipelineArtifact@1
    inputs: {artifactName: two, targetPath: direct}
  - bash: |
      cd $(System.ArtifactsDirectory) && find . -type f | sort
      cd $(Build.SourcesDirectory) && find got -type f | sort
      cd $(Build.SourcesDirectory) && find direct -type f; echo of $(BuildNumber)
    displayName: look
`))
	tl := w.completed(id)
	if tl.Run.Result != schedule.Succeeded {
		t.Fatalf("result %s:\n%s", tl.Run.Result, w.describe(tl))
	}
	tl2 := w.completed(w.one(w.push(fmt.Sprintf(`
steps:
- task: DownloadBuildArtifacts@0
  inputs: {buildType: specific, project: $(System.TeamProject), pipeline: shop, buildVersionToDownload: specific, buildId: %d, artifactName: two, downloadPath: old}
- bash: find old -type f; echo of $(BuildNumber)
  displayName: look
- task: DownloadPipelineArtifact@0
  displayName: no run
  inputs: {pipelineId: $(Build.SourceBranchName), targetPath: x}
`, id))))
	if log := w.log(w.job(tl2, "__default.Job"), "look"); !strings.Contains(log, fmt.Sprintf("\nold/two/a.txt\nof %d\n", id)) {
		t.Errorf("log:\n%s\n%s", log, w.describe(tl2))
	}
	if log := w.log(w.job(tl2, "__default.Job"), "no run"); !strings.Contains(log, "##[error]Artifacts are downloaded of a run by its number, not \"main\".\n") {
		t.Errorf("log:\n%s", log)
	}
	want := fmt.Sprintf("\n./one/b.log\n./one/deep/a.txt\ngot/old\ngot/one/deep/a.txt\ndirect/a.txt\nof %d\n", id)
	if log := w.log(w.job(tl, "__default.use"), "look"); !strings.Contains(log, want) {
		t.Errorf("log:\n%s, want\n%s", log, want)
	}
}

// StoreAsTar and extractTars do what publishbuildartifacts.ts and file_helper.ts of microsoft/azure-pipelines-tasks do: NAME.tar in the artifact, and
// its contents in the folder NAME in its place. GNU tar looks at what is stored.
func TestStoreAsTar(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.one(w.push(`
jobs:
- job: make
  steps:
  - bash: mkdir -p out/bin out/empty && echo run > out/bin/tool && chmod 750 out/bin/tool && ln -s bin/tool out/link && echo plain > plain.txt
  - task: PublishBuildArtifacts@1
    inputs: {PathtoPublish: out, ArtifactName: drop, StoreAsTar: true}
  - task: PublishBuildArtifacts@1
    inputs: {PathtoPublish: plain.txt, ArtifactName: one, StoreAsTar: $(tar)}
  - task: PublishBuildArtifacts@1
    inputs: {PathtoPublish: plain.txt, ArtifactName: none, storeAsTar: false}
- job: use
  dependsOn: make
  steps:
  - checkout: none
  - task: DownloadBuildArtifacts@1
    inputs: {artifactName: drop, downloadPath: packed}
  - task: DownloadBuildArtifacts@0
    inputs: {downloadType: specific, downloadPath: got, extractTars: true}
  - task: DownloadBuildArtifacts@0
    displayName: nothing to unpack
    inputs: {artifactName: none, downloadPath: other, extractTars: true}
  - bash: |
      tar tf packed/drop/drop.tar | sed 's|^\./||; s|/$||' | grep . | sort
      find got -mindepth 1 -printf '%P %y %l\n' | sort
      stat -c %a got/drop/bin/tool; cat got/drop/link got/one/plain.txt
    displayName: look
variables: {tar: true}
`))
	tl := w.completed(id)
	if tl.Run.Result != schedule.Succeeded {
		t.Fatalf("result %s:\n%s", tl.Run.Result, w.describe(tl))
	}
	want := "\nbin\nbin/tool\nempty\nlink\n" +
		"drop d \ndrop/bin d \ndrop/bin/tool f \ndrop/empty d \ndrop/link l bin/tool\nnone d \nnone/plain.txt f \none d \none/plain.txt f \n750\nrun\nplain\n"
	if log := w.log(w.job(tl, "__default.use"), "look"); !strings.Contains(log, want) {
		t.Errorf("log:\n%s, want\n%s", log, want)
	}
	if log := w.log(w.job(tl, "__default.use"), "nothing to unpack"); !strings.Contains(log, "extractTars has no effect: no tar file was downloaded.\n") {
		t.Errorf("log:\n%s", log)
	}
}
