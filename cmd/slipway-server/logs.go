package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	"slipway/internal/api"
	"slipway/internal/pipelines/joblog"
)

func logsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "logs RUN", GroupID: "runs", Short: "print the logs of a run's steps, search in them, or save them", Args: cobra.ExactArgs(1),
		Example: "  slipway logs 12\n  slipway logs 12 --search 'no such file'\n  slipway logs 12 --zip logs.zip --timestamps=false"}
	data, project := dataFlag(cmd), projectFlag(cmd)
	search := cmd.Flags().String("search", "", "print the lines that have this text, whatever its case")
	zip := cmd.Flags().String("zip", "", "write a zip file of all logs")
	times := cmd.Flags().Bool("timestamps", true, "with the time of each line")
	cmd.MarkFlagsMutuallyExclusive("search", "zip")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		run, base := url.PathEscape(args[0]), "/"+url.PathEscape(*project)+"/_apis"
		switch {
		case cmd.Flags().Changed("search"):
			return searchLogs(cmd, a, base+"/slipway/builds/"+run+"/logsearch?text="+url.QueryEscape(*search), *times)
		case *zip != "":
			return saveLogs(cmd.Context(), a, fmt.Sprintf("%s/build/builds/%s/logs?$format=zip&timestamps=%t", base, run, *times), *zip)
		}
		return printLogs(cmd, a, base+"/build/builds/"+run+"/timeline", *times)
	})
	return cmd
}

// printLogs prints the log of one step after the other.
func printLogs(cmd *cobra.Command, a access, path string, times bool) error {
	var timeline struct {
		Records []api.TimelineRecord `json:"records"`
	}
	if err := a.call(cmd.Context(), http.MethodGet, path, nil, &timeline); err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	for _, r := range timeline.Records {
		if r.Type == "Job" {
			fmt.Fprintf(out, "##[section]%s: %s\n", r.Identifier, cmp.Or(r.Result, r.State))
		}
		if r.Log == nil || r.Log.Size == 0 {
			continue
		}
		fmt.Fprintf(out, "##[group]%s: %s\n", r.Name, cmp.Or(r.Result, r.State))
		to := out
		if !times {
			to = joblog.WithoutTimes(out)
		}
		if _, err := a.copyLog(cmd.Context(), to, *r.Log, 0); err != nil {
			return err
		}
	}
	return nil
}

// searchLogs prints the lines that the server finds, as JOB: STEP: LINE: TEXT.
func searchLogs(cmd *cobra.Command, a access, path string, times bool) error {
	var found api.LogSearch
	if err := a.call(cmd.Context(), http.MethodGet, path, nil, &found); err != nil {
		return err
	}
	for _, m := range found.Value {
		text := m.Text
		if times {
			text = m.Time + " " + text
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s: %s: %d: %s\n", m.Name, m.Step, m.Line, text)
	}
	if found.Incomplete {
		fmt.Fprintf(cmd.ErrOrStderr(), "there is more: these are the first %d lines\n", found.Count)
	}
	if found.Count == 0 {
		return errors.New("no line of the run's logs has it")
	}
	return nil
}

// saveLogs writes the server's answer to a new file, which is there whole or not at all.
func saveLogs(ctx context.Context, a access, path, name string) (err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL+path, nil)
	if err != nil {
		return err
	}
	r.SetBasicAuth("slipway", a.Token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("the server at %s does not answer: is it running? (%w)", a.URL, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the server answers %s to %s", answer.Status, path)
	}
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	if _, err = io.Copy(file, answer.Body); err != nil {
		return errors.Join(fmt.Errorf("save the logs: %w", err), file.Close(), os.Remove(name))
	}
	return file.Close()
}
