package main

import (
	"context"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/schedule"
)

func TestResumeAndReject(t *testing.T) {
	t.Parallel()
	s, data := served(t, "pool: server\nsteps:\n- task: ManualValidation@1\n  displayName: Sure?\n  inputs: {notifyUsers: ''}\n")
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	for number, c := range []struct {
		command, said string
		result        schedule.Result
	}{{"resume", "resumed", schedule.Succeeded}, {"reject", "rejected", schedule.Failed}} {
		id := []string{"1", "2"}[number]
		if _, err := run("queue", "--data", data, "--branch", "main"); err != nil {
			t.Fatal(err)
		}
		waitFor(t, s, slipway.RunID(number+1), func() bool {
			list, err := s.Validations(ctx, slipway.RunID(number+1))
			return err == nil && len(list) > 0
		})
		out, err := run(c.command, id, "--data", data, "--comment", "as agreed")
		if out != "run "+id+", Sure?: "+c.said+"\n" || err != nil {
			t.Errorf("%s: %q, %v", c.command, out, err)
		}
		var r pipelines.Run
		waitFor(t, s, slipway.RunID(number+1), func() bool {
			r, err = s.Get(ctx, slipway.RunID(number+1))
			return err != nil || r.State == pipelines.RunCompleted
		})
		if err != nil || r.Result != c.result {
			t.Errorf("%s: the run has %s, %v", c.command, r.Result, err)
		}
	}
	if _, err := run("resume", "one", "--data", data); err == nil || !strings.Contains(err.Error(), "write its number") {
		t.Errorf("a word for a run: %v", err)
	}
}

func TestCallNetworks(t *testing.T) {
	t.Parallel()
	c := Config{CallNetworks: []string{"10.1.2.3/8", "fd00::/8"}}
	list, err := c.callNetworks()
	if err != nil || len(list) != 2 || list[0].String() != "10.0.0.0/8" || list[1].String() != "fd00::/8" {
		t.Errorf("%v, %v", list, err)
	}
	c.CallNetworks = []string{"10.0.0.1"}
	if _, err := c.callNetworks(); err == nil || err.Error() != `--call-network "10.0.0.1": write ADDRESS/BITS, as 10.0.0.0/8` {
		t.Errorf("%v", err)
	}
}
