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
	f("pool Big is set", "set", "Big", "--cpu", "2", "--memory-limit", "16Gi", "--node-label", "disk=ssd", "--toleration", "gpu=yes:NoSchedule", "--capability", "gpu=a100", "--warm", "0", "--retry-lost", "3")
	f("pool big is set", "set", "big", "--cpu", "4")
	zero := 0
	got, err := s.Pool(context.Background(), "Big")
	want := pipelines.PoolSettings{CPU: "4", MemoryLimit: "16Gi", NodeSelector: map[string]string{"disk": "ssd"}, Warm: &zero, RetryLost: 3,
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

func TestPipelines(t *testing.T) {
	t.Parallel()
	_, data := served(t, oneStep)
	f := func(want string, args ...string) {
		t.Helper()
		out, err := run(append([]string{"pipelines", "--data", data}, args...)...)
		if err != nil || !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
			t.Errorf("%v: %v\n%s\nwant %s", args, err, out, want)
		}
	}
	f("1 shop as its file says as the pool says")
	f("1 shop by people alone 2", "set", "Shop", "--retry-lost", "2", "--disabled")
	f("1 shop as its file says 2", "set", "shop", "--disabled=false")
	f("1 shop as its file says as the pool says", "set", "shop", "--retry-lost", "pool")
	for _, args := range [][]string{{"--retry-lost", "often"}, {"--retry-lost", "11"}} {
		if out, err := run(append([]string{"pipelines", "set", "shop", "--data", data}, args...)...); err == nil {
			t.Errorf("%v: %s", args, out)
		}
	}
	if _, err := run("pipelines", "set", "hats", "--data", data, "--disabled"); err == nil || !strings.Contains(err.Error(), `no pipeline "hats"`) {
		t.Errorf("a pipeline that is not there: %v", err)
	}
}

const oneStep = "steps:\n- bash: x\n"
