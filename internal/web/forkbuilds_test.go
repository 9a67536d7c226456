package web

import (
	"context"
	"net/url"
	"testing"

	"slipway"
	"slipway/internal/pipelines"
)

// Settings about pull requests from forks are made on the page: of the project, of one pipeline, and back again.
func TestForkBuildsPage(t *testing.T) {
	t.Parallel()
	s := newPipelineSite(t)
	ctx := context.Background()
	repository, err := s.source.FindRepository(ctx, "", "shop")
	if err != nil {
		t.Fatal(err)
	}
	project := repository.Project
	is := func(pipeline slipway.PipelineID, own bool, want pipelines.ForkSettings) {
		t.Helper()
		has, got, err := s.Service.ForkSettings(ctx, project, pipeline)
		if err != nil || got != want || (has != nil) != own {
			t.Errorf("pipeline %d has %+v, its own %v, %v; want %+v", pipeline, got, has, err, want)
		}
	}
	s.get("/_settings/forks", "Pull requests from forks", `name="secrets"`)
	is(0, false, pipelines.DefaultForkSettings)
	s.post("/_settings/forks", url.Values{"do": {"set"}, "pipeline": {"0"}, "build": {"on"}, "comment": {"nonMembers"}, "secrets": {"on"}})
	is(0, true, pipelines.ForkSettings{Build: true, Comment: pipelines.ForkCommentNonMembers, Secrets: true})
	s.post("/_settings/forks", url.Values{"do": {"set"}, "pipeline": {"0"}, "comment": {"never"}})
	is(0, true, pipelines.ForkSettings{Comment: pipelines.ForkCommentNever})
	s.post("/_settings/forks", url.Values{"do": {"inherit"}, "pipeline": {"0"}})
	is(0, false, pipelines.DefaultForkSettings)
}
