package web

import (
	"io"
	"net/url"
	"strings"
	"testing"

	"slipway/internal/pipelines"
)

// What is one name is typed on one line; only what has parts is YAML. The branch's file is read as soon as another branch is written.
func TestRunFormOfOtherTypes(t *testing.T) {
	t.Parallel()
	s := newPipelineSite(t)
	s.push(`
parameters:
- {name: where, type: environment, default: dev}
- {name: on, type: pool, default: ubuntu-latest}
- {name: mine, type: pool, default: {vmImage: ubuntu-latest}}
stages:
- stage: Build
  trigger: manual
  jobs: [{job: make, pool: {vmImage: "${{ parameters.on }}"}, steps: [{bash: "echo ${{ parameters.where }} ${{ parameters.mine.vmImage }}"}]}]
`)
	s.get("/_build/queue?definitionId=1", `<input name="parameter.where" value="dev"`, `<input name="parameter.on" value="ubuntu-latest"`,
		`<textarea name="parameter.mine"`, `data-submit`)
	s.get("/_build/results?buildId=1", "Waits until somebody starts it")
}

// As in Azure Pipelines, any of the values of a stringList can be ticked.
func TestRunFormOfStringLists(t *testing.T) {
	t.Parallel()
	s, ctx := newPipelineSite(t), t.Context()
	s.push(`
parameters:
- {name: regions, displayName: Where <to>, type: stringList, values: [eu, us, ap], default: [us, ap]}
- {name: free, type: stringList, default: [x]}
steps:
- bash: go ${{ join('+', parameters.regions) }} ${{ join('+', parameters.free) }}
`)
	s.get("/_build/queue?definitionId=1", "<legend>Where &lt;to&gt;</legend>", `name="lists" value="regions"`, `value="eu"> eu`, `value="us" checked> us`, `value="ap" checked> ap`,
		`<textarea name="parameter.free"`)
	form := url.Values{"full": {"1"}, "pipeline": {"1"}, "branch": {"main"}, "lists": {"regions"}, "parameter.regions": {"eu", "mars"}, "parameter.free": {"[y, z]"}}
	resp, err := s.client.PostForm(s.server.URL+"/Shop/_build/queue", form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"parameter &#34;regions&#34; may be eu, us, ap", `value="eu" checked> eu`, `value="us"> us`} {
		if !strings.Contains(string(body), text) {
			t.Errorf("the form after a mistake has no %q:\n%s", text, body)
		}
	}
	for _, c := range []struct {
		ticked []string
		script string
	}{{[]string{"eu", "ap"}, "go eu+ap y+z"}, {nil, "go  y+z"}} {
		form["parameter.regions"] = c.ticked
		s.post("/_build/queue", form)
		runs, err := s.List(ctx, pipelines.RunFilter{})
		if err != nil {
			t.Fatal(err)
		}
		tl, err := s.Timeline(ctx, runs[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		a, err := s.Assign(ctx, tl.Stages[0].Jobs[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Steps[len(a.Steps)-1].Script.Text; got != c.script {
			t.Errorf("the script is %q, want %q", got, c.script)
		}
	}
}
