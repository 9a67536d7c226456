package jobserver_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/schedule"
)

func TestScript(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.one(w.push("steps:\n- script: echo hello from $(Build.SourceBranchName); cat README\n  displayName: say\n", "README", "read me\n"))
	tl := w.completed(id)
	if tl.Run.Result != schedule.Succeeded {
		t.Fatalf("result %s:\n%s", tl.Run.Result, w.describe(tl))
	}
	log := w.log(w.job(tl, "__default.Job"), "say")
	if !strings.Contains(log, "\nhello from main\nread me\n") {
		t.Errorf("log:\n%s", log)
	}
}

const twoJobs = `
jobs:
- job: make
  steps:
  - bash: |
      echo "##vso[task.setvariable variable=answer;isOutput=true]42"
      echo "##vso[task.setvariable variable=key;isSecret=true]swordfish-$RANDOM"
      echo "##vso[task.setvariable variable=plain]a b"
      echo "##vso[build.addbuildtag]good"
    name: set
    displayName: set
  - bash: echo "plain=$PLAIN answer=$(set.answer) macro=$(key) env=[$KEY] mapped=$MAPPED undefined=$(nothing)" 2>&1; true
    displayName: use
    env:
      MAPPED: $(key)
  - bash: |
      mkdir -p out/deep && echo one > out/one.txt && echo two > out/deep/two.txt && chmod +x out/one.txt
    displayName: write
  - publish: out
    artifact: drop
    displayName: publish
- job: use
  dependsOn: make
  variables:
    got: $[ dependencies.make.outputs['set.answer'] ]
  steps:
  - checkout: none
  - download: current
    artifact: drop
    displayName: download
  - bash: echo "got $(got)"; cat $(Pipeline.Workspace)/drop/deep/two.txt; test -x $(Pipeline.Workspace)/drop/one.txt && echo executable; ls $(Build.SourcesDirectory)
    displayName: look
`

// Results of another format than JUnit, and a file of one that does not fit.
func TestPublishTestResults(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.one(w.push(`
steps:
- bash: |
    echo '<test-run><test-suite><test-case fullname="shop.Cart.Adds" result="Passed"/><test-case fullname="shop.Cart.Pays" result="Failed"><failure><message>broke</message></failure></test-case></test-suite></test-run>' > TestResult.xml
    echo '<assemblies><assembly><collection><test name="a" result="Pass"/></collection></assembly></assemblies>' > TEST-x.xml
- task: PublishTestResults@2
  displayName: NUnit
  continueOnError: true
  inputs: {testResultsFormat: NUnit, testResultsFiles: '**/TestResult.xml', testRunTitle: Shop, failTaskOnFailedTests: true, buildPlatform: x64, buildConfiguration: Release}
- task: PublishTestResults@1
  displayName: XUnit
  inputs: {testRunner: xUnit, publishRunAttachments: false}
- task: PublishTestResults@2
  displayName: the wrong one
  continueOnError: true
  inputs: {failTaskOnFailureToPublishResults: true}
`))
	tl := w.completed(id)
	if tl.Run.Result != schedule.SucceededWithIssues {
		t.Fatalf("result %s:\n%s", tl.Run.Result, w.describe(tl))
	}
	j := w.job(tl, "__default.Job")
	if log := w.log(j, "NUnit"); !strings.Contains(log, "Published 2 test results as Shop\n") || !strings.Contains(log, "##[error]1 tests failed.\n") {
		t.Errorf("log of NUnit:\n%s", log)
	}
	if log := w.log(j, "the wrong one"); !strings.Contains(log, "TEST-x.xml: this is a file of XUnit, not of JUnit: its root is \"assemblies\"; set testResultsFormat to XUnit") {
		t.Errorf("log of the wrong one:\n%s", log)
	}
	runs, err := w.TestRuns(context.Background(), id)
	if err != nil || len(runs) != 2 || runs[0].Total != 2 || runs[0].Failed != 1 || runs[1].Total != 1 || runs[1].Title != "TEST-x.xml" {
		t.Fatalf("test runs %+v, %v", runs, err)
	}
	if runs[0].Platform != "x64" || runs[0].Configuration != "Release" || runs[1].Platform+runs[1].Configuration != "" {
		t.Errorf("test runs are for %q %q and %q %q", runs[0].Platform, runs[0].Configuration, runs[1].Platform, runs[1].Configuration)
	}
	for i, want := range []string{"TestResult.xml", ""} {
		files, err := w.TestAttachments(context.Background(), runs[i].ID)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range files {
			names = append(names, f.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("the files of %s are %q, want %q", runs[i].Title, got, want)
		}
	}
	results, err := w.TestResults(context.Background(), runs[0].ID)
	if err != nil || results[0].Suite != "shop.Cart" || results[0].Name != "Pays" {
		t.Errorf("test results %+v, %v", results, err)
	}
}

func TestFailureAndRetry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	marker := w.folder + "/marker"
	tl := w.completed(w.one(w.push(fmt.Sprintf(`
jobs:
- job: good
  steps:
  - bash: echo once >> %[1]s.good
    displayName: count
- job: bad
  dependsOn: good
  steps:
  - bash: |
      echo "##vso[task.logissue type=error;sourcepath=main.go;linenumber=3]it is broken"
      test -e %[1]s || exit 3
    displayName: fragile
  - bash: echo not after a failure
    displayName: normal
  - bash: echo status $(Agent.JobStatus)
    displayName: clean up
    condition: always()
- job: after
  dependsOn: bad
  steps:
  - bash: echo at last
    displayName: last
`, marker))))
	if tl.Run.Result != schedule.Failed {
		t.Fatalf("result %s:\n%s", tl.Run.Result, w.describe(tl))
	}
	bad := w.job(tl, "__default.bad")
	results := map[string]schedule.Result{}
	for _, st := range bad.Steps {
		results[st.DisplayName] = st.Result
	}
	if results["fragile"] != schedule.Failed || results["normal"] != schedule.Skipped || results["clean up"] != schedule.Succeeded {
		t.Errorf("results %v", results)
	}
	for _, st := range bad.Steps {
		if st.DisplayName == "fragile" && (len(st.Issues) != 2 || st.Issues[0].At == nil || st.Issues[0].At.String() != "main.go:3" || !strings.Contains(st.Issues[1].Message, "exited with code 3")) {
			t.Errorf("issues %+v", st.Issues)
		}
	}
	if log := w.log(bad, "clean up"); !strings.Contains(log, "status Failed\n") {
		t.Errorf("log:\n%s", log)
	}
	if after := w.job(tl, "__default.after"); after.Result != schedule.Skipped {
		t.Errorf("job after: %s", after.Result)
	}
	w.write(marker, "", 0o644)
	if err := w.RetryFailed(context.Background(), tl.Run.ID, slipway.System); err != nil {
		t.Fatal(err)
	}
	tl = w.completed(tl.Run.ID)
	if tl.Run.Result != schedule.Succeeded {
		t.Fatalf("after the retry: %s\n%s", tl.Run.Result, w.describe(tl))
	}
	bad = w.job(tl, "__default.bad")
	if bad.Attempt != 2 || len(bad.Earlier) != 1 || w.job(tl, "__default.good").Attempt != 1 || w.job(tl, "__default.after").Result != schedule.Succeeded {
		t.Errorf("attempts:\n%s", w.describe(tl))
	}
	if n := w.command("sh", "-c", "wc -l < "+marker+".good"); n != "1" {
		t.Errorf("the job that succeeded ran %s times", n)
	}
	if err := w.RetryFailed(context.Background(), tl.Run.ID, slipway.System); slipway.CodeOf(err) != slipway.CodeConflict {
		t.Errorf("retry of a good run: %v, want conflict", err)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.one(w.push(`
jobs:
- job: long
  steps:
  - bash: |
      trap 'echo interrupted at $(date +%s%3N); exit 1' INT
      echo $$ > $(Agent.TempDirectory)/pid
      echo waiting
      sleep 600 & wait
    displayName: wait
  - bash: echo never
    displayName: normal
  - bash: echo canceled $(Agent.JobStatus)
    displayName: always
    condition: always()
- job: next
  dependsOn: long
  steps:
  - bash: echo never
`))
	w.until(id, "waiting", func(tl *pipelines.Timeline) bool {
		j := w.job(tl, "__default.long")
		for _, st := range j.Steps {
			if st.DisplayName == "wait" && st.LogSize > 0 && strings.Contains(w.log(j, "wait"), "\nwaiting\n") {
				return true
			}
		}
		return false
	})
	asked := time.Now()
	if err := w.Cancel(context.Background(), id, slipway.Actor{Kind: slipway.ActorUser, Name: "Ada"}); err != nil {
		t.Fatal(err)
	}
	tl := w.completed(id)
	long := w.job(tl, "__default.long")
	if tl.Run.Result != schedule.Canceled || long.Result != schedule.Canceled || tl.Run.CanceledBy != "Ada" {
		t.Fatalf("run %s by %q:\n%s", tl.Run.Result, tl.Run.CanceledBy, w.describe(tl))
	}
	var at int64
	log := w.log(long, "wait")
	if _, err := fmt.Sscanf(log[max(strings.LastIndex(log, "interrupted at "), 0):], "interrupted at %d", &at); err != nil {
		t.Fatalf("log of wait: %v\n%s", err, log)
	}
	if took := time.UnixMilli(at).Sub(asked); took > 2*time.Second {
		t.Errorf("the process heard of the cancel after %v", took)
	}
	if log := w.log(long, "always"); !strings.Contains(log, "canceled Canceled\n") {
		t.Errorf("log of always:\n%s", log)
	}
	for _, st := range long.Steps {
		if st.DisplayName == "normal" && st.Result != schedule.Skipped {
			t.Errorf("normal step: %s", st.Result)
		}
	}
}

// A server that is killed while a job writes its log, twice, loses no line and doubles none, and the run goes on to its
// end: the job after the one that ran, too.
func TestServerKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const lines = 6000
	id := w.one(w.push(fmt.Sprintf(`
jobs:
- job: talk
  steps:
  - bash: |
      for i in $(seq 1 %d); do echo "line $i"; if [ $((i %% 100)) = 0 ]; then sleep 0.05; fi; done
      echo "##vso[task.setvariable variable=done;isOutput=true]yes"
    name: talk
    displayName: talk
- job: next
  dependsOn: talk
  variables:
    done: $[ dependencies.talk.outputs['talk.done'] ]
  steps:
  - bash: echo done=$(done)
    displayName: after
`, lines)))
	written := func(n int) func(tl *pipelines.Timeline) bool {
		return func(tl *pipelines.Timeline) bool {
			for _, st := range w.job(tl, "__default.talk").Steps {
				if st.DisplayName == "talk" && st.LogSize > int64(n) {
					return true
				}
			}
			return false
		}
	}
	for _, size := range []int{20_000, 90_000} {
		w.until(id, "talking", written(size))
		w.kill()
		w.start()
	}
	tl := w.completed(id)
	if tl.Run.Result != schedule.Succeeded {
		t.Fatalf("result %s:\n%s", tl.Run.Result, w.describe(tl))
	}
	want, next := 1, 0
	for line := range strings.Lines(w.log(w.job(tl, "__default.talk"), "talk")) {
		if _, err := fmt.Sscanf(line, "line %d\n", &next); err != nil {
			continue
		}
		if next != want {
			t.Fatalf("line %d where line %d was expected", next, want)
		}
		want++
	}
	if want != lines+1 {
		t.Errorf("%d lines, want %d", want-1, lines)
	}
	if log := w.log(w.job(tl, "__default.next"), "after"); !strings.Contains(log, "done=yes\n") {
		t.Errorf("log of the next job:\n%s", log)
	}
}

func TestDeployment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.one(w.push(`
stages:
- stage: Build
  jobs:
  - job: image
    steps:
    - task: Docker@2
      displayName: image
      inputs:
        command: buildAndPush
        repository: web
        tags: |
          $(Build.BuildId)
          latest
    - bash: |
        cat > TEST-go.xml <<EOF
        <testsuites><testsuite name="shop"><testcase name="a" time="0.5"/><testcase name="b"><failure message="no">trace</failure></testcase></testsuite></testsuites>
        EOF
        mkdir manifests; echo "kind: ConfigMap" > manifests/web.yaml
      displayName: files
    - task: PublishTestResults@2
      displayName: tests
    - publish: manifests
      artifact: manifests
- stage: Dev
  jobs:
  - deployment: web
    environment: dev
    strategy:
      runOnce:
        deploy:
          steps:
          - bash: echo $(WHERE) with $(PASSWORD)
            displayName: variables
          - task: KubernetesManifest@1
            displayName: deploy
            inputs:
              manifests: $(Pipeline.Workspace)/manifests/*.yaml
              containers: registry.test:5000/shop/web:$(Build.BuildId)
`, "Dockerfile", "FROM scratch\n"))
	w.until(id, "waiting for checks", func(tl *pipelines.Timeline) bool {
		return len(tl.Stages) == 2 && tl.Stages[1].State == schedule.Checking || tl.Run.State == pipelines.RunCompleted
	})
	if err := w.ChecksCompleted(context.Background(), id, "Dev", 1, schedule.ChecksApproved, ""); err != nil {
		t.Fatal(err)
	}
	tl := w.completed(id)
	if tl.Run.Result != schedule.Succeeded {
		t.Fatalf("result %s:\n%s", tl.Run.Result, w.describe(tl))
	}
	build, dev := w.job(tl, "Build.image"), w.job(tl, "Dev.web.deploy")
	log := w.log(build, "image")
	want := fmt.Sprintf("--tag registry.test:5000/shop/web:%d --tag registry.test:5000/shop/web:latest --push", id)
	if !strings.Contains(log, "\ndocker build --file ") || !strings.Contains(log, want) || !strings.Contains(log, "--label org.opencontainers.image.revision="+string(tl.Run.Commit)) {
		t.Errorf("log of image:\n%s", log)
	}
	if log := w.log(dev, "variables"); !strings.Contains(log, "in dev with ***\n") {
		t.Errorf("log of variables:\n%s", log)
	}
	if log := w.log(dev, "deploy"); !strings.Contains(log, "deployment.apps/web is ready\n") {
		t.Errorf("log of deploy:\n%s", log)
	}
	if len(w.deployer.seen) != 1 {
		t.Fatalf("%d deployments", len(w.deployer.seen))
	}
	d := w.deployer.seen[0]
	if d.Environment == nil || d.Environment.Name != "dev" || d.Commit != tl.Run.Commit || d.Run != id || len(d.Manifests) != 1 ||
		d.Manifests[0].Text != "kind: ConfigMap\n" || d.Images[0] != fmt.Sprintf("registry.test:5000/shop/web:%d", id) {
		t.Errorf("deployment %+v", d)
	}
	runs, err := w.TestRuns(context.Background(), id)
	if err != nil || len(runs) != 1 || runs[0].Total != 2 || runs[0].Failed != 1 {
		t.Fatalf("test runs %+v, %v", runs, err)
	}
	results, err := w.TestResults(context.Background(), runs[0].ID)
	if err != nil || results[0].Name != "b" || results[0].Message != "no" || results[0].Detail != "trace" {
		t.Errorf("test results %+v, %v", results, err)
	}
}

func TestBrokenFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	runs := w.push("steps:\n- scripd: echo\n")
	run, err := w.Get(context.Background(), w.one(runs))
	if err != nil {
		t.Fatal(err)
	}
	if run.State != pipelines.RunCompleted || run.Result != schedule.Failed || len(run.Problems) == 0 || !strings.HasPrefix(run.Problems[0].String(), "azure-pipelines.yml:2:3: ") {
		t.Errorf("run %+v", run)
	}
}

func TestLostAgent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.one(w.push("steps:\n- bash: kill -9 $PPID\n"))
	tl := w.completed(id)
	if j := w.job(tl, "__default.Job"); j.Result != schedule.Failed || !strings.Contains(j.Reason, "before the agent had reported") {
		t.Errorf("job:\n%s", w.describe(tl))
	}
}

// A job's token opens its own job and nothing else, and nothing once the job is over.
func TestToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	issue := func(kind identity.TokenKind, job slipway.JobID) string {
		token, err := w.id.IssueToken(ctx, identity.TokenRequest{Kind: kind, Actor: slipway.Actor{Kind: slipway.ActorJob, ID: "1"}, Project: w.source.repository.Project,
			Binding: identity.Binding{Job: job}})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	for _, c := range []struct {
		name, token string
		want        int
	}{
		{"none", "", http.StatusUnauthorized},
		{"wrong", strings.Repeat("a", 52), http.StatusUnauthorized},
		{"another job's", issue(identity.TokenJob, 8), http.StatusForbidden},
		{"a workload's", issue(identity.TokenWorkload, 7), http.StatusForbidden},
		{"its own", issue(identity.TokenJob, 7), http.StatusNotFound}, // there is no job 7
	} {
		for _, path := range []string{"POST start", "POST report", "GET control", "POST complete", "GET artifacts", "PUT artifacts/a", "POST deploy", "POST logs/1?offset=0", "POST caches/find", "GET caches/1", "PUT caches?key=a", "GET securefiles?name=a", "POST tests", "POST summaries"} {
			method, rest, _ := strings.Cut(path, " ")
			r, err := http.NewRequest(method, "http://"+w.address+"/_slipway/jobs/7/"+rest, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			if c.token != "" {
				r.Header.Set("Authorization", "Bearer "+c.token)
			}
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if want := c.want; resp.StatusCode != want && !(want == http.StatusNotFound && resp.StatusCode == http.StatusBadRequest) && !(c.name == "its own" && path == "GET artifacts") {
				t.Errorf("%s with %s token: %d, want %d", path, c.name, resp.StatusCode, want)
			}
		}
	}
}

// What `commands: restricted` leaves, and the warnings, are as the public documentation of targets says.
func TestTargetsOfStepsLimitTheirCommands(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tl := w.completed(w.one(w.push(`
jobs:
- job: J
  steps:
  - bash: |
      echo "##vso[task.setvariable variable=sauce]crushed tomatoes"
      echo "##vso[task.setvariable variable=secretSauce]garlic"
      echo "##vso[build.addbuildtag]allowed"
    displayName: some
    target: {settableVariables: [Sauce]}
  - bash: |
      echo "##vso[build.addbuildtag]forbidden"
      echo "##vso[task.setvariable variable=more]cheese"
    displayName: restricted
    target: {container: host, commands: restricted}
  - bash: echo "##vso[task.setvariable variable=none]x"
    displayName: none
    target: {settableVariables: none}
  - bash: echo "sauce=$SAUCE secret=[$SECRETSAUCE] more=$MORE none=[$NONE]"
    displayName: look
`)))
	if tl.Run.Result != schedule.Succeeded {
		t.Fatalf("result %s:\n%s", tl.Run.Result, w.describe(tl))
	}
	if diff := cmp.Diff([]string{"allowed"}, tl.Run.Tags); diff != "" {
		t.Error(diff)
	}
	j := w.job(tl, "__default.J")
	if log := w.log(j, "look"); !strings.Contains(log, "sauce=crushed tomatoes secret=[] more=cheese none=[]\n") {
		t.Errorf("log of look:\n%s", log)
	}
	for step, want := range map[string]string{
		"some":       "##[warning]Variable secretSauce keeps its value, since it is not among settableVariables of the step's target.",
		"restricted": "##[warning]build.addbuildtag is not obeyed, since the step's target restricts its commands.",
		"none":       "##[warning]Variable none keeps its value",
	} {
		if log := w.log(j, step); !strings.Contains(log, want) {
			t.Errorf("log of %s:\n%s", step, log)
		}
	}
}
