package pipelines_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
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
		`azure-pipelines.yml:2:10 error a step has one of the keys script, bash, pwsh, powershell, checkout, publish, upload, download, downloadBuild, getPackage, reviewApp, task, did you mean "script"?`)
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

// An editor is told what would become of the pipelines if its text were committed.
func TestCheckDraft(t *testing.T) {
	t.Parallel()
	ctx, w := context.Background(), setup(t, dbtest.SQLite(t))
	w.source.other = "steps:\n- script: echo other\n"
	w.push("steps:\n- template: other.yml\n")
	draft := func(path, text string) pipelines.Draft {
		t.Helper()
		d, err := w.CheckDraft(ctx, "r", "refs/heads/main", path, text, ada.Actor)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := draft("azure-pipelines.yml", "steps:\n- template: other.yml\n- script: echo mine\n")
	if len(d.Diagnostics) > 0 || len(d.Pipelines) != 1 || d.Plan == nil || !strings.Contains(d.Expanded, "echo other") || !strings.Contains(d.Expanded, "echo mine") ||
		!strings.Contains(d.Expanded, "# other.yml:2\n") || !strings.Contains(d.Expanded, "# azure-pipelines.yml:3\n") {
		t.Errorf("the pipeline's own file: %+v", d)
	}
	if d = draft("azure-pipelines.yml", "steps:\n- scrip: x\n"); len(d.Diagnostics) != 1 || d.Diagnostics[0].Line != 2 || d.Plan != nil || d.Expanded != "" {
		t.Errorf("a broken one: %+v", d)
	}
	if d = draft("other.yml", "steps:\n- scrip: x\n"); len(d.Pipelines) != 1 || len(d.Diagnostics) != 1 || d.Diagnostics[0].File != "other.yml" {
		t.Errorf("a template: %+v", d)
	}
	if d = draft("README.yml", "- scrip: x\n"); len(d.Pipelines)+len(d.Diagnostics) > 0 {
		t.Errorf("a file that no pipeline reads: %+v", d)
	}
	if _, err := w.CheckDraft(ctx, "r", "refs/heads/main", "azure-pipelines.yml", strings.Repeat("#", 2<<20), ada.Actor); slipway.CodeOf(err) != slipway.CodeLimit {
		t.Errorf("2 MiB: %v", err)
	}
}
