package otlpserver

import (
	"context"
	"mime"
	"net/http"
	"strconv"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/insights/otlp"
)

// encoding is one of OTLP/HTTP's two.
type encoding string

const (
	binary encoding = "application/x-protobuf"
	text   encoding = "application/json"
)

// message is an export request or response of pdata.
type message interface {
	MarshalProto() ([]byte, error)
	MarshalJSON() ([]byte, error)
}

type decodable interface {
	UnmarshalProto([]byte) error
	UnmarshalJSON([]byte) error
}

func decode(e encoding, body []byte, into decodable) error {
	err := error(nil)
	if e == text {
		err = into.UnmarshalJSON(body)
	} else {
		err = into.UnmarshalProto(body)
	}
	if err != nil {
		return slipway.Invalid("the request's body is not OTLP: %v", clipText(err.Error(), 500))
	}
	return nil
}

// export decodes a body, takes it in and makes the answer.
type export func(ctx context.Context, from *sender, e encoding, body []byte) (message, error)

func (s *Server) traces(ctx context.Context, from *sender, e encoding, body []byte) (message, error) {
	request := ptraceotlp.NewExportRequest()
	if err := decode(e, body, request); err != nil {
		return nil, err
	}
	return from.traces(ctx, request)
}

func (from *sender) traces(ctx context.Context, request ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	response := ptraceotlp.NewExportResponse()
	result := from.converter(ctx).Traces(request.Traces())
	if result.Rejected > 0 {
		response.PartialSuccess().SetRejectedSpans(result.Rejected)
		response.PartialSuccess().SetErrorMessage(reason(result))
	}
	return response, from.ingest(ctx, result)
}

func (s *Server) metrics(ctx context.Context, from *sender, e encoding, body []byte) (message, error) {
	request := pmetricotlp.NewExportRequest()
	if err := decode(e, body, request); err != nil {
		return nil, err
	}
	return from.metrics(ctx, request)
}

func (from *sender) metrics(ctx context.Context, request pmetricotlp.ExportRequest) (pmetricotlp.ExportResponse, error) {
	response := pmetricotlp.NewExportResponse()
	result := from.converter(ctx).Metrics(request.Metrics())
	if result.Rejected > 0 {
		response.PartialSuccess().SetRejectedDataPoints(result.Rejected)
		response.PartialSuccess().SetErrorMessage(reason(result))
	}
	return response, from.ingest(ctx, result)
}

func (s *Server) logs(ctx context.Context, from *sender, e encoding, body []byte) (message, error) {
	request := plogotlp.NewExportRequest()
	if err := decode(e, body, request); err != nil {
		return nil, err
	}
	return from.logs(ctx, request)
}

func (from *sender) logs(ctx context.Context, request plogotlp.ExportRequest) (plogotlp.ExportResponse, error) {
	response := plogotlp.NewExportResponse()
	result := from.converter(ctx).Logs(request.Logs())
	if result.Rejected > 0 {
		response.PartialSuccess().SetRejectedLogRecords(result.Rejected)
		response.PartialSuccess().SetErrorMessage(reason(result))
	}
	return response, from.ingest(ctx, result)
}

func reason(r *otlp.Result) string { return "some items were refused, as: " + r.Reason }

// otlp serves one signal over HTTP.
func (s *Server) otlp(take export) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "only POST is served here", http.StatusMethodNotAllowed)
			return
		}
		media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		e := encoding(media)
		if e != binary && e != text {
			http.Error(w, "the content type must be application/x-protobuf or application/json", http.StatusUnsupportedMediaType)
			return
		}
		answer, err := s.export(w, r, e, take)
		if err != nil {
			s.refuse(w, r, e, err)
			return
		}
		write(w, http.StatusOK, e, answer)
	})
}

func (s *Server) export(w http.ResponseWriter, r *http.Request, e encoding, take export) ([]byte, error) {
	from, err := s.httpSender(r)
	if err != nil {
		return nil, err
	}
	body, release, err := s.readBody(w, r)
	if err != nil {
		return nil, err
	}
	defer release()
	answer, err := take(r.Context(), from, e, body)
	if err != nil {
		return nil, err
	}
	if e == text {
		return answer.MarshalJSON()
	}
	return answer.MarshalProto()
}

// refuse answers with a google.rpc.Status, and with a status that clients retry only when it is worth it (OTLP
// specification, "OTLP/HTTP Response").
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, e encoding, err error) {
	httpx.LogError(s.logger, r, err)
	p := httpx.Problem(r, err)
	code := httpx.Status(p.Code)
	switch p.Code {
	case slipway.CodeInternal:
		code = http.StatusServiceUnavailable // 500 is not retried, and a fault of ours may pass
		fallthrough
	case slipway.CodeUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
	case slipway.CodeUnauthenticated:
		w.Header().Set("WWW-Authenticate", `Bearer realm="Slipway"`)
	}
	body := status.New(grpcCode(p.Code), p.Message).Proto()
	var b []byte
	if e == text {
		b, err = protojson.Marshal(body)
	} else {
		b, err = proto.Marshal(body)
	}
	if err != nil {
		s.logger.Error("encode refusal", "error", err)
	}
	write(w, code, e, b)
}

func write(w http.ResponseWriter, status int, e encoding, body []byte) {
	w.Header().Set("Content-Type", string(e))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may have gone
}

func grpcCode(c slipway.Code) codes.Code {
	switch c {
	case slipway.CodeInvalid, slipway.CodeUnsupported:
		return codes.InvalidArgument
	case slipway.CodeNotFound:
		return codes.NotFound
	case slipway.CodeForbidden:
		return codes.PermissionDenied
	case slipway.CodeUnauthenticated:
		return codes.Unauthenticated
	case slipway.CodeLimit:
		return codes.ResourceExhausted
	case slipway.CodeConflict:
		return codes.Aborted
	}
	return codes.Unavailable
}
