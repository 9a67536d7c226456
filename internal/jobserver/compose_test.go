package jobserver_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/pipelines/schedule"
)

// The files are read by the job's own docker compose; a script stands in for what needs a builder, and shows how it is called.
func TestDockerCompose(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(w.executor.path, "own-docker"), "slipway/cmd/slipway-docker").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const fakeDocker = "#!/bin/sh\ncase \"$*\" in *' config'*) exec own-docker \"$@\";; esac\necho docker \"$@\" TAG=$TAG\n" +
		"test \"$1\" = pull && echo \"Digest: sha256:abc\"\ncase \"$*\" in *' build'*) own-docker compose $(echo \" $*\" | sed 's/^ compose//; s/ build.*//') build --print;; esac\nexit 0\n"
	w.write(filepath.Join(w.executor.path, "docker"), fakeDocker, 0o755)
	id := w.one(w.push(`
steps:
- task: DockerCompose@1
  displayName: build
  name: made
  inputs:
    azureSubscription: production
    azureContainerRegistry: mine.azurecr.io
    action: Build services
    dockerComposeFileArgs: |
      TAG=7
      EMPTY=
    additionalDockerComposeFiles: |
      more.yml
      none.yml
    projectName: My Shop
    additionalImageTags: x
    includeLatestTag: true
    arguments: --pull
- task: DockerCompose@0
  displayName: push
  inputs: {containerregistrytype: Container Registry, dockerRegistryEndpoint: reg.example.com, dockerComposeFile: compose/docker-compose.yml, action: Push services, dockerComposeFileArgs: TAG=8, projectName: shop}
- task: DockerCompose@1
  displayName: combine
  inputs: {action: Combine configuration, dockerComposeFileArgs: TAG=9, removeBuildOptions: true, qualifyImageNames: false, outputDockerComposeFile: out.yml, baseResolveDirectory: compose, projectName: shop}
- task: DockerCompose@1
  displayName: lock
  inputs: {action: Lock services, dockerComposeFileArgs: TAG=9, qualifyImageNames: false, outputDockerComposeFile: locked.yml, projectName: shop}
- task: DockerCompose@0
  displayName: command
  inputs: {action: Run a Docker Compose command, dockerComposeCommand: pull --quiet, projectName: ""}
- task: DockerCompose@1
  displayName: nothing
  inputs: {dockerComposeFile: none.yml, nopIfNoDockerComposeFile: true, action: Build services}
- bash: cat out.yml; echo; cat locked.yml; echo "output=$(made.DockerComposeOutput)"
  displayName: files
`, "compose/docker-compose.yml", "services:\n  web:\n    image: web:${TAG}\n    build: .\n  worker:\n    build: {context: ., dockerfile: worker.Dockerfile}\n  db:\n    image: postgres:17\n    volumes: [\"./data:/data\"]\n",
		"compose/more.yml", "services:\n  web:\n    build: {args: {MORE: \"1\"}}\n"))
	tl := w.completed(id)
	if tl.Run.Result != schedule.Succeeded {
		t.Fatalf("result %s:\n%s", tl.Run.Result, w.describe(tl))
	}
	j := w.job(tl, "__default.Job")
	has := func(step string, parts ...string) {
		t.Helper()
		log := w.log(j, step)
		for _, part := range parts {
			if !strings.Contains(log, part) {
				t.Errorf("step %s: no %q in\n%s", step, part, log)
			}
		}
	}
	const own = "registry.test:5000/shop/"
	has("build", "/compose/docker-compose.yml -f ", "/compose/more.yml -f ", " -p myshop build --pull TAG=7\n", "none.yml is not there", `"MORE": "1"`, `"`+own+`web:7"`, `"`+own+`myshop_worker"`,
		"\ndocker tag "+own+"web:7 "+own+"web:x TAG=7\n", "\ndocker tag "+own+"web:7 "+own+"web:latest TAG=7\n", "\ndocker tag "+own+"myshop_worker "+own+"myshop_worker:x TAG=7\n")
	has("push", "\ndocker push reg.example.com/web:8 TAG=8\n", "\ndocker push reg.example.com/shop_worker TAG=8\n")
	has("lock", "\ndocker pull postgres:17 TAG=9\n", "\ndocker pull web:9 TAG=9\n")
	has("command", "/compose/docker-compose.yml -f ", " pull --quiet TAG=\n")
	has("nothing", "nothing is to be done")
	has("files", "image: web:9\n", "source: ./data\n", "image: web@sha256:abc\n", "/task_outputs/compose_")
	if out, _, _ := strings.Cut(w.log(j, "files"), "sha256:"); strings.Contains(out, "build:") {
		t.Errorf("the combined file has build options:\n%s", out)
	}
}
