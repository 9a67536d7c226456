package images

import (
	"context"
	"io"
	"maps"
	"strings"
	"time"

	"slipway/internal/images/progress"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
)

// Request is a build in BuildKit's own words, as its client buildctl makes them.
type Request struct {
	client.SolveOpt
	Definition *llb.Definition // in place of a frontend, else nil
	// Auth gives the credentials for a registry, as in Options.
	Auth func(host string) (user, password string)
	// Status gets BuildKit's own messages, a JSON object a line, when it is not nil.
	Status io.Writer
}

// Solve does a request. What a frontend answers to a question (the attribute requestid) is given by the keys of its answer.
func Solve(ctx context.Context, dial Dial, r Request, report func(progress.Event)) (_ Result, answer map[string][]byte, err error) {
	c, err := connect(ctx, dial)
	if err != nil {
		return Result{}, nil, err
	}
	defer c.Close()
	r.Session = append(r.Session, credentials{auth: r.Auth})
	question := gateway.SolveRequest{Frontend: r.Frontend, FrontendOpt: maps.Clone(r.FrontendAttrs)}
	for _, cache := range r.CacheImports {
		question.CacheImports = append(question.CacheImports, frontend.CacheOptionsEntry{Type: cache.Type, Attrs: cache.Attrs})
	}
	if r.Definition != nil {
		question.Definition = r.Definition.ToPB()
	}
	_, asks := question.FrontendOpt["requestid"]
	if asks && question.FrontendOpt["frontend.caps"] == "" {
		question.FrontendOpt["frontend.caps"] = "moby.buildkit.frontend.subrequests"
	}
	shown, start := progress.NewReporter(report), time.Now()
	var response *client.SolveResponse
	err = watch(ctx, shown, r.Status, func(ctx context.Context, status chan *client.SolveStatus) (err error) {
		response, err = c.Build(ctx, r.SolveOpt, "buildctl", func(ctx context.Context, c gateway.Client) (*gateway.Result, error) {
			result, err := c.Solve(ctx, question)
			if err == nil && asks {
				answer = result.Metadata
			}
			return result, err
		}, status)
		return err
	})
	summary := shown.Summary(time.Since(start))
	if err != nil {
		return Result{Summary: summary}, nil, explain(ctx, err, shown.Failed(), strings.Split(r.FrontendAttrs["platform"], ","))
	}
	result := newResult(response.ExporterResponse)
	result.Summary = summary
	return result, answer, nil
}

// Workers describes the builder's workers and its version.
func Workers(ctx context.Context, dial Dial) ([]*client.WorkerInfo, *client.Info, error) {
	c, err := connect(ctx, dial)
	if err != nil {
		return nil, nil, err
	}
	defer c.Close()
	workers, err := c.ListWorkers(ctx)
	if err != nil {
		return nil, nil, explain(ctx, err, nil, nil)
	}
	info, err := c.Info(ctx)
	if err != nil {
		return nil, nil, explain(ctx, err, nil, nil)
	}
	return workers, info, nil
}
