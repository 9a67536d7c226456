// Package buildstest makes image builds for tests.
package buildstest

import (
	"testing"

	"slipway"
	"slipway/internal/images/builds"
	"slipway/internal/images/progress"
)

// Finished is a build of a job that has been told of from its beginning to its end.
func Finished(t *testing.T, s *builds.Service, project slipway.ProjectID, run slipway.RunID, job slipway.JobID, r progress.Report) builds.Build {
	t.Helper()
	by := slipway.Actor{Kind: slipway.ActorJob, ID: job.String()}
	b, err := s.Begin(t.Context(), project, by, run, job, r)
	if err == nil {
		_, err = s.Update(t.Context(), project, b.ID, by, progress.Update{Report: &r, Done: true})
	}
	if err == nil {
		b, err = s.Get(t.Context(), project, b.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}
