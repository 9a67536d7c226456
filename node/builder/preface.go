package builder

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// A client may begin a connection with one line before BuildKit's protocol:
//
//	SLIPWAY SCOPE NAME [READS] [AS OWNER]   the connection builds in a scope, for an owner
//	SLIPWAY WATCH OWNER                     tells of the builds that the owner begins from now on, as JSON lines
//	SLIPWAY USAGE                           answers what the cache holds, as JSON, and ends
//
// Without it the connection has the zero scope and may do all that BuildKit's protocol offers. The line is for a server that
// passes on connections of others: it writes the line itself.
const prefaceWord = "SLIPWAY "

const (
	prefaceTime  = 20 * time.Second // for a client's first bytes
	prefaceBytes = 256
)

// accept sorts the connections of a listener until it is closed.
func (b *Builder) accept(l net.Listener) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		b.serving.Go(func() {
			if err := b.sort(conn); err != nil {
				fmt.Fprintf(conn, "ERROR %v\n", err)
				conn.Close()
			}
		})
	}
}

// sort reads a connection's first line, if it has one, and hands it to its service.
func (b *Builder) sort(conn net.Conn) error {
	if err := conn.SetReadDeadline(time.Now().Add(prefaceTime)); err != nil {
		return err
	}
	stopWaiting := context.AfterFunc(b.ctx, func() { conn.Close() })
	defer stopWaiting()
	r := bufio.NewReaderSize(conn, prefaceBytes)
	s, owner := scope{}, ""
	first, err := r.Peek(len(prefaceWord))
	if err != nil {
		return fmt.Errorf("read the first bytes: %w", err)
	}
	if string(first) == prefaceWord {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return errors.New("the first line is too long or not ended")
		}
		words := strings.TrimSpace(strings.TrimPrefix(string(line), prefaceWord))
		if words == "USAGE" {
			return b.answerUsage(conn)
		}
		if owner, ok := strings.CutPrefix(words, "WATCH "); ok {
			if !scopeName.MatchString(owner) {
				return fmt.Errorf("owner %q is not lower-case letters, digits and dashes", owner)
			}
			if err := conn.SetReadDeadline(time.Time{}); err != nil {
				return err
			}
			b.watch(conn, r, owner)
			return nil
		}
		name, ok := strings.CutPrefix(words, "SCOPE ")
		if !ok {
			return fmt.Errorf("%q is not known", words)
		}
		if name, owner, err = cutOwner(name); err != nil {
			return err
		}
		if s, err = parseScope(name); err != nil {
			return err
		}
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	service, err := b.scoped(s)
	if err != nil {
		return err
	}
	if owner != "" {
		return service.listener.put(owned{readAhead{conn, r}, owner})
	}
	return service.listener.put(readAhead{conn, r})
}

func (b *Builder) answerUsage(conn net.Conn) error {
	defer conn.Close()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	u, err := b.usage(ctx)
	if err != nil {
		return err
	}
	if err := conn.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	return json.NewEncoder(conn).Encode(u)
}

// readAhead is a connection whose first bytes have been read already.
type readAhead struct {
	net.Conn
	r io.Reader
}

func (c readAhead) Read(p []byte) (int, error) { return c.r.Read(p) }

// queue is a listener whose connections somebody else accepted.
type queue struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newQueue() *queue { return &queue{conns: make(chan net.Conn), done: make(chan struct{})} }

func (q *queue) put(c net.Conn) error {
	select {
	case q.conns <- c:
		return nil
	case <-q.done:
		return errors.New("the builder is stopping")
	}
}

// Accept (net.Listener).
func (q *queue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.done:
		return nil, net.ErrClosed
	}
}

// Close (net.Listener).
func (q *queue) Close() error {
	q.once.Do(func() { close(q.done) })
	return nil
}

// Addr (net.Listener).
func (q *queue) Addr() net.Addr { return &net.UnixAddr{Net: "unix", Name: "queue"} }
