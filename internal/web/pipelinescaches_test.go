package web

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

func TestCachesOnThePipelinesPage(t *testing.T) {
	t.Parallel()
	s, ctx := newPipelineSite(t), context.Background()
	run := s.push("steps:\n- bash: x\n")
	id := s.job(run, "__default.Job")
	if body := s.get("/_build?definitionId=1"); strings.Contains(body, `aria-label="Caches"`) {
		t.Error("there is a section without caches")
	}
	var ids []int64
	for _, key := range []string{"npm|<a>", "npm|b"} {
		c, err := s.PutCache(ctx, id, key, bytes.NewReader(make([]byte, 3<<20)))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, c.ID)
	}
	o, err := s.OpenCache(ctx, id, ids[0])
	if err != nil {
		t.Fatal(err)
	}
	o.Close()
	s.get("/_build?definitionId=1", `aria-label="Caches"`, "npm|&lt;a&gt;", "3.0 MiB", `<td class="number">1</td>`, "2 caches, 6.0 MiB", fmt.Sprintf("/Shop/_build/results?buildId=%d", run))
	s.post("/_build/caches", url.Values{"pipeline": {"1"}, "cache": {fmt.Sprint(ids[0])}})
	if body := s.get("/_build?definitionId=1", "npm|b"); strings.Contains(body, "npm|&lt;a&gt;") {
		t.Error("the cache is still there")
	}
	s.post("/_build/caches", url.Values{"pipeline": {"1"}})
	if list, err := s.ListCaches(ctx, pipelines.CacheFilter{Project: project(s)}); err != nil || len(list) != 0 {
		t.Errorf("left %+v, %v", list, err)
	}
}

// A post-job step stands after the others, with its log.
func TestPostJobStepOnTheRunsPage(t *testing.T) {
	t.Parallel()
	s, ctx := newPipelineSite(t), context.Background()
	run := s.push("steps:\n- bash: x\n")
	id := s.job(run, "__default.Job")
	if err := s.Report(ctx, id, job.Report{Steps: []job.StepRecord{{ID: 2, DisplayName: "Build", State: schedule.Completed, Result: schedule.Succeeded}, {ID: 3, DisplayName: "Post-job: Cache", State: schedule.Running, Started: 1}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AppendLog(ctx, id, 3, 0, []byte("2026-03-01T12:00:00.0000000Z saved\n")); err != nil {
		t.Fatal(err)
	}
	body := s.get(fmt.Sprintf("/_build/results?buildId=%d&j=%d&s=3", run, id), "Post-job: Cache", "saved")
	if strings.Index(body, "Build") > strings.Index(body, "Post-job: Cache") {
		t.Error("the post-job step is not the last")
	}
}

// project is that of the site's pipeline.
func project(s *pipelineSite) slipway.ProjectID {
	s.Helper()
	d, err := s.Definition(context.Background(), 1)
	if err != nil {
		s.Fatal(err)
	}
	return d.Project
}
