package builder

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/plugins/snapshots/native"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay/overlayutils"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/executor/oci"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/network/netproviders"
	"github.com/moby/buildkit/worker"
	"github.com/moby/buildkit/worker/base"
	"github.com/moby/buildkit/worker/runc"
	"golang.org/x/sync/semaphore"
)

// openWorker opens the one worker: runc for steps, and a snapshotter that fits the file system.
//
// Two things that one might miss are left unset on purpose. A step's oom_score_adj stays the
// builder's own, since lowering it needs CAP_SYS_RESOURCE, which a container often lacks. Its
// cgroup has no limits of its own: a step may use what the builder may.
func openWorker(ctx context.Context, c Config, hosts docker.RegistryHosts) (worker.Worker, string, error) {
	factory := newSnapshotter(c.State)
	var dns *oci.DNSConfig
	if len(c.DNS) > 0 {
		dns = &oci.DNSConfig{Nameservers: c.DNS}
	}
	var parallel *semaphore.Weighted
	if c.Parallel > 0 {
		parallel = semaphore.NewWeighted(int64(c.Parallel))
	}
	opt, err := runc.NewWorkerOpt(c.State, factory, false, oci.ProcessSandbox, nil, nil,
		netproviders.Opt{Mode: "host"}, dns, c.Runc, "", false, parallel, "", cgroupName(c.State), nil)
	if err != nil {
		return nil, "", fmt.Errorf("prepare worker: %w", err)
	}
	if c.StepSubnet != "" {
		steps, err := openStepNetwork(c)
		if err != nil {
			return nil, "", fmt.Errorf("prepare the network of build steps: %w", err)
		}
		opt.NetworkProviders[pb.NetMode_UNSET] = steps // the map is the executor's too
	}
	opt.GCPolicy = gcPolicy(c.CacheBytes)
	opt.RegistryHosts = hosts
	opt.BuildkitVersion = client.BuildkitVersion{Package: buildkit, Version: Version()}
	w, err := base.NewWorker(ctx, opt)
	if err != nil {
		return nil, "", fmt.Errorf("open worker: %w", err)
	}
	if err := limitSources(w); err != nil {
		return nil, "", err
	}
	return w, factory.Name, nil
}

func newSnapshotter(state string) runc.SnapshotterFactory {
	if overlayutils.Supported(state) != nil {
		return runc.SnapshotterFactory{Name: "native", New: native.NewSnapshotter}
	}
	return runc.SnapshotterFactory{Name: "overlayfs", New: func(root string) (snapshots.Snapshotter, error) {
		return overlay.NewSnapshotter(root, overlay.AsynchronousRemove)
	}}
}

// gcPolicy bounds the cache. BuildKit applies the rules in order, about a minute after a build:
// first what is cheap to make again and unused for two days, then the oldest down to the limit,
// then, if that was not enough, also what BuildKit otherwise keeps for itself (frontend images).
// Cache mounts are not in the first rule: they are what makes the next compile fast.
func gcPolicy(limit int64) []client.PruneInfo {
	return []client.PruneInfo{
		{Filter: []string{"type==source.local", "type==source.git.checkout"}, KeepDuration: 48 * time.Hour, MaxUsedSpace: limit / 10},
		{MaxUsedSpace: limit},
		{All: true, MaxUsedSpace: limit},
	}
}

const buildkit = "github.com/moby/buildkit"

// Version is the version of BuildKit that this program was linked with.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == buildkit {
				return m.Version
			}
		}
	}
	return "unknown"
}
