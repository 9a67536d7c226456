package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// breakShop sets the shop's fault, commits and pushes; the run deploys it to dev.
func breakShop(t *testing.T, dir, fault string) {
	t.Helper()
	path := filepath.Join(dir, "deploy", "web.yaml")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	value := regexp.MustCompile(`(- name: SHOP_FAIL\n +value: )"[^"]*"`)
	if !value.Match(b) {
		t.Fatal("deploy/web.yaml has no SHOP_FAIL")
	}
	if err := os.WriteFile(path, value.ReplaceAll(b, []byte(`${1}"`+fault+`"`)), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, dir, nil, "git", "commit", "-q", "-a", "-m", "deploy: try "+fault+"\n\nAB#3")
	run(t, dir, nil, "git", "push", "-q", "origin", "main")
}

// badDeploymentFails deploys a service that ends at once: the run says why, the pods before it go on serving, and a
// rollback makes it as it was.
func badDeploymentFails(t *testing.T, i *installation) {
	good := i.deployments(t, "dev")[0]
	dir := i.clone(t, sample)
	breakShop(t, dir, "start")
	bad := i.awaitDeployment(t, good)
	if bad.State != "failed" || !strings.Contains(bad.Reason, "web") || !strings.Contains(bad.Reason, "SHOP_FAIL=start: this build refuses to start") {
		t.Errorf("the bad deployment: %+v, want it failed with what the container said", bad)
	}
	if status, _, err := i.get(t.Context(), "shop-dev.localhost", "/"); err != nil || status != http.StatusOK {
		t.Errorf("the pods before it serve no more: %d, %v", status, err)
	}
	eventually(t, time.Minute, func() string {
		if r := i.newestRun(t); r.Status != "completed" || r.Result != "failed" {
			return fmt.Sprintf("run %d is %s %s, want failed", r.ID, r.Status, r.Result)
		}
		return ""
	})
	log := i.slipway(t, sample, "logs", fmt.Sprint(i.newestRun(t).ID))
	if !strings.Contains(log, "SHOP_FAIL=start: this build refuses to start") {
		t.Errorf("the run's log does not say why:\n%s", log)
	}
	i.rollBack(t, bad, good)
}

// awaitDeployment waits until another deployment to dev than the last one has ended.
func (i *installation) awaitDeployment(t *testing.T, last deployed) (next deployed) {
	t.Helper()
	eventually(t, 6*time.Minute, func() string {
		next = i.deployments(t, "dev")[0]
		if next.ID == last.ID || next.State == "running" {
			return fmt.Sprintf("deployment %d is %s", next.ID, next.State)
		}
		return ""
	})
	return next
}

// rollBack undoes the bad deployment, and wants dev to be as the good one left it.
func (i *installation) rollBack(t *testing.T, bad, good deployed) {
	t.Helper()
	to := good.ID
	if good.RollbackTo != 0 { // what served was brought back itself
		to = good.RollbackTo
	}
	said := i.slipway(t, sample, "rollback", fmt.Sprint(bad.ID))
	if want := fmt.Sprintf("back to deployment %d: succeeded", to); !strings.Contains(said, want) {
		t.Errorf("slipway rollback said %q, want %q", said, want)
	}
	if newest := i.deployments(t, "dev")[0]; newest.RollbackTo != to || newest.State != "succeeded" {
		t.Errorf("the newest deployment is %+v, want one that goes back to %d", newest, to)
	}
	value := i.kubectl(t, "-n", "sample-dev", "get", "deployment", "web", "-o", `jsonpath={.spec.template.spec.containers[0].env[?(@.name=="SHOP_FAIL")].value}`)
	if value != "" {
		t.Errorf("dev still has SHOP_FAIL=%q", value)
	}
	eventually(t, time.Minute, func() string {
		pods := i.kubectl(t, "-n", "sample-dev", "get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].status.containerStatuses[0].ready}")
		if pods != "true" {
			return "pods of web are ready: " + pods
		}
		return ""
	})
}

// badTelemetryOpensABug deploys a service that starts and then fails its requests: a health rule notices, and a bug with
// the evidence is on the board.
func badTelemetryOpensABug(t *testing.T, i *installation) {
	if bugs := i.bugs(t); len(bugs) > 0 {
		t.Errorf("the board has bugs before there is a fault: %q\n%s", bugs, i.slipway(t, sample, "trace", "workitem:4"))
	}
	good := i.deployments(t, "dev")[0]
	dir := i.clone(t, sample)
	breakShop(t, dir, "requests")
	bad := i.awaitDeployment(t, good)
	if bad.State != "succeeded" {
		t.Fatalf("the deployment: %+v, want it to succeed: its fault shows later", bad)
	}
	eventually(t, 2*time.Minute, func() string {
		for range 5 {
			if _, _, err := i.get(t.Context(), "shop-dev.localhost", "/"); err != nil {
				return err.Error()
			}
		}
		for _, bug := range i.bugs(t) {
			if strings.HasPrefix(bug, "dev: ") && strings.Contains(bug, "requests failed") {
				return ""
			}
		}
		return fmt.Sprintf("no bug tells of dev: %q", i.bugs(t))
	})
	bugs := i.bugs(t)
	if len(bugs) != 1 {
		t.Errorf("the fault made %d bugs: %q", len(bugs), bugs)
	}
	// The graph hears of each a moment after the board.
	eventually(t, 30*time.Second, func() string {
		traced := i.slipway(t, sample, "trace", fmt.Sprintf("deployment:%d", bad.ID))
		for _, want := range []string{"workitem", "alert", "commit", "run"} {
			if !strings.Contains(traced, want) {
				return fmt.Sprintf("the deployment's trace has no %s:\n%s", want, traced)
			}
		}
		return ""
	})
	i.rollBack(t, bad, good)
	eventually(t, 2*time.Minute, func() string {
		if item := i.page(t, "/sample/_workitems/edit/4"); !strings.Contains(item, "is over since") {
			return "the bug does not say that its alert is over"
		}
		return ""
	})
}

// restartBringsBack stops everything and starts it again: the application comes back by itself, within the time that is
// promised.
func restartBringsBack(t *testing.T, i *installation) {
	out, err := exec.CommandContext(t.Context(), filepath.Join(i.top, "bin", "slipway"), "down", "--data", i.data).CombinedOutput()
	if err != nil {
		t.Fatalf("slipway down: %v: %s", err, out)
	}
	if err := i.cmd.Wait(); err != nil {
		t.Errorf("slipway up ended badly after slipway down: %v", err)
	}
	t.Logf("second start: %s", i.up(t, ""))
	eventually(t, time.Minute, func() string {
		status, _, err := i.get(t.Context(), "shop-dev.localhost", "/")
		if err != nil || status != http.StatusOK {
			return fmt.Sprintf("GET shop-dev.localhost: %d, %v", status, err)
		}
		return ""
	})
	restarts := i.kubectl(t, "-n", "sample-dev", "get", "pods", "-o", "jsonpath={.items[*].status.containerStatuses[0].restartCount}")
	if strings.Trim(restarts, "0 ") == "" {
		t.Fatalf("the pods were restarted %s times: the stories about restarts show nothing", restarts)
	}
}

// restartIsNoFault wants that nobody calls what a restart of everything does to pods a fault.
func restartIsNoFault(t *testing.T, i *installation) {
	// What the rules see is in the pages a moment after the collectors' third observation.
	select {
	case <-t.Context().Done():
	case <-time.After(time.Until(i.ready.Add(time.Minute))):
	}
	if bugs := i.bugs(t); len(bugs) != 1 { // that of the bad telemetry
		t.Errorf("the restart opened a bug: %q", bugs)
	}
}

var bugTitle = regexp.MustCompile(`(?s)class="item type-bug".*?<a class="title"[^>]*>([^<]*)</a>`)

// bugs are the titles of the sample's bugs, as its board shows them.
func (i *installation) bugs(t *testing.T) []string {
	t.Helper()
	var titles []string
	for _, m := range bugTitle.FindAllStringSubmatch(i.page(t, "/sample/_boards"), -1) {
		titles = append(titles, m[1])
	}
	return titles
}

// deployments lists the sample's deployments to an environment, the newest first.
func (i *installation) deployments(t *testing.T, environment string) []deployed {
	t.Helper()
	var list listOf[deployed]
	i.api(t, http.MethodGet, "/sample/_apis/slipway/deployments", nil, &list)
	var of []deployed
	for _, d := range list.Value {
		if d.Environment == environment {
			of = append(of, d)
		}
	}
	if len(of) == 0 {
		b, _ := json.Marshal(list)
		t.Fatalf("nothing was deployed to %s: %s", environment, b)
	}
	return of
}

type deployed struct {
	ID          int64
	Environment string
	State       string
	Reason      string
	RollbackTo  int64
}
