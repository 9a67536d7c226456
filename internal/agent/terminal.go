package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/coder/websocket"
	"github.com/creack/pty"

	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
)

// terminals are those that people have open in the job.
type terminals struct {
	mu     sync.Mutex
	known  map[string]bool // by id: opened once
	cancel []context.CancelFunc
	group  sync.WaitGroup
}

// open serves a terminal that somebody asks for, until that one leaves or the job ends. The same id is served once.
func (ts *terminals) open(t *task, id string) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.known[id] {
		return
	}
	if ts.known == nil {
		ts.known = map[string]bool{}
	}
	ts.known[id] = true
	ctx, cancel := context.WithCancel(t.hard)
	ts.cancel = append(ts.cancel, cancel)
	ts.group.Go(func() {
		defer cancel()
		if err := t.serveTerminal(ctx, id); err != nil && ctx.Err() == nil {
			t.config.Logger.Warn("a terminal ended", "terminal", id, "error", err)
		}
	})
}

// end ends all of them.
func (ts *terminals) end() {
	ts.mu.Lock()
	for _, cancel := range ts.cancel {
		cancel()
	}
	ts.mu.Unlock()
	ts.group.Wait()
}

// serveTerminal joins a shell in a pseudo-terminal with the person who waits at the server.
func (t *task) serveTerminal(ctx context.Context, id string) error {
	conn, resp, err := websocket.Dial(ctx, t.client.base+"/terminals/"+id, &websocket.DialOptions{HTTPClient: t.client.http,
		HTTPHeader: http.Header{"Authorization": {"Bearer " + t.client.token}}})
	if err != nil {
		return fmt.Errorf("call the server: %w", err)
	}
	if resp.Body != nil {
		defer resp.Body.Close()
	}
	defer conn.CloseNow()
	conn.SetReadLimit(job.MaxTerminalMessage)
	reason := "the shell ended"
	if err := t.shellOn(ctx, conn); err != nil {
		reason = err.Error()
	}
	end, err := json.Marshal(job.TerminalControl{Type: "end", Reason: t.mask.Mask(cut(reason, 1000))})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if conn.Write(ctx, websocket.MessageText, end) == nil {
		_ = conn.Close(websocket.StatusNormalClosure, "")
	}
	return nil
}

// shellOn runs a shell with the step's environment until it ends or the person leaves.
func (t *task) shellOn(ctx context.Context, conn *websocket.Conn) error {
	shell, err := t.look("bash")
	if err != nil {
		if shell, err = t.look("sh"); err != nil {
			return errors.New("the job's image has neither bash nor sh: a terminal needs one of them")
		}
	}
	tty, started, err := t.startTerminal(shell)
	if err != nil {
		return fmt.Errorf("start %s in a terminal: %w", shell, err)
	}
	// Reading goes on until the connection ends: to stop it earlier would end the connection.
	gone, shown := make(chan struct{}), make(chan error, 1)
	go func() { defer close(gone); takeInput(ctx, conn, tty) }()
	go func() { shown <- t.show(ctx, conn, tty) }()
	left := false
	select {
	case err = <-shown:
	case <-gone:
		left = true
	}
	hangUp(started)
	tty.Close()
	if left {
		err = <-shown
	}
	return err
}

// startTerminal starts a program in a new terminal, where the step runs.
func (t *task) startTerminal(shell string) (*os.File, running, error) {
	tty, inner, err := pty.Open()
	if err != nil {
		return nil, nil, err
	}
	defer inner.Close()
	var started running
	if err = pty.Setsize(tty, &pty.Winsize{Cols: 80, Rows: 24}); err == nil {
		started, err = t.start(invocation{path: shell, dir: t.folder(), env: t.environment(map[string]string{"TERM": "xterm-256color"}),
			stdin: inner, stdout: inner, stderr: inner, terminal: true})
	}
	if err != nil {
		tty.Close()
	}
	return tty, started, err
}

// hangUp ends a shell and what runs in front in its terminal; what ignores that is killed with the shell.
func hangUp(shell running) {
	shell.signal(syscall.SIGHUP)
	timer := time.AfterFunc(terminateGrace, func() { shell.signal(syscall.SIGKILL) })
	defer timer.Stop()
	_ = shell.wait() // however it ended
	shell.close()
}

// folder is where a terminal begins: where the step works, or else the sources.
func (t *task) folder() string {
	given := ""
	switch {
	case t.step.Kind == plan.StepScript:
		given = t.step.Script.WorkingDirectory
	case t.step.Kind == plan.StepTask:
		for name, value := range t.step.Task.Inputs {
			if name = strings.ToLower(name); name == "workingdirectory" || name == "workingfolder" || name == "cwd" {
				given = value
			}
		}
	}
	if dir, err := t.workingDirectory(t.text(given)); err == nil {
		return dir
	}
	if _, err := os.Stat(t.folders.sources); err == nil {
		return t.folders.sources
	}
	return t.folders.root
}

// takeInput types what the person types, and gives the window its size.
func takeInput(ctx context.Context, conn *websocket.Conn, tty *os.File) {
	for {
		kind, data, err := conn.Read(ctx)
		if err != nil {
			return
		}
		if kind == websocket.MessageBinary {
			if _, err := tty.Write(data); err != nil {
				return
			}
			continue
		}
		var c job.TerminalControl
		if json.Unmarshal(data, &c) == nil && c.Type == "size" && c.Columns > 0 && c.Rows > 0 && c.Columns <= job.MaxTerminalSide && c.Rows <= job.MaxTerminalSide {
			_ = pty.Setsize(tty, &pty.Winsize{Cols: uint16(c.Columns), Rows: uint16(c.Rows)}) // as good as it gets
		}
	}
}

// show sends what the terminal shows, without secrets.
func (t *task) show(ctx context.Context, conn *websocket.Conn, tty io.Reader) error {
	out := &maskedStream{mask: t.mask, send: func(data []byte) error { return conn.Write(ctx, websocket.MessageBinary, data) }}
	defer out.stop()
	buffer := make([]byte, 16<<10)
	for total := 0; ; {
		n, err := tty.Read(buffer)
		if total += n; total > job.MaxTerminalOutput {
			return fmt.Errorf("the terminal has shown %d MiB, which is all that one shows: open another", job.MaxTerminalOutput>>20)
		}
		if sendErr := out.write(buffer[:n]); sendErr != nil {
			return nil // the person is gone
		}
		if err != nil {
			out.flush()
			return nil // the shell is gone (Linux says EIO)
		}
	}
}

// holdBack is how long the end of a stream is held back that may be the beginning of a secret. What comes slower, such as the echo of
// typing, is shown.
const holdBack = 100 * time.Millisecond

// maskedStream masks secrets in a stream that has no lines to wait for.
type maskedStream struct {
	mask *masker
	send func([]byte) error

	mu    sync.Mutex
	held  string
	timer *time.Timer
	err   error
}

func (s *maskedStream) write(data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
	s.take(data)
	if s.held != "" {
		s.timer = time.AfterFunc(holdBack, s.flush)
	}
	return s.err
}

// take sends all but what may be the beginning of a secret. The caller holds s.mu.
func (s *maskedStream) take(data []byte) {
	text := s.mask.Mask(s.held + string(data))
	keep := s.mask.Partial(text)
	s.held = text[len(text)-keep:]
	s.put(text[:len(text)-keep])
}

// flush sends what is held back.
func (s *maskedStream) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.held
	s.held = ""
	s.put(text)
}

// put sends text. The caller holds s.mu.
func (s *maskedStream) put(text string) {
	if text != "" && s.err == nil {
		s.err = s.send([]byte(text))
	}
}

func (s *maskedStream) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
}
