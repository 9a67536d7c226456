package e2e

import (
	"archive/zip"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// elsewhere is a registry that nobody reaches but through the server.
const elsewhere = "registry.invalid:5000"

// imagesOfElsewhere builds and deploys with images of Docker Hub and of another registry, of which there are copies here and nothing else any
// more; then it looks at what is in the image that was built, and has the project's policy refuse it.
func imagesOfElsewhere(t *testing.T, i *installation) {
	copyThroughUpstreams(t, i)
	work := i.clone(t, drill)
	for file, text := range map[string]string{
		"Dockerfile": "FROM mirrored:1\nRUN mkdir -p /app/node_modules/minimist && echo '{\"name\":\"minimist\",\"version\":\"1.2.5\"}' >/app/node_modules/minimist/package.json\n",
		"web.yaml":   mirroredPods,
	} {
		if err := os.WriteFile(filepath.Join(work, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	id := pushPipeline(t, i, work, mirroredPipeline)
	awaitResult(t, i, id, "succeeded", 5*time.Minute)
	lookAtBuild(t, i, id)
	images := i.kubectl(t, "-n", drill+"-looked-at", "get", "pods", "-l", "app=mirrored", "-o", "jsonpath={.items[*].spec.initContainers[*].image} {.items[*].spec.containers[*].image}")
	for _, want := range []string{"docker.io/library/mirrored:1", elsewhere + "/team/tool:1", i.server + "/" + drill + "/mirrored@sha256:"} {
		if !strings.Contains(images, want) {
			t.Errorf("the pods' images are %s, want %s among them", images, want)
		}
	}
	lookInto(t, i, work, fmt.Sprintf("%s/mirrored:%d", drill, id))
}

// lookAtBuild finds the run's build in the list, with its steps and log, and what it pushed.
func lookAtBuild(t *testing.T, i *installation, id int64) {
	t.Helper()
	list := strings.Split(i.slipway(t, drill, "builds", "--run", fmt.Sprint(id)), "\n")
	if len(list) < 2 || !strings.Contains(list[1], "succeeded") || !strings.Contains(list[1], fmt.Sprintf("%s/mirrored:%d", drill, id)) {
		t.Fatalf("the builds of run %d are\n%s", id, strings.Join(list, "\n"))
	}
	number := strings.Fields(list[1])[0]
	if out := i.slipway(t, drill, "builds", number); !strings.Contains(out, "digest: sha256:") || !strings.Contains(out, "RUN mkdir") {
		t.Errorf("build %s is\n%s", number, out)
	}
	if out := i.slipway(t, drill, "builds", number, "--log"); !strings.Contains(out, "RUN mkdir") || !strings.Contains(out, "steps cached") {
		t.Errorf("the log of build %s is\n%s", number, out)
	}
}

const mirroredPipeline = `
trigger: [main]
stages:
  - stage: Build
    jobs:
      - job: image
        steps:
          - task: Docker@2
            inputs: {command: buildAndPush, containerRegistry: slipway, repository: $(System.TeamProject)/mirrored, Dockerfile: Dockerfile, tags: $(Build.BuildId)}
          - bash: docker scan $(System.TeamProject)/mirrored:$(Build.BuildId) || true
  - stage: Deploy
    jobs:
      - deployment: mirrored
        environment: looked-at
        strategy:
          runOnce:
            deploy:
              steps:
                - checkout: self
                - task: KubernetesManifest@1
                  inputs: {action: deploy, manifests: web.yaml, containers: '$(System.TeamProject)/mirrored:$(Build.BuildId)'}
`

const mirroredPods = `apiVersion: apps/v1
kind: Deployment
metadata: {name: mirrored}
spec:
  selector: {matchLabels: {app: mirrored}}
  template:
    metadata: {labels: {app: mirrored}}
    spec:
      terminationGracePeriodSeconds: 0
      initContainers:
        - {name: hub, image: "docker.io/library/mirrored:1", command: [sh, -c, "echo hub"]}
        - {name: other, image: "` + elsewhere + `/team/tool:1", command: [sh, -c, "echo other"]}
      containers:
        - {name: built, image: "drill/mirrored", command: [sh, -c, "sleep 3600"]}
`

// copyThroughUpstreams pulls an image of each of two registries through the server, and ends both.
func copyThroughUpstreams(t *testing.T, i *installation) {
	t.Helper()
	fake := httptest.NewServer(registry.New())
	defer fake.Close()
	admin := remote.WithAuth(&authn.Basic{Username: "admin", Password: i.Token})
	reference := func(text string) name.Reference {
		t.Helper()
		ref, err := name.ParseReference(text, name.Insecure)
		if err != nil {
			t.Fatal(err)
		}
		return ref
	}
	base, err := remote.Image(reference(i.server+"/library/busybox:latest"), admin)
	if err != nil {
		t.Fatal(err)
	}
	for upstream, image := range map[string]string{"docker.io": "library/mirrored:1", elsewhere: "team/tool:1"} {
		if err := remote.Write(reference(strings.TrimPrefix(fake.URL, "http://")+"/"+image), base); err != nil {
			t.Fatal(err)
		}
		run(t, i.top, nil, filepath.Join(i.top, "bin", "slipway"), "registry", "upstreams", "set", upstream, "--data", i.data, "--url", fake.URL)
		pulled, err := remote.Image(reference(i.server+"/"+strings.ReplaceAll(upstream, ":", "_")+"/"+image), admin)
		if err == nil {
			err = validate.Image(pulled)
		}
		if err != nil {
			t.Fatalf("pull %s/%s through the server: %v", upstream, image, err)
		}
	}
}

// minimistRecord is the advisory as osv.dev has it, shortened.
const minimistRecord = `{"id":"GHSA-xvch-5gv4-984h","aliases":["CVE-2021-44906"],"summary":"Prototype Pollution in minimist","modified":"2024-01-01T00:00:00Z",
	"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
	"affected":[{"package":{"ecosystem":"npm","name":"minimist"},"ranges":[{"type":"SEMVER","events":[{"introduced":"1.0.0"},{"fixed":"1.2.6"}]}]}]}`

// lookInto asks the command line what is in the image, makes a policy that does not accept it, and an exception that does.
func lookInto(t *testing.T, i *installation, work, image string) {
	slipway := filepath.Join(i.top, "bin", "slipway")
	if out := run(t, i.top, nil, slipway, "verify", image, "--data", i.data); !strings.Contains(out, i.url()+"/"+drill+"/_git/"+drill+"//azure-pipelines.yml@refs/heads/main") {
		t.Errorf("slipway verify said\n%s", out)
	}
	if out := i.slipway(t, drill, "sbom", image); !strings.Contains(out, "minimist") {
		t.Errorf("slipway sbom said\n%s", out)
	}
	if out := i.slipway(t, drill, "sbom", image, "--format", "cyclonedx"); !strings.Contains(out, `"pkg:npm/minimist@1.2.5`) {
		t.Errorf("the bill of materials is\n%.2000s", out)
	}
	run(t, i.top, nil, slipway, "vulnerabilities", "import", exportOf(t, minimistRecord), "--data", i.data)
	if out := run(t, i.top, nil, slipway, "vulnerabilities", "--data", i.data); !strings.Contains(out, "npm") {
		t.Errorf("slipway vulnerabilities said\n%s", out)
	}
	scan := exec.CommandContext(t.Context(), slipway, "scan", image, "--data", i.data, "--project", drill, "--fail-on", "high")
	out, err := scan.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(string(out), "GHSA-xvch-5gv4-984h") {
		t.Errorf("slipway scan --fail-on high: %v\n%s", err, out)
	}

	i.slipway(t, drill, "vulnerabilities", "policy", "--severity", "high", "--environment", "looked-*")
	refused := pushPipeline(t, i, work, mirroredPipeline+"# again\n")
	awaitResult(t, i, refused, "failed", 3*time.Minute)
	if log := i.slipway(t, drill, "logs", fmt.Sprint(refused)); !strings.Contains(log, "policy does not accept 1 vulnerabilities") || !strings.Contains(log, "minimist 1.2.5, fixed in 1.2.6") {
		t.Errorf("the deployment was refused with\n%s", log)
	}
	until := time.Now().AddDate(0, 1, 0).Format(time.DateOnly)
	i.slipway(t, drill, "vulnerabilities", "accept", "CVE-2021-44906", "--reason", "options are not of users", "--until", until)
	if out := i.slipway(t, drill, "vulnerabilities", "exceptions"); !strings.Contains(out, until) || !strings.Contains(out, "options are not of users") {
		t.Errorf("slipway vulnerabilities exceptions said\n%s", out)
	}
	i.slipway(t, drill, "scan", image, "--fail-on", "high", "--policy")
	accepted := pushPipeline(t, i, work, mirroredPipeline+"# and again\n")
	awaitResult(t, i, accepted, "succeeded", 3*time.Minute)
	i.slipway(t, drill, "vulnerabilities", "withdraw", "CVE-2021-44906")
	i.slipway(t, drill, "vulnerabilities", "policy", "--environment", "", "--pushes")
	failed := pushPipeline(t, i, work, mirroredPipeline+"# for the last time\n")
	awaitResult(t, i, failed, "failed", 3*time.Minute)
	if log := i.slipway(t, drill, "logs", fmt.Sprint(failed)); !strings.Contains(log, "policy does not accept 1 vulnerabilities") {
		t.Errorf("the push failed with\n%s", log)
	}
	i.slipway(t, drill, "vulnerabilities", "policy", "--severity", "none")
}

// exportOf is a zip with one record, as osv.dev exports them.
func exportOf(t *testing.T, record string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "all.zip")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := zip.NewWriter(f)
	w, err := z.Create("record.json")
	if err == nil {
		_, err = w.Write([]byte(record))
	}
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}
