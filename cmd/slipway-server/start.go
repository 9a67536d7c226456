package main

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/go-chi/chi/v5"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/gitserver"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/jobserver"
	"slipway/internal/loop"
	"slipway/internal/ociserver"
	"slipway/internal/otlpserver"
	"slipway/internal/web"
)

// start brings everything up and returns when Slipway is ready; what runs on does so in the group.
func (s *Server) start(ctx context.Context, group *errgroup.Group) error {
	running, cancel := context.WithCancel(ctx)
	s.cancel = cancel
	s.terminal.Busy("opening the databases")
	if err := s.openRecords(ctx); err != nil {
		return err
	}
	password, err := s.bootstrap(ctx)
	if err != nil {
		return err
	}
	listeners, err := s.listen(ctx)
	if err != nil {
		return err
	}
	kube, err := s.connect(ctx)
	if err != nil {
		return err
	}
	if err := s.openCluster(ctx, kube); err != nil {
		return err
	}
	s.git = gitserver.New(s.repos, s.identity, s.logger, gitserver.Options{OnPushed: s.tellPusher, URL: s.config.URL})
	telemetry := otlpserver.New(s.insights, s.identity, s.logger)
	s.serve(running, group, listeners, httpx.Middleware(s.logger, s.doors(telemetry)))
	if err := s.serveOTLP(running, group, telemetry); err != nil {
		return err
	}
	if err := s.serveSSH(running, group); err != nil {
		return err
	}
	s.run(running, group)
	s.narrator = newNarrator(s.terminal, s.identity, s.pipelines, s.config.URL)
	group.Go(func() error { s.narrator.Run(running, s.events); return nil })
	if err := s.importImages(ctx); err != nil {
		return err
	}
	if err := s.startBuilder(ctx); err != nil {
		return err
	}
	if password != "" {
		s.terminal.Block("Sign in at "+s.config.URL+" as admin", "password: "+password, "It is shown this once; change it in your profile or keep it safe.")
	}
	if s.config.Sample != "" {
		if err := s.createSample(ctx); err != nil {
			return err
		}
	}
	s.ready()
	return nil
}

// ready writes where everything is.
func (s *Server) ready() {
	s.terminal.Done()
	s.terminal.Say("    Slipway is ready")
	lines := []string{"Pages         " + s.config.URL, "Registry      " + s.config.Registry(), "Kubeconfig    " + s.kubeconfig()}
	if s.config.Kubeconfig == "" {
		lines = append(lines, "Applications  http://NAME.localhost:"+portOf(s.config.Node.Ingress)+"  (the host of an Ingress)")
	}
	if s.config.OTLP != "" {
		lines = append(lines, "OTLP          "+s.config.URL+"/v1/traces, gRPC "+s.config.OTLP)
	}
	if s.config.SSH != "" {
		lines = append(lines, "Git over SSH  ssh://git@"+s.config.SSH+"/PROJECT/_git/REPOSITORY")
	}
	s.terminal.Block(append(lines, "Stop          Ctrl-C, or slipway down")...)
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

func (s *Server) kubeconfig() string {
	if s.config.Kubeconfig != "" {
		return s.config.Kubeconfig
	}
	return nodeKubeconfig(s.config)
}

// connect reaches the cluster: it starts the embedded node and builder, or uses the kubeconfig that was given.
func (s *Server) connect(ctx context.Context) (*rest.Config, error) {
	var err error
	s.nodeToken, err = s.keptToken(ctx, "node-token", identity.TokenRequest{Kind: identity.TokenNode, Name: "node",
		Actor: slipway.Actor{Kind: slipway.ActorNode, ID: s.config.Node.Name, Name: "node " + s.config.Node.Name}})
	if err != nil {
		return nil, err
	}
	if s.config.Kubeconfig == "" {
		if s.programs, err = startPrograms(ctx, s.config, s.nodeToken, s.terminal); err != nil {
			return nil, err
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", s.kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig %s: %w", s.kubeconfig(), err)
	}
	return config, nil
}

// doors makes all doors over the domains.
func (s *Server) doors(telemetry *otlpserver.Server) http.Handler {
	router := chi.NewRouter()
	telemetry.Register(router)
	return doors{
		git:       s.git,
		registry:  ociserver.New(s.registry, s.identity, s.logger).WithCache(s.upstreams, s.config.Registry()).WithGate(loop.Gate{Loop: s.loop}),
		telemetry: router,
		jobs: jobserver.New(jobserver.Deps{Pipelines: s.pipelines, Identity: s.identity, Deployer: s.loop,
			Builder: s.tunnel.Serve, Watch: s.tunnel.ServeWatch, Builds: s.builds, Logger: s.logger}),
		api:   s.api(),
		pages: s.pages(),
	}
}

func (s *Server) api() http.Handler {
	a := api.New(s.identity, s.logger, s.config.URL)
	a.AddGit(s.repos, s.boards)
	a.AddWorkItems(s.boards)
	a.AddPolicies(s.repos, s.loop.Validate)
	a.AddPipelines(s.pipelines)
	a.AddEnvironments(s.environments)
	a.AddMachines(s.pipelines, s.environments)
	a.AddUsers()
	a.AddAudit(s.events)
	a.AddUpstreams(s.upstreams)
	a.AddRegistry(s.registry)
	a.AddHooks(s.hooks)
	a.AddBuilds(s.builds, s.dial, s.tunnel.Serve)
	a.AddIssuer(s.issuer)
	a.AddSigning(s.signing, s.issuer, s.loop.Build)
	a.AddScans(s.scans, s.registry)
	a.AddVerification(s.registry)
	a.AddLoop(s.environments, s.lineage, s.loop.Rollback, s.status)
	return a.Handler()
}

func (s *Server) pages() http.Handler {
	w := web.New(s.identity, s.events, s.logger, s.config.URL)
	things := web.Things{Repos: s.repos, Pipelines: s.pipelines, Registry: s.registry, Environments: s.environments, Insights: s.insights, Boards: s.boards, Builds: s.builds, Signing: s.signing, Scans: s.scans}
	w.AddOverview(s.lineage, things)
	w.AddBoards(s.boards, s.lineage, things)
	w.AddRepos(s.repos, s.boards, s.pipelines)
	w.AddRepositorySettings(s.repos)
	w.AddPolicies(s.repos, s.pipelines, s.loop.Validate)
	w.AddPipelines(s.pipelines, things)
	w.AddImages(s.registry, things)
	w.AddUpstreams(s.upstreams)
	w.AddHooks(s.hooks)
	w.AddBuilds(s.builds, s.dial, things)
	w.AddEnvironments(s.environments, s.clusters, s.loop.Rollback, things)
	w.AddInsights(s.insights)
	w.AddTrace(s.lineage, things)
	return w.Handler()
}

func (s *Server) serveSSH(ctx context.Context, group *errgroup.Group) error {
	if s.config.SSH == "" {
		return nil
	}
	keys, err := gitserver.HostKeys(s.config.path("ssh"), s.box)
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.config.SSH)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w; choose another address with --ssh-listen", s.config.SSH, err)
	}
	group.Go(func() error { return gitserver.NewSSH(s.git, keys).Serve(ctx, l) })
	return nil
}

func (s *Server) serveOTLP(ctx context.Context, group *errgroup.Group, telemetry *otlpserver.Server) error {
	if s.config.OTLP == "" {
		return nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.config.OTLP)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w; choose another address with --otlp-listen", s.config.OTLP, err)
	}
	group.Go(func() error { return telemetry.ServeGRPC(ctx, l) })
	return nil
}
