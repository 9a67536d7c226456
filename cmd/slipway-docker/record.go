package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"slipway/internal/images"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// recordTime bounds telling the server of a finished build.
const recordTime = 15 * time.Second

// record tells the server of a build, so that the run's page can show it; outside of a job SLIPWAY_IMAGE_BUILD is where `slipway build` lists it. A build does not
// fail because that did not work.
func (p program) record(ctx context.Context, r recipe, pushed bool, result images.Result, failure error) {
	server, job, token := p.getenv("SLIPWAY_URL"), p.getenv("SLIPWAY_JOB"), p.getenv("SLIPWAY_JOB_TOKEN")
	listed := p.getenv("SLIPWAY_IMAGE_BUILD")
	if server == "" || job == "" && listed == "" || token == "" || len(result.Summary.Steps) == 0 {
		return
	}
	report := images.Report{Tags: r.Tags, Target: r.Target, Platforms: r.Platforms, Digest: result.Digest, Summary: result.Summary}
	if failure != nil {
		report.Error = images.Message(failure)
	}
	if pushed && result.Digest != "" && len(r.Tags) > 0 {
		report.Bytes, report.Layers = p.sizes(ctx, r.Tags[0], string(result.Digest))
	}
	report = report.Bounded()
	method, to, said := http.MethodPost, strings.TrimSuffix(server, "/")+"/_slipway/jobs/"+job+"/images", any(report)
	if job == "" {
		method, to, said = http.MethodPatch, listed, images.Update{Report: &report}
	}
	body, err := json.Marshal(said)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(body))
	if err != nil {
		return
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	if resp, err := http.DefaultClient.Do(request); err == nil {
		resp.Body.Close()
	}
}

// sizes are the bytes and the number of an image's layers, all platforms together, or zero when the registry is not Slipway's own.
func (p program) sizes(ctx context.Context, tag, digest string) (bytes int64, layers int) {
	i, err := p.remoteImage(tag)
	if err != nil || i.name == "" || !strings.HasPrefix(tag, p.getenv("SLIPWAY_REGISTRY_HOST")+"/") {
		return 0, 0
	}
	ctx, cancel := context.WithTimeout(ctx, recordTime)
	defer cancel()
	digests, seen := []string{digest}, map[string]bool{}
	for len(digests) > 0 && len(seen) < 1000 {
		i.reference, digests = digests[0], digests[1:]
		d, b, err := i.manifest(ctx)
		if err != nil {
			return 0, 0
		}
		if isIndex(d.MediaType) {
			var index ocispec.Index
			if json.Unmarshal(b, &index) != nil {
				return 0, 0
			}
			for _, m := range index.Manifests {
				if m.Platform == nil || m.Platform.OS != "unknown" { // not attestations
					digests = append(digests, m.Digest.String())
				}
			}
			continue
		}
		var m ocispec.Manifest
		if json.Unmarshal(b, &m) != nil {
			return 0, 0
		}
		for _, l := range m.Layers {
			if !seen[l.Digest.String()] {
				seen[l.Digest.String()] = true
				bytes += l.Size
			}
		}
	}
	return bytes, len(seen)
}
