package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/coder/websocket"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"slipway/internal/api"
	"slipway/internal/pipelines/job"
)

func stoppedCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "stopped [JOB]", GroupID: "runs", Short: "list the jobs that wait at a step that failed, or say what one does", Args: cobra.MaximumNArgs(1),
		Long: `A run that was queued with --stop-at-failure waits at a step that failed. Look at it with slipway terminal JOB, then say what it does:

  rerun     run the step again, with the files as they are now
  continue  the step has failed; those after it run as their conditions say
  succeed   the step counts as succeeded with issues
  end       the job fails; only steps that always run still do`,
		Example: "  slipway stopped\n  slipway stopped 12 --do rerun",
	}
	data, project := dataFlag(cmd), projectFlag(cmd)
	do := cmd.Flags().String("do", "", "what the job does: rerun, continue, succeed or end")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if (len(args) == 0) != (*do == "") {
			return errors.New("say both which job and what it does: slipway stopped JOB --do rerun")
		}
		a, err := readAccess(*data)
		if err != nil {
			return err
		}
		base := "/" + url.PathEscape(*project) + "/_apis/slipway"
		if len(args) == 0 {
			var waiting listOf[api.Pause]
			if err := a.call(cmd.Context(), http.MethodGet, base+"/pauses", nil, &waiting); err != nil {
				return err
			}
			return listStopped(cmd.OutOrStdout(), waiting.Value)
		}
		id, err := jobNumber(args[0])
		if err != nil {
			return err
		}
		var decided api.Pause
		if err := a.call(cmd.Context(), http.MethodPatch, fmt.Sprintf("%s/jobs/%d/pause", base, id), map[string]string{"decision": *do}, &decided); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "job %d of run %d, %s: %s\n", decided.Job, decided.Run, decided.Title, decided.Decision)
		return nil
	}
	return cmd
}

func jobNumber(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 {
		return 0, fmt.Errorf("job %q: write its number, as `slipway stopped` lists it", text)
	}
	return id, nil
}

func listStopped(out io.Writer, waiting []api.Pause) error {
	if len(waiting) == 0 {
		fmt.Fprintln(out, "no job waits at a step that failed")
		return nil
	}
	rows := [][]string{{"JOB", "RUN", "STEP", "UNTIL", "REASON"}}
	for _, p := range waiting {
		until := ""
		if p.ExpiresOn != nil {
			until = p.ExpiresOn.Local().Format(time.DateTime)
		}
		rows = append(rows, []string{fmt.Sprint(p.Job), fmt.Sprint(p.Run), p.Title, until, p.Reason})
	}
	return tableTo(out, rows)
}

func terminalCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "terminal JOB", GroupID: "runs", Short: "open a terminal in a job that waits at a step that failed", Args: cobra.ExactArgs(1),
		Long: `Opens a shell in the job's container, in the folder and with the environment of the step that failed. slipway stopped lists the jobs.
Secrets in what it shows are masked as far as that can be; who opened a terminal, and for how long, stands on the page of the run.`,
	}
	data, project := dataFlag(cmd), projectFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := jobNumber(args[0])
		if err != nil {
			return err
		}
		a, err := readAccess(*data)
		if err != nil {
			return err
		}
		conn, err := a.dial(cmd.Context(), fmt.Sprintf("/%s/_apis/slipway/jobs/%d/terminal", url.PathEscape(*project), id))
		if err != nil {
			return err
		}
		defer conn.CloseNow()
		file, _ := cmd.InOrStdin().(*os.File)
		reason, err := converse(cmd.Context(), conn, cmd.InOrStdin(), file, cmd.OutOrStdout())
		if err == nil {
			cmd.PrintErrln("\r\nterminal: " + reason)
		}
		return err
	}
	return cmd
}

// dial opens a web socket at the server.
func (a access) dial(ctx context.Context, path string) (*websocket.Conn, error) {
	conn, resp, err := websocket.Dial(ctx, a.URL+path, &websocket.DialOptions{HTTPHeader: http.Header{ //nolint:bodyclose // the library does
		"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("slipway:"+a.Token))}}})
	if err == nil {
		return conn, nil
	}
	if resp == nil {
		return nil, fmt.Errorf("the server at %s does not answer: is it running? (%w)", a.URL, err)
	}
	var p struct {
		Message string `json:"message"`
	}
	if text, readErr := io.ReadAll(io.LimitReader(resp.Body, 64<<10)); readErr == nil && json.Unmarshal(text, &p) == nil && p.Message != "" {
		return nil, errors.New(p.Message)
	}
	return nil, fmt.Errorf("open the terminal: %w", err)
}

// converse carries what is typed and shown until the terminal ends, and gives the reason. tty is what in is typed on; it may be nil.
func converse(ctx context.Context, conn *websocket.Conn, in io.Reader, tty *os.File, out io.Writer) (string, error) {
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
