package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// drill is a project of pipelines that compile nothing: they show what happens to runs when things go wrong.
const drill = "drill"

// TestRuns shows what becomes of runs when the server or the node is killed, when somebody cancels them, and when they fail.
func TestRuns(t *testing.T) {
	t.Parallel()
	i := newInstallation(t, runsAddresses)
	i.up(t, "")
	i.stopAtEnd(t)
	i.tell(t, []story{
		{"runs survive what is killed", runsSurvive},
		{"runs are canceled", runsAreCanceled},
		{"failed jobs are retried", failedJobsAreRetried},
		{"mistakes are named", mistakesAreNamed},
		{"runs are led in a browser", runsAreLed},
		{"tasks work in a pod", tasksWork},
		{"a pull request is reviewed in a browser", reviewedInBrowser},
		{"a large pull request is read in a browser", readInBrowser},
		{"a pull request is reviewed by git alone", reviewedByGit},
		{"images of elsewhere are copied, run and looked at", imagesOfElsewhere},
	})
}

// pushPipeline pushes the pipeline and returns the run that it started.
func pushPipeline(t *testing.T, i *installation, work, text string) int64 {
	t.Helper()
	if err := os.WriteFile(filepath.Join(work, "azure-pipelines.yml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, work, nil, "git", "add", "-A")
	run(t, work, nil, "git", "commit", "-q", "-m", "drill")
	run(t, work, nil, "git", "push", "-q", "origin", "main")
	commit := strings.TrimSpace(run(t, work, nil, "git", "rev-parse", "HEAD"))
	var id int64
	eventually(t, 30*time.Second, func() string {
		var list listOf[build]
		i.api(t, http.MethodGet, "/"+drill+"/_apis/build/builds", nil, &list)
		for _, b := range list.Value {
			if b.SourceVersion == commit {
				id = b.ID
				return ""
			}
		}
		return "the push started no run"
	})
	return id
}

// awaitResult waits until the run is over and wants that result.
func awaitResult(t *testing.T, i *installation, id int64, want string, within time.Duration) {
	t.Helper()
	eventually(t, within, func() string {
		var b build
		i.api(t, http.MethodGet, fmt.Sprintf("/%s/_apis/build/builds/%d", drill, id), nil, &b)
		if b.Status != "completed" {
			return fmt.Sprintf("run %d is %s", id, b.Status)
		}
		if b.Result != want {
			t.Fatalf("run %d: %s, want %s\n%s\n%s", id, b.Result, want, i.slipway(t, drill, "runs", fmt.Sprint(id)), i.slipway(t, drill, "logs", fmt.Sprint(id)))
		}
		return ""
	})
}

// awaitLine waits until the run's log has the line.
func awaitLine(t *testing.T, i *installation, id int64, line string, within time.Duration) {
	t.Helper()
	eventually(t, within, func() string {
		if !strings.Contains(i.slipway(t, drill, "logs", fmt.Sprint(id)), line) {
			return fmt.Sprintf("run %d has not said %q", id, line)
		}
		return ""
	})
}

// runsSurvive kills the server and the node in the middle of a run whose step goes on counting, and wants each of its
// lines once.
func runsSurvive(t *testing.T, i *installation) {
	const lines = 60
	i.createProject(t, drill)
	work := i.clone(t, drill)
	id := pushPipeline(t, i, work, fmt.Sprintf(`
trigger: [main]
steps:
  - checkout: none
  - bash: for n in $(seq 1 %d); do echo "line $n of %d"; sleep 0.5; done
    displayName: Count
`, lines, lines))
	awaitLine(t, i, id, "line 5 of", time.Minute)
	i.kill(t)
	t.Logf("start beside a node that runs on: %s", i.up(t, ""))
	awaitLine(t, i, id, "line 20 of", time.Minute)
	node := i.processOf(t, "node")
	if err := syscall.Kill(node, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	i.expect(t, "The node runs again", 2*time.Minute)
	awaitResult(t, i, id, "succeeded", 3*time.Minute)
	var got []string
	for line := range strings.Lines(i.slipway(t, drill, "logs", fmt.Sprint(id))) {
		if m := regexp.MustCompile(`line (\d+) of`).FindStringSubmatch(line); m != nil && !strings.Contains(line, "echo") {
			got = append(got, m[1])
		}
	}
	var want []string
	for n := range lines {
		want = append(want, fmt.Sprint(n+1))
	}
	if g, w := strings.Join(got, " "), strings.Join(want, " "); g != w {
		t.Errorf("the log has lines\n%s\nwant\n%s", g, w)
	}
	if i.processOf(t, "node") == node {
		t.Error("the node's process is the one that was killed")
	}
}

// processOf reads a program's process id as `slipway status` tells it.
func (i *installation) processOf(t *testing.T, program string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(i.data, "run", program+".pid"))
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(b), &pid); err != nil {
		t.Fatal(err)
	}
	return pid
}

// runsAreCanceled cancels a run: it ends soon, its pod with it, and keeps what it said.
func runsAreCanceled(t *testing.T, i *installation) {
	work := i.clone(t, drill)
	id := pushPipeline(t, i, work, `
trigger: [main]
jobs:
  - job: waits
    steps:
      - checkout: none
      - bash: echo "begun and waiting"; sleep 600
      - bash: echo "cleaned up"
        condition: always()
  - job: never
    dependsOn: waits
    steps:
      - bash: echo "not this one"
`)
	awaitLine(t, i, id, "begun and waiting", time.Minute)
	start := time.Now()
	i.slipway(t, drill, "runs", "--cancel", fmt.Sprint(id))
	awaitResult(t, i, id, "canceled", time.Minute)
	t.Logf("from the cancellation to the run's end: %s", time.Since(start))
	log := i.slipway(t, drill, "logs", fmt.Sprint(id))
	if !strings.Contains(log, "begun and waiting") || !strings.Contains(log, "cleaned up") || strings.Contains(log, "not this one") {
		t.Errorf("the log of the canceled run:\n%s", log)
	}
	eventually(t, 30*time.Second, func() string {
		if left := i.kubectl(t, "-n", "slipway-jobs", "get", "pods", "-l", fmt.Sprintf("slipway.dev/run=%d", id), "-o", "name"); left != "" {
			return "the job's pod is still there: " + left
		}
		return ""
	})
}

// failedJobsAreRetried runs a job again that failed at its first attempt; what succeeded before is not repeated.
func failedJobsAreRetried(t *testing.T, i *installation) {
	work := i.clone(t, drill)
	id := pushPipeline(t, i, work, `
trigger: [main]
stages:
  - stage: First
    jobs:
      - job: steady
        steps:
          - checkout: none
          - bash: echo "steady in attempt $(System.JobAttempt)"
      - job: flaky
        steps:
          - checkout: none
          - bash: |
              echo "flaky in attempt $(System.JobAttempt)"
              [ $(System.JobAttempt) -gt 1 ]
  - stage: Second
    jobs:
      - job: last
        steps:
          - checkout: none
          - bash: echo "the second stage ran"
`)
	awaitResult(t, i, id, "failed", time.Minute)
	i.slipway(t, drill, "runs", "--retry", fmt.Sprint(id))
	awaitLine(t, i, id, "the second stage ran", time.Minute)
	awaitResult(t, i, id, "succeeded", time.Minute)
	log := i.slipway(t, drill, "logs", fmt.Sprint(id))
	for text, want := range map[string]int{"\nsteady in attempt 1": 1, "\nsteady in attempt 2": 0, "\nflaky in attempt 2": 1} {
		if got := strings.Count(withoutTimes(log), text); got != want {
			t.Errorf("the log has %q %d times, want %d:\n%s", text, got, want, log)
		}
	}
}

// withoutTimes takes the time off each line of a log.
func withoutTimes(log string) string {
	return regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\dT[0-9:.]+Z `).ReplaceAllString(log, "")
}

// mistakesAreNamed pushes a pipeline with mistakes: the run fails at once and says where each is.
func mistakesAreNamed(t *testing.T, i *installation) {
	work := i.clone(t, drill)
	id := pushPipeline(t, i, work, `
trigger: [main]
steps:
  - bash: echo hello
    condtion: always()
  - task: NoSuchTask@7
`)
	awaitResult(t, i, id, "failed", 30*time.Second)
	said := i.slipway(t, drill, "runs", fmt.Sprint(id))
	for _, want := range []string{"azure-pipelines.yml:5:", "condtion", "azure-pipelines.yml:6:", "NoSuchTask@7"} {
		if !strings.Contains(said, want) {
			t.Errorf("slipway runs lacks %q:\n%s", want, said)
		}
	}
}

// tasksWork runs tasks that need more than a shell: a cache that the second run finds, archives, az with the job's own rights,
// a validation that a person answers, and access to the cluster for a deployment job, within its environment alone.
func tasksWork(t *testing.T, i *installation) {
	work := i.clone(t, drill)
	const pipeline = `
trigger: [main]
stages:
  - stage: Work
    jobs:
      - job: tasks
        steps:
          - task: Cache@2
            inputs: {key: stuff | lock.txt, path: $(Pipeline.Workspace)/stuff, cacheHitVar: HIT}
          - bash: |
              echo "found: $(HIT) $(cat $(Pipeline.Workspace)/stuff/made 2>/dev/null)"
              mkdir -p $(Pipeline.Workspace)/stuff
              echo "by run $(Build.BuildId)" > $(Pipeline.Workspace)/stuff/made
          - task: ArchiveFiles@2
            inputs: {rootFolderOrFile: lock.txt, includeRootFolder: false, archiveType: zip, archiveFile: $(Agent.TempDirectory)/a.zip}
          - task: ExtractFiles@1
            inputs: {archiveFilePatterns: $(Agent.TempDirectory)/a.zip, destinationFolder: $(Agent.TempDirectory)/out}
          - bash: echo "unpacked $(cat $(Agent.TempDirectory)/out/lock.txt)"
          - task: AzureCLI@2
            inputs:
              azureSubscription: none
              scriptType: bash
              scriptLocation: inlineScript
              inlineScript: |
                az acr repository list --name slipway -o tsv | grep ^library/
                az vm list || echo "az vm list ended with $?"
  - stage: Ask
    jobs:
      - job: ask
        pool: server
        steps:
          - task: ManualValidation@1
            inputs: {notifyUsers: '', instructions: Look at it}
  - stage: Ship
    jobs:
      - deployment: access
        environment: dev
        strategy:
          runOnce:
            deploy:
              steps:
                - bash: |
                    az aks get-credentials --resource-group any --name local --file kubeconfig
                    value() { sed -n "s/^ *$1: //p" kubeconfig; }
                    ask() { curl -sk -o /dev/null -w "$1: %{http_code}\\n" -H "Authorization: Bearer $(value token)" "$(value server)$2"; }
                    ask own /api/v1/namespaces/$(value namespace)/pods
                    ask others /api/v1/namespaces/slipway-jobs/secrets
                    ask nodes /api/v1/nodes
`
	if err := os.WriteFile(filepath.Join(work, "lock.txt"), []byte("locked\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	first := pushPipeline(t, i, work, pipeline)
	awaitLine(t, i, first, "Waits for somebody", time.Minute)
	if said := i.slipway(t, drill, "resume", fmt.Sprint(first), "--comment", "fine"); !strings.Contains(said, "resumed") {
		t.Errorf("slipway resume said %q", said)
	}
	awaitResult(t, i, first, "succeeded", time.Minute)
	log := withoutTimes(i.slipway(t, drill, "logs", fmt.Sprint(first)))
	for _, line := range []string{"found: false ", "unpacked locked", "library/debian", "az vm list ended with 2", "admin resumed the run: fine", "own: 200", "others: 403", "nodes: 403"} {
		if !strings.Contains(log, "\n"+line+"\n") {
			t.Errorf("the log has no line %q:\n%s", line, log)
		}
	}
	second := pushPipeline(t, i, work, pipeline+"# again\n")
	awaitLine(t, i, second, fmt.Sprintf("found: true by run %d", first), time.Minute)
	awaitLine(t, i, second, "Waits for somebody", time.Minute)
	i.slipway(t, drill, "reject", fmt.Sprint(second))
	awaitResult(t, i, second, "failed", time.Minute)
	if log := i.slipway(t, drill, "logs", fmt.Sprint(second)); strings.Contains(log, "own: ") {
		t.Errorf("a rejected run went on:\n%s", log)
	}
}
