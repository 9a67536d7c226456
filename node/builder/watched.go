package builder

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	controlapi "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/errdefs"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// buildBegan is what a request says of the image.
type buildBegan struct {
	Tags      []string `json:"tags,omitempty"`
	Target    string   `json:"target,omitempty"`
	Platforms []string `json:"platforms,omitempty"`
}

// buildStatus is what the builder tells at once (the server's package progress, Status).
type buildStatus struct {
	Steps    []stepStatus `json:"steps,omitempty"`
	Logs     []logPart    `json:"logs,omitempty"`
	Warnings []string     `json:"warnings,omitempty"`
}

type stepStatus struct {
	Key       string     `json:"key"`
	Name      string     `json:"name"`
	Started   *time.Time `json:"started,omitempty"`
	Completed *time.Time `json:"completed,omitempty"`
	Cached    bool       `json:"cached,omitempty"`
	Error     string     `json:"error,omitempty"`
}

type logPart struct {
	Key    string `json:"key"`
	Stream int    `json:"stream"`
	Data   []byte `json:"data"`
}

// buildEnded is what became of a build.
type buildEnded struct {
	Digest   string `json:"digest,omitempty"`
	Error    string `json:"error,omitempty"` // "" when it went well
	Canceled bool   `json:"canceled,omitempty"`
}

// What a client may say of a build with its request.
const (
	// tagsKey names images that no exporter does, as those that the steps push themselves.
	tagsKey = "slipway-tags"
	// unlistedKey is set for what is no build of an image, as a command in a container.
	unlistedKey = "slipway-unlisted"
)

// watchSolve tells the watchers of a connection's owner of its builds.
func (b *Builder) watchSolve(service *scoped) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		solve, ok := req.(*controlapi.SolveRequest)
		owner := ownerOf(ctx)
		md, _ := metadata.FromIncomingContext(ctx)
		if _, asks := solve.GetFrontendAttrs()["requestid"]; !ok || owner == "" || asks || len(md.Get(unlistedKey)) > 0 {
			return handler(ctx, req)
		}
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		build := &watchedBuild{ref: solve.Ref, began: describe(solve, md.Get(tagsKey)), cancel: cancel, status: service.controller.Status, done: make(chan struct{})}
		defer close(build.done)
		b.watchers.tell(owner, build)
		answer, err := handler(ctx, req)
		if by, ok := canceledBy(ctx); ok && err != nil {
			err = status.Error(codes.Aborted, by.Error())
		}
		build.ended = buildEnded{Canceled: ctx.Err() != nil && err != nil, Error: sentence(err)}
		if _, ok := canceledBy(ctx); build.ended.Canceled && !ok {
			build.ended.Error = "the program that asked for this build was ended"
		}
		if response, ok := answer.(*controlapi.SolveResponse); ok && err == nil {
			build.ended.Digest = response.ExporterResponse["containerimage.digest"]
		}
		return answer, err
	}
}

// ownerOf is whose connection a call came by; "" for nobody's.
func ownerOf(ctx context.Context) string {
	if p, ok := peer.FromContext(ctx); ok {
		if a, ok := p.Addr.(ownerAddress); ok {
			return a.owner
		}
	}
	return ""
}

func describe(solve *controlapi.SolveRequest, tags []string) buildBegan {
	began := buildBegan{Tags: slices.Clone(tags), Target: solve.FrontendAttrs["target"]}
	if platforms := solve.FrontendAttrs["platform"]; platforms != "" {
		began.Platforms = strings.Split(platforms, ",")
	}
	for _, exporter := range solve.Exporters {
		for name := range strings.SplitSeq(exporter.Attrs["name"], ",") {
			if name != "" && !slices.Contains(began.Tags, name) {
				began.Tags = append(began.Tags, name)
			}
		}
	}
	return began
}

// frames are what BuildKit's layers put before a message.
var frames = []string{"failed to solve: ", "failed to solve with frontend dockerfile.v0: ", "rpc error: code = Unknown desc = ", "rpc error: code = Aborted desc = "}

// sentence is why a build failed, with the place in the Dockerfile if there is one.
func sentence(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	if s, ok := status.FromError(err); ok && s.Code() == codes.Aborted {
		text = s.Message()
	}
	for _, frame := range frames {
		text = strings.ReplaceAll(text, frame, "")
	}
	for _, s := range errdefs.Sources(err) {
		if s.Info != nil && len(s.Ranges) > 0 && s.Ranges[0].Start != nil {
			return fmt.Sprintf("%s:%d: %s", s.Info.Filename, s.Ranges[0].Start.Line, text)
		}
	}
	return text
}

// statusStream takes BuildKit's messages of one build in place of a client.
type statusStream struct {
	grpc.ServerStream
	ctx context.Context
	say func(*buildStatus) error
}

func (s statusStream) Context() context.Context { return s.ctx }

func (s statusStream) SendHeader(metadata.MD) error { return nil }

func (s statusStream) Send(m *controlapi.StatusResponse) error {
	told := client.NewSolveStatus(m)
	var out buildStatus
	for _, v := range told.Vertexes {
		out.Steps = append(out.Steps, stepStatus{v.Digest.String(), v.Name, v.Started, v.Completed, v.Cached, v.Error})
	}
	for _, l := range told.Logs {
		out.Logs = append(out.Logs, logPart{l.Vertex.String(), l.Stream, l.Data})
	}
	for _, w := range told.Warnings {
		line := string(w.Short)
		if len(w.Range) > 0 && w.SourceInfo != nil {
			line = fmt.Sprintf("%s:%d: %s", w.SourceInfo.Filename, w.Range[0].Start.Line, line)
		}
		out.Warnings = append(out.Warnings, line)
	}
	if len(out.Steps)+len(out.Logs)+len(out.Warnings) == 0 {
		return nil
	}
	return s.say(&out)
}

func (s statusStream) SendMsg(m any) error {
	response, ok := m.(*controlapi.StatusResponse)
	if !ok {
		return errors.New("BuildKit sent a message that is none of a build")
	}
	return s.Send(response)
}
