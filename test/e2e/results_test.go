package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	results  = "results" // the project whose runs leave everything that runs can leave
	manyJobs = 600       // of its pipeline "many"
)

// resultsAreLookedAt has somebody prepare what a pipeline takes, write it in the editor, and look at what its runs leave, in Chromium.
func resultsAreLookedAt(t *testing.T, i *installation) {
	i.createProject(t, results)
	work := i.clone(t, results)
	if err := os.CopyFS(work, os.DirFS("testdata/results")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(work, "make"), 0o755); err != nil {
		t.Fatal(err)
	}
	pipeline := filepath.Join(t.TempDir(), "azure-pipelines.yml")
	if err := os.Rename(filepath.Join(work, "pipeline.yml"), pipeline); err != nil {
		t.Fatal(err)
	}
	var many strings.Builder
	many.WriteString("trigger: none\npr: none\njobs:\n")
	for n := range manyJobs {
		fmt.Fprintf(&many, "- job: j%03d\n  condition: eq(1, 2)\n  steps: [{bash: a}, {bash: b}, {bash: c}]\n", n)
	}
	if err := os.WriteFile(filepath.Join(work, "many.yml"), []byte(many.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, work, nil, "git", "add", "-A")
	run(t, work, nil, "git", "commit", "-q", "-m", "hats")
	run(t, work, nil, "git", "push", "-q", "origin", "main")
	shots := filepath.Join(os.TempDir(), "slipway-screenshots-results")
	t.Log(browse(t, i, "results.mjs", shots, results, pipeline))
	t.Log("screenshots are in " + shots)
}

// runsWait has them look at what runs wait for, and at a run of many jobs; a run by hand waits already.
func runsWait(t *testing.T, i *installation) {
	var made struct{ ID int64 }
	var repository struct{ ID string }
	i.api(t, http.MethodGet, "/"+results+"/_apis/git/repositories/"+results, nil, &repository)
	i.api(t, http.MethodPost, "/"+results+"/_apis/pipelines", map[string]any{"name": "many", "configuration": map[string]any{"type": "yaml", "path": "many.yml",
		"repository": map[string]any{"id": repository.ID, "type": "azureReposGit"}}}, &made)
	i.api(t, http.MethodPost, fmt.Sprintf("/%s/_apis/pipelines/%d/runs", results, made.ID), map[string]any{}, nil)
	shots := filepath.Join(os.TempDir(), "slipway-screenshots-waits")
	t.Log(browse(t, i, "waits.mjs", shots, results, fmt.Sprint(manyJobs)))
	t.Log("screenshots are in " + shots)
}
