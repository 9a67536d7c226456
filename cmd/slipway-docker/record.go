package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"slipway/internal/images"
	"slipway/internal/images/progress"
)

// recordTime bounds telling the server of a finished build.
const recordTime = 15 * time.Second

// record tells the server of a build that `slipway build` lists at SLIPWAY_IMAGE_BUILD; those of jobs are watched at the builder. A build does not
// fail because that did not work.
func (p program) record(ctx context.Context, r recipe, result images.Result, failure error) {
	listed, token := p.getenv("SLIPWAY_IMAGE_BUILD"), p.getenv("SLIPWAY_JOB_TOKEN")
	if listed == "" || token == "" || len(result.Summary.Steps) == 0 {
		return
	}
	report := progress.Report{Tags: r.Tags, Target: r.Target, Platforms: r.Platforms, Digest: result.Digest, Summary: result.Summary}
	if failure != nil {
		report.Error = images.Message(failure)
	}
	report = report.Bounded()
	body, err := json.Marshal(progress.Update{Report: &report})
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPatch, listed, bytes.NewReader(body))
	if err != nil {
		return
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	if resp, err := http.DefaultClient.Do(request); err == nil {
		resp.Body.Close()
	}
}
