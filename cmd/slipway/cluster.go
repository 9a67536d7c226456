package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"

	"slipway/internal/clock"
	"slipway/internal/clusters"
	"slipway/internal/environments"
	"slipway/internal/images"
	"slipway/internal/insights/collect"
	"slipway/internal/loop"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/pod"
)

// openCluster opens what works in a cluster: deployments and jobs' pods, and joins all domains to the loop.
func (s *Server) openCluster(ctx context.Context, kube *rest.Config) (err error) {
	c := s.config
	if s.clusters, err = clusters.Open(ctx, s.db, s.events, s.box, clock.System{}, loop.ResolveImage(s.registry, c.Registry()), s.logger); err != nil {
		return err
	}
	if err := s.clusters.Add(environments.DefaultCluster, kube); err != nil {
		return err
	}
	if _, err := s.clusters.Version(ctx, environments.DefaultCluster); err != nil {
		return fmt.Errorf("the cluster of %s does not answer: %w", s.kubeconfig(), err)
	}
	agentImage, err := c.agentImage()
	if err != nil {
		return err
	}
	executor, err := pod.New(kube, pod.Options{AgentImage: agentImage})
	if err != nil {
		return err
	}
	s.pipelines, err = pipelines.Open(ctx, pipelines.Deps{
		DB: s.db, Log: s.events, Blobs: s.blobs, Clock: clock.System{}, Secrets: s.box,
		Source:       loop.Source{Repos: s.repos, Identity: s.identity, URL: c.ClusterURL},
		Environments: loop.EnvironmentVariables{Environments: s.environments},
		Tokens:       s.identity, Executor: executor, Logger: s.logger, URL: c.ClusterURL, Registry: c.Registry(),
	})
	if err != nil {
		return err
	}
	s.loop = &loop.Loop{Identity: s.identity, Repos: s.repos, Pipelines: s.pipelines, Registry: s.registry, Environments: s.environments,
		Clusters: s.clusters, Insights: s.insights, Boards: s.boards, Lineage: s.lineage, Secrets: s.box,
		ClusterURL: c.ClusterURL, RegistryHost: c.Registry()}
	s.loop.Subscribe(s.events)
	if err := s.loop.FinishRollbacks(ctx); err != nil {
		return err
	}
	if s.collector, err = collect.New(kube, s.insights, s.logger); err != nil {
		return err
	}
	dial, err := s.dialBuilder()
	if err != nil {
		return err
	}
	s.tunnel = images.NewTunnel(dial, images.TunnelLimits{})
	s.closers = append(s.closers, func() error { s.tunnel.Close(); return nil })
	return nil
}

// run starts what works on its own account. The first of them to fail ends the server.
func (s *Server) run(ctx context.Context, group *errgroup.Group) {
	for name, work := range map[string]func(context.Context) error{
		"events":       s.events.Run,
		"identity":     s.identity.Run,
		"pipelines":    s.pipelines.Run,
		"environments": s.environments.Run,
		"insights":     s.insights.Run,
		"telemetry":    s.telemetry.Run,
		"repositories": s.repos.Run,
		"registry":     s.registry.Run,
		"collector":    s.collector.Run,
		"clusters":     func(ctx context.Context) error { return s.clusters.Watch(ctx, environments.DefaultCluster) },
	} {
		group.Go(func() error {
			if err := work(ctx); err != nil && !errors.Is(err, context.Canceled) {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
}

// status answers `slipway status`.
func (s *Server) status(ctx context.Context) any {
	out := status{URL: s.config.URL, Registry: s.config.Registry(), OTLP: s.config.OTLP, Kubeconfig: s.kubeconfig(),
		Uptime: span(time.Since(s.started)), Nodes: []string{}, Programs: []string{}}
	if s.config.Kubeconfig == "" {
		out.Applications = "http://NAME.localhost:" + portOf(s.config.Node.Ingress)
	}
	nodes, err := s.clusters.Nodes(ctx, environments.DefaultCluster)
	if err != nil {
		out.Nodes = append(out.Nodes, err.Error())
	}
	for _, n := range nodes {
		state := "ready"
		if !n.Ready {
			state = "not ready: " + n.Reason
		}
		out.Nodes = append(out.Nodes, fmt.Sprintf("%s, Kubernetes %s, %d pods, %s", n.Name, n.Version, n.Pods, state))
	}
	for _, p := range s.programs {
		state := "running"
		if !p.Alive() {
			state = "not running"
		}
		out.Programs = append(out.Programs, fmt.Sprintf("%s (process %d), %s", p.Name(), p.PID(), state))
	}
	return out
}
