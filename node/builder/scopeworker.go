package builder

import (
	"context"
	"errors"
	"strings"

	"github.com/moby/buildkit/cache"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/worker"
)

// diskUsageAll asks for every record.
var diskUsageAll = client.DiskUsageInfo{}

// scopedWorker is the one worker as a scope sees it: with cache mounts of its own, and without the addresses that no
// source may be fetched from. A frontend, a client that sends a graph itself and a Dockerfile come all this way.
type scopedWorker struct {
	worker.Worker
	prefix string // of the ids of cache mounts; "" leaves them as they are
}

// scopedVertex is a vertex whose operation has been rewritten.
type scopedVertex struct {
	solver.Vertex
	op *pb.Op
}

func (v scopedVertex) Sys() any { return v.op }

// ResolveOp (worker.Worker) rewrites what a step asks for before it is made.
func (w *scopedWorker) ResolveOp(v solver.Vertex, s frontend.FrontendLLBBridge, sm *session.Manager, proxy worker.ProxyOpt) (solver.Op, error) {
	if op, ok := v.Sys().(*pb.Op); ok {
		switch inner := op.Op.(type) {
		case *pb.Op_Source:
			if err := checkSource(inner.Source); err != nil {
				return nil, err
			}
		case *pb.Op_Exec:
			if w.prefix != "" {
				v = scopedVertex{v, prefixed(op, w.prefix)}
			}
		}
	}
	return w.Worker.ResolveOp(v, s, sm, proxy)
}

// prefixed is the operation with the prefix before the id of each cache mount.
func prefixed(op *pb.Op, prefix string) *pb.Op {
	op = op.CloneVT()
	for _, m := range op.GetExec().GetMounts() {
		if m.CacheOpt != nil {
			m.CacheOpt.ID = prefix + m.CacheOpt.ID
		}
	}
	return op
}

// ResolveSourceMetadata (worker.Worker) asks a source before there is a step for it.
func (w *scopedWorker) ResolveSourceMetadata(ctx context.Context, op *pb.SourceOp, opt sourceresolver.Opt, sm *session.Manager, job solver.JobContext) (*sourceresolver.MetaResponse, error) {
	if err := checkSource(op); err != nil {
		return nil, err
	}
	return w.Worker.ResolveSourceMetadata(ctx, op, opt, sm, job)
}

// PruneCacheMounts (worker.Worker) empties cache mounts of the scope, as `no-cache` asks.
func (w *scopedWorker) PruneCacheMounts(ctx context.Context, ids map[string]bool) error {
	if w.prefix == "" {
		return w.Worker.PruneCacheMounts(ctx, ids)
	}
	own := make(map[string]bool, len(ids))
	for id, nested := range ids {
		own[w.prefix+id] = nested
	}
	return w.Worker.PruneCacheMounts(ctx, own)
}

// CacheManager (worker.Worker) is what frontends make containers with, beside the steps.
func (w *scopedWorker) CacheManager() cache.Manager {
	if w.prefix == "" {
		return w.Worker.CacheManager()
	}
	return stepMounts{w.Worker.CacheManager()}
}

// stepMounts finds no cache mount: those of a scope are for its steps.
type stepMounts struct{ cache.Manager }

func (m stepMounts) Search(ctx context.Context, index string, prefix bool) ([]cache.RefMetadata, error) {
	if strings.HasPrefix(index, cacheMountIndex) {
		return nil, errors.New("a cache mount is for steps, and not for a container that a frontend makes beside them")
	}
	return m.Manager.Search(ctx, index, prefix)
}

// Close does nothing: the worker is the builder's.
func (w *scopedWorker) Close() error { return nil }
