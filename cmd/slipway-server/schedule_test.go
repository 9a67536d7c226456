package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/api"
)

func TestWritesOfTheScheduler(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	f := func(want string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		out.Reset()
	}
	f("there is no environment\n", showEnvironments(&out, nil))
	f("ENVIRONMENT  CLUSTER  NAMESPACE  EXCLUSIVE LOCK\ndev          local    shop-dev   no\nproduction   local    shop-prod  run 12, stage Deploy; waiting: run 13, stage Deploy\n",
		showEnvironments(&out, []api.Environment{{Name: "dev", Cluster: "local", Namespace: "shop-dev"}, {Name: "production", Cluster: "local", Namespace: "shop-prod", Locked: true,
			Locks: []api.EnvironmentLock{{Run: 12, Stage: "Deploy", Status: "held"}, {Run: 13, Stage: "Deploy", Status: "waiting"}}}}))
	f("JOBS AT ONCE     THIS PROJECT  INSTALLATION\nof the project   4             no limit\nof one run       no limit      2\nof all projects                10\nof pool gpu                    1\n3 jobs of the project run, 5 wait; they reach this project alone\n",
		showLimits(&out, api.Limits{Jobs: 4, Running: 3, Waiting: 5, Installation: &api.InstallationLimits{Jobs: 10, RunJobs: 2, Pools: map[string]int{"gpu": 1}}}, api.GeneralSettings{EnforceJobAuthScope: true}))
	f("NUMBER  NAME    SIGNATURE        LAST CALL  URL\n3       github  X-Hub-Signature  never      http://x/github\n",
		showWebhooks(&out, []api.Webhook{{ID: 3, Name: "github", Secured: true, Header: "X-Hub-Signature", URL: "http://x/github"}}))
	writeExplanation(&out, []api.Explanation{{Name: "Build", Reason: "runs, since succeeded() is True", Condition: "succeeded()"},
		{Name: "test", Job: "test", Reason: "was skipped: eq(1, 2) is False", Condition: "eq(1, 2)"}, {Name: "make", Job: "test", Step: "make", Reason: "ran, since its condition held", Condition: "succeeded()"}})
	f("stage Build runs, since succeeded() is True\n  job test was skipped: eq(1, 2) is False\n    condition: eq(1, 2)\n    step make ran, since its condition held\n", nil)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	if n := writeReplay(&out, []api.Decision{{Number: 1, Time: at, Decisions: []string{"stage Build starts"}}, {Number: 2, Time: at, Changes: []string{"stage Build is running"}, Difference: "now: job make is queued"}}); n != 1 {
		t.Errorf("%d moments differ", n)
	}
	f("1  2026-03-01 12:00:00\n   decision  stage Build starts\n2  2026-03-01 12:00:00\n   fact      stage Build is running\n   DIFFERS   now: job make is queued\n2 moments, 1 of them would be decided otherwise today\n", nil)
}

func TestLimitFlags(t *testing.T) {
	t.Parallel()
	c := defaults()
	c.Limits.Pools = map[string]int{"GPU": 2}
	if err := c.completeLimits(); err != nil || c.Limits.Jobs != 10 || c.Limits.Pools["gpu"] != 2 {
		t.Errorf("%+v, %v", c.Limits, err)
	}
	for _, change := range []func(){func() { c.Limits.Pools["gpu"] = 0 }, func() { c.Limits.RunJobs = -1 }, func() { c.Limits.Jobs = 0 }} {
		if change(); c.completeLimits() == nil {
			t.Errorf("%+v is taken", c.Limits)
		}
	}
}
