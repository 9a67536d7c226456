package main

import (
	"context"
	"strings"
	"testing"
	"time"

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
		var out string
		var err error
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			out, err = run(c.command, id, "--data", data, "--comment", "as agreed")
			if err == nil || time.Now().After(deadline) {
				break
			}
			if err.Error() != "run "+id+" waits at no such manual validation" {
				t.Fatal(err)
			}
		}
		if out != "run "+id+", Sure?: "+c.said+"\n" || err != nil {
			t.Errorf("%s: %q, %v", c.command, out, err)
		}
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			r, err := s.Get(ctx, slipway.RunID(number+1))
			if err != nil {
				t.Fatal(err)
			}
			if r.State == pipelines.RunCompleted {
				if r.Result != c.result {
					t.Errorf("%s: the run has %s", c.command, r.Result)
				}
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("run %s does not end: %s", id, r.State)
			}
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
