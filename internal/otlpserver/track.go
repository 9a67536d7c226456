package otlpserver

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/insights/appinsights"
	"slipway/internal/insights/telemetry"
)

// track serves Application Insights' endpoint. The instrumentation key in each item is the credential; browsers
// of any site may post, as no cookie counts here.
func (s *Server) track(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	switch r.Method {
	case http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", "POST")
		h.Set("Access-Control-Allow-Headers", "Content-Type, Content-Encoding, Sdk-Context, Request-Id, Request-Context, Traceparent, Tracestate")
		h.Set("Access-Control-Max-Age", "3600")
		w.WriteHeader(http.StatusNoContent)
		return
	case http.MethodPost:
	default:
		h.Set("Allow", "POST, OPTIONS")
		http.Error(w, "only POST is served here", http.StatusMethodNotAllowed)
		return
	}
	body, release, err := s.readBody(w, r)
	if err != nil {
		s.refuseTrack(w, r, 0, err)
		return
	}
	defer release()
	answer, err := s.takeTrack(r.Context(), body)
	if err != nil {
		s.refuseTrack(w, r, answer.Received, err)
		return
	}
	writeAnswer(w, answer.Status(), answer)
}

func (s *Server) takeTrack(ctx context.Context, body []byte) (appinsights.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	oldest, newest := s.insights.TimeRange()
	c := appinsights.Converter{
		Lookup:   func(key string) (telemetry.Origin, error) { return s.insights.KeyOrigin(ctx, key) },
		Complete: func(r *telemetry.Resource) error { return s.insights.Complete(ctx, r) },
		Now:      s.insights.Now(), Oldest: oldest, Newest: newest,
	}
	batch, answer, err := c.Convert(body)
	if err != nil {
		return answer, err
	}
	return answer, s.insights.Ingest(ctx, batch)
}

// refuseTrack answers for the whole request, by the statuses that the clients know: 400 and 413 are final, 429, 500
// and 503 are tried again.
func (s *Server) refuseTrack(w http.ResponseWriter, r *http.Request, items int, err error) {
	httpx.LogError(s.logger, r, err)
	p := httpx.Problem(r, err)
	status := httpx.Status(p.Code)
	if p.Code == slipway.CodeUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
	}
	answer := appinsights.Refused(items, status, p.Message)
	if items == 0 {
		answer.Errors = append(answer.Errors, appinsights.ItemError{StatusCode: status, Message: p.Message})
	}
	writeAnswer(w, status, answer)
}

func writeAnswer(w http.ResponseWriter, status int, a appinsights.Answer) {
	b, err := json.Marshal(a)
	if err != nil { // numbers and strings always encode
		http.Error(w, "encode answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client may have gone
}
