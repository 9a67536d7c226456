// Package jobserver is the door for agents: what a job's pod asks the server, over HTTP.
//
//	POST /_slipway/jobs/{job}/start              the work (job.Assignment); the job is running from then on
//	POST /_slipway/jobs/{job}/logs/{step}?offset log bytes from an offset, plain or zstd; answers the log's size (job.LogPosition)
//	POST /_slipway/jobs/{job}/report             changed steps, outputs (job.Report)
//	GET  /_slipway/jobs/{job}/control?seconds    waits for a cancellation (job.Control)
//	POST /_slipway/jobs/{job}/tests              test results (job.TestRun)
//	PUT  /_slipway/jobs/{job}/tests/{step}/attachments?title&name  a file of those results
//	POST /_slipway/jobs/{job}/summaries          a page (job.Summary)
//	POST /_slipway/jobs/{job}/coverage           code coverage (job.Coverage)
//	PUT  /_slipway/jobs/{job}/attachments/{step}?type&name  a file
//	PUT  /_slipway/jobs/{job}/artifacts/{name}   an artifact as a tar file; with ?add=true more files of one
//	GET  /_slipway/jobs/{job}/artifacts?run      the artifacts of a run of the project
//	GET  /_slipway/jobs/{job}/artifacts/{name}?run
//	POST /_slipway/jobs/{job}/caches/find        a cache by its keys (job.CacheQuery, job.Cache)
//	GET  /_slipway/jobs/{job}/caches/{cache}     its contents, a tar file compressed with zstd
//	PUT  /_slipway/jobs/{job}/caches?key         saves one (job.Cache)
//	GET  /_slipway/jobs/{job}/securefiles?name   a secure file that a step names (job.SecureFile)
//	GET  /_slipway/jobs/{job}/tasks/{digest}     the zip file of an uploaded task that a step is
//	GET  /_slipway/jobs/{job}/connections?step&name a service connection that the step names (job.Connection)
//	GET  /_slipway/jobs/{job}/vault?step         the secrets that the step AzureKeyVault takes (list of job.VaultSecret)
//	     /_slipway/jobs/{job}/repositories/{alias}/ git's smart HTTP: a repository of another host that a checkout names
//	POST /_slipway/jobs/{job}/deploy             applies manifests; answers lines of job.Progress
//	POST /_slipway/jobs/{job}/kubeconfig         access to the environment's namespace (job.ClusterAccess)
//	PUT  /_slipway/jobs/{job}/pauses/{number}    a wait at a step that failed (job.Pause)
//	GET  /_slipway/jobs/{job}/pauses/{number}?seconds waits for a decision about it, or for somebody who wants a terminal
//	GET  /_slipway/jobs/{job}/terminals/{id}     the shell's end of a terminal, a web socket
//	POST /_slipway/jobs/{job}/complete           the end (job.Completion); the token is worth nothing afterwards
//	POST /_slipway/pods/{pod}/job?seconds        waits for the job of a pod that has none (job.PodAssignment, empty for none yet)
//	POST /_slipway/machines                      registers a machine (job.MachineRegistration, job.MachineCredentials)
//	POST /_slipway/machines/{machine}/job?seconds an idle agent waits for a job (job.MachineAsk, job.MachineJob)
//	POST /_slipway/machines/{machine}/heartbeat  an agent that does a job is there (job.MachineAsk)
//	POST /_slipway/jobs/{job}/imagebuilds        an image build begins (progress.Report)
//	PATCH /_slipway/jobs/{job}/imagebuilds/{build} how it goes on (progress.Update, progress.Updated)
//	     /_slipway/jobs/{job}/imagebuilds/watch  what the builder tells of the job's builds
//	     /_slipway/builder                       the tunnel to the image builder
//
// A job's token is good for that job's paths alone, that of a pod without a job for waiting, and a machine's for its own path. The package decodes, asks who
// calls, and calls one method.
package jobserver

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/images"
	"slipway/internal/images/builds"
	"slipway/internal/jobwire"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
)

// Deployment is what a job asks to deploy, with what the server knows of the job.
type Deployment struct {
	job.Deployment
	Project     slipway.ProjectID
	Run         slipway.RunID
	Pipeline    slipway.PipelineID
	JobID       slipway.JobID
	Instance    string
	Commit      slipway.CommitID
	Environment *plan.EnvironmentReference // nil when the job is no deployment job
}

// Deployer applies manifests and waits until they are ready. progress takes lines for the job's log; it may be called
// until Deploy returns. Doing the same twice is the same as once.
type Deployer interface {
	Deploy(ctx context.Context, d Deployment, progress func(line string)) error
	// Access lets a job that deploys into the namespace of its environment until it ends; d has no manifests.
	Access(ctx context.Context, d Deployment) (job.ClusterAccess, error)
}

// Identity answers who calls; *identity.Service does.
type Identity interface {
	Authorize(ctx context.Context, p identity.Principal, a identity.Action, project slipway.ProjectID) error
	Authenticate(r *http.Request) (identity.Principal, error)
	RevokeSecret(ctx context.Context, secret string) error
}

// Deps is what the door needs. Builder may be nil when there is no builder.
type Deps struct {
	Pipelines *pipelines.Service
	Identity  Identity
	Deployer  Deployer
	// Builder serves the tunnel for callers whose token is a job's; their builds are of the scope.
	Builder func(w http.ResponseWriter, r *http.Request, scope images.Scope) error
	// Watch serves what the builder tells of an owner's builds.
	Watch func(w http.ResponseWriter, r *http.Request, owner string) error
	// Builds keeps what jobs report of image builds; nil keeps nothing.
	Builds *builds.Service
	Logger *slog.Logger
}

// limits of request bodies, in bytes.
const (
	maxReport   = 8 << 20
	maxQuery    = 1 << 20
	maxTests    = 256 << 20
	maxSummary  = 4 << 20
	maxCoverage = 128 << 20
)

// maxWait is the longest that a request waits for news.
const maxWait = 50 * time.Second

type server struct{ Deps }

// New makes the handler of all paths below /_slipway/.
func New(d Deps) http.Handler {
	s := &server{d}
	mux := http.NewServeMux()
	for pattern, h := range map[string]func(http.ResponseWriter, *http.Request, call) error{
		"POST /_slipway/jobs/{job}/start":                          s.start,
		"POST /_slipway/jobs/{job}/logs/{step}":                    s.appendLog,
		"POST /_slipway/jobs/{job}/report":                         s.report,
		"GET /_slipway/jobs/{job}/control":                         s.control,
		"POST /_slipway/jobs/{job}/tests":                          s.tests,
		"PUT /_slipway/jobs/{job}/tests/{step}/attachments":        s.putTestAttachment,
		"POST /_slipway/jobs/{job}/summaries":                      s.summaries,
		"POST /_slipway/jobs/{job}/coverage":                       s.coverage,
		"PUT /_slipway/jobs/{job}/attachments/{step}":              s.putAttachment,
		"PUT /_slipway/jobs/{job}/artifacts/{name}":                s.putArtifact,
		"GET /_slipway/jobs/{job}/artifacts":                       s.artifacts,
		"GET /_slipway/jobs/{job}/artifacts/{name}":                s.getArtifact,
		"POST /_slipway/jobs/{job}/caches/find":                    s.findCache,
		"GET /_slipway/jobs/{job}/caches/{cache}":                  s.getCache,
		"PUT /_slipway/jobs/{job}/caches":                          s.putCache,
		"GET /_slipway/jobs/{job}/securefiles":                     s.secureFile,
		"GET /_slipway/jobs/{job}/tasks/{digest}":                  s.task,
		"GET /_slipway/jobs/{job}/connections":                     s.connection,
		"GET /_slipway/jobs/{job}/vault":                           s.vault,
		"GET /_slipway/jobs/{job}/repositories/{alias}/{rest...}":  s.repository,
		"POST /_slipway/jobs/{job}/repositories/{alias}/{rest...}": s.repository,
		"POST /_slipway/jobs/{job}/deploy":                         s.deploy,
		"POST /_slipway/jobs/{job}/kubeconfig":                     s.kubeconfig,
		"PUT /_slipway/jobs/{job}/pauses/{number}":                 s.putPause,
		"GET /_slipway/jobs/{job}/pauses/{number}":                 s.getPause,
		"GET /_slipway/jobs/{job}/terminals/{terminal}":            s.terminal,
		"POST /_slipway/jobs/{job}/imagebuilds":                    s.beginImageBuild,
		"PATCH /_slipway/jobs/{job}/imagebuilds/{build}":           s.updateImageBuild,
		"POST /_slipway/jobs/{job}/imagebuilds/watch":              s.watchImageBuilds,
		"POST /_slipway/jobs/{job}/complete":                       s.complete,
	} {
		mux.Handle(pattern, httpx.JSON(d.Logger, s.forJob(h)))
	}
	mux.Handle("POST /_slipway/pods/{pod}/job", httpx.JSON(d.Logger, s.awaitJob))
	mux.Handle("POST /_slipway/machines", httpx.JSON(d.Logger, s.registerMachine))
	mux.Handle("POST /_slipway/machines/{machine}/job", httpx.JSON(d.Logger, s.awaitMachineJob))
	mux.Handle("POST /_slipway/machines/{machine}/heartbeat", httpx.JSON(d.Logger, s.hearMachine))
	mux.Handle("/_slipway/builder", httpx.JSON(d.Logger, s.builder))
	mux.Handle("/_slipway/builder/", httpx.JSON(d.Logger, s.builder))
	mux.Handle("/", httpx.JSON(d.Logger, func(http.ResponseWriter, *http.Request) error {
		return slipway.NotFound("there is nothing here")
	}))
	return mux
}

// call is an authenticated request about a job.
type call struct {
	id        slipway.JobID
	principal identity.Principal
}

// forJob lets only the job's own token in.
func (s *server) forJob(h func(http.ResponseWriter, *http.Request, call) error) httpx.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		p, err := s.Identity.Authenticate(r)
		if err != nil {
			return err
		}
		if p.Kind == slipway.ActorAnonymous {
			return slipway.Unauthenticated("send the job's token")
		}
		id, err := strconv.ParseInt(r.PathValue("job"), 10, 64)
		if err != nil || p.Token != identity.TokenJob || p.Binding.Job != slipway.JobID(id) || id == 0 {
			return slipway.Forbidden("this token is not the job's")
		}
		return h(w, r, call{slipway.JobID(id), p})
	}
}

func (s *server) start(w http.ResponseWriter, r *http.Request, c call) error {
	a, err := s.Pipelines.Assign(r.Context(), c.id)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, a)
	return nil
}

func (s *server) appendLog(w http.ResponseWriter, r *http.Request, c call) error {
	p, err := jobwire.ReadLog(w, r)
	if err != nil {
		return err
	}
	size, err := s.Pipelines.AppendPacked(r.Context(), c.id, p.Step, p.Offset, p.Data, p.Codec)
	if err != nil && !(slipway.CodeOf(err) == slipway.CodeConflict && size < p.Offset) {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, job.LogPosition{Size: size})
	return nil
}

func (s *server) report(w http.ResponseWriter, r *http.Request, c call) error {
	return jobwire.Take(w, r, maxReport, func(m job.Report) error { return s.Pipelines.Report(r.Context(), c.id, m) })
}

// control answers at once when there is news, and else after some seconds.
func (s *server) control(w http.ResponseWriter, r *http.Request, c call) error {
	ctx, cancel := context.WithTimeout(r.Context(), jobwire.WaitTime(r, maxWait))
	defer cancel()
	changes, end := s.Pipelines.Watch(c.principal.Binding.Run)
	defer end()
	for {
		news, err := s.Pipelines.Control(r.Context(), c.id)
		if err != nil {
			return err
		}
		if news.Cancel || news.Over || ctx.Err() != nil {
			httpx.WriteJSON(w, http.StatusOK, news)
			return nil
		}
		nextLook(ctx, changes)
	}
}

func (s *server) tests(w http.ResponseWriter, r *http.Request, c call) error {
	return jobwire.Take(w, r, maxTests, func(m job.TestRun) error { return s.Pipelines.PutTests(r.Context(), c.id, m) })
}

func (s *server) summaries(w http.ResponseWriter, r *http.Request, c call) error {
	return jobwire.Take(w, r, maxSummary, func(m job.Summary) error { return s.Pipelines.PutSummary(r.Context(), c.id, m) })
}

func (s *server) coverage(w http.ResponseWriter, r *http.Request, c call) error {
	return jobwire.Take(w, r, maxCoverage, func(m job.Coverage) error { return s.Pipelines.PutCoverage(r.Context(), c.id, m) })
}

func (s *server) putArtifact(w http.ResponseWriter, r *http.Request, c call) error {
	store := s.Pipelines.PutArtifact
	if r.URL.Query().Get("add") == "true" {
		store = s.Pipelines.AddToArtifact
	}
	a, err := store(r.Context(), c.id, r.PathValue("name"), r.Body)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusCreated, a.Artifact)
	return nil
}

// runOf is the run that the request names, the job's own by default. Others must be of the job's project, or of one that the job may read.
func (s *server) runOf(r *http.Request, c call) (slipway.RunID, error) {
	text := r.URL.Query().Get("run")
	if text == "" {
		return c.principal.Binding.Run, nil
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, slipway.Invalid("run %q is no number", text)
	}
	run, err := s.Pipelines.Get(r.Context(), slipway.RunID(id))
	if err == nil && run.Project != c.principal.Project && s.Identity.Authorize(r.Context(), c.principal, identity.Read, run.Project) != nil {
		err = slipway.NotFound("there is no run %d", id)
	}
	return run.ID, err
}

func (s *server) artifacts(w http.ResponseWriter, r *http.Request, c call) error {
	run, err := s.runOf(r, c)
	if err != nil {
		return err
	}
	list, err := s.Pipelines.Artifacts(r.Context(), run)
	if err != nil {
		return err
	}
	out := make([]job.Artifact, len(list))
	for i := range list {
		out[i] = list[i].Artifact
	}
	httpx.WriteJSON(w, http.StatusOK, out)
	return nil
}

func (s *server) getArtifact(w http.ResponseWriter, r *http.Request, c call) error {
	run, err := s.runOf(r, c)
	if err != nil {
		return err
	}
	o, err := s.Pipelines.OpenArtifact(r.Context(), run, r.PathValue("name"))
	if err != nil {
		return err
	}
	defer o.Close()
	w.Header().Set("Content-Type", "application/x-tar")
	w.Header().Set("Content-Length", strconv.FormatInt(o.Size(), 10))
	_, _ = io.Copy(w, o) // a client that went away asks again
	return nil
}

func (s *server) secureFile(w http.ResponseWriter, r *http.Request, c call) error {
	f, err := s.Pipelines.FetchSecureFile(r.Context(), c.id, r.URL.Query().Get("name"))
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	httpx.WriteJSON(w, http.StatusOK, f)
	return nil
}

func (s *server) complete(w http.ResponseWriter, r *http.Request, c call) error {
	return jobwire.Take(w, r, maxReport, func(end job.Completion) error {
		if err := s.Pipelines.Complete(r.Context(), c.id, end); err != nil {
			return err
		}
		if token, ok := bearer(r); ok {
			if err := s.Identity.RevokeSecret(r.Context(), token); err != nil {
				return fmt.Errorf("revoke the token of job %d: %w", c.id, err)
			}
		}
		return nil
	})
}

func bearer(r *http.Request) (string, bool) {
	const prefix = "Bearer "
	h := r.Header.Get("Authorization")
	if len(h) > len(prefix) && h[:len(prefix)] == prefix {
		return h[len(prefix):], true
	}
	return "", false
}

// deployment is what a job asks for, with what the server knows of the job.
func (s *server) deployment(ctx context.Context, c call, d job.Deployment) (Deployment, error) {
	j, err := s.Pipelines.Job(ctx, c.id)
	if err != nil {
		return Deployment{}, err
	}
	run, err := s.Pipelines.Get(ctx, j.Run)
	if err != nil {
		return Deployment{}, err
	}
	if s.Deployer == nil {
		return Deployment{}, slipway.Unsupported("this server deploys to no cluster")
	}
	return Deployment{Deployment: d, Project: run.Project, Run: run.ID, Pipeline: run.Pipeline, JobID: j.ID, Instance: j.Instance, Commit: run.Commit,
		Environment: j.Environment}, nil
}

// kubeconfig gives a deployment job, which has passed its environment's checks, access to the environment's namespace.
func (s *server) kubeconfig(w http.ResponseWriter, r *http.Request, c call) error {
	asked, err := s.deployment(r.Context(), c, job.Deployment{})
	if err != nil {
		return err
	}
	access, err := s.Deployer.Access(r.Context(), asked)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	httpx.WriteJSON(w, http.StatusOK, access)
	return nil
}

// deploy streams the deployment's progress. Its failure is the last line, since the answer has begun by then.
func (s *server) deploy(w http.ResponseWriter, r *http.Request, c call) error {
	var d job.Deployment
	if err := httpx.ReadJSON(w, r, job.MaxDeployment, &d); err != nil {
		return err
	}
	asked, err := s.deployment(r.Context(), c, d)
	if err != nil {
		return err
	}
	out := jobwire.NewProgress(w)
	if err = s.Deployer.Deploy(r.Context(), asked, out.Line); err == nil {
		out.End("")
		return nil
	}
	if r.Context().Err() != nil {
		return nil // the agent went away and asks again
	}
	httpx.LogError(s.Logger, r, err)
	out.End(httpx.Problem(r, err).Message)
	return nil
}
