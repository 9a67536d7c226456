package compile

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/yaml"
)

// warned checks the exact warnings of a file that compiles, one a line.
func warned(t *testing.T, name, text, want string) *plan.Plan {
	t.Helper()
	p := compiled(t, text)
	got := make([]string, len(p.Warnings))
	for i, w := range p.Warnings {
		got[i] = w.At.String() + ": " + w.Message
	}
	if diff := cmp.Diff(strings.TrimSpace(want), strings.Join(got, "\n")); diff != "" {
		t.Errorf("%s: (-want +got)\n%s", name, diff)
	}
	return p
}

func TestPoolsOfCompanies(t *testing.T) {
	t.Parallel()
	const steps = "\nsteps: [{script: x}]\n"
	pool := func(p *plan.Plan) plan.Pool { return p.Stages[0].Jobs[0].Pool }
	p := warned(t, "managed", "pool: {name: big, image: ubuntu-22.04, os: linux, isCustom: true, type: linux}"+steps, "")
	if got := pool(p); got.Name != "big" || got.Image != "ubuntu-22.04" {
		t.Errorf("%+v", got)
	}
	p = warned(t, "its own image", "pool: {name: big, image: our-linux, os: linux, hostArchitecture: arm64, timeoutInMinutes: 3, type: release}"+steps, `
p.yml:1:94: type: release of a pool has no effect: every job runs in a Linux pod
p.yml:1:26: image our-linux of a pool is not there: the job runs in the image of ubuntu-latest; write container for another
p.yml:1:48: hostArchitecture has no effect: jobs run on the processor of the cluster's nodes
p.yml:1:73: timeoutInMinutes of a pool has no effect: write it in the job
`)
	if got := pool(p); got.Image != "our-linux" {
		t.Errorf("%+v", got)
	}
	if got := pool(warned(t, "the old name", "pool: {vmImageName: ubuntu-latest}"+steps, "")); got.Image != "ubuntu-latest" {
		t.Errorf("%+v", got)
	}
	refused(t, "windows", "pool: {name: big, image: whatever, os: windows}"+steps, "p.yml:1:40: os: windows of a pool: jobs run in Linux containers, there is no Windows; write linux")
	refused(t, "windows by its type", "pool: {type: windows}"+steps, "p.yml:1:14: type: windows of a pool: jobs run in Linux containers, there is no Windows; write linux")
	refused(t, "windows by its image", "pool: {name: big, image: 1ES-Windows2022}"+steps,
		"p.yml:1:26: image 1ES-Windows2022 of a pool: jobs run in Linux containers, there is no Windows; name an image of Linux")
	refused(t, "an old hosted pool", "pool: Hosted VS2017"+steps, "p.yml:1:7: pool Hosted VS2017: jobs run in Linux containers, there is no Windows; write vmImage: ubuntu-latest")
	refused(t, "no system", "pool: {os: plan9}"+steps, `p.yml:1:12: os of a pool is linux, windows or macOS, not "plan9"`)
	in := input("pool: {name: big, image: 1ES-Windows2022}" + steps)
	in.Images = func(image string) bool { return image == "1ES-Windows2022" }
	if _, err := Compile(in); err != nil {
		t.Errorf("an image that the installation maps: %v", err)
	}
}

func TestCountersAndValuesOfTheRun(t *testing.T) {
	t.Parallel()
	p := compiled(t, `
resources: {repositories: [{repository: lib, type: git, name: lib}], pipelines: [{pipeline: Up, source: up}]}
variables:
  day: $[ format('{0:yyyyMMdd}', pipeline.startTime) ]
stages:
- stage: S
  variables:
    n: $[counter(variables.day, 1)]
    ref: $[ resources.repositories['lib'].ref ]
    run: $[ coalesce(resources.pipeline['up'].runID, resources.triggeringAlias) ]
  jobs:
  - job: J
    condition: eq(resources.repositories.self.ref, 'x')
    variables: {m: "$[counter('j')]"}
    steps: [{script: x}]
`)
	if p.Stages[0].Variables[0].Expression != "counter(variables.day, 1)" || !p.ReadsResources() {
		t.Errorf("%+v", p.Stages[0].Variables)
	}
	f := func(expression, want string) {
		t.Helper()
		refused(t, expression, "jobs:\n- job: A\n  variables:\n    v: $["+expression+"]\n  steps: [{script: x}]\n", want)
	}
	f("pipeline.endTime", "p.yml:4:10: pipeline in expressions has startTime alone: other values are variables, such as variables['Build.BuildId']")
	f("resources.pipelines.a.runID", `p.yml:4:10: resources in expressions has repositories, pipeline, container, triggeringAlias, triggeringCategory, not "pipelines"`)
	f("resources.pipeline.a.runID", `p.yml:4:10: no pipeline "a" is declared under resources.pipelines`)
	f("resources.repositories.slf.ref", `p.yml:4:10: no repository "slf" is declared under resources.repositories, did you mean "self"?`)
	f("resources.repositories.self.owner", `p.yml:4:10: a repository in expressions has name, ref, type, id, url, version, not "owner"`)
	f("counter(dependencies.B.outputs['s.x'])",
		`p.yml:4:8: the counter of variable "v" is counted when the run is queued, so it cannot read dependencies: let a variable of its own read them`)
}

func TestWhatIsOpenUntilTheRunIsQueued(t *testing.T) {
	t.Parallel()
	p := compiled(t, `
jobs:
- job: A
  timeoutInMinutes: $[ variables.limit ]
  cancelTimeoutInMinutes: $(stop)
  continueOnError: $[ ne(variables['Build.Reason'], 'PullRequest') ]
  strategy: {maxParallel: $(width), matrix: {a: {v: 1}}}
  steps:
  - script: x
    timeoutInMinutes: $(limit)
    retryCountOnTaskFailure: $[ variables.tries ]
    continueOnError: $(lax)
    enabled: $[ ne(variables.on, 'no') ]
- job: B
  strategy: {parallel: "$[ variables.slices ]"}
  steps: [{script: x}]
`)
	j := p.Stages[0].Jobs[0]
	want := map[string]string{"timeoutInMinutes": "variables.limit", "cancelTimeoutInMinutes": "variables['stop']",
		"continueOnError": "ne(variables['Build.Reason'], 'PullRequest')", "maxParallel": "variables['width']"}
	if diff := cmp.Diff(want, j.Open); diff != "" || j.TimeoutInMinutes != 60 || j.CancelTimeoutInMinutes != 5 {
		t.Errorf("(-want +got)\n%s", diff)
	}
	want = map[string]string{"timeoutInMinutes": "variables['limit']", "retryCountOnTaskFailure": "variables.tries",
		"continueOnError": "variables['lax']", "enabled": "ne(variables.on, 'no')"}
	if diff := cmp.Diff(want, j.Steps[1].Open); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if b := p.Stages[0].Jobs[1]; b.Open["parallel"] != "variables.slices" || len(b.Strategy.Legs) > 0 || !b.Strategy.Sliced {
		t.Errorf("%+v", b)
	}
	refused(t, "not before", `
jobs:
- job: A
  timeoutInMinutes: $[ dependencies.B.outputs['s.x'] ]
  strategy: {parallel: $(n)-1}
  steps:
  - script: x
    enabled: $(on)!
`, `
p.yml:3:24: dependencies are not known here: read them in a variable of a job, $[ dependencies.… ], and that variable here
p.yml:4:24: parallel of strategy of a job must be known when the run is made: write a number or ${{ }}, not "$(n)-1"
p.yml:7:14: enabled of a script step must be known when the run is made: write true, false or ${{ }}, not "$(on)!"
`)
}

func TestTargetsOfSteps(t *testing.T) {
	t.Parallel()
	p := compiled(t, `
resources: {containers: [{container: build, image: golang}, {container: Other, image: node}, {container: "off", image: x}]}
jobs:
- job: A
  container: build
  steps:
  - script: x
    target: {container: BUILD, commands: Restricted, settableVariables: [sauce]}
  - script: x
    target: build
  - script: x
    target: {settableVariables: none}
- job: B
  steps: [{script: x, target: host}]
- job: C
  container: build
  steps:
  - {script: x, target: host}
  - {script: x, target: OTHER}
  - {script: x, target: {container: other, commands: restricted}}
  - {script: x, target: off, enabled: false}
- job: D
  steps: [{script: x, target: build}]
`)
	steps := p.Stages[0].Jobs[0].Steps
	want := []*plan.Target{nil, {Restricted: true, LimitsVariables: true, Settable: []string{"sauce"}}, nil, {LimitsVariables: true}}
	for i, w := range want {
		if diff := cmp.Diff(w, steps[i].Target); diff != "" {
			t.Errorf("%d (-want +got)\n%s", i, diff)
		}
	}
	elsewhere := []*plan.Target{nil, {Container: "host"}, {Container: "Other"}, {Container: "Other", Restricted: true}, {Container: "off"}}
	for i, w := range elsewhere {
		if diff := cmp.Diff(w, p.Stages[0].Jobs[2].Steps[i].Target); diff != "" {
			t.Errorf("elsewhere, %d (-want +got)\n%s", i, diff)
		}
	}
	for job, want := range map[int]string{0: "", 1: "", 2: "host= Other=node ", 3: "build=golang "} {
		got := ""
		for _, target := range p.Targets(plan.Instances(&p.Stages[0], &p.Stages[0].Jobs[job], nil)[0]) {
			got += target.Alias + "=" + target.Image + " "
		}
		if got != want {
			t.Errorf("job %d has the targets %q, want %q", job, got, want)
		}
	}
	refused(t, "elsewhere", `
resources: {containers: [{container: build, image: golang}, {container: 'o t', image: node}]}
jobs:
- job: A
  container: build
  steps:
  - {script: x, target: o t}
  - {script: x, target: biuld}
  - {script: x, target: {commands: all}}
`, `
p.yml:6:25: the container o t cannot be a target: its name must be letters, digits, dashes and underscores, at most 40
p.yml:7:25: target is host or a container declared under resources.containers, not "biuld", did you mean "build"?
p.yml:8:36: commands of target of a step is any or restricted, not "all"
`)
}

func TestContainerOptions(t *testing.T) {
	t.Parallel()
	job := func(container string) string {
		return "jobs:\n- job: A\n  container: {image: x, " + container + "}\n  steps: [{script: x}]\n"
	}
	p := warned(t, "options", job(`env: {A: own}, options: "--env A=b -e 'B=c d' --user=1000:100 --name x --init"`), `
p.yml:3:49: these options of a container have no effect, since jobs are pods: --name, --init
`)
	c := p.Stages[0].Jobs[0].Container
	if diff := cmp.Diff(map[string]string{"A": "own", "B": "c d"}, c.Env); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if c.User == nil || *c.User != 1000 {
		t.Errorf("user %v", c.User)
	}
	if c := compiled(t, job(`options: -u root`)).Stages[0].Jobs[0].Container; c.User == nil || *c.User != 0 {
		t.Errorf("root is %v", c.User)
	}
	warned(t, "no effect", job("ports: ['8080:80', '53:5353/udp', '80'], mapDockerSocket: true, mountReadOnly: {work: true}"), `
p.yml:3:25: port 53:5353/udp: single TCP ports are mapped; a job and its services share one network, so the port is 5353/udp
p.yml:3:66: mapDockerSocket has no effect: jobs are pods without a Docker daemon, build images with Docker@2
p.yml:3:89: mountReadOnly has no effect: the agent's files are read-only, the workspace is not
`)
	refused(t, "a daemon", job("options: -v /var/run/docker.sock:/var/run/docker.sock"),
		"p.yml:3:34: option -v /var/run/docker.sock:/var/run/docker.sock of a container: jobs are pods without a Docker daemon; build images with Docker@2")
	refused(t, "privileged", job("options: --privileged"), "p.yml:3:34: option --privileged of a container is not there: a pod does not take it; leave it out")
	refused(t, "a user by name", job("options: --user builder"), "p.yml:3:34: option --user builder of a container: a pod takes a user's number, such as --user 0")
	for options, want := range map[string]plan.Container{
		"--memory 512m --cpus=1.5 --shm-size 1g":       {Options: plan.ContainerOptions{Memory: 512 << 20, MilliCPU: 1500, SharedMemory: 1 << 30}},
		"-v data:/data:ro -v /own --volume=data:/more": {Volumes: []plan.Volume{{Name: "data", Path: "/data", ReadOnly: true}, {Path: "/own"}, {Name: "data", Path: "/more"}}},
		"--tmpfs /run:size=64m --add-host DB:10.0.0.1 --add-host=six:[::1]": {Options: plan.ContainerOptions{Tmpfs: []string{"/run"},
			Hosts: []plan.Host{{Name: "db", Address: "10.0.0.1"}, {Name: "six", Address: "::1"}}}},
		"--health-cmd 'pg_isready -U x' --health-interval 10s --health-timeout 5s --health-retries 5": {Options: plan.ContainerOptions{
			Health: &plan.HealthCheck{Command: "pg_isready -U x", Interval: 10, Timeout: 5, Retries: 5}}},
		"--health-cmd true --health-start-period 1m30s --entrypoint /bin/x -w /srv": {Options: plan.ContainerOptions{Entrypoint: "/bin/x", WorkingDirectory: "/srv",
			Health: &plan.HealthCheck{Command: "true", Interval: 30, Timeout: 30, Retries: 3, Start: 90}}},
	} {
		c := compiled(t, job(fmt.Sprintf("options: %q", options))).Stages[0].Jobs[0].Container
		if diff := cmp.Diff(want, plan.Container{Volumes: c.Volumes, Options: c.Options}); diff != "" {
			t.Errorf("%s (-want +got)\n%s", options, diff)
		}
	}
	if c := compiled(t, job("volumes: ['data:/data', /own]")).Stages[0].Jobs[0].Container; len(c.Volumes) != 2 || c.Volumes[0].Name != "data" {
		t.Errorf("volumes %+v", c.Volumes)
	}
	for options, want := range map[string]string{
		"-v /home/me:/x":         "a pod does not reach folders of its node: write NAME:PATH for a folder that the containers of the job share, or keep it by the task Cache@2",
		"-v a:b":                 "the path in the container must be an absolute one",
		"-v a:/":                 "the path in the container must be an absolute one",
		"--memory much":          "it is a number of bytes, such as 512m or 2g",
		"--cpus 0":               "it is a number of processors, such as 1.5",
		"--add-host db":          "it is NAME:ADDRESS",
		"--health-interval 10":   "it is a time of up to an hour, such as 10s",
		"--health-retries often": "it is a number from 1 to 1000",
	} {
		refused(t, options, job("options: "+options), "p.yml:3:34: option "+options+" of a container: "+want)
	}
	refused(t, "a quote", job(`options: "-e 'A=b"`), `p.yml:3:34: options "-e 'A=b" have a quote without its end`)
	refused(t, "a macro", job(`options: $(o)`), `p.yml:3:34: option $(o) of a container must be known when the run is made: write it without macros, which only -e and --env take`)
}

func TestResourcesThatStartNothing(t *testing.T) {
	t.Parallel()
	warned(t, "all", `
resources:
  repositories:
  - {repository: lib, type: git, name: lib, trigger: [main]}
  containers:
  - {container: c, image: i, trigger: true}
  builds:
  - {build: jenkins, type: Jenkins, connection: k, source: job, trigger: true}
  packages:
  - {package: pack, type: npm, connection: k, name: a/b}
  webhooks:
  - webhook: hook
    connection: k
    filters: [{path: a.b, value: c}]
steps: [{script: x}]
`, `
p.yml:7:5: build jenkins starts no run and has no files to download: fetch them in a script step, and start runs over the API
`)
	refused(t, "checked", "resources:\n  webhooks: [{webhok: a, connection: b}]\n  packages: [{package: a, type: cargo, connection: b, name: c}]\nsteps: [{script: x}]\n", `
p.yml:2:15: unknown key "webhok" of a webhook resource, did you mean "webhook"?
p.yml:3:33: type of a package resource is npm or NuGet, not "cargo"
`)
	got := compiled(t, "resources: {packages: [{package: pack, type: NPM, connection: k, name: a/b, tag: next, trigger: true}]}\nsteps:\n- getPackage: PACK\n  path: lib\n").Stages[0].Jobs[0].Steps[1]
	wanted := plan.Package{Alias: "pack", Kind: plan.PackageNPM, Endpoint: "k", Name: "a/b", Tag: "next", Trigger: true, At: slipway.Position{File: "p.yml", Line: 1, Column: 24}}
	if diff := cmp.Diff(&plan.GetPackage{Package: wanted, Path: "lib"}, got.Package); diff != "" || len(got.Connections) != 1 || got.DisplayName != "Get package pack" {
		t.Errorf("%+v\n%s", got, diff)
	}
	p := compiled(t, "resources: {pipelines: [{pipeline: lib, source: q}]}\nsteps:\n- checkout: none\n- downloadBuild: lib\n  artifact: a\n")
	if got := p.Stages[0].Jobs[0].Steps[0]; got.Kind != plan.StepDownload || got.Download.Source != "lib" || got.Download.Artifact != "a" {
		t.Errorf("%+v", got)
	}
	refused(t, "downloadBuild of a build", "resources: {builds: [{build: b, type: Jenkins, connection: k, source: j}]}\nsteps: [{downloadBuild: b}]\n",
		"p.yml:2:25: build b is of another system, from which nothing can be downloaded: fetch its files in a script step")
}

func TestOldListOfResources(t *testing.T) {
	t.Parallel()
	p := compiled(t, "resources:\n- repo: self\n  clean: true\n  fetchDepth: 5\n  submodules: recursive\njobs:\n- job: A\n  steps: [{script: x}]\n- job: B\n  steps: [{checkout: self, fetchDepth: 0}]\n")
	want := []plan.Checkout{
		{Repository: "self", Clean: "true", FetchDepth: "5", Submodules: "recursive", Implicit: true},
		{Repository: "self", Clean: "true", FetchDepth: "0", Submodules: "recursive"},
	}
	for i, w := range want {
		if diff := cmp.Diff(&w, p.Stages[0].Jobs[i].Steps[0].Checkout); diff != "" {
			t.Errorf("%d (-want +got)\n%s", i, diff)
		}
	}
	warned(t, "self as a repository", "resources: {repositories: [{repository: self, type: git, ref: main}]}\nsteps: [{script: x}]\n",
		"p.yml:1:58: ref of repository self has no effect: a run is of the commit that it is queued for")
}

func TestCheckoutOptionsOfRepositories(t *testing.T) {
	t.Parallel()
	in := input(`
resources:
  repositories:
  - {repository: self, checkoutOptions: {clean: true, lfs: true}}
  - {repository: tools, type: git, name: tools, checkoutOptions: {fetchDepth: 3, fetchTags: false, submodules: recursive, persistCredentials: true}}
jobs:
- job: A
  steps: [{script: x}]
- job: B
  steps: [{checkout: self, clean: false}, {checkout: Tools, fetchDepth: 9}]
`)
	in.Repository = func(plan.Repository) (Files, error) { return nil, nil }
	p, err := Compile(in)
	if err != nil {
		t.Fatal(err)
	}
	got := []*plan.Checkout{p.Stages[0].Jobs[0].Steps[0].Checkout, p.Stages[0].Jobs[1].Steps[0].Checkout, p.Stages[0].Jobs[1].Steps[1].Checkout}
	want := []*plan.Checkout{
		{Repository: "self", Clean: "true", LFS: "true", Implicit: true}, {Repository: "self", Clean: "false", LFS: "true"},
		{Repository: "tools", FetchDepth: "9", FetchTags: "false", Submodules: "recursive", PersistCredentials: "true"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	refused(t, "a slip", "resources: {repositories: [{repository: self, checkoutOptions: {fetchDept: 3}}]}\nsteps: [{script: x}]\n",
		`p.yml:1:65: unknown key "fetchDept" of checkoutOptions, did you mean "fetchDepth"?`)
}

func TestPhasesAndQueues(t *testing.T) {
	t.Parallel()
	old := compiled(t, `
phases:
- phase: Build
  queue: {name: big, demands: [docker], timeoutInMinutes: 5, parallel: 2, matrix: {a: {v: 1}, b: {v: 2}}}
  steps: [{script: x}]
- phase: Test
  dependsOn: Build
  queue: small
  steps: [{script: x}]
`)
	now := compiled(t, `
jobs:
- job: Build
  pool: {name: big, demands: [docker]}
  timeoutInMinutes: 5
  strategy: {maxParallel: 2, matrix: {a: {v: 1}, b: {v: 2}}}
  steps: [{script: x}]
- job: Test
  dependsOn: Build
  pool: small
  steps: [{script: x}]
`)
	if diff := cmp.Diff(now.Stages, old.Stages, withoutPlaces); diff != "" {
		t.Errorf("(-now +old)\n%s", diff)
	}
	if got := compiled(t, "queue: small\nsteps: [{script: x}]\n").Stages[0].Jobs[0].Pool.Name; got != "small" {
		t.Errorf("pool %q", got)
	}
	old = compiled(t, "phases:\n- phase: A\n  queue: {name: x, workspace: {clean: all}}\n  steps: [{script: x}]\n- phase: B\n  server: true\n  steps: [{task: Delay@1, inputs: {delayForMinutes: 1}}]\n"+
		"- phase: C\n  server: {timeoutInMinutes: 7}\n  steps: [{task: Delay@1, inputs: {delayForMinutes: 1}}]\n")
	now = compiled(t, "jobs:\n- job: A\n  pool: {name: x}\n  workspace: {clean: all}\n  steps: [{script: x}]\n- job: B\n  pool: server\n  steps: [{task: Delay@1, inputs: {delayForMinutes: 1}}]\n"+
		"- job: C\n  pool: server\n  timeoutInMinutes: 7\n  steps: [{task: Delay@1, inputs: {delayForMinutes: 1}}]\n")
	if diff := cmp.Diff(now.Stages, old.Stages, withoutPlaces); diff != "" {
		t.Errorf("(-now +old)\n%s", diff)
	}
	refused(t, "a queue and a server", "phases:\n- phase: A\n  queue: x\n  server: true\n  steps: [{script: x}]\n- phase: B\n  server: [a]\n  steps: [{script: x}]\n", `
p.yml:4:3: a phase has queue or server, not both
p.yml:7:11: server of a phase is true, false or a map, not a list`)
	refused(t, "mistakes have their places", "phases:\n- phase: A\n  quue: x\n  queue: {vmimage: y}\n  steps: [{scrip: x}]\n", `
p.yml:3:3: unknown key "quue" of a phase, did you mean "queue"?
p.yml:4:11: unknown key "vmimage" of a queue, did you mean "vmImage"?
p.yml:5:12: a step has one of the keys script, bash, pwsh, powershell, checkout, publish, upload, download, downloadBuild, getPackage, reviewApp, task, did you mean "script"?
`)
	refused(t, "old and new", "phases: [{phase: A, steps: [{script: x}]}]\njobs: [{job: B, steps: [{script: x}]}]\n",
		"p.yml:1:1: phases is the old name of jobs, which stands here too")
	p := compiled(t, "-- p.yml --\nphases:\n- template: t.yml\n-- t.yml --\nphases:\n- phase: A\n  steps: [{script: x}]\n")
	if p.Stages[0].Jobs[0].Name != "A" {
		t.Errorf("%+v", p.Stages[0].Jobs)
	}
}

// The hooks and their variables are those of the "canary" strategy in Microsoft's "Deployment jobs".
func TestCanary(t *testing.T) {
	t.Parallel()
	p := compiled(t, `
jobs:
- deployment: D
  environment: e
  strategy:
    canary:
      increments: [10, 20]
      preDeploy: {steps: [{script: x}]}
      deploy: {steps: [{script: x}]}
      postRouteTraffic: {steps: [{script: x}]}
      on:
        failure: {steps: [{script: x}]}
        success: {steps: [{script: x}]}
- job: J
  dependsOn: D
  variables:
    a: $[ dependencies.D.outputs['deploy_10.s.x'] ]
  steps: [{script: x}]
`)
	var got []string
	for _, in := range plan.Instances(&p.Stages[0], &p.Stages[0].Jobs[0], nil) {
		got = append(got, strings.TrimSpace(in.ID+" "+in.Hook.Action()))
	}
	want := []string{"__default.D.preDeploy", "__default.D.deploy_10 deploy", "__default.D.postRouteTraffic_10 deploy", "__default.D.deploy_20 deploy",
		"__default.D.postRouteTraffic_20 deploy", "__default.D.deploy_100 promote", "__default.D.postRouteTraffic_100 promote", "__default.D.success",
		"__default.D.failure reject"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	canary := func(s string) string {
		return "jobs:\n- deployment: D\n  environment: e\n  strategy:\n    canary:\n      " + s + "\n      deploy: {steps: [{script: x}]}\n"
	}
	refused(t, "increments", canary("increments: [20, 10, 101, x]"), `
p.yml:6:24: increments of canary grow: 10 comes after 20
p.yml:6:28: an increment of canary is a whole number from 1 to 100, not "101"
p.yml:6:33: an increment of canary is a whole number from 1 to 100, not "x"
`)
	if n := len(compiled(t, canary("increments: [50, 100]")).Stages[0].Jobs[0].Deployment.Hooks); n != 2 {
		t.Errorf("%d hooks", n)
	}
	refused(t, "two strategies", canary("increments: [1]")+"    runOnce: {deploy: {steps: [{script: x}]}}\n", "p.yml:5:5: a deployment job has one strategy: runOnce, rolling or canary")
}

func TestWarnsOfMacrosThatAreSlips(t *testing.T) {
	t.Parallel()
	warned(t, "slips", `
variables:
  imageName: app
  configuration: Release
jobs:
- job: A
  variables: {registry: x}
  strategy: {matrix: {one: {leg.value: 1}}}
  steps:
  - script: |
      echo $(imageNmae) $(imageName) $(date) $(IMAGENAME) $(undefinedThing)
      echo $(Build.SourceDirectory) $(Build.SourcesDirectory) $(uname -r) $(cat imageNmae)
    displayName: Build $(configuraton)
    condition: eq(variables.a, 1)
  - bash: echo "##vso[task.setvariable variable=answer;isOutput=true]42"
    name: step
  - script: echo $(step.answer) $(answer) $(leg.vaule) $(imageName2)
  - bash: x
    env: {B: $(registy)}
`, `
p.yml:10:12: $(imageNmae) is no variable, so it stays as it is written, did you mean "imageName"?
p.yml:11:12: $(Build.SourceDirectory) is no variable that Slipway sets, so it stays as it is written, did you mean "Build.SourcesDirectory"?
p.yml:12:24: $(configuraton) is no variable, so it stays as it is written, did you mean "configuration"?
p.yml:16:33: $(answer) is no variable, so it stays as it is written: step step sets it as an output, so write $(step.answer)
p.yml:16:43: $(leg.vaule) is no variable, so it stays as it is written, did you mean "leg.value"?
p.yml:18:14: $(registy) is no variable, so it stays as it is written, did you mean "registry"?
`)
	warned(t, "a group may have it", "variables:\n- group: g\n- {name: imageName, value: a}\nsteps:\n- script: echo $(imageNmae)\n", "")
}

func TestVariablesOfSteps(t *testing.T) {
	t.Parallel()
	n, err := yaml.Read("p.yml", []byte("task: Cache@2\nname: s\ninputs: {cacheHitVar: restored, key: a}\nenv: {A: '##vso[task.setvariable variable=x;isOutput=true]1'}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"restored", "s.x"}, variablesOf(n)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestWarnsOfParametersThatNobodyReads(t *testing.T) {
	t.Parallel()
	warned(t, "unused", `
-- p.yml --
parameters:
- {name: used, default: a}
- {name: idle, default: a}
- {name: indexed, default: a}
- {name: hidden, default: a}
steps:
- script: ${{ Parameters.Used }} ${{ parameters['indexed'] }}
- ${{ if false }}:
  - script: ${{ parameters.hidden }}
- template: t.yml
- template: whole.yml
-- t.yml --
parameters:
- {name: other, default: a}
steps:
- script: parameters.other
-- whole.yml --
parameters:
- {name: one, default: a}
steps:
- script: ${{ convertToJson(parameters) }}
`, `
p.yml:3:10: parameter "idle" is declared and never read: remove it, or read it as ${{ parameters.idle }}
t.yml:2:10: parameter "other" is declared and never read: remove it, or read it as ${{ parameters.other }}
`)
}

func TestRule15WarnsOfSkipsThatCascade(t *testing.T) {
	t.Parallel()
	jobs := func(condition string) string {
		return `
jobs:
- job: A
  condition: eq(variables.a, 'b')
  steps: [{script: x}]
- job: B
  steps: [{script: x}]
- job: C
  dependsOn: [A, B]
  condition: ` + condition + `
  steps: [{script: x}]
`
	}
	warned(t, "cascades", jobs("and(succeeded(), ne(variables.x, 'y'))"), `p.yml:7:3: job C is skipped whenever A is skipped by its condition, since succeeded() is false then: if it should run nevertheless, write in(dependencies.A.result, 'Succeeded', 'SucceededWithIssues', 'Skipped') in place of succeeded()`)
	warned(t, "looks itself", jobs("and(succeeded('B'), in(dependencies.A.result, 'Succeeded', 'Skipped'))"), "")
	warned(t, "runs anyway", jobs("succeededOrFailed()"), "")
	warned(t, "the same condition", jobs("eq(variables.a, 'b')"), "p.yml:9:14: job C also runs after a failure or a cancel, since its condition takes the place of succeeded(): write and(succeeded(), …), or and(always(), …) if that is meant")
}

func TestReviewApp(t *testing.T) {
	t.Parallel()
	p := compiled(t, "jobs:\n- deployment: D\n  environment: {name: staging, resourceName: web}\n  strategy:\n    runOnce:\n      deploy:\n        steps:\n        - reviewApp: web\n        - script: x\n")
	d := p.Stages[0].Jobs[0].Deployment
	step := d.Hooks[0].Steps[1] // behind the implied download
	if !d.Environment.Review || step.Kind != plan.StepReview || step.DisplayName != "Review app of web" {
		t.Errorf("%+v %+v", d.Environment, step)
	}
	refused(t, "in a job", "steps:\n- reviewApp: web\n", "p.yml:2:3: reviewApp stands in a hook of a deployment job, whose environment the review app is made of")
	refused(t, "of machines", "jobs:\n- deployment: D\n  environment: {name: staging, resourceType: VirtualMachine}\n  strategy: {runOnce: {deploy: {steps: [{reviewApp: web}]}}}\n",
		"p.yml:4:42: a review app is a namespace of Kubernetes, and this job deploys to virtual machines: leave reviewApp out")
	refused(t, "of another resource", "jobs:\n- deployment: D\n  environment: staging.web\n  strategy: {runOnce: {deploy: {steps: [{reviewApp: api}]}}}\n",
		"p.yml:4:53: reviewApp is made of the resource that the job deploys to, web, not of api")
}
