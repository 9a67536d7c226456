package main

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines"
)

func TestPools(t *testing.T) {
	t.Parallel()
	s, data := served(t, oneStep)
	f := func(want string, args ...string) {
		t.Helper()
		out, err := run(append([]string{"pools", "--data", data}, args...)...)
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("%v: %v\n%s\nwant %s", args, err, out, want)
		}
	}
	f("as the server (0 wait)")
	f("pool Big is set", "set", "Big", "--cpu", "2", "--memory-limit", "16Gi", "--node-label", "disk=ssd", "--toleration", "gpu=yes:NoSchedule", "--capability", "gpu=a100", "--warm", "0")
	f("pool big is set", "set", "big", "--cpu", "4")
	zero := 0
	got, err := s.Pool(context.Background(), "Big")
	want := pipelines.PoolSettings{CPU: "4", MemoryLimit: "16Gi", NodeSelector: map[string]string{"disk": "ssd"}, Warm: &zero,
		Tolerations: []pipelines.Toleration{{Key: "gpu", Value: "yes", Effect: "NoSchedule"}}, Capabilities: map[string]string{"gpu": "a100"}}
	if diff := cmp.Diff(want, got.PoolSettings); err != nil || diff != "" {
		t.Errorf("%v, -want +got\n%s", err, diff)
	}
	f("disk=ssd")
	if _, err := run("pools", "--data", data, "set", "big", "--memory", "much"); err == nil || !strings.Contains(err.Error(), `memory "much"`) {
		t.Errorf("memory without a number: %v", err)
	}
	f("pool big is deleted", "delete", "big")
	if out, err := run("pools", "--data", data); err != nil || strings.Contains(out, "big") {
		t.Errorf("after the deletion: %v\n%s", err, out)
	}
}

const oneStep = "steps:\n- bash: x\n"
