package gitserver

import (
	"compress/gzip"
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"slipway"
	"slipway/internal/httpx"
)

// maxCommands bounds the decompressed request of a fetch (wants and haves), in bytes. Git compresses nothing else.
const maxCommands = 64 << 20

// maxLeft bounds what is read of a body that nobody wanted, in bytes. Beyond it the connection ends.
const maxLeft = 256 << 10

// exchange is one request and answer while git works on it. It ends git when nothing moves for a while.
type exchange struct {
	w        http.ResponseWriter
	r        *http.Request
	control  *http.ResponseController
	ctx      context.Context // ends with the request, or when it stalls
	cancel   context.CancelCauseFunc
	logger   *slog.Logger
	in       io.Reader
	stall    time.Duration
	timer    *time.Timer
	media    string
	preamble []byte // goes before git's first byte
	started  bool   // the answer's head has been written

	reading sync.Mutex // held while the body is read
	over    atomic.Bool
}

func (s *Server) newExchange(w http.ResponseWriter, r *http.Request, media string) *exchange {
	x := &exchange{w: w, r: r, control: http.NewResponseController(w), logger: s.logger, stall: s.options.StallTime, media: media}
	x.ctx, x.cancel = context.WithCancelCause(r.Context())
	x.in = progress{x, r.Body}
	x.timer = time.AfterFunc(x.stall, func() {
		if x.ctx.Err() != nil { // it has ended, and the connection may serve its next request
			return
		}
		x.cancel(errStalled)
		// Reads and writes of the connection end now, so that the git process can be waited for. A server
		// without deadlines has a connection that ends with the request.
		_ = x.control.SetReadDeadline(time.Now())
		_ = x.control.SetWriteDeadline(time.Now())
	})
	// Clients may send while they receive.
	_ = x.control.EnableFullDuplex()
	return x
}

// close waits until nobody reads the body any more: after that the connection serves its next request. Git may have ended without
// having read all of it, and then the connection ends too.
func (x *exchange) close() {
	x.timer.Stop()
	x.cancel(nil)
	x.over.Store(true)
	if !x.reading.TryLock() {
		_ = x.control.SetReadDeadline(time.Now())
		x.reading.Lock()
	}
	x.reading.Unlock()
	// The rest of a short body is read here, as net/http would do only after it has stopped watching the connection: coming to the end then, it
	// watches again while it waits for the next request, and panics.
	if x.r.Header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, x.r.Body, maxLeft)
	}
}

// decode sets the input for the body's encoding.
func (x *exchange) decode(encoding string) error {
	switch encoding {
	case "", "identity":
		return nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(x.in)
		if err != nil {
			return slipway.Invalid("the request's body is not gzip").Because(err)
		}
		x.in = io.LimitReader(z, maxCommands)
		return nil
	}
	return slipway.Unsupported("the request's body is encoded as %q: gzip is understood", encoding)
}

// progress reads and notes that something moved.
type progress struct {
	x *exchange
	r io.Reader
}

func (p progress) Read(b []byte) (int, error) {
	p.x.reading.Lock()
	defer p.x.reading.Unlock()
	if p.x.over.Load() {
		return 0, io.ErrClosedPipe
	}
	n, err := p.r.Read(b)
	if n > 0 {
		p.x.timer.Reset(p.x.stall)
	}
	return n, err
}

// Write sends git's output on at once; the head goes before the first byte, so that errors before it still get a status.
func (x *exchange) Write(b []byte) (int, error) {
	if !x.started {
		x.started = true
		x.w.Header().Set("Content-Type", x.media)
		x.w.WriteHeader(http.StatusOK)
		if _, err := x.w.Write(x.preamble); err != nil {
			return 0, err
		}
	}
	n, err := x.w.Write(b)
	if err == nil {
		err = x.control.Flush()
	}
	x.timer.Reset(x.stall)
	return n, err
}

// finish decides what git's end means for the answer.
func (x *exchange) finish(err error) error {
	if x.started {
		if err != nil && x.r.Context().Err() == nil {
			// Git has told the client over the protocol, as with a refused pack; an answer that ends early is
			// noticed by the client.
			x.logger.Info("git ended with an error", "request", httpx.RequestID(x.r.Context()), "path", x.r.URL.Path, "error", err)
		}
		return nil
	}
	if err == nil {
		_, err = x.Write(nil) // the probe of four bytes before a large push has an empty answer
	}
	return err
}
