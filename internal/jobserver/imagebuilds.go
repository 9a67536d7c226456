package jobserver

import (
	"net/http"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/images"
	"slipway/internal/images/progress"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/variable"
)

func (s *server) builder(w http.ResponseWriter, r *http.Request) error {
	p, err := s.Identity.Authenticate(r)
	if err != nil {
		return err
	}
	if p.Token != identity.TokenJob {
		return slipway.Forbidden("images are built by jobs: send a job's token")
	}
	if s.Builder == nil {
		return slipway.Unavailable("there is no image builder on this server")
	}
	run, err := s.Pipelines.Get(r.Context(), p.Binding.Run)
	if err != nil {
		return err
	}
	scope := images.ProjectScope(run.Project, !underReview(run))
	if run.Fork != nil {
		scope = images.ForkScope(run.Project)
	}
	scope.Owner = buildOwner(p.Binding.Job)
	return s.Builder(w, r, scope)
}

// buildOwner is what the builder calls a job, whose builds only the job's own agent watches.
func buildOwner(id slipway.JobID) string { return "job-" + id.String() }

// underReview reports whether a run builds what has not been accepted: the change of a pull request, whoever started it.
func underReview(run pipelines.Run) bool {
	return run.Reason == variable.ReasonPullRequest || strings.HasPrefix(run.Ref, "refs/pull/")
}

// watchImageBuilds carries what the builder tells of the job's builds to the agent, which removes secrets from it.
func (s *server) watchImageBuilds(w http.ResponseWriter, r *http.Request, c call) error {
	if s.Watch == nil {
		return slipway.Unavailable("there is no image builder on this server")
	}
	return s.Watch(w, r, buildOwner(c.id))
}

// maxBuildUpdate bounds what one request tells of a build: a report, and a piece of the log as JSON.
const maxBuildUpdate = 4 << 20

// by is the job as an actor.
func (c call) by() slipway.Actor {
	return slipway.Actor{Kind: slipway.ActorJob, ID: c.id.String(), Name: c.principal.Name}
}

// beginImageBuild lists a build of the job, and answers with its number.
func (s *server) beginImageBuild(w http.ResponseWriter, r *http.Request, c call) error {
	var report progress.Report
	if err := httpx.ReadJSON(w, r, maxBuildUpdate, &report); err != nil {
		return err
	}
	if s.Builds == nil {
		return slipway.NotFound("image builds are not listed on this server")
	}
	run, err := s.Pipelines.Get(r.Context(), c.principal.Binding.Run)
	if err != nil {
		return err
	}
	begun, err := s.Builds.Begin(r.Context(), run.Project, c.by(), run.ID, c.id, report)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusCreated, begun)
	return nil
}

// updateImageBuild keeps what the agent tells of a build.
func (s *server) updateImageBuild(w http.ResponseWriter, r *http.Request, c call) error {
	id, err := strconv.ParseInt(r.PathValue("build"), 10, 64)
	if err != nil || s.Builds == nil {
		return slipway.NotFound("there is no image build %q", r.PathValue("build"))
	}
	var update progress.Update
	if err := httpx.ReadJSON(w, r, maxBuildUpdate, &update); err != nil {
		return err
	}
	run, err := s.Pipelines.Get(r.Context(), c.principal.Binding.Run)
	if err != nil {
		return err
	}
	answer, err := s.Builds.Update(r.Context(), run.Project, id, c.by(), update)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, answer)
	return nil
}
