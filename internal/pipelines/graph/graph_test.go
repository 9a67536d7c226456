package graph

import (
	"io/fs"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/compile"
)

type oneFile string

func (f oneFile) ReadFile(path string) ([]byte, error) {
	if path != "azure-pipelines.yml" {
		return nil, fs.ErrNotExist
	}
	return []byte(f), nil
}

const file = `
pool: {vmImage: ubuntu-latest}
stages:
- stage: Build
  displayName: Build "it"
  jobs:
  - job: Compile
    steps: [{script: x}, {script: y}]
  - job: Test
    dependsOn: Compile
    strategy: {matrix: {old: {v: 1}, new: {v: 2}}}
    container: golang:1
    services: {db: postgres}
    steps: [{script: x}]
- stage: Lint
  dependsOn: []
  jobs: [{job: A, condition: "always()", steps: [{script: x}]}]
- stage: Deploy
  dependsOn: [Build, Lint]
  trigger: manual
  condition: and(succeeded(),
    eq(variables['x'], 1))
  jobs:
  - deployment: Release
    environment: production.web
    strategy:
      runOnce:
        deploy: {steps: [{script: x}, {script: y}]}
        on: {failure: {steps: [{script: z}]}}
`

func drawn(t *testing.T, f Format) string {
	t.Helper()
	p, err := compile.Compile(compile.Input{Path: "azure-pipelines.yml", Files: oneFile(file)})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := Write(&b, f, Of(p)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestText(t *testing.T) {
	t.Parallel()
	want := `azure-pipelines.yml: 3 stages, 4 jobs, 7 steps
├─ Build “Build "it"”
│  ├─ Compile
│  │    on ubuntu-latest, 2 steps
│  └─ Test, after Compile
│       2 legs (old, new), on ubuntu-latest, in container golang:1, with db, 1 step
├─ Lint
│  └─ A
│       if always()
│       on ubuntu-latest, 1 step
└─ Deploy, after Build and Lint, started by hand
   │    if and(succeeded(), eq(variables['x'], 1))
   └─ Release
        to environment production.web, on ubuntu-latest, deploy 2 steps, failure 1 step
`
	if diff := cmp.Diff(want, drawn(t, Text)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestMermaid(t *testing.T) {
	t.Parallel()
	want := `flowchart LR
  subgraph stage_Build["Build “Build #quot;it#quot;”"]
    job_Build_Compile["Compile<br>on ubuntu-latest, 2 steps"]
    job_Build_Test["Test<br>2 legs (old, new), on ubuntu-latest, in container golang:1, with db, 1 step"]
    job_Build_Compile --> job_Build_Test
  end
  subgraph stage_Lint["Lint"]
    job_Lint_A["A<br>on ubuntu-latest, 1 step"]
  end
  subgraph stage_Deploy["Deploy"]
    job_Deploy_Release["Release<br>to environment production.web, on ubuntu-latest, deploy 2 steps, failure 1 step"]
  end
  stage_Build --> stage_Deploy
  stage_Lint --> stage_Deploy
`
	if diff := cmp.Diff(want, drawn(t, Mermaid)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Graphviz reads it, where it is installed; the edges are those of dependsOn in any case.
func TestDOT(t *testing.T) {
	t.Parallel()
	got := drawn(t, DOT)
	for _, edge := range []string{`"Build.Compile" -> "Build.Test";`, `"Build.Test" -> "Deploy.Release" [ltail="cluster_Build", lhead="cluster_Deploy"];`, `label="Build “Build \"it\"”";`} {
		if !strings.Contains(got, edge) {
			t.Errorf("no %s in\n%s", edge, got)
		}
	}
	if path, err := exec.LookPath("dot"); err == nil {
		cmd := exec.CommandContext(t.Context(), path, "-Tcanon")
		cmd.Stdin = strings.NewReader(got)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
}

func TestUnknownFormat(t *testing.T) {
	t.Parallel()
	if err := Write(&strings.Builder{}, "svg", Graph{}); err == nil || err.Error() != `format "svg": write text, json, dot or mermaid` {
		t.Error(err)
	}
}
