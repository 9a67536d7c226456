package agent

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"slipway"
	"slipway/internal/pipelines/job"
)

// Await waits at the server until it gives this pod a job, for which c has all but the job and its token. The zero assignment
// says that the pod is not wanted any more. The server may be away for the agent's patience.
func Await(ctx context.Context, c Config, pod string) (given job.PodAssignment, err error) {
	if c.Patience <= 0 {
		c.Patience = 15 * time.Minute
	}
	waiting := newClientAt(c, "/_slipway/pods/"+url.PathEscape(pod))
	for given.Job == 0 {
		if ctx.Err() != nil {
			return job.PodAssignment{}, nil // told to stop, with nothing to do
		}
		err := waiting.again(ctx, func() error { return waiting.call(ctx, "POST", "/job?seconds=25", nil, &given) })
		switch code := slipway.CodeOf(err); {
		case err == nil:
		case code == slipway.CodeConflict, ctx.Err() != nil, errors.Is(err, context.Canceled):
			return job.PodAssignment{}, nil
		default:
			return job.PodAssignment{}, fmt.Errorf("wait for a job: %w", err)
		}
	}
	return given, nil
}
