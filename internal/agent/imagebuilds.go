package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode"

	"slipway"
	"slipway/internal/images/progress"
	"slipway/internal/images/tunnel"
)

// buildWatch tells the server of the image builds of the job while they run, whatever client began them: the builder says what happens, and the agent
// passes it on without the job's secrets. It is opened when a program of the job first reaches the builder.
type buildWatch struct {
	dial   func(context.Context) (net.Conn, error)
	call   progress.Call
	mask   func(string) string
	logger *slog.Logger

	opening sync.Mutex // held while a connection is made
	done    sync.WaitGroup

	mu      sync.Mutex // guards what follows
	conn    net.Conn   // nil: there is none
	refused time.Time  // when one could not be had
	running map[string]*watchedBuild
	idle    *sync.Cond // on mu: running has become empty
}

// watchedBuild is a build that runs.
type watchedBuild struct {
	report   progress.Report
	telling  *progress.Telling
	ctx      context.Context // ends when somebody cancels the build at the server
	reporter *progress.Reporter
	began    time.Time
}

// Times of a buildWatch.
const (
	watchOpen   = 15 * time.Second // for the builder to answer, for which a build waits
	watchAgain  = time.Minute      // after a connection that could not be had
	watchSilent = 3 * time.Minute  // the builder says something each minute
	watchEnd    = 10 * time.Second // for the ends of builds when the job ends
)

// maxWatchLine bounds what the builder says at once, in bytes.
const maxWatchLine = 64 << 20

// watchLine is what the builder says (node/builder/README.md, "Watching").
type watchLine struct {
	Build string `json:"build"`
	Began *struct {
		Tags      []string `json:"tags"`
		Target    string   `json:"target"`
		Platforms []string `json:"platforms"`
	} `json:"began"`
	Status *progress.Status `json:"status"`
	Ended  *struct {
		Digest   string `json:"digest"`
		Error    string `json:"error"`
		Canceled bool   `json:"canceled"`
	} `json:"ended"`
}

func (r *runner) newBuildWatch() (*buildWatch, error) {
	to, err := url.Parse(r.client.base + "/imagebuilds/watch")
	if err != nil {
		return nil, fmt.Errorf("watch image builds: %w", err)
	}
	header := http.Header{"Authorization": {"Bearer " + r.config.Token}}
	w := &buildWatch{dial: func(ctx context.Context) (net.Conn, error) { return tunnel.Dial(ctx, to, header) },
		call: r.client.call, mask: r.mask.Mask, logger: r.config.Logger, running: map[string]*watchedBuild{}}
	w.idle = sync.NewCond(&w.mu)
	return w, nil
}

// open makes the connection if there is none. A build goes on without it, unlisted.
func (w *buildWatch) open(ctx context.Context) {
	w.opening.Lock()
	defer w.opening.Unlock()
	w.mu.Lock()
	skip := w.conn != nil || time.Since(w.refused) < watchAgain
	w.mu.Unlock()
	if skip {
		return
	}
	lines, conn, err := w.connect(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.refused = time.Now()
		w.logger.Warn("image builds of this job are not listed while they run", "error", err)
		return
	}
	w.conn = conn
	w.done.Go(func() { w.follow(context.WithoutCancel(ctx), conn, lines) })
}

// connect waits for the builder's first line: from then on it misses no build.
func (w *buildWatch) connect(ctx context.Context) (*bufio.Scanner, net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, watchOpen)
	defer cancel()
	conn, err := w.dial(ctx)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, maxWatchLine)
	if !lines.Scan() || !json.Valid(lines.Bytes()) {
		err = fmt.Errorf("the builder said %q: %w", lines.Text(), lines.Err())
	}
	if !stop() || err != nil {
		conn.Close()
		return nil, nil, errors.Join(err, context.Cause(ctx))
	}
	return lines, conn, nil
}

// follow takes what the builder says until the connection ends.
func (w *buildWatch) follow(ctx context.Context, conn net.Conn, lines *bufio.Scanner) {
	defer conn.Close()
	for conn.SetReadDeadline(time.Now().Add(watchSilent)) == nil && lines.Scan() {
		var line watchLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			w.logger.Warn("the builder said what is not understood", "error", err)
			break
		}
		w.take(ctx, conn, line)
	}
	w.mu.Lock()
	w.conn = nil
	left := w.running
	w.running = map[string]*watchedBuild{}
	w.idle.Broadcast()
	w.mu.Unlock()
	for _, b := range left {
		b.reporter.Flush()
		w.done.Go(func() { b.telling.Lose(b.ctx, "the connection to the builder was lost") })
	}
}

func (w *buildWatch) take(ctx context.Context, conn net.Conn, line watchLine) {
	w.mu.Lock()
	b := w.running[line.Build]
	w.mu.Unlock()
	switch {
	case line.Began != nil && b == nil:
		b = w.begin(ctx, conn, line)
		w.mu.Lock()
		w.running[line.Build] = b
		w.mu.Unlock()
	case line.Status != nil && b != nil:
		b.reporter.Update(*line.Status)
	case line.Ended != nil && b != nil:
		report := b.report
		report.Digest, report.Summary = slipway.Digest(line.Ended.Digest), b.reporter.Summary(time.Since(b.began))
		w.finish(b, &report, line.Ended.Error, line.Ended.Canceled)
		w.mu.Lock()
		delete(w.running, line.Build)
		w.idle.Broadcast()
		w.mu.Unlock()
	}
}

func (w *buildWatch) begin(ctx context.Context, conn net.Conn, line watchLine) *watchedBuild {
	b := &watchedBuild{report: progress.Report{Tags: line.Began.Tags, Target: line.Began.Target, Platforms: line.Began.Platforms}, began: time.Now()}
	b.telling, b.ctx = progress.Follow(ctx, w.call, "/imagebuilds", w.mask, b.report)
	b.reporter = progress.NewReporter(b.telling.Progress(progress.PrintPlain(b.telling)))
	context.AfterFunc(b.ctx, func() {
		var canceled progress.Canceled
		if errors.As(context.Cause(b.ctx), &canceled) {
			name := strings.Join(strings.FieldsFunc(canceled.By, unicode.IsControl), " ")
			fmt.Fprintf(conn, "CANCEL %s %s\n", line.Build, name) // a connection that is gone ends the build by itself
		}
	})
	return b
}

// finish tells of a build's end, without waiting for the server.
func (w *buildWatch) finish(b *watchedBuild, report *progress.Report, failure string, canceled bool) {
	b.reporter.Flush()
	if failure != "" {
		fmt.Fprintln(b.telling, failure)
	} else {
		b.reporter.Summary(time.Since(b.began)).Print(b.telling)
	}
	ctx, cancel := context.WithCancel(b.ctx)
	if canceled {
		cancel()
	}
	w.done.Go(func() {
		defer cancel()
		b.telling.Finish(ctx, report, failure)
	})
}

// close waits a while for the ends of builds, and until the server knows of them.
func (w *buildWatch) close() {
	late := time.AfterFunc(watchEnd, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.conn != nil {
			w.conn.Close()
		}
	})
	w.mu.Lock()
	for w.conn != nil && len(w.running) > 0 {
		w.idle.Wait()
	}
	if w.conn != nil {
		w.conn.Close()
	}
	w.mu.Unlock()
	w.done.Wait()
	late.Stop()
}
