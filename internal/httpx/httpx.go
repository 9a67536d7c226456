// Package httpx is the HTTP plumbing that every door shares: handlers that return errors, JSON in and out,
// request ids, logging, and recovery from faults. It knows no domain.
package httpx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"

	"slipway"
)

// Handler serves a request or returns the error for the door to render.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Status is the HTTP status of a problem's code.
func Status(code slipway.Code) int {
	switch code {
	case slipway.CodeInvalid, slipway.CodeUnsupported:
		return http.StatusBadRequest
	case slipway.CodeNotFound:
		return http.StatusNotFound
	case slipway.CodeConflict:
		return http.StatusConflict
	case slipway.CodeForbidden:
		return http.StatusForbidden
	case slipway.CodeUnauthenticated:
		return http.StatusUnauthorized
	case slipway.CodeLimit:
		return http.StatusRequestEntityTooLarge
	case slipway.CodeUnavailable:
		return http.StatusServiceUnavailable
	case slipway.CodeFull:
		return http.StatusInsufficientStorage
	}
	return http.StatusInternalServerError
}

// Problem is what a caller may see of err: the Problem in its chain without the cause, or for anything else a
// sentence with the request's id under which the operator finds the cause in the log.
func Problem(r *http.Request, err error) *slipway.Problem {
	var p *slipway.Problem
	if errors.As(err, &p) {
		shown := *p
		shown.Err = nil
		return &shown
	}
	return &slipway.Problem{Code: slipway.CodeInternal, Message: "something went wrong on the server; the log has the cause under request " + RequestID(r.Context())}
}

// LogError writes the operator's line for an error that a door is about to render: the whole cause of faults,
// nothing for callers' mistakes.
func LogError(logger *slog.Logger, r *http.Request, err error) {
	if code := slipway.CodeOf(err); code != slipway.CodeInternal && code != slipway.CodeUnavailable && code != slipway.CodeFull {
		return
	}
	if r.Context().Err() != nil { // the client went away, and the error is most likely only that
		return
	}
	logger.Error("request failed", "request", RequestID(r.Context()), "method", r.Method, "path", r.URL.Path, "error", err)
}

// JSON makes an http.Handler of h that renders errors as `{"code","message","field","position"}`.
func JSON(logger *slog.Logger, h Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		if err == nil {
			return
		}
		LogError(logger, r, err)
		p := Problem(r, err)
		if p.Code == slipway.CodeUnauthenticated {
			w.Header().Set("WWW-Authenticate", `Basic realm="Slipway"`)
		}
		WriteJSON(w, Status(p.Code), map[string]any{"code": p.Code, "message": p.Message, "field": p.Field, "position": p.Position})
	})
}

// WriteJSON answers with v as JSON.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "encode answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

// ReadJSON decodes a body of at most limit bytes into v; unknown fields are errors.
func ReadJSON(w http.ResponseWriter, r *http.Request, limit int64, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return slipway.Limit("the request's body is larger than %d bytes", limit)
		}
		return slipway.Invalid("the request's body is not the JSON expected here: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return slipway.Invalid("the request's body has something after its JSON value")
	}
	return nil
}

type requestIDKey struct{}

// RequestID is the id that Middleware gave the request; it is also in the answer's X-Request-Id.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// Middleware gives each request an id, logs slow and failed ones, turns a panic into an internal error, and refuses addresses with a NUL.
func Middleware(logger *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := uuid.NewString()
		r = r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id))
		w.Header().Set("X-Request-Id", id)
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		start := time.Now()
		defer func() {
			if v := recover(); v != nil {
				if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
					panic(v)
				}
				logger.Error("request panicked", "request", id, "path", r.URL.Path, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
				if !rec.wrote {
					http.Error(rec, "something went wrong on the server; request "+id, http.StatusInternalServerError)
				}
			}
			logger.Debug("request", "request", id, "method", r.Method, "path", r.URL.Path, "status", rec.status, "duration", time.Since(start))
		}()
		if strings.ContainsRune(r.URL.Path, 0) || strings.Contains(r.URL.RawQuery, "%00") {
			http.Error(rec, "the address holds a NUL character (%00), which no name here has", http.StatusBadRequest)
			return
		}
		next.ServeHTTP(rec, r)
	})
}

// recorder remembers the status; http.ResponseController reaches flushing and hijacking through Unwrap.
type recorder struct {
	http.ResponseWriter
	status int
	wrote  bool
}

func (r *recorder) WriteHeader(status int) {
	r.status, r.wrote = status, true
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	r.wrote = true
	return r.ResponseWriter.Write(b)
}

// ReadFrom lets the kernel send files by itself: without it they would pass through memory.
func (r *recorder) ReadFrom(src io.Reader) (int64, error) {
	r.wrote = true
	return io.Copy(r.ResponseWriter, src)
}

// Flush keeps writers that ask for http.Flusher working.
func (r *recorder) Flush() { _ = http.NewResponseController(r.ResponseWriter).Flush() }

// Unwrap implements the protocol of http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
