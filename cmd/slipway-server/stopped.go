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
	"strconv"
	"time"

	"github.com/coder/websocket"
	"github.com/spf13/cobra"

	"slipway/internal/api"
	"slipway/internal/commandline"
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
		reason, err := commandline.Converse(cmd.Context(), conn, cmd.InOrStdin(), file, cmd.OutOrStdout())
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
