package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"slipway/internal/embedded"
)

// builderCache bounds BuildKit's state: layers and cache mounts.
const builderCache = 20 << 30

// Addresses inside of the node's network namespace: where outbound connections leave it (the node's own default), and
// the network of RUN steps, which see neither the node's loopback nor the cluster's pods.
const (
	egressGateway = "10.213.6.1"
	stepSubnet    = "10.213.8.0/24"
)

// nodeProgram is the embedded node with its configuration (node/README.md).
func nodeProgram(c Config, nodeToken string) embedded.Program {
	registry := func(host string) map[string]any {
		return map[string]any{"host": host, "endpoint": c.ClusterURL, "username": "node", "password": nodeToken}
	}
	mirror := registry(c.Registry())
	mirror["only"] = !c.DirectPulls
	return embedded.Program{
		Name: "node", Path: filepath.Join(c.Programs, "slipway-node"), Folder: c.path("run"), ReadyPhase: "node",
		Config: map[string]any{
			"state": c.path("node"), "name": c.Node.Name, "hostAddress": c.Node.HostAddress, "nodeAddress": c.Node.NodeAddress,
			"podCIDR": c.Node.PodCIDR, "serviceCIDR": c.Node.ServiceCIDR, "images": []string{},
			"registries": []any{registry(c.Registry())}, "mirror": mirror,
			"ingress": map[string]any{"listen": c.Node.Ingress}, "runc": filepath.Join(c.Programs, "runc"), "egress": true,
		},
	}
}

// builderProgram is the embedded image builder with its configuration (node/builder/README.md).
func builderProgram(c Config) embedded.Program {
	return embedded.Program{
		Name: "builder", Path: filepath.Join(c.Programs, "slipway-builder"), Folder: c.path("run"),
		Config: map[string]any{
			"state": c.path("builder"), "socket": builderSocket(c), "netns": "slipway-" + c.Node.Name,
			"runc": filepath.Join(c.Programs, "runc"), "cacheBytes": int64(builderCache),
			"dns": []string{egressGateway}, "stepSubnet": stepSubnet,
			"registries": []any{
				map[string]any{"host": c.Registry(), "endpoint": c.ClusterURL},
			},
			"mirror": c.Registry(), "mirrorOnly": !c.DirectPulls,
		},
	}
}

func builderSocket(c Config) string { return c.path("run", "builder.sock") }

func nodeKubeconfig(c Config) string { return c.path("node", "kubeconfig") }

// startPrograms brings the node up, then the builder in its namespace.
func startPrograms(ctx context.Context, c Config, nodeToken string, t *Terminal) ([]*embedded.Process, error) {
	var running []*embedded.Process
	for _, p := range []embedded.Program{nodeProgram(c, nodeToken), builderProgram(c)} {
		start := time.Now()
		t.Busy("starting the %s", p.Name)
		process, err := p.Ensure(ctx, func(step embedded.Progress) {
			if step.State != "ready" || step.Phase != p.ReadyPhase {
				t.Busy("starting the %s: %s %s", p.Name, step.Phase, step.State)
			}
		})
		if process != nil {
			running = append(running, process)
		}
		if err != nil {
			return running, fmt.Errorf("%w; its logs are in %s", err, c.path())
		}
		t.Done()
		t.Say("    The %s is ready (%s)", p.Name, span(time.Since(start)))
	}
	return running, nil
}

// keepPrograms starts a program again that was killed. Pods and builds of a killed one may have gone on.
func (s *Server) keepPrograms(ctx context.Context) error {
	var group sync.WaitGroup
	for _, p := range s.programs {
		group.Go(func() {
			p.Keep(ctx, func(ready bool, err error) {
				if ready {
					s.logger.Info("program started again", "program", p.Name(), "process", p.PID())
					s.terminal.Say("    The %s runs again", p.Name())
					return
				}
				s.logger.Error("a program has ended and is started again", "program", p.Name(), "error", err)
				s.terminal.Say("    The %s has ended unasked and is started again; %s", p.Name(), err)
			})
		})
	}
	group.Wait()
	return nil
}

// stopPrograms stops the builder, then the node with everything in it.
func stopPrograms(ctx context.Context, c Config) error {
	for _, p := range []embedded.Program{builderProgram(c), nodeProgram(c, "")} {
		if err := p.StopLeftover(ctx); err != nil {
			return err
		}
	}
	return nil
}

// stopLeftovers stops the programs that a server that was killed left running, and says whether there were any.
func stopLeftovers(ctx context.Context, data string) (bool, error) {
	c := defaults()
	c.Data = data
	found := false
	for _, name := range []string{"builder", "node"} {
		if _, err := os.Stat(c.path("run", name+".pid")); err == nil {
			found = true
		}
	}
	if !found {
		return false, nil
	}
	fmt.Println("stopping the node and the builder")
	return true, stopPrograms(ctx, c)
}
