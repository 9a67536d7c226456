package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/clusters"
	"slipway/internal/environments"
	"slipway/internal/images"
	"slipway/internal/images/builderpod"
	"slipway/internal/insights/collect"
	"slipway/internal/loop"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/mirror"
	"slipway/internal/pipelines/pod"
)

// openCluster opens what works in a cluster: deployments and jobs' pods, and joins all domains to the loop.
func (s *Server) openCluster(ctx context.Context, kube *rest.Config) (err error) {
	c := s.config
	if s.clusters, err = clusters.Open(ctx, s.db, s.events, s.box, clock.System{}, loop.ResolveImage(s.registry, c.Registry()), s.logger); err != nil {
		return err
	}
	pullSecrets, err := s.joinCluster(ctx, kube)
	if err != nil {
		return err
	}
	agentImage, err := agentPrograms().reference(&c)
	if err != nil {
		return err
	}
	executor, err := pod.New(kube, pod.Options{AgentImage: agentImage, CacheStorageClass: c.CacheStorageClass, CacheAccessMode: c.cacheAccessMode(), PullSecrets: pullSecrets})
	if err != nil {
		return err
	}
	networks, err := c.callNetworks()
	if err != nil {
		return err
	}
	mirrors, err := mirror.Open(mirror.Options{Folder: filepath.Join(c.Data, "mirrors"), Networks: networks})
	if err != nil {
		return err
	}
	s.pipelines, err = pipelines.Open(ctx, pipelines.Deps{
		DB: s.db, Log: s.events, Blobs: s.blobs, Clock: clock.System{}, Secrets: s.box,
		Source:       loop.Source{Repos: s.repos, Identity: s.identity, URL: c.ClusterURL},
		Environments: loop.Environments{Service: s.environments},
		Tokens:       s.identity, Executor: executor, Logger: s.logger, URL: c.ClusterURL, Registry: c.Registry(), ToolMirrors: c.ToolMirrors,
		PublicURL: c.URL, Networks: networks, Mirrors: mirrors, Warm: c.WarmPods, Build: agentImage, Issuer: s.issuer, Limits: c.Limits,
		FromFork: func(ctx context.Context, id slipway.PullRequestID) (bool, error) {
			p, err := s.repos.PullRequest(ctx, id)
			return p.FromFork(), err
		},
		Email: func(ctx context.Context, user slipway.UserID) (string, error) {
			u, err := s.identity.User(ctx, user)
			return u.Email, err
		},
		Project: func(ctx context.Context, name string) (slipway.ProjectID, error) {
			p, err := s.identity.ProjectByName(ctx, name)
			return p.ID, err
		},
	})
	if err != nil {
		return err
	}
	s.identity.Elsewhere = s.pipelines.ReadsOtherProjects
	s.repos.Connections, s.repos.Networks, s.repos.Named = s.pipelines, networks, s.pipelines.RunCommits
	s.loop = &loop.Loop{Identity: s.identity, Repos: s.repos, Pipelines: s.pipelines, Registry: s.registry, Environments: s.environments,
		Clusters: s.clusters, Insights: s.insights, Boards: s.boards, Lineage: s.lineage, Signing: s.signing, Scans: s.scans, Secrets: s.box,
		Logger: s.logger, ClusterURL: c.ClusterURL, RegistryHost: c.Registry()}
	s.loop.Subscribe(s.events)
	s.builds.Pushed = s.loop.BuiltImage
	s.registry.InUse = s.loop.ImagesInUse
	if err := s.loop.FinishRollbacks(ctx); err != nil {
		return err
	}
	if s.collector, err = collect.New(kube, s.insights, s.logger); err != nil {
		return err
	}
	if s.dial, err = s.dialBuilder(kube); err != nil {
		return err
	}
	s.tunnel = images.NewTunnel(s.dial, images.TunnelLimits{})
	s.closers = append(s.closers, func() error { s.tunnel.Close(); return nil })
	return nil
}

// joinCluster makes the cluster known and, when it is not the embedded node's, puts the credentials for pulling into the
// jobs' namespace. It returns the names of the Secrets with these.
func (s *Server) joinCluster(ctx context.Context, kube *rest.Config) (pullSecrets []string, err error) {
	pull := clusters.PullCredentials{}
	if s.config.Kubeconfig != "" {
		pull = clusters.PullCredentials{Host: s.config.Registry(), Username: "node", Password: s.nodeToken}
	}
	if err := s.clusters.Add(environments.DefaultCluster, kube, pull); err != nil {
		return nil, err
	}
	if s.config.Kubeconfig == "" {
		_, err := s.clusters.Version(ctx, environments.DefaultCluster)
		return nil, err
	}
	if err := s.clusters.RenewPullSecrets(ctx, environments.DefaultCluster); err != nil {
		return nil, err
	}
	return s.clusters.PrepareNamespace(ctx, environments.DefaultCluster, pod.DefaultNamespace, "baseline")
}

// dialBuilder is how the server reaches the builder.
func (s *Server) dialBuilder(kube *rest.Config) (images.Dial, error) {
	c := s.config
	switch {
	case c.Kubeconfig == "":
		return images.DialSocket(builderSocket(c)), nil
	case c.Builder != "":
		return images.NewDial(c.Builder, nil)
	}
	image, err := builderPrograms().reference(&c)
	if err != nil {
		return nil, err
	}
	credentials, err := builderpod.OpenCredentials(c.path("builder-credentials"), time.Now())
	if err != nil {
		return nil, err
	}
	s.builder, err = builderpod.New(kube, credentials, builderpod.Options{Namespace: builderNamespace, Image: image, PullSecrets: []string{clusters.PullSecret},
		Registry: c.Registry(), MirrorOnly: !c.DirectPulls, Endpoint: c.ClusterURL, CacheBytes: builderCache})
	if err != nil {
		return nil, err
	}
	return s.builder.Dial, nil
}

// builderNamespace is where the image builder runs in an existing cluster.
const builderNamespace = "slipway-system"

// startBuilder starts the image builder in the cluster. It comes after the registry has its image.
func (s *Server) startBuilder(ctx context.Context) error {
	if s.builder == nil {
		return nil
	}
	start := time.Now()
	s.terminal.Busy("starting the image builder in the cluster")
	if _, err := s.clusters.PrepareNamespace(ctx, environments.DefaultCluster, builderNamespace, "privileged"); err != nil {
		return err
	}
	if err := s.builder.Start(ctx, func(state string) { s.terminal.Busy("starting the image builder in the cluster: %s", state) }); err != nil {
		return err
	}
	s.terminal.Done()
	s.terminal.Say("    The image builder is ready in the cluster (%s)", span(time.Since(start)))
	return nil
}

// run starts what works on its own account. The first of them to fail ends the server.
func (s *Server) run(ctx context.Context, group *errgroup.Group) {
	for name, work := range map[string]func(context.Context) error{
		"events":       s.events.Run,
		"identity":     s.identity.Run,
		"pipelines":    s.pipelines.Run,
		"loop":         s.loop.Run,
		"environments": s.environments.Run,
		"insights":     s.insights.Run,
		"telemetry":    s.telemetry.Run,
		"repositories": s.repos.Run,
		"registry":     s.registry.Run,
		"upstreams":    s.upstreams.Run,
		"hooks":        s.hooks.Run,
		"scans":        s.scans.Run,
		"collector":    s.collector.Run,
		"clusters":     func(ctx context.Context) error { return s.clusters.Watch(ctx, environments.DefaultCluster) },
		"programs":     s.keepPrograms,
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
	out := status{Version: slipway.Version(), URL: s.config.URL, Registry: s.config.Registry(), OTLP: s.config.OTLP, Kubeconfig: s.kubeconfig(),
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
	if s.builder != nil {
		state, err := s.builder.State(ctx)
		if err != nil {
			state = err.Error()
		}
		out.Programs = append(out.Programs, "image builder in the cluster, "+state)
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
