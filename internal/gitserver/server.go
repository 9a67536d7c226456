package gitserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

// Options sets the limits; zero fields take the defaults.
type Options struct {
	MaxPack   int64         // bytes that one push may send; 4 GiB
	Processes int           // git processes that serve clients at once; 16
	QueueTime time.Duration // how long a request waits for one of them, in the order of their coming; ten minutes
	StallTime time.Duration // how long an exchange may go without a byte in either direction; five minutes
	URL       string        // by which people reach the server over HTTP, for those who come by SSH
	// OnPushed is called when a push is safe and its events are published, while the pusher still waits, and
	// returns lines to show there. It may be nil and should take at most a few seconds.
	OnPushed func(ctx context.Context, push Push) []string
}

// Push is a push that has been taken in.
type Push struct {
	Project    identity.Project
	Repository repos.Repository
	Actor      slipway.Actor
	repos.Received
}

// Server serves git clients. It is an http.Handler for the paths that Match.
type Server struct {
	repos    *repos.Service
	identity *identity.Service
	logger   *slog.Logger
	options  Options
	slots    chan struct{}
	// ticketKey signs what lets users in to Git LFS who came by SSH. It is made anew at each start.
	ticketKey [32]byte
}

// New makes the server.
func New(r *repos.Service, i *identity.Service, logger *slog.Logger, o Options) *Server {
	if o.MaxPack == 0 {
		o.MaxPack = 4 << 30
	}
	if o.Processes == 0 {
		o.Processes = 16
	}
	if o.QueueTime == 0 {
		o.QueueTime = 10 * time.Minute
	}
	if o.StallTime == 0 {
		o.StallTime = 5 * time.Minute
	}
	s := &Server{repos: r, identity: i, logger: logger, options: o, slots: make(chan struct{}, o.Processes)}
	_, _ = rand.Read(s.ticketKey[:]) // it never fails (crypto/rand)
	return s
}

// address is what a path says.
type address struct {
	project, repository string
	rest                string // info/refs, git-upload-pack, git-receive-pack, or a file of the dumb protocol
}

// parse reads /{project}/_git/{repository}/{rest}, where rest is something that git clients ask for.
func parse(path string) (address, bool) {
	parts := strings.SplitN(strings.TrimPrefix(path, "/"), "/", 4)
	if len(parts) != 4 || parts[1] != "_git" || parts[0] == "" || parts[2] == "" {
		return address{}, false
	}
	a := address{project: parts[0], repository: strings.TrimSuffix(parts[2], ".git"), rest: parts[3]}
	switch {
	case a.rest == "info/refs", a.rest == "git-upload-pack", a.rest == "git-receive-pack", a.rest == "HEAD",
		strings.HasPrefix(a.rest, "objects/"), strings.HasPrefix(a.rest, "info/lfs/"):
		return a, true
	}
	return address{}, false
}

// Match says whether the request is for this door: pages have other paths below _git.
func Match(r *http.Request) bool {
	_, ok := parse(r.URL.Path)
	return ok
}

// ServeHTTP serves one request. Errors are plain text, which git shows after `remote:`.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Expires", "Fri, 01 Jan 1980 00:00:00 GMT")
	header.Set("Pragma", "no-cache")
	header.Set("Cache-Control", "no-cache, max-age=0, must-revalidate")
	if a, ok := parse(r.URL.Path); ok && strings.HasPrefix(a.rest, "info/lfs/") {
		s.serveLFS(w, r, a)
		return
	}
	err := s.serve(w, r)
	if err == nil {
		return
	}
	httpx.LogError(s.logger, r, err)
	p := httpx.Problem(r, err)
	status := httpx.Status(p.Code)
	switch p.Code {
	case slipway.CodeUnauthenticated:
		header.Set("WWW-Authenticate", `Basic realm="Slipway"`)
	case slipway.CodeUnavailable:
		header.Set("Retry-After", "10")
	}
	header.Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, p.Message+"\n")
}

// The two services of the protocol.
const (
	uploadPack  = "git-upload-pack"
	receivePack = "git-receive-pack"
)

func (s *Server) serve(w http.ResponseWriter, r *http.Request) error {
	a, ok := parse(r.URL.Path)
	if !ok {
		return slipway.NotFound("this is no address of a git repository: it should be /PROJECT/_git/REPOSITORY")
	}
	service, advertise := a.rest, false
	want := http.MethodPost
	if a.rest == "info/refs" {
		service, advertise, want = r.URL.Query().Get("service"), true, http.MethodGet
	}
	if service != uploadPack && service != receivePack {
		return slipway.Forbidden("this server speaks git's smart protocol only: use git 1.6.6 or later")
	}
	if r.Method != want && !(advertise && r.Method == http.MethodHead) {
		w.Header().Set("Allow", want)
		return slipway.Invalid("%s is asked for with %s", a.rest, want)
	}
	c, err := s.admit(r, a, service)
	if err != nil {
		return err
	}
	free, err := s.wait(r.Context())
	if err != nil {
		return err
	}
	defer free()
	if advertise {
		return s.advertise(w, r, c, service)
	}
	return s.exchange(w, r, c, service)
}

// caller is an admitted request: who, and where.
type caller struct {
	principal  identity.Principal
	project    identity.Project
	repository repos.Repository
}

// admit says who calls and finds the repository. Whoever shows no credentials is asked for them, whatever the path
// names: git sends them only when asked, and nobody learns what exists.
func (s *Server) admit(r *http.Request, a address, service string) (caller, error) {
	p, err := s.identity.Authenticate(r)
	if err != nil {
		return caller{}, err
	}
	// A browser's session is no credential here, and tokens made for images or telemetry open no code.
	if !personal(p) && p.Token != identity.TokenJob {
		return caller{}, slipway.Unauthenticated("give a personal access token as the password")
	}
	return s.authorize(r.Context(), p, a, service)
}

func personal(p identity.Principal) bool {
	return p.Kind == slipway.ActorUser && p.Token == identity.TokenPersonal
}

// authorize finds the repository and says whether somebody may use the service there.
func (s *Server) authorize(ctx context.Context, p identity.Principal, a address, service string) (caller, error) {
	c := caller{principal: p}
	var err error
	if c.project, err = s.identity.ProjectByName(ctx, a.project); err != nil {
		return caller{}, err
	}
	action := identity.Read
	if service == receivePack {
		action = identity.Contribute
		if !personal(p) {
			return caller{}, slipway.Forbidden("a job may read repositories but not push to them")
		}
	}
	if err := s.identity.Authorize(ctx, p, action, c.project.ID); err != nil {
		return caller{}, err
	}
	if c.repository, err = s.repos.Find(ctx, c.project.ID, a.repository); err == nil {
		err = c.repository.CheckEnabled()
	}
	return c, err
}

// wait takes one of the places for git processes.
func (s *Server) wait(ctx context.Context) (free func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, s.options.QueueTime)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		return func() { <-s.slots }, nil
	case <-ctx.Done():
		return nil, slipway.Unavailable("the server is busy with other clones and pushes: try again in a moment")
	}
}

// advertise answers info/refs.
func (s *Server) advertise(w http.ResponseWriter, r *http.Request, c caller, service string) error {
	x := s.newExchange(w, r, "application/x-"+service+"-advertisement")
	defer x.close()
	protocol := r.Header.Get("Git-Protocol")
	// Version 2 has no such line, and exists for upload-pack alone.
	if service == receivePack || !strings.Contains(protocol, "version=2") {
		line := "# service=" + service + "\n"
		x.preamble = fmt.Appendf(nil, "%04x%s0000", len(line)+4, line)
	}
	return x.finish(s.run(x.ctx, c, service, repos.Transport{Advertise: true, Protocol: protocol, Out: x}))
}

// exchange answers a POST of a service.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request, c caller, service string) error {
	if got, want := r.Header.Get("Content-Type"), "application/x-"+service+"-request"; got != want {
		return slipway.Invalid("the request has content of type %q: it must be %s", got, want)
	}
	x := s.newExchange(w, r, "application/x-"+service+"-result")
	defer x.close()
	if err := x.decode(r.Header.Get("Content-Encoding")); err != nil {
		return err
	}
	return x.finish(s.run(x.ctx, c, service, repos.Transport{
		Protocol: r.Header.Get("Git-Protocol"), In: x.in, Out: x, MaxPack: s.options.MaxPack,
	}))
}

func (s *Server) run(ctx context.Context, c caller, service string, t repos.Transport) error {
	if service == uploadPack {
		return s.repos.UploadPack(ctx, c.repository.ID, t)
	}
	return s.repos.ReceivePack(ctx, c.repository.ID, c.principal.Actor, t, func(ctx context.Context, received repos.Received) []string {
		if s.options.OnPushed == nil {
			return nil
		}
		return s.options.OnPushed(ctx, Push{Project: c.project, Repository: c.repository, Actor: c.principal.Actor, Received: received})
	})
}

// errStalled ends an exchange in which nothing moves.
var errStalled = errors.New("no byte moved in either direction for too long")
