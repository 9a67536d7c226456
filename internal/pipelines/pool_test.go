package pipelines_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// A job's pod is as the pool says that its file names by name or vmImage; others are as the pool default says.
func TestPools(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		put := func(name string, s pipelines.PoolSettings, wantCreated bool) {
			t.Helper()
			if _, created, err := w.PutPool(ctx, name, s, slipway.System); err != nil || created != wantCreated {
				t.Fatalf("pool %s: created %v, %v", name, created, err)
			}
		}
		put("Big", pipelines.PoolSettings{CPU: "1"}, true)
		big := pipelines.PoolSettings{CPU: "4", MemoryLimit: "16Gi", Image: "registry.test/big:1", NodeSelector: map[string]string{"disk": "ssd"},
			Tolerations: []pipelines.Toleration{{Key: "gpu", Operator: "Exists"}}}
		put("BIG", big, false)
		put("ubuntu-24.04", pipelines.PoolSettings{Memory: "1Gi"}, true)
		put("default", pipelines.PoolSettings{CPU: "2"}, true)
		placed := pipelines.PoolSettings{CPU: "4", MemoryLimit: "16Gi", NodeSelector: big.NodeSelector, Tolerations: big.Tolerations}
		for pool, want := range map[string]struct {
			image string
			pool  pipelines.PoolSettings
		}{
			"big":                            {"registry.test/big:1", placed},
			"{name: Big, demands: agent.os}": {"registry.test/big:1", placed},
			"{vmImage: ubuntu-24.04}":        {"localhost:8080/slipway/job:latest", pipelines.PoolSettings{Memory: "1Gi"}},
			"{vmImage: ubuntu-latest}":       {"localhost:8080/slipway/job:latest", pipelines.PoolSettings{CPU: "2"}},
			"somebody else's":                {"localhost:8080/slipway/job:latest", pipelines.PoolSettings{CPU: "2"}},
		} {
			run := w.push("pool: " + pool + "\nsteps:\n- bash: x\n")[0].ID
			w.look()
			got := w.cluster.pod(pipelines.PodName(run, w.timeline(run)["__default.Job"].ID))
			if diff := cmp.Diff(want.pool, got.Pool); diff != "" || got.Image != want.image {
				t.Errorf("pool %s: image %s, want %s; -want +got\n%s", pool, got.Image, want.image, diff)
			}
			w.do(run, "__default.Job", job.Completion{Result: schedule.Succeeded})
		}
		if err := w.DeletePool(ctx, "big", slipway.System); err != nil {
			t.Fatal(err)
		}
		list, err := w.Pools(ctx)
		var names []string
		for _, p := range list {
			names = append(names, p.Name)
		}
		if diff := cmp.Diff([]string{"default", "ubuntu-24.04"}, names); err != nil || diff != "" {
			t.Errorf("%v, -want +got\n%s", err, diff)
		}
	})
}

// Demands that a pool does not meet are refused when the run is queued, where they stand; with a macro when the job starts.
func TestDemands(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		if _, _, err := w.PutPool(ctx, "gpus", pipelines.PoolSettings{Capabilities: map[string]string{"gpu": "a100"}}, slipway.System); err != nil {
			t.Fatal(err)
		}
		problems := func(pool string) string {
			t.Helper()
			run, err := w.Get(ctx, w.push("pool: " + pool + "\nsteps:\n- bash: x\n")[0].ID)
			if err != nil {
				t.Fatal(err)
			}
			text := ""
			for _, p := range run.Problems {
				text += p.At.String() + " " + p.Message + "\n"
			}
			return text
		}
		for _, good := range []string{"{name: gpus, demands: gpu}", "{name: gpus, demands: [gpu -equals A100, agent.os -equals Linux]}", "{name: others, demands: gpu}"} {
			if got := problems(good); got != "" {
				t.Errorf("%s: %s", good, got)
			}
		}
		want := "azure-pipelines.yml:1:7 the pool gpus does not meet the demand \"gpu -equals h100\": name another pool, or ask an administrator to give this one the capability\n"
		if got := problems("{name: gpus, demands: [gpu, gpu -equals h100]}"); got != want {
			t.Errorf("refusal %q, want %q", got, want)
		}
		run := w.push("variables: {card: h100}\npool: {name: gpus, demands: gpu -equals $(card)}\nsteps:\n- bash: x\n")[0].ID
		w.look()
		if j := w.timeline(run)["__default.Job"]; j.Result != schedule.Failed || !strings.Contains(j.Reason, `does not meet the demand "gpu -equals h100"`) {
			t.Errorf("the job is %s: %s", j.Result, j.Reason)
		}
	})
}

func TestPoolSettingsAreChecked(t *testing.T) {
	t.Parallel()
	w, ctx := setup(t, dbtest.SQLite(t)), context.Background()
	many := pipelines.MaxWarm + 1
	for name, tt := range map[string]struct {
		pool     string
		settings pipelines.PoolSettings
		want     string
	}{
		"name":       {"a/b", pipelines.PoolSettings{}, "pool name"},
		"server":     {"Server", pipelines.PoolSettings{}, "pool of jobs without an agent"},
		"cpu":        {"a", pipelines.PoolSettings{CPU: "two"}, `cpu "two"`},
		"memory":     {"a", pipelines.PoolSettings{MemoryLimit: "4GB"}, `memoryLimit "4GB"`},
		"image":      {"a", pipelines.PoolSettings{Image: "a b"}, "without spaces"},
		"warm":       {"a", pipelines.PoolSettings{Warm: &many}, "warm 21"},
		"label":      {"a", pipelines.PoolSettings{NodeSelector: map[string]string{"a b": "c"}}, "nodeSelector"},
		"capability": {"a", pipelines.PoolSettings{Capabilities: map[string]string{"a b": ""}}, "capability"},
		"operator":   {"a", pipelines.PoolSettings{Tolerations: []pipelines.Toleration{{Key: "a", Operator: "In"}}}, "operator"},
		"effect":     {"a", pipelines.PoolSettings{Tolerations: []pipelines.Toleration{{Key: "a", Effect: "Never"}}}, "effect"},
		"no key":     {"a", pipelines.PoolSettings{Tolerations: []pipelines.Toleration{{Value: "a"}}}, "names the key"},
	} {
		if _, _, err := w.PutPool(ctx, tt.pool, tt.settings, slipway.System); slipway.CodeOf(err) != slipway.CodeInvalid || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	for _, text := range []string{"gpu=yes:NoSchedule", "spot:NoExecute", "gpu=yes", "*", "*:NoSchedule", "gpu"} {
		if got := pipelines.ParseToleration(text).String(); got != text {
			t.Errorf("toleration %s becomes %s", text, got)
		}
	}
}
