// Command containerd-shim-runc-v2 is containerd's own shim: the parent of one pod's containers, which outlives containerd.
// It is a program of its own, not a face of slipway-node, because one of it runs for every pod (a tenth of the memory), and
// because it runs every plugin that is linked into it.
package main

import (
	"context"

	"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2/manager"
	_ "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2/task/plugin" // the shim's task service
	"github.com/containerd/containerd/v2/pkg/shim"
)

func main() {
	shim.RunShim(context.Background(), manager.NewShimManager("io.containerd.runc.v2"))
}
