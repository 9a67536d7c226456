package otlpserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // registers the compressor that clients use
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"slipway"
	"slipway/internal/identity"
)

// ServeGRPC serves OTLP over gRPC on the listener (port 4317 by custom) until ctx ends.
func (s *Server) ServeGRPC(ctx context.Context, l net.Listener) error {
	g := grpc.NewServer(
		grpc.MaxRecvMsgSize(MaxBody), // of the decompressed message too
		grpc.MaxConcurrentStreams(32),
		grpc.MaxHeaderListSize(64<<10),
		grpc.ConnectionTimeout(10*time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: 15 * time.Minute, Time: 2 * time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(s.recovering),
	)
	ptraceotlp.RegisterGRPCServer(g, &grpcTraces{server: s})
	pmetricotlp.RegisterGRPCServer(g, &grpcMetrics{server: s})
	plogotlp.RegisterGRPCServer(g, &grpcLogs{server: s})
	failed := make(chan error, 1)
	go func() { failed <- g.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve OTLP over gRPC: %w", err)
	case <-ctx.Done():
	}
	stopped := make(chan struct{})
	go func() {
		g.GracefulStop()
		close(stopped)
	}()
	select {
	case <-stopped:
	case <-time.After(5 * time.Second):
		g.Stop()
		<-stopped
	}
	return <-failed // nil after a stop
}

// recovering turns a fault in a handler into an answer that clients try again, as httpx.Middleware does for HTTP.
func (s *Server) recovering(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (answer any, err error) {
	defer func() {
		if v := recover(); v != nil {
			s.logger.Error("request panicked", "method", info.FullMethod, "panic", fmt.Sprint(v))
			err = status.Error(codes.Unavailable, "something went wrong on the server")
		}
	}()
	return handle(ctx, request)
}

type grpcTraces struct {
	ptraceotlp.UnimplementedGRPCServer
	server *Server
}

// Export implements the trace service.
func (g *grpcTraces) Export(ctx context.Context, request ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	from, err := g.server.grpcSender(ctx)
	if err != nil {
		return ptraceotlp.NewExportResponse(), g.server.grpcError(err)
	}
	response, err := from.traces(ctx, request)
	return response, g.server.grpcError(err)
}

type grpcMetrics struct {
	pmetricotlp.UnimplementedGRPCServer
	server *Server
}

// Export implements the metrics service.
func (g *grpcMetrics) Export(ctx context.Context, request pmetricotlp.ExportRequest) (pmetricotlp.ExportResponse, error) {
	from, err := g.server.grpcSender(ctx)
	if err != nil {
		return pmetricotlp.NewExportResponse(), g.server.grpcError(err)
	}
	response, err := from.metrics(ctx, request)
	return response, g.server.grpcError(err)
}

type grpcLogs struct {
	plogotlp.UnimplementedGRPCServer
	server *Server
}

// Export implements the logs service.
func (g *grpcLogs) Export(ctx context.Context, request plogotlp.ExportRequest) (plogotlp.ExportResponse, error) {
	from, err := g.server.grpcSender(ctx)
	if err != nil {
		return plogotlp.NewExportResponse(), g.server.grpcError(err)
	}
	response, err := from.logs(ctx, request)
	return response, g.server.grpcError(err)
}

func (s *Server) grpcSender(ctx context.Context) (*sender, error) {
	m, _ := metadata.FromIncomingContext(ctx)
	first := func(name string) string {
		if v := m.Get(name); len(v) > 0 {
			return v[0]
		}
		return ""
	}
	token := first(strings.ToLower(TokenHeader))
	if token == "" {
		scheme, rest, _ := strings.Cut(first("authorization"), " ")
		if scheme != "" && !strings.EqualFold(scheme, "Bearer") {
			return nil, slipway.Unauthenticated("the authorization metadata must be Bearer")
		}
		token = strings.TrimSpace(rest)
	}
	p := identity.Anonymous
	if token != "" {
		var err error
		if p, err = s.identity.AuthenticateToken(ctx, token); err != nil {
			return nil, err
		}
	}
	return s.newSender(p, first(strings.ToLower(ProjectHeader)))
}

// grpcError is the status for an error; what may pass carries RetryInfo, without which clients do not retry
// ResourceExhausted (OTLP specification, "OTLP/gRPC Throttling").
func (s *Server) grpcError(err error) error {
	if err == nil {
		return nil
	}
	var p *slipway.Problem
	if !errors.As(err, &p) {
		p = slipway.Unavailable("something went wrong on the server: try again")
	}
	if p.Code == slipway.CodeInternal || p.Code == slipway.CodeUnavailable {
		s.logger.Error("telemetry not taken", "error", err)
	}
	answer := status.New(grpcCode(p.Code), p.Message)
	if answer.Code() == codes.Unavailable {
		if detailed, err := answer.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)}); err == nil {
			answer = detailed
		}
	}
	return answer.Err()
}
