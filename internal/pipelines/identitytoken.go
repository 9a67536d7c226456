package pipelines

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/schedule"
)

// Issuer signs identity tokens; *issuer.Service does.
type Issuer interface {
	Sign(ctx context.Context, claims map[string]any, expires time.Time) (string, error)
}

const (
	// DefaultAudience is that of identity tokens if none is asked for: the one that Azure's tokens have.
	DefaultAudience = "api://AzureADTokenExchange"
	// identityLife is how long an identity token is good.
	identityLife = 10 * time.Minute
	// organization stands in subjects where Azure DevOps has the name of an organisation.
	organization = "slipway"
)

// IdentityRequest asks for an identity token.
type IdentityRequest struct {
	// Audience is for whom the token is, "" for DefaultAudience.
	Audience string
	// Connection is the id of the service connection that the token stands for, "" for none.
	Connection string
}

// audience is what a token may be for: a URI or name in plain characters.
var audience = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[!-~]{1,256}$`) })

// IdentityToken is a token that shows others what runs: signed, for one audience, good for ten minutes and no longer than the job may
// run. The job's subject is p://slipway/PROJECT/PIPELINE, or sc://slipway/PROJECT/CONNECTION for a service connection.
func (s *Service) IdentityToken(ctx context.Context, id slipway.JobID, req IdentityRequest) (string, error) {
	if s.Issuer == nil {
		return "", slipway.Unsupported("this server issues no identity tokens")
	}
	if req.Audience == "" {
		req.Audience = DefaultAudience
	}
	if !audience().MatchString(req.Audience) {
		return "", slipway.Invalid("audience %.50q: write up to 256 plain characters without spaces, such as https://example.com", req.Audience)
	}
	j, err := s.Job(ctx, id)
	if err != nil {
		return "", err
	}
	if err := j.ofAgent(); err != nil {
		return "", err
	}
	if j.State != schedule.Running {
		return "", slipway.Conflict("job %d does not run", id)
	}
	run, err := s.Get(ctx, j.Run)
	if err != nil {
		return "", err
	}
	if err := run.refuseFork("identity token"); err != nil {
		return "", err
	}
	claims, err := s.identityClaims(ctx, &run, &j, req)
	if err != nil {
		return "", err
	}
	expires, err := s.identityEnd(ctx, &j)
	if err != nil {
		return "", err
	}
	token, err := s.Issuer.Sign(ctx, claims, expires)
	if err != nil {
		return "", err
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		return s.announce(ctx, tx, &run, EventIdentityTokenIssued, jobActor(&j), IdentityPayload{Run: run.ID, Job: j.ID, Subject: claims["sub"].(string), Audience: req.Audience})
	})
	if err != nil {
		return "", err
	}
	return token, nil
}

// identityEnd is when a token ends that is made now.
func (s *Service) identityEnd(ctx context.Context, j *Job) (time.Time, error) {
	p, err := s.plan(ctx, s.db, j.Run)
	if err != nil {
		return time.Time{}, err
	}
	i, err := s.instanceOf(ctx, p, j)
	if err != nil {
		return time.Time{}, err
	}
	stop, err := s.stops(ctx, j)
	if err != nil {
		return time.Time{}, err
	}
	end := s.clock.Now().Add(identityLife)
	if last := j.Started.Add(time.Duration(timeoutOf(i.Job)+stop+max(i.Job.CancelTimeoutInMinutes, 1)) * time.Minute); last.Before(end) {
		end = last
	}
	return end, nil
}

// inSubject keeps names from looking like two parts of a subject.
var inSubject = strings.NewReplacer("%", "%25", "/", "%2F")

func (s *Service) identityClaims(ctx context.Context, run *Run, j *Job, req IdentityRequest) (map[string]any, error) {
	repo, err := s.Source.Repository(ctx, run.Repository)
	if err != nil {
		return nil, fmt.Errorf("read repository of run %d: %w", run.ID, err)
	}
	subject := "p://" + organization + "/" + inSubject.Replace(repo.ProjectName) + "/" + inSubject.Replace(run.PipelineName)
	claims := map[string]any{
		"aud": req.Audience, "org": organization, "project": repo.ProjectName, "project_id": string(run.Project), "pipeline": run.PipelineName,
		"pipeline_id": run.Pipeline.String(), "run_id": run.ID.String(), "run_number": run.Number, "reason": run.Reason, "stage": j.Stage, "job": j.Instance,
		"job_id": j.ID.String(), "attempt": j.Attempt, "repository": repo.Name, "repository_id": string(run.Repository), "ref": run.Ref, "commit": string(run.Commit),
		"requested_for": run.Actor.Name,
	}
	if j.Environment != nil {
		claims["environment"] = j.Environment.Name
	}
	if id, ok := run.PullRequest(); ok {
		claims["pull_request"] = id.String()
	}
	if req.Connection != "" {
		c, err := s.permittedConnection(ctx, run, req.Connection)
		if err != nil {
			return nil, err
		}
		subject = "sc://" + organization + "/" + inSubject.Replace(repo.ProjectName) + "/" + inSubject.Replace(c.Name)
		claims["service_connection"] = c.Name
	}
	claims["sub"] = subject
	return claims, nil
}
