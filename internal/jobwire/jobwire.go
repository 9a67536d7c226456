// Package jobwire is how the doors for agents, a server's (package jobserver) and that of a run on one machine (package localrun), read
// what agents send and answer them: messages, pieces of logs, waits for news and the progress of a deployment. What a message means is
// the door's.
package jobwire

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/joblog"
)

// Take reads a message of at most limit bytes of JSON, hands it over and answers that there is nothing to say.
func Take[T any](w http.ResponseWriter, r *http.Request, limit int64, take func(T) error) error {
	var message T
	if err := httpx.ReadJSON(w, r, limit, &message); err != nil {
		return err
	}
	if err := take(message); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// LogPiece is a part of a step's log as it was sent.
type LogPiece struct {
	Step   int
	Offset int64
	Data   []byte // packed by Codec
	Codec  joblog.Codec
}

// ReadLog reads a piece of a log: the path names its {step}, the query its offset, and Content-Encoding how it is packed.
func ReadLog(w http.ResponseWriter, r *http.Request) (p LogPiece, err error) {
	if p.Step, err = strconv.Atoi(r.PathValue("step")); err != nil {
		return p, slipway.Invalid("step %q is no number", r.PathValue("step"))
	}
	if p.Offset, err = strconv.ParseInt(r.URL.Query().Get("offset"), 10, 64); err != nil || p.Offset < 0 {
		return p, slipway.Invalid("offset %q is no number", r.URL.Query().Get("offset"))
	}
	if p.Codec, err = joblog.CodecOf(r.Header.Get("Content-Encoding")); err != nil {
		return p, slipway.Invalid("%v", err)
	}
	body := http.MaxBytesReader(w, r.Body, job.MaxLogChunk)
	if n := r.ContentLength; n >= 0 && n <= job.MaxLogChunk { // nearly always: room for just that
		p.Data = make([]byte, n)
		_, err = io.ReadFull(body, p.Data)
	} else {
		p.Data, err = io.ReadAll(body)
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return p, slipway.Limit("at most %d bytes of log at once", job.MaxLogChunk)
	case err != nil:
		return p, slipway.Unavailable("the log did not arrive whole").Because(err)
	}
	return p, nil
}

// WaitTime is how long a request wants to wait for news, ?seconds, at most so long.
func WaitTime(r *http.Request, most time.Duration) time.Duration {
	seconds, _ := strconv.Atoi(r.URL.Query().Get("seconds"))
	return min(time.Duration(min(max(seconds, 0), 3600))*time.Second, most)
}

// Progress tells of a deployment while it goes on: lines of job.Progress, each sent at once. It is safe for concurrent use. What an
// agent that went away misses it asks for again.
type Progress struct {
	mu  sync.Mutex
	w   http.ResponseWriter
	out *json.Encoder
}

// NewProgress begins the answer.
func NewProgress(w http.ResponseWriter) *Progress {
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush()
	return &Progress{w: w, out: json.NewEncoder(w)}
}

// Line tells a line for the job's log.
func (p *Progress) Line(line string) { p.write(job.Progress{Line: line}) }

// End tells the end, with the sentence that says what failed, if something did: the answer has begun, so its status cannot say.
func (p *Progress) End(failure string) { p.write(job.Progress{Done: true, Error: failure}) }

func (p *Progress) write(line job.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.out.Encode(line)
	_ = http.NewResponseController(p.w).Flush()
}
