package builder

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	controlapi "github.com/moby/buildkit/api/services/control"
)

// Times of a watcher's connection.
const (
	watchBeat  = time.Minute      // a line is written at least this often, so that nothing between takes the connection for a dead one
	watchWrite = 20 * time.Second // for one line: who does not read is no longer told
	watchRest  = 3 * time.Second  // for the last messages of a build that has ended
)

// watchLine is what a watcher is told: a JSON object a line. One of a build begins, messages follow, and its end is the last; an empty one says
// that the connection lives.
type watchLine struct {
	Build  string       `json:"build,omitempty"` // the reference of the request
	Began  *buildBegan  `json:"began,omitempty"`
	Status *buildStatus `json:"status,omitempty"`
	Ended  *buildEnded  `json:"ended,omitempty"`
}

// errCanceled is the cause of a build that a watcher cancelled.
type errCanceled struct{ by string }

func (e errCanceled) Error() string { return e.by + " canceled this build" }

// watchers are those who watch the builds of an owner.
type watchers struct {
	mu   sync.Mutex
	of   map[string]map[*watcher]bool // guarded by mu
	live sync.WaitGroup               // what tells them of builds
}

// watcher is one connection that is told of an owner's builds.
type watcher struct {
	conn net.Conn
	ctx  context.Context
	stop context.CancelFunc

	writing sync.Mutex
	mu      sync.Mutex               // guards what follows
	running map[string]*watchedBuild // by reference
}

// watchedBuild is one that runs.
type watchedBuild struct {
	ref    string
	began  buildBegan
	cancel context.CancelCauseFunc
	status func(*controlapi.StatusRequest, controlapi.Control_StatusServer) error
	done   chan struct{} // closed when ended is set
	ended  buildEnded
}

// watch tells a connection of the builds that an owner begins from now on, until it is closed or the builder stops. What it writes are lines
// `CANCEL REFERENCE NAME`: NAME asks that a build be given up.
func (b *Builder) watch(conn net.Conn, r *bufio.Reader, owner string) {
	ctx, stop := context.WithCancel(b.ctx)
	w := &watcher{conn: conn, ctx: ctx, stop: stop, running: map[string]*watchedBuild{}}
	b.watchers.mu.Lock()
	if b.watchers.of[owner] == nil {
		b.watchers.of[owner] = map[*watcher]bool{}
	}
	b.watchers.of[owner][w] = true
	b.watchers.mu.Unlock()
	defer func() {
		b.watchers.mu.Lock()
		defer b.watchers.mu.Unlock()
		if delete(b.watchers.of[owner], w); len(b.watchers.of[owner]) == 0 {
			delete(b.watchers.of, owner)
		}
	}()
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer stop()
	w.say(watchLine{})
	var beating sync.WaitGroup
	beating.Go(w.beat)
	defer beating.Wait()
	defer stop()
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		words := strings.SplitN(strings.TrimSpace(string(line)), " ", 3)
		if len(words) < 3 || words[0] != "CANCEL" {
			return
		}
		w.mu.Lock()
		build := w.running[words[1]]
		w.mu.Unlock()
		if build != nil {
			build.cancel(errCanceled{words[2]})
		}
	}
}

func (w *watcher) beat() {
	every := time.NewTicker(watchBeat)
	defer every.Stop()
	for {
		select {
		case <-w.ctx.Done():
			return
		case <-every.C:
			w.say(watchLine{})
		}
	}
}

// say writes a line, or ends the watching.
func (w *watcher) say(line watchLine) {
	text, err := json.Marshal(line)
	if err != nil {
		w.stop()
		return
	}
	w.writing.Lock()
	defer w.writing.Unlock()
	if w.conn.SetWriteDeadline(time.Now().Add(watchWrite)) != nil {
		w.stop()
		return
	}
	if _, err := w.conn.Write(append(text, '\n')); err != nil {
		w.stop()
	}
}

// tell says that a build of the owner begins. Its end is told when done is closed.
func (ws *watchers) tell(owner string, build *watchedBuild) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.of[owner] {
		ws.live.Go(func() { w.follow(build) })
	}
}

// follow tells of a build from its beginning to its end.
func (w *watcher) follow(build *watchedBuild) {
	w.mu.Lock()
	w.running[build.ref] = build
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.running, build.ref)
	}()
	w.say(watchLine{Build: build.ref, Began: &build.began})
	ctx, stop := context.WithCancel(w.ctx)
	defer stop()
	told := make(chan struct{})
	go func() {
		defer close(told)
		_ = build.status(&controlapi.StatusRequest{Ref: build.ref}, statusStream{ctx: ctx, say: func(s *buildStatus) error { // its end says why
			if ctx.Err() == nil {
				w.say(watchLine{Build: build.ref, Status: s})
			}
			return ctx.Err()
		}})
	}()
	select {
	case <-build.done:
	case <-w.ctx.Done():
		return
	}
	rest := time.NewTimer(watchRest)
	defer rest.Stop()
	select {
	case <-told:
	case <-rest.C: // it ended before it was one, so that there are no messages
	case <-w.ctx.Done():
		return
	}
	stop()
	w.say(watchLine{Build: build.ref, Ended: &build.ended})
}

// owned is a connection whose builds are an owner's.
type owned struct {
	net.Conn
	owner string
}

// RemoteAddr (net.Conn) is what a call's context has of its connection.
func (c owned) RemoteAddr() net.Addr { return ownerAddress{c.Conn.RemoteAddr(), c.owner} }

type ownerAddress struct {
	net.Addr
	owner string
}

// cutOwner takes ` AS OWNER` off the end of a line.
func cutOwner(words string) (rest, owner string, err error) {
	rest, owner, has := strings.Cut(words, " AS ")
	if has && !scopeName.MatchString(owner) {
		return "", "", fmt.Errorf("owner %q is not lower-case letters, digits and dashes", owner)
	}
	return rest, owner, nil
}

// canceledBy is who cancelled a build through its watcher.
func canceledBy(ctx context.Context) (errCanceled, bool) {
	var by errCanceled
	ok := errors.As(context.Cause(ctx), &by)
	return by, ok
}
