package otlpserver

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"slipway"
)

// readBody reads and decompresses a request's body, MaxBody bytes at most on either side. release frees the
// place that the body takes among those that are decoded at a time.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request) (body []byte, release func(), err error) {
	// Not every writer has deadlines (tests' recorders), and without one the server's own limit holds.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(readTimeout))
	compressed, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return nil, nil, slipway.Limit("a request has at most %d bytes: send smaller batches", MaxBody)
		}
		return nil, nil, slipway.Invalid("the request's body could not be read: %v", err)
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	size := int64(len(compressed))
	zipped := strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") || bytes.HasPrefix(compressed, []byte{0x1f, 0x8b})
	if zipped {
		size = min(size*20, MaxBody) // a guess, so that small ones do not wait
	}
	if err := s.acquire(r.Context(), size); err != nil {
		return nil, nil, err
	}
	release = func() { s.decoding.Release(size) }
	if !zipped {
		if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
			release()
			return nil, nil, slipway.Unsupported("content encoding %q: use gzip or none", clipText(e, maxContentType))
		}
		return compressed, release, nil
	}
	body, err = unzip(compressed)
	if err != nil {
		release()
		return nil, nil, err
	}
	return body, release, nil
}

func (s *Server) acquire(ctx context.Context, size int64) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := s.decoding.Acquire(ctx, size); err != nil {
		return slipway.Unavailable("too much telemetry comes in at once: try again")
	}
	return nil
}

func unzip(compressed []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, slipway.Invalid("the request's body is not gzip: %v", err)
	}
	body, err := io.ReadAll(io.LimitReader(z, MaxBody+1))
	if err != nil {
		return nil, slipway.Invalid("the request's body is not whole gzip: %v", err)
	}
	if len(body) > MaxBody {
		return nil, slipway.Limit("a request has at most %d bytes after decompression: send smaller batches", MaxBody)
	}
	return body, nil
}

func clipText(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}
