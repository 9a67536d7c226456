package api_test

import (
	"strings"
	"testing"

	"github.com/microsoft/azure-devops-go-api/azuredevops/v7"
	client "github.com/microsoft/azure-devops-go-api/azuredevops/v7/pipelines"

	"slipway/internal/pipelines"
)

// Azure DevOps' own Go client previews another file, with parameters, and gets its mistakes.
func TestPreviewByAzureDevOpsClient(t *testing.T) {
	t.Parallel()
	w, s, token := pipelineWorld(t)
	ctx := t.Context()
	c := client.NewClient(ctx, azuredevops.NewPatConnection(w.url, token))
	project, pipeline, yes := "Shop", 1, true
	preview := func(file string, parameters map[string]string) (string, error) {
		run, err := c.Preview(ctx, client.PreviewArgs{Project: &project, PipelineId: &pipeline,
			RunParameters: &client.RunPipelineParameters{PreviewRun: &yes, YamlOverride: &file, TemplateParameters: &parameters}})
		if err != nil {
			return "", err
		}
		return *run.FinalYaml, nil
	}
	file := "parameters:\n- {name: who, type: string}\n- {name: list, type: object, default: []}\nsteps:\n- ${{ each one in parameters.list }}:\n  - bash: echo ${{ parameters.who }} ${{ one }}\n"
	got, err := preview(file, map[string]string{"who": "Grüße", "list": "[a, b]"})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"echo Grüße a", "echo Grüße b"} {
		if !strings.Contains(got, text) {
			t.Errorf("the preview has no %q:\n%s", text, got)
		}
	}
	if strings.Contains(got, "${{") {
		t.Errorf("the preview has expressions left:\n%s", got)
	}
	_, err = preview("steps:\n- scripd: x\n- script: ${{ parameters.who }}\n", map[string]string{})
	if err == nil {
		t.Fatal("a broken file is previewed")
	}
	for _, text := range []string{"azure-pipelines.yml:2:3: ", `did you mean "script"?`, "azure-pipelines.yml:3:15: "} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q has no %q", err, text)
		}
	}
	if runs, err := s.List(ctx, pipelines.RunFilter{}); err != nil || len(runs) != 0 {
		t.Errorf("a preview made %d runs, %v", len(runs), err)
	}
}
