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
	"time"

	"github.com/spf13/cobra"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/commandline"
	"slipway/internal/pipelines/plan"
)

func queueCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "queue [PIPELINE]", GroupID: "runs", Short: "start a run of a pipeline, and follow its log", Args: cobra.MaximumNArgs(1),
		Long: `Start a run of a pipeline, which is named by its name or number; the only one of a project needs no name.

A parameter that is an object or a list is given as YAML: --parameter 'regions=[eu, us]'. With --follow the command prints
the logs as they come and ends with the run: with 0 if it succeeded, else with 1. Interrupting it leaves the run as it is.`,
		Example: `  slipway queue --follow
  slipway queue shop --branch release/2 --parameter target=prod --variable colour=blue --skip-stage Ship
  slipway queue shop --preview        # only print the file with its templates expanded`,
	}
	data, project := dataFlag(cmd), projectFlag(cmd)
	var o queueOptions
	flags := cmd.Flags()
	flags.SetNormalizeFunc(commandline.ShortNames)
	flags.StringVarP(&o.branch, "branch", "b", "", "branch, or refs/tags/TAG (default: the repository's default branch)")
	flags.StringVar(&o.commit, "commit", "", "commit, or the beginning of its name (default: the branch's newest)")
	flags.StringArrayVar(&o.parameters, "parameter", nil, "run-time parameter as NAME=VALUE; may be repeated")
	flags.StringArrayVar(&o.variables, "variable", nil, "variable for this run as NAME=VALUE; may be repeated")
	flags.StringArrayVar(&o.skip, "skip-stage", nil, "stage to leave out; may be repeated")
	flags.BoolVar(&o.stop, "stop-at-failure", false, "make each job wait for you at a step that fails: see slipway stopped and slipway terminal")
	flags.IntVar(&o.stopMinutes, "stop-minutes", 0, "for how many minutes in all a job waits, up to 480 (default 30)")
	preview := flags.Bool("preview", false, "start nothing; print the file as the run would have it")
	follow := flags.BoolP("follow", "f", false, "print the run's logs until it ends; the exit code is 1 if it did not succeed")
	cmd.MarkFlagsMutuallyExclusive("preview", "follow")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		body, err := o.request()
		if err != nil {
			return err
		}
		a, err := readAccess(*data)
		if err != nil {
			return err
		}
		base := "/" + url.PathEscape(*project) + "/_apis"
		pipeline, err := choosePipeline(cmd.Context(), a, base, args)
		if err != nil {
			return err
		}
		body.PreviewRun = *preview
		var run api.Run
		if err := a.call(cmd.Context(), http.MethodPost, fmt.Sprintf("%s/pipelines/%d/runs", base, pipeline.ID), body, &run); err != nil {
			return err
		}
		if *preview {
			_, err := fmt.Fprint(cmd.OutOrStdout(), run.FinalYAML)
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "run %d, %s of %s\n%s\n", run.ID, run.Name, pipeline.Name, run.Links.Web.Href)
		if !*follow {
			return nil
		}
		f := follower{access: a, path: fmt.Sprintf("%s/build/builds/%d", base, run.ID), out: cmd.OutOrStdout(), shown: map[string]int64{}, states: map[string]string{}}
		return f.follow(cmd.Context(), run.ID)
	}
	return cmd
}

// queueOptions are what the flags say about the run.
type queueOptions struct {
	branch, commit              string
	parameters, variables, skip []string
	stop                        bool
	stopMinutes                 int
}

func (o queueOptions) request() (api.RunRequest, error) {
	body := api.RunRequest{StagesToSkip: o.skip, StopAtFailure: o.stop, StopMinutes: o.stopMinutes, TemplateParameters: map[string]any{}, Variables: map[string]api.RunVariable{}}
	parameters, err := commandline.Pairs("--parameter", o.parameters)
	if err != nil {
		return body, err
	}
	for name, value := range parameters {
		body.TemplateParameters[name] = value
	}
	variables, err := commandline.Pairs("--variable", o.variables)
	if err != nil {
		return body, err
	}
	for name, value := range variables {
		body.Variables[name] = api.RunVariable{Value: value}
	}
	if o.branch != "" || o.commit != "" {
		body.Resources.Repositories = map[string]api.RunRequestRepository{"self": {RefName: o.branch, Version: o.commit}}
	}
	return body, nil
}

// choosePipeline finds the pipeline that the arguments name, by its name in any case or its number, or the only one.
func choosePipeline(ctx context.Context, a access, base string, args []string) (api.Pipeline, error) {
	var all listOf[api.Pipeline]
	if err := a.call(ctx, http.MethodGet, base+"/pipelines", nil, &all); err != nil {
		return api.Pipeline{}, err
	}
	names := make([]string, len(all.Value))
	for i, p := range all.Value {
		names[i] = p.Name
	}
	switch {
	case len(names) == 0:
		return api.Pipeline{}, errors.New("the project has no pipeline yet: push a file azure-pipelines.yml to one of its repositories")
	case len(args) == 0 && len(names) == 1:
		return all.Value[0], nil
	case len(args) == 0:
		return api.Pipeline{}, fmt.Errorf("name the pipeline, one of: %s", strings.Join(names, ", "))
	}
	for _, p := range all.Value {
		if strings.EqualFold(p.Name, args[0]) {
			return p, nil
		}
	}
	for _, p := range all.Value {
		if strconv.FormatInt(p.ID, 10) == args[0] {
			return p, nil
		}
	}
	return api.Pipeline{}, fmt.Errorf("there is no pipeline %q in the project; it has: %s", args[0], strings.Join(names, ", "))
}

// follower prints the logs of a run as they come.
type follower struct {
	access access
	path   string // of the run
	out    io.Writer
	shown  map[string]int64  // how many bytes of each step's log are printed
	states map[string]string // of stages and jobs, as they were printed
	last   string            // the step that was printed last
}

const (
	followInterval = time.Second
	// followPatience is how long a server that does not answer is asked again.
	followPatience = time.Minute
)

// follow prints until the run is over. Its error says with which code the command ends.
func (f *follower) follow(ctx context.Context, run int64) error {
	var failing time.Time
	for {
		over, err := f.show(ctx)
		var problem *slipway.Problem
		switch {
		case ctx.Err() != nil:
			fmt.Fprintf(os.Stderr, "run %d goes on: slipway runs %d shows it, and with --cancel ends it\n", run, run)
			return &commandline.ExitError{Code: 130}
		case err == nil:
			failing = time.Time{}
		case errors.As(err, &problem) && problem.Code != slipway.CodeUnavailable:
			return err
		case failing.IsZero():
			failing = time.Now()
		case time.Since(failing) > followPatience:
			return err
		}
		if over != nil {
			fmt.Fprintf(f.out, "##[section]run %d: %s\n", run, over.Result)
			if over.Result != "succeeded" && over.Result != "partiallySucceeded" {
				return &commandline.ExitError{Code: 1}
			}
			return nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(followInterval):
		}
	}
}

// show prints what is new, and gives the run once it is over and all of it was printed.
func (f *follower) show(ctx context.Context) (*api.Build, error) {
	var run api.Build
	if err := f.access.call(ctx, http.MethodGet, f.path, nil, &run); err != nil {
		return nil, err
	}
	// The timeline is read after the run: when that is over, so are all logs.
	var timeline struct {
		Records []api.TimelineRecord `json:"records"`
	}
	if err := f.access.call(ctx, http.MethodGet, f.path+"/timeline", nil, &timeline); err != nil {
		return nil, err
	}
	// What begins, then what its steps say, then what is over.
	isStep := func(r api.TimelineRecord) bool { return r.Type == "Task" }
	isOver := func(r api.TimelineRecord) bool { return r.Result != "" }
	for _, now := range []func(api.TimelineRecord) bool{
		func(r api.TimelineRecord) bool { return !isStep(r) && !isOver(r) }, isStep, func(r api.TimelineRecord) bool { return !isStep(r) && isOver(r) },
	} {
		for _, r := range timeline.Records {
			if !now(r) {
				continue
			}
			if err := f.record(ctx, r); err != nil {
				return nil, err
			}
		}
	}
	if run.Status != "completed" {
		return nil, nil
	}
	for _, p := range run.Problems {
		fmt.Fprintln(f.out, "##[error]"+p.Message)
	}
	return &run, nil
}

func (f *follower) record(ctx context.Context, r api.TimelineRecord) error {
	if r.Type != "Task" {
		state := cmp.Or(r.Result, r.State)
		if r.Reason != "" {
			state += ", " + r.Reason
		}
		if r.State != "pending" && f.states[r.ID] != state && r.Identifier != plan.DefaultStage {
			f.states[r.ID] = state
			fmt.Fprintf(f.out, "##[section]%s: %s\n", strings.TrimPrefix(r.Identifier, plan.DefaultStage+"."), state)
		}
		return nil
	}
	if r.Log == nil || r.Log.Size <= f.shown[r.ID] {
		return nil
	}
	if f.last != r.ID {
		f.last = r.ID
		fmt.Fprintf(f.out, "##[group]%s\n", r.Name)
	}
	offset, err := f.access.copyLog(ctx, f.out, *r.Log, f.shown[r.ID])
	f.shown[r.ID] = offset
	return err
}

// copyLog writes a step's log from an offset on, as far as the link says it goes, and gives the offset after it.
func (a access) copyLog(ctx context.Context, out io.Writer, l api.LogLink, offset int64) (int64, error) {
	u, err := url.Parse(l.URL)
	if err != nil {
		return offset, err
	}
	for offset < l.Size {
		b, err := a.raw(ctx, http.MethodGet, fmt.Sprintf("%s?offset=%d", u.EscapedPath(), offset), nil)
		if err != nil || len(b) == 0 {
			return offset, err
		}
		if _, err := out.Write(b); err != nil {
			return offset, err
		}
		offset += int64(len(b))
	}
	return offset, nil
}
