// Package otlpserver is the door for telemetry: OTLP over HTTP (/v1/traces, /v1/metrics, /v1/logs) and gRPC
// (OpenTelemetry protocol specification 1.x), and Application Insights' track endpoint (/v2/track, /v2.1/track).
//
// It decodes, decides who may write to which project, and hands rows to insights; it has no rule about telemetry
// itself. Senders of OTLP show a token: a workload's, a job's, or a user's who may contribute to the project that
// the resource names. Senders of Application Insights show their instrumentation key.
package otlpserver

import (
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"

	"slipway/internal/identity"
	"slipway/internal/insights"
)

// Limits of one request.
const (
	MaxBody        = 64 << 20  // bytes, compressed and decompressed: what the OTLP specification advises
	maxDecoding    = 256 << 20 // bytes of all bodies that are decoded at a time
	readTimeout    = 30 * time.Second
	writeTimeout   = 30 * time.Second // of the rows, until they are durable
	retryAfter     = 2 * time.Second  // told to senders when there is too much
	maxTrackItems  = 20_000
	maxContentType = 200
)

// Server serves telemetry's endpoints.
type Server struct {
	insights *insights.Service
	identity *identity.Service
	logger   *slog.Logger
	decoding *semaphore.Weighted
}

// New makes the door.
func New(i *insights.Service, id *identity.Service, logger *slog.Logger) *Server {
	return &Server{insights: i, identity: id, logger: logger, decoding: semaphore.NewWeighted(maxDecoding)}
}

// Router is what Register needs of a multiplexer.
type Router interface {
	Handle(pattern string, h http.Handler)
}

// Register adds the endpoints of HTTP.
func (s *Server) Register(r Router) {
	r.Handle("/v1/traces", s.otlp(s.traces))
	r.Handle("/v1/metrics", s.otlp(s.metrics))
	r.Handle("/v1/logs", s.otlp(s.logs))
	r.Handle("/v2/track", http.HandlerFunc(s.track))
	r.Handle("/v2.1/track", http.HandlerFunc(s.track))
}
