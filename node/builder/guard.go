package builder

import (
	"context"
	"strings"

	"github.com/containerd/containerd/v2/defaults"
	controlapi "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/util/grpcerrors"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// newServer makes the gRPC server of a scope. In a named one, calls that see or change what belongs to all scopes are refused. watch sees each call that is let through.
func newServer(s scope, watch grpc.UnaryServerInterceptor) *grpc.Server {
	unary := []grpc.UnaryServerInterceptor{grpcerrors.UnaryServerInterceptor}
	stream := []grpc.StreamServerInterceptor{grpcerrors.StreamServerInterceptor}
	if s.name != "" {
		unary = append(unary, s.guardUnary)
		stream = append(stream, s.guardStream)
	}
	unary = append(unary, watch)
	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(unary...), grpc.ChainStreamInterceptor(stream...),
		grpc.MaxRecvMsgSize(defaults.DefaultMaxRecvMsgSize), grpc.MaxSendMsgSize(defaults.DefaultMaxSendMsgSize),
	)
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	return server
}

// shared are the calls that reach over all scopes: sizes, pruning, the history of builds and the store of contents.
var shared = []string{
	"/moby.buildkit.v1.Control/DiskUsage", "/moby.buildkit.v1.Control/Prune",
	"/moby.buildkit.v1.Control/ListenBuildHistory", "/moby.buildkit.v1.Control/UpdateBuildHistory",
	"/containerd.services.content.",
}

func refused(method string) error {
	for _, m := range shared {
		if strings.HasPrefix(method, m) {
			return status.Errorf(codes.PermissionDenied, "%s is for the builder's owner and not for a build", method)
		}
	}
	return nil
}

func (s scope) guardUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if err := refused(info.FullMethod); err != nil {
		return nil, err
	}
	if solve, ok := req.(*controlapi.SolveRequest); ok {
		solve.Internal = true // no entry of the history, which is all scopes'
	}
	return handler(ctx, req)
}

// sessionKey carries what BuildKit finds the last copy of a local folder by. A client chooses it, so that another scope
// could otherwise put files into the copy that this one believes to be its own.
const sessionKey = "x-docker-expose-session-sharedkey"

func (s scope) guardStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if err := refused(info.FullMethod); err != nil {
		return err
	}
	if md, ok := metadata.FromIncomingContext(stream.Context()); ok && info.FullMethod == "/moby.buildkit.v1.Control/Session" {
		md = md.Copy()
		key := ""
		if v := md.Get(sessionKey); len(v) > 0 {
			key = v[0]
		}
		md.Set(sessionKey, s.name+"/"+key)
		stream = withContext{stream, metadata.NewIncomingContext(stream.Context(), md)}
	}
	return handler(srv, stream)
}

type withContext struct {
	grpc.ServerStream
	ctx context.Context
}

func (s withContext) Context() context.Context { return s.ctx }
