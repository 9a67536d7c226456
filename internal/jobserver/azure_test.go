package jobserver_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/pipelines"
	"slipway/internal/pipelines/schedule"
)

// installAz builds the program az for a world's jobs.
func (w *world) installAz() {
	w.t.Helper()
	if out, err := exec.CommandContext(w.t.Context(), "go", "build", "-o", filepath.Join(w.executor.path, "az"), "slipway/cmd/slipway-docker").CombinedOutput(); err != nil {
		w.t.Fatalf("go build: %v\n%s", err, out)
	}
}

// fakePwsh stands in for PowerShell: it shows the file that it is to run.
const fakePwsh = "#!/bin/sh\nfor last; do :; done\nfile=$(echo \"$last\" | sed \"s/^\\. '//; s/'$//\")\necho \"pwsh $1 $2 $3 $4\"\ncat \"$file\"\n"

func (w *world) step(tl *pipelines.Timeline, name string) pipelines.Step {
	w.t.Helper()
	for _, st := range w.job(tl, "__default.Job").Steps {
		if st.DisplayName == name {
			return st
		}
	}
	w.t.Fatalf("no step %s:\n%s", name, w.describe(tl))
	return pipelines.Step{}
}

func TestAzureCLI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.installAz()
	w.write(filepath.Join(w.executor.path, "pwsh"), fakePwsh, 0o755)
	id := w.one(w.push(`
steps:
- task: AzureCLI@2
  displayName: inline
  inputs:
    azureSubscription: production
    scriptType: bash
    scriptLocation: inlineScript
    inlineScript: |
      set -eu
      echo "server=$(az acr show -n mine --query loginServer -o tsv) project=$(az account show --query name -o tsv)"
      echo "args=$# $1 / $2"
      test -d "$AZURE_CONFIG_DIR" && echo "config=${AZURE_CONFIG_DIR%/*}" && az devops configure --defaults project=Shop
      az login --service-principal -u "$servicePrincipalId" -p "$servicePrincipalKey" --tenant "$tenantId" -o none
      test "$servicePrincipalKey" = "$(az account get-access-token --resource 499b84ac-1321-427f-aa17-267ca6975798 --query accessToken -o tsv)" && echo same token
      echo "key=$servicePrincipalKey id=$idToken"
      echo "$idToken" | cut -d. -f2 | tr '_-' '/+' | base64 -d 2>/dev/null | grep -o '"sub":"[^"]*"'
      pwd
    arguments: first "second word"
    addSpnToEnvironment: true
    workingDirectory: new/folder
- task: AzureCLI@1
  displayName: file of 1
  inputs: {azureSubscription: production, scriptPath: ops/say.txt, arguments: hello}
- task: AzureCLI@3
  displayName: file of 3
  inputs: {connectionType: azureDevOps, azureDevOpsServiceConnection: devops, scriptType: bash, scriptPath: ops/say.sh, visibleAzLogin: false, useGlobalConfig: true}
- task: AzureCLI@2
  displayName: standard error
  continueOnError: true
  inputs: {azureSubscription: production, scriptType: bash, scriptLocation: inlineScript, inlineScript: "echo oops >&2", failOnStandardError: true}
- task: AzureCLI@2
  displayName: exit code
  continueOnError: true
  inputs: {azureSubscription: production, scriptType: bash, scriptLocation: inlineScript, inlineScript: "echo fine >&2; az vmss list"}
- task: AzureCLI@2
  displayName: wrong suffix
  continueOnError: true
  inputs: {azureSubscription: production, scriptType: bash, scriptPath: ops/say.txt}
- task: AzureCLI@2
  displayName: power shell
  inputs: {azureSubscription: production, scriptType: ps, scriptLocation: inlineScript, inlineScript: "az version", arguments: "-Name 'a b'", powerShellErrorActionPreference: continue}
- task: AzureCLI@2
  displayName: power shell ignoring
  inputs: {azureSubscription: production, scriptType: pscore, scriptPath: ops/it's.ps1, powerShellIgnoreLASTEXITCODE: true}
`, "ops/say.txt", "echo \"said $1 in $(basename \"$PWD\")\"\n", "ops/say.sh", "echo \"pat=${AZURE_DEVOPS_EXT_PAT:+set} config=${AZURE_CONFIG_DIR:-none}\"\n", "ops/it's.ps1", "az version\n"))
	tl := w.completed(id)
	if tl.Run.Result != schedule.SucceededWithIssues {
		t.Fatalf("result %s:\n%s", tl.Run.Result, w.describe(tl))
	}
	j := w.job(tl, "__default.Job")
	says := func(step string, lines ...string) {
		t.Helper()
		log := w.log(j, step)
		for _, line := range lines {
			if !strings.Contains(log, "\n"+line+"\n") {
				t.Errorf("step %s: no line %q in\n%s", step, line, log)
			}
		}
	}
	temp := filepath.Join(w.executor.folder)
	says("inline", "server=registry.test:5000 project=Shop", "args=2 first / second word", "same token", "key=*** id=***", `"sub":"p://slipway/Shop/shop"`,
		"The connection production is not an account of Azure here: Slipway's az works on this server by the job's own token.")
	if log := w.log(j, "inline"); !strings.Contains(log, "\nconfig="+temp) || !strings.Contains(log, "/1/s/new/folder\n") {
		t.Errorf("folders of the step inline:\n%s", log)
	}
	says("file of 1", "said hello in ops")
	says("file of 3", "pat=set config=none")
	if log := w.log(j, "file of 3"); strings.Contains(log, "The connection") {
		t.Errorf("visibleAzLogin: false shows:\n%s", log)
	}
	for step, want := range map[string]string{"standard error": "script wrote to its standard error, and the step is told to fail then: oops", "exit code": "exited with code 2", "wrong suffix": "must be named *.sh"} {
		if st := w.step(tl, step); st.Result != schedule.SucceededWithIssues || len(st.Issues) == 0 || !strings.Contains(st.Issues[len(st.Issues)-1].Message, want) {
			t.Errorf("step %s: %s %v, want %q", step, st.Result, st.Issues, want)
		}
	}
	says("exit code", "fine")
	says("power shell", "pwsh -NoLogo -NoProfile -NonInteractive -Command", "$ErrorActionPreference = 'continue'",
		`if (Test-Path -LiteralPath variable:\LASTEXITCODE) { exit $LASTEXITCODE }`)
	if log := w.log(j, "power shell"); !strings.Contains(log, ".ps1' -Name 'a b'\n") || !strings.Contains(log, "##[warning]Windows PowerShell is not on Linux") {
		t.Errorf("log of power shell:\n%s", log)
	}
	says("power shell ignoring", "$ErrorActionPreference = 'stop'")
	if log := w.log(j, "power shell ignoring"); !strings.Contains(log, "/ops/it''s.ps1'\n") || strings.Contains(log, "LASTEXITCODE") {
		t.Errorf("log of power shell ignoring:\n%s", log)
	}
}

// An image with the Azure CLI goes on using it.
func TestAzureCLIOfTheImage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const fakeAzure = "#!/bin/sh\necho \"azure-cli 2.80.0: $*\"\ntest \"$1\" != fail\n"
	w.write(filepath.Join(w.executor.path, "az"), fakeAzure, 0o755)
	tl := w.completed(w.one(w.push(`
steps:
- task: AzureCLI@2
  displayName: vm
  inputs: {azureSubscription: production, scriptType: bash, scriptLocation: inlineScript, inlineScript: az vm list -g g}
`)))
	log := w.log(w.job(tl, "__default.Job"), "vm")
	if tl.Run.Result != schedule.Succeeded || !strings.Contains(log, "\nazure-cli 2.80.0: vm list -g g\n") || !strings.Contains(log, "the image's own az is used") {
		t.Errorf("result %s:\n%s", tl.Run.Result, log)
	}
}

func TestDocker1(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// A program that shows how it is called, and says of a push what docker says.
	w.write(filepath.Join(w.executor.path, "docker"), "#!/bin/sh\necho docker \"$@\"\ntest \"$1\" = push && echo '1: digest: sha256:abc size: 12'\necho '##vso[task.setvariable variable=evil]yes'\n", 0o755)
	id := w.one(w.push(`
steps:
- bash: git tag v7
  displayName: tag the source
- task: Docker@1
  displayName: build of 1
  name: made
  inputs:
    azureSubscriptionEndpoint: production
    azureContainerRegistry: mine.azurecr.io
    command: Build an image
    imageName: My Web:1
    arguments: --build-arg A=1
    includeLatestTag: true
    includeSourceTags: true
    addDefaultLabels: false
- bash: 'echo "path=$(made.DockerOutputPath) evil=$(evil)"; cat $(DockerOutputPath)'
  displayName: output
- task: Docker@1
  displayName: push of 1
  inputs: {command: push, imageName: "web:1", azureContainerRegistry: mine.azurecr.io, imageDigestFile: digest.txt}
- task: Docker@1
  displayName: tag of 1
  inputs: {command: Tag image, containerregistrytype: Container Registry, dockerRegistryEndpoint: reg.example.com, imageName: "web:1", arguments: "web:2", qualifySourceImageName: true}
- task: Docker@0
  displayName: build of 0
  inputs: {action: Build an image, imageName: "web:1", buildArguments: "A=1 2\nB=3", additionalImageTags: "x\ny", defaultContext: false, context: src, addBaseImageData: false}
- task: Docker@0
  displayName: push of 0
  inputs: {action: Push images, imageNamesPath: names.txt, azureContainerRegistry: mine, includeLatestTag: true}
- task: Docker@2
  displayName: tag of 2
  name: two
  inputs: {command: tag, arguments: 'web:1 "web:2"'}
- bash: cat $(two.DockerOutput)
  displayName: output of 2
- task: Docker@0
  displayName: command of 0
  inputs: {action: Run a Docker command, customCommand: version --quiet}
- task: Docker@1
  displayName: login of 1
  inputs: {command: login}
- bash: cat digest.txt; echo; echo "output=[$(DockerOutput)]"
  displayName: files
`, "Dockerfile", "FROM --platform=linux/amd64 Golang:1.26@sha256:"+strings.Repeat("a", 64)+" AS build\nFROM build\n", "names.txt", "web:1\r\napi\r\n"))
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
	if log := w.log(j, "build of 1"); strings.Contains(log, "build.buildnumber") || !strings.Contains(w.log(j, "build of 0"), "build.buildnumber=") {
		t.Errorf("labels of the run:\n%s", log)
	}
	has("build of 1", "\ndocker build --file ", " --build-arg A=1 --label com.azure.dev.image.system", "--label org.opencontainers.image.revision="+string(tl.Run.Commit),
		" --label image.base.ref.name=golang:1.26 --label image.base.digest=sha256:"+strings.Repeat("a", 64)+
			" --tag "+own+"myweb:1 --tag "+own+"myweb:v7 --tag "+own+"myweb ")
	has("output", "/task_outputs/build_", " evil=\n", "docker build --file")
	has("push of 1", "\ndocker push "+own+"web:1\n")
	has("tag of 1", "\ndocker tag reg.example.com/web:1 reg.example.com/web:1\n", "\ndocker tag reg.example.com/web:1 reg.example.com/web:2\n")
	has("build of 0", "--build-arg A=1 2 --build-arg B=3 --label ", " --tag web:1 --tag web:x --tag web:y ", "/1/s/src\n")
	has("push of 0", "\ndocker push "+own+"web:1\n", "\ndocker push "+own+"web:latest\n", "\ndocker push "+own+"api:latest\n")
	has("command of 0", "\ndocker version --quiet\n")
	has("tag of 2", "\ndocker tag web:1 web:2\n")
	has("output of 2", "\ndocker tag web:1 web:2\n")
	has("login of 1", "\ndocker login --username job --password-stdin registry.test:5000\n")
	has("files", own+"web@sha256:abc\n", "output=[docker version --quiet\n")
}

// fakeTool stands in for kubectl and helm, which need a cluster: it shows how it is called and what its KUBECONFIG holds. What it
// writes looks like a logging command, and must not be one.
const fakeTool = `#!/bin/sh
echo "$(basename "$0") $*"
echo "##vso[task.setvariable variable=evil]yes"
test -z "$KUBECONFIG" || grep -o '"current-context":"[a-z]*"' "$KUBECONFIG"
case "$*" in *fail*) exit 3;; *complain*) echo hm >&2;; "get configmap there"*|"-n shop-dev get configmap there"*) exit 0;; *"get configmap"*) exit 1;; esac
`

func TestKubernetesAndHelm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.installAz()
	w.write(filepath.Join(w.executor.path, "kubectl"), fakeTool, 0o755)
	w.write(filepath.Join(w.executor.path, "helm"), fakeTool, 0o755)
	id := w.one(w.push(`
jobs:
- deployment: web
  environment: dev
  strategy:
    runOnce:
      deploy:
        steps:
        - checkout: self
        - task: Kubernetes@1
          displayName: set
          name: image
          inputs: {connectionType: Kubernetes Service Connection, kubernetesServiceEndpoint: aks, command: set, arguments: "image deploy/web web=x:1"}
        - bash: echo "out=[$(image.KubectlOutput)] evil=$(evil)"
          displayName: output
        - task: Kubernetes@1
          displayName: apply
          inputs:
            connectionType: Azure Resource Manager
            azureSubscriptionEndpoint: production
            azureResourceGroup: g
            kubernetesCluster: c
            namespace: shop-dev
            command: apply
            useConfigurationFile: true
            configuration: k8s
            outputFormat: none
            secretName: db
            secretType: generic
            secretArguments: --from-literal=a="b c"
            configMapName: there
        - task: Kubernetes@0
          displayName: rollout
          inputs: {command: rollout, arguments: status deploy/web, configMapName: settings, useConfigMapFile: true, configMapFile: k8s/a.yaml}
        - task: Kubernetes@1
          displayName: other namespace
          continueOnError: true
          inputs: {namespace: kube-system, command: get, arguments: pods}
        - task: HelmDeploy@0
          displayName: upgrade
          inputs:
            connectionType: Kubernetes Service Connection
            kubernetesServiceConnection: aks
            command: upgrade
            chartType: FilePath
            chartPath: charts/*
            releaseName: web
            overrideValues: |
              a=1
              b=2
            valueFile: k8s/a.yaml
            chartVersion: 1.2.3
            arguments: --timeout 5m
        - task: HelmDeploy@1
          displayName: install fails
          name: helm
          continueOnError: true
          inputs: {command: install, chartName: repo/fail, waitForExecution: false}
        - task: HelmDeploy@1
          displayName: complains
          continueOnError: true
          inputs: {command: ls, arguments: complain, failOnStderr: true}
        - task: HelmDeploy@1
          displayName: package
          inputs: {command: package, chartPath: charts/web, destination: out}
        - task: HelmDeploy@1
          displayName: login
          inputs: {command: login}
        - bash: grep -c 'token-of-job' "$KUBECONFIG"; cat "$KUBECONFIG"; echo; echo "code=$(helm.helmExitCode)"
          displayName: logged in
        - task: HelmDeploy@1
          displayName: logout
          inputs: {command: logout}
        - bash: |
            test -z "$KUBECONFIG" && echo none
            az aks get-credentials -g g -n c --overwrite-existing --file own/config --context mine
            grep -q 'current-context: mine' own/config && echo merged
            az aks get-credentials -g g -n c -f - | head -1
            az aks show -g g -n c --query fqdn -o tsv
          displayName: az
- job: other
  steps:
  - task: Kubernetes@1
    displayName: no deployment
    continueOnError: true
    inputs: {command: get, arguments: pods}
  - bash: az aks get-credentials -g g -n c; echo "ended with $?"
    displayName: no deployment by az
`, "k8s/a.yaml", "kind: ConfigMap\n", "charts/web/Chart.yaml", "name: web\n"))
	w.until(id, "waiting for checks", func(tl *pipelines.Timeline) bool {
		return len(tl.Stages) == 1 && tl.Stages[0].State == schedule.Checking || tl.Run.State == pipelines.RunCompleted
	})
	if err := w.ChecksCompleted(t.Context(), id, "__default", 1, schedule.ChecksApproved, ""); err != nil {
		t.Fatal(err)
	}
	tl := w.completed(id)
	j := w.job(tl, "__default.web.deploy")
	has := func(step string, parts ...string) {
		t.Helper()
		log := w.log(j, step)
		for _, part := range parts {
			if !strings.Contains(log, part) {
				t.Errorf("step %s: no %q in\n%s", step, part, log)
			}
		}
	}
	const context = "\n\"current-context\":\"dev\"\n"
	has("set", "\nkubectl set image deploy/web web=x:1 -o json\n", context)
	has("output", "out=[kubectl set image deploy/web web=x:1 -o json\n", "] evil=\n")
	has("apply", "\nkubectl -n shop-dev create secret generic db --from-literal=a=b c\n", "The ConfigMap there is there already.", "/1/s/k8s\n", "kubectl apply -n shop-dev -f ", context)
	has("rollout", "\nkubectl create configmap settings --from-file=a.yaml=", "\nkubectl rollout status deploy/web\n")
	has("other namespace", "shop-dev and no other")
	has("upgrade", "\nhelm upgrade --install --values ", "/k8s/a.yaml --set a=1,b=2 --wait --timeout 5m web ", "/charts/web --version 1.2.3\n", context)
	has("install fails", "\nhelm install --generate-name repo/fail\n", "elm exited with code 3")
	has("complains", "failOnStderr")
	has("package", "\nhelm package --destination ", "/1/s/out ")
	if log := w.log(j, "package"); strings.Contains(log, "current-context") {
		t.Errorf("package has a cluster:\n%s", log)
	}
	has("logged in", "\n1\n", `"token":"***"`, "code=3\n")
	has("az", "\nnone\n", "\nmerged\n", "\n{\n", "\n10.0.0.1\n")
	if log := w.log(j, "az"); strings.Contains(log, "token-of-job") || strings.Contains(log, "setsecret") {
		t.Errorf("the token is in the log:\n%s", log)
	}
	j = w.job(tl, "__default.other")
	has("no deployment", "only a deployment job reaches the cluster")
	has("no deployment by az", "ERROR: only a deployment job reaches the cluster", "ended with 2\n")
	if tl.Run.Result != schedule.SucceededWithIssues {
		t.Errorf("result %s:\n%s", tl.Run.Result, w.describe(tl))
	}
}
