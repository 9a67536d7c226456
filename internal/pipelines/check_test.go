package pipelines_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines"
)

// A push is told what is wrong with the file before its run exists, and of warnings if it has changed the file.
func TestCheckOfAPush(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	f := func(name, text string, paths []string, want ...string) {
		t.Helper()
		w.source.text = text
		list, err := w.Check(context.Background(), pipelines.Push{Repository: "r", Ref: "refs/heads/main", After: commit, Paths: paths})
		var got []string
		for _, d := range list {
			got = append(got, d.At().String()+" "+string(d.Severity)+" "+d.Message)
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got)\n%s", name, err, diff)
		}
	}
	f("no file", "", nil)
	f("a file that is fine", "steps: [{script: x}]\n", nil)
	f("a broken file", "trigger: none\nsteps: [{scrip: x}]\n", nil,
		`azure-pipelines.yml:2:10 error a step has one of the keys script, bash, pwsh, powershell, checkout, publish, upload, download, downloadBuild, task, did you mean "script"?`)
	warned := "steps: [{task: CopyFiles@2, inputs: {targetFolder: x, retryCountOnTaskFailure: 3}}]\n"
	f("warnings of a file that is not changed", warned, []string{"README.md"})
	f("warnings of a file that is", warned, []string{"azure-pipelines.yml"},
		`azure-pipelines.yml:1:55 warning task CopyFiles@2 has no input "retryCountOnTaskFailure", so it has no effect`)
	f("a parameter that a person gives", "parameters: [{name: a}]\nsteps: [{script: '${{ parameters.a }}'}]\n", nil)
	if list, err := w.Check(context.Background(), pipelines.Push{Repository: "r", Ref: "refs/tags/v1", After: commit}); err != nil || len(list) > 0 {
		t.Errorf("a tag: %v %v", list, err)
	}
	// The run that follows says the same.
	if runs := w.push("steps: [{scrip: x}]\n"); len(runs) != 1 || len(runs[0].Problems) != 1 || !strings.Contains(runs[0].Problems[0].Message, "script") {
		t.Errorf("%+v", runs)
	}
}
