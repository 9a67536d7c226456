package main

import (
	"context"
	"strings"
	"testing"

	"slipway/internal/pipelines/job"
)

// The machines of a pool are registered by a token that the command prints, listed, disabled and removed.
func TestMachinesOfPool(t *testing.T) {
	t.Parallel()
	s, data := served(t, oneStep)
	f := func(want string, args ...string) string {
		t.Helper()
		out, err := run(append([]string{"pools", "--data", data}, args...)...)
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("%v: %v\n%s\nwant %s", args, err, out, want)
		}
		return out
	}
	machines := func(want string, args ...string) string {
		t.Helper()
		return f(want, append([]string{"machines", "--data", data}, args...)...)
	}
	f("pool metal is set", "set", "metal", "--machines")
	machines("there is no machine", "metal")
	token := strings.TrimSpace(machines("", "register", "metal"))
	if _, err := s.RegisterMachine(context.Background(), token, job.MachineRegistration{Version: job.Version, Name: "truck"}); err != nil {
		t.Fatal(err)
	}
	machines("online", "metal")
	machines("machine truck is disabled", "disable", "metal", "truck")
	machines("online, disabled", "metal")
	machines("machine TRUCK is enabled", "enable", "metal", "TRUCK")
	machines("machine truck is removed", "remove", "metal", "truck")
	machines("there is no machine", "metal")
	for _, args := range [][]string{{"nowhere"}, {"remove", "metal", "truck"}} {
		if _, err := run(append([]string{"pools", "machines", "--data", data}, args...)...); err == nil || !strings.Contains(err.Error(), "there is no ") {
			t.Errorf("%v: %v", args, err)
		}
	}
}
