package commandline

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/coder/websocket"
	"golang.org/x/term"

	"slipway/internal/pipelines/job"
)

// Converse carries what is typed and shown until the terminal ends, and gives the reason. tty is what in is typed on; it may be nil.
func Converse(ctx context.Context, conn *websocket.Conn, in io.Reader, tty *os.File, out io.Writer) (string, error) {
	conn.SetReadLimit(2 * job.MaxTerminalMessage)
	if tty != nil && term.IsTerminal(int(tty.Fd())) {
		state, err := term.MakeRaw(int(tty.Fd()))
		if err != nil {
			return "", fmt.Errorf("make the terminal raw: %w", err)
		}
		defer func() { _ = term.Restore(int(tty.Fd()), state) }()
		stop := followSize(ctx, conn, int(tty.Fd()))
		defer stop()
	}
	go func() { // ends with the input, or is left behind at the end of the program
		buffer := make([]byte, 4<<10)
		for {
			n, err := in.Read(buffer)
			if n > 0 && conn.Write(ctx, websocket.MessageBinary, buffer[:n]) != nil || err != nil {
				return
			}
		}
	}()
	for {
		kind, data, err := conn.Read(ctx)
		if err != nil {
			return "", fmt.Errorf("the connection to the terminal was lost: %w", err)
		}
		if kind == websocket.MessageBinary {
			if _, err := out.Write(data); err != nil {
				return "", err
			}
			continue
		}
		var c job.TerminalControl
		if json.Unmarshal(data, &c) == nil && c.Type == "end" {
			_ = conn.Close(websocket.StatusNormalClosure, "")
			return strings.TrimSpace(c.Reason), nil
		}
	}
}

// followSize tells the size of this machine's window, again whenever it changes, until stop is called.
func followSize(ctx context.Context, conn *websocket.Conn, terminal int) (stop func()) {
	tell := func() {
		columns, rows, err := term.GetSize(terminal)
		if err != nil {
			return
		}
		if text, err := json.Marshal(job.TerminalControl{Type: "size", Columns: columns, Rows: rows}); err == nil {
			_ = conn.Write(ctx, websocket.MessageText, text) // who reads finds that the connection is gone
		}
	}
	tell() // before what is typed
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case <-changed:
				tell()
			}
		}
	}()
	return func() { signal.Stop(changed); close(done) }
}
