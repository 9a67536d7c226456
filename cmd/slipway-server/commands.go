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
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"slipway/internal/api"
	"slipway/internal/pipelines/plan"
)

// projectFlag gives the commands about one project their --project flag.
func projectFlag(cmd *cobra.Command) *string {
	return cmd.Flags().StringP("project", "p", "sample", "project")
}

type listOf[T any] struct {
	Value []T `json:"value"`
}

// table writes rows in columns.
func table(rows [][]string) error { return tableTo(os.Stdout, rows) }

func tableTo(out io.Writer, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

func approveCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "approve [NUMBER]", GroupID: "deploy", Short: "approve a waiting deployment, or list those that wait", Args: cobra.MaximumNArgs(1)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	reject := cmd.Flags().Bool("reject", false, "reject it instead")
	comment := cmd.Flags().String("comment", "", "what to say with the decision")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		path := "/" + url.PathEscape(*project) + "/_apis/pipelines/approvals"
		if len(args) == 0 {
			var pending listOf[api.Approval]
			if err := a.call(cmd.Context(), http.MethodGet, path, nil, &pending); err != nil {
				return err
			}
			if len(pending.Value) == 0 {
				fmt.Println("nothing waits for an approval")
				return nil
			}
			rows := [][]string{{"NUMBER", "ENVIRONMENT", "RUN", "STAGE", "COMMIT"}}
			for _, p := range pending.Value {
				rows = append(rows, []string{fmt.Sprint(p.ID), p.Environment, fmt.Sprint(p.Run), p.Stage, short(p.Commit)})
			}
			return table(rows)
		}
		id, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil {
			return fmt.Errorf("approval %q: write its number, as `slipway approve` lists it", args[0])
		}
		status := "approved"
		if *reject {
			status = "rejected"
		}
		var decided listOf[api.Approval]
		body := []map[string]any{{"approvalId": id, "status": status, "comment": *comment}}
		if err := a.call(cmd.Context(), http.MethodPatch, path, body, &decided); err != nil {
			return err
		}
		for _, d := range decided.Value {
			fmt.Printf("approval %d of run %d to %s: %s\n", d.ID, d.Run, d.Environment, d.Status)
		}
		return nil
	})
	return cmd
}

func runsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "runs [NUMBER]", GroupID: "runs", Short: "list the runs of pipelines, or show the stages, jobs and steps of one", Args: cobra.MaximumNArgs(1)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	cancel := cmd.Flags().Bool("cancel", false, "cancel the run")
	retry := cmd.Flags().Bool("retry", false, "run its failed jobs again, and what depends on them")
	stage := cmd.Flags().String("stage", "", "with --retry: of this stage alone")
	job := cmd.Flags().String("job", "", "with --retry: this job alone, as STAGE.JOB, whatever it came to, and what depends on it")
	explain := cmd.Flags().Bool("explain", false, "say why each stage, job and step runs, waits or was skipped")
	replay := cmd.Flags().Bool("replay", false, "show what was decided when, and whether it would be decided so today; the exit code is 1 if not")
	retain := cmd.Flags().Bool("retain", false, "keep the run whatever its age")
	release := cmd.Flags().Bool("release", false, "end what --retain began")
	remove := cmd.Flags().Bool("delete", false, "delete the run with its logs, artifacts and test results")
	all := cmd.Flags().Bool("all", false, "with --retry and --stage: all jobs of the stage, whatever they came to")
	cmd.MarkFlagsMutuallyExclusive("cancel", "retry", "explain", "replay", "retain", "release", "delete")
	cmd.MarkFlagsMutuallyExclusive("stage", "job")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !*retry && (*stage != "" || *job != "" || *all) {
			return errors.New("--stage, --job and --all go with --retry")
		}
		a, err := readAccess(*data)
		if err != nil {
			return err
		}
		path := "/" + url.PathEscape(*project) + "/_apis/build/builds"
		if len(args) == 0 {
			if *cancel || *retry || *explain || *replay || *retain || *release || *remove {
				return errors.New("name the run's number")
			}
			return listRuns(cmd, a, path)
		}
		path += "/" + url.PathEscape(args[0])
		switch {
		case *explain:
			return explainRun(cmd, a, *project, args[0])
		case *replay:
			return replayRun(cmd, a, *project, args[0])
		case *cancel:
			err = a.call(cmd.Context(), http.MethodPatch, path, map[string]any{"status": "cancelling"}, nil)
		case *retain, *release:
			if err = a.call(cmd.Context(), http.MethodPatch, path, map[string]any{"keepForever": *retain}, nil); err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), retained(args[0], *retain))
			}
		case *remove:
			if err = a.call(cmd.Context(), http.MethodDelete, path, nil, nil); err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "run %s is deleted\n", args[0])
			}
			return err
		case *retry && *job != "":
			err = retryJob(cmd.Context(), a, path, *project, *job)
		case *retry && *stage != "":
			err = a.call(cmd.Context(), http.MethodPatch, path+"/stages/"+url.PathEscape(*stage), map[string]any{"state": "retry", "forceRetryAllJobs": *all}, nil)
		case *retry:
			err = a.call(cmd.Context(), http.MethodPatch, path, map[string]any{"retry": true}, nil)
		}
		if err != nil {
			return err
		}
		return showRun(cmd, a, path)
	}
	return cmd
}

// retained says what became of a run that is to be kept, or not any more.
func retained(run string, kept bool) string {
	if kept {
		return "run " + run + " is kept whatever its age, until `slipway runs " + run + " --release`"
	}
	return "run " + run + " is kept no longer than its pipeline and project keep it: `slipway retention --dry-run` says how long that is"
}

// retryJob finds the job of the run by its name and runs it again.
func retryJob(ctx context.Context, a access, path, project, name string) error {
	var timeline struct {
		Records []api.TimelineRecord `json:"records"`
	}
	if err := a.call(ctx, http.MethodGet, path+"/timeline", nil, &timeline); err != nil {
		return err
	}
	var names []string
	for _, r := range timeline.Records {
		if r.Type != "Job" {
			continue
		}
		if strings.EqualFold(r.Identifier, name) || strings.EqualFold(strings.TrimPrefix(r.Identifier, plan.DefaultStage+"."), name) {
			return a.call(ctx, http.MethodPost, fmt.Sprintf("/%s/_apis/slipway/jobs/%d/retry", url.PathEscape(project), r.Job), nil, nil)
		}
		names = append(names, strings.TrimPrefix(r.Identifier, plan.DefaultStage+"."))
	}
	return fmt.Errorf("the run has no job %q; it has: %s", name, strings.Join(names, ", "))
}

func listRuns(cmd *cobra.Command, a access, path string) error {
	var runs listOf[api.Build]
	if err := a.call(cmd.Context(), http.MethodGet, path, nil, &runs); err != nil {
		return err
	}
	rows := [][]string{{"RUN", "NUMBER", "PIPELINE", "BRANCH", "COMMIT", "STATE", "TOOK"}}
	for _, r := range runs.Value {
		rows = append(rows, []string{fmt.Sprint(r.ID), r.BuildNumber, r.Definition.Name, strings.TrimPrefix(r.SourceBranch, "refs/heads/"),
			short(r.SourceVersion), cmp.Or(r.Result, r.Status), between(r.StartTime, r.FinishTime)})
	}
	return tableTo(cmd.OutOrStdout(), rows)
}

func showRun(cmd *cobra.Command, a access, path string) error {
	var run api.Build
	if err := a.call(cmd.Context(), http.MethodGet, path, nil, &run); err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "run %d, %s of %s at %s: %s\n%s\n", run.ID, run.BuildNumber, run.Definition.Name, short(run.SourceVersion), cmp.Or(run.Result, run.Status), run.Links.Web.Href)
	for _, p := range run.Problems {
		fmt.Fprintln(out, "  "+p.Message)
	}
	var timeline struct {
		Records []api.TimelineRecord `json:"records"`
	}
	if err := a.call(cmd.Context(), http.MethodGet, path+"/timeline", nil, &timeline); err != nil {
		return err
	}
	indent := map[string]string{"Stage": "", "Job": "  ", "Task": "    "}
	var rows [][]string
	for _, r := range timeline.Records {
		rows = append(rows, []string{indent[r.Type] + r.Name, cmp.Or(r.Result, r.State), between(r.StartTime, r.FinishTime), r.Reason})
	}
	return tableTo(cmd.OutOrStdout(), rows)
}

func short(commit string) string { return commit[:min(8, len(commit))] }

// between is how long something took, or has taken until now.
func between(start, finish *time.Time) string {
	switch {
	case start == nil:
		return ""
	case finish == nil:
		return span(time.Since(*start)) + "…"
	}
	return span(finish.Sub(*start))
}
