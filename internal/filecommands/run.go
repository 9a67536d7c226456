package filecommands

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"slipway/internal/commandline"
	"slipway/internal/localrun"
	"slipway/internal/pipelines/extension"
	"slipway/internal/pipelines/variable"
)

func runCommand(open OpenCluster) *cobra.Command {
	cmd := &cobra.Command{
		Use: "run [FILE]", GroupID: "files", Short: "run a pipeline file on this machine, without a server",
		Long: `Runs a pipeline file on this machine, with the compiler, the scheduler and the agent that a server has: no server and no
cluster are needed. What is checked out is the working tree as it is, with what is not committed yet; the run works on a copy.
Jobs and services in containers run at docker or podman. Deployment jobs are shown and skipped unless a cluster
is named: then they deploy into its namespace, and no approval is asked for. Ctrl-C cancels the run, so that steps with always() still run; a second one stops it at once.

It ends with 0 if the run succeeded, 1 if it did not or the file has mistakes, and 130 if it was canceled.`,
		Example: `  slipway run                                   # azure-pipelines.yml
  slipway run --stage Build --job test          # one job of it
  slipway run --secret API_KEY --watch          # ask for a secret; run again when a file changes
  slipway run --kubeconfig ~/.kube/config --namespace try    # deployment jobs, too
  slipway run --format junit >steps.xml         # the logs go to standard error`,
		Args: cobra.MaximumNArgs(1),
	}
	files := addFileFlags(cmd)
	f := cmd.Flags()
	var o runOptions
	f.StringArrayVar(&o.choice.Stages, "stage", nil, "run this stage alone; may be given again for more")
	f.StringArrayVar(&o.choice.Jobs, "job", nil, "run this job alone")
	f.StringArrayVar(&o.choice.Steps, "step", nil, "run this step alone, by its name, display name or number; checkouts run too, and jobs without it do not")
	f.StringArrayVar(&o.secrets, "secret", nil, "NAME of a secret variable, whose value is asked for, or comes from the environment variable of that name; it is stored nowhere")
	f.StringVar(&o.format, "format", "text", "how the result is written to standard output: text, json or junit")
	f.BoolVar(&o.watch, "watch", false, "run again whenever a file of the working tree changes")
	f.BoolVar(&o.asMachine, "as-machine", false, "run deployments to virtual machines on this machine, which are skipped without it")
	f.BoolVar(&o.onHost, "on-host", false, "run jobs that ask for a container on this machine too, and start no services")
	f.StringVar(&o.engine, "engine", "", "the program that runs containers: docker or podman (default the first of them that answers)")
	f.IntVar(&o.parallel, "parallel", 0, "how many jobs run at once (default the number of processors)")
	f.StringVar(&o.registry, "registry", "", "host of the registry that Docker@2 pushes to (default localhost:5000)")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig file of the cluster that deployment jobs deploy to")
	f.StringVar(&o.kubeContext, "context", "", "with --kubeconfig: the context of it to use (default its current one)")
	f.StringVar(&o.namespace, "namespace", "", "with --kubeconfig: where deployment jobs deploy to (default the context's own)")
	f.StringVar(&o.artifacts, "artifacts", "", "folder that the run's artifacts are written to")
	f.BoolVar(&o.stop, "stop-at-failure", false, "ask what to do when a step fails: run it again, go on, end the job, or look at it in a terminal first")
	f.BoolVar(&o.keep, "keep", false, "keep the folder in which the jobs worked")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return o.run(cmd, files, fileArgument(args), open)
	}
	return cmd
}

type runOptions struct {
	choice                      localrun.Choice
	secrets                     []string
	format, registry, artifacts string
	watch, onHost, keep, stop   bool
	asMachine                   bool
	engine                      string
	kubeconfig, kubeContext     string
	namespace                   string
	parallel                    int
}

func (o *runOptions) run(cmd *cobra.Command, files fileFlags, file string, open OpenCluster) error {
	write, ok := map[string]func(*localrun.Report, io.Writer) error{
		"text": (*localrun.Report).WriteText, "json": (*localrun.Report).WriteJSON, "junit": (*localrun.Report).WriteJUnit}[o.format]
	if !ok {
		return fmt.Errorf("--format %s: write text, json or junit", o.format)
	}
	if o.parallel < 0 || cmd.Flags().Changed("parallel") && o.parallel == 0 {
		return fmt.Errorf("--parallel %d: write how many jobs run at once, 1 or more", o.parallel)
	}
	if o.artifacts != "" {
		if err := os.MkdirAll(o.artifacts, 0o755); err != nil { // better now than after the run
			return fmt.Errorf("--artifacts: %w", err)
		}
	}
	var cluster Cluster
	if o.kubeconfig != "" {
		var err error
		if cluster, err = open(o.kubeconfig, o.kubeContext, o.namespace); err != nil {
			return err
		}
		defer cluster.Close()
	} else if o.kubeContext != "" || o.namespace != "" {
		return errors.New("--context and --namespace go with --kubeconfig, which names the cluster")
	}
	tasks, err := extension.Open(*files.tasks)
	if err != nil {
		return err
	}
	defer tasks.Close()
	in, top, err := files.inputWith(file, tasks.Catalog)
	if err != nil {
		return err
	}
	options := localrun.Options{Input: in, Tasks: tasks.ByDigest, Top: top, Choice: o.choice, OwnProcess: commandline.OwnsProcess(cmd.Context()), OnHost: o.onHost, Machine: o.asMachine, Parallel: o.parallel, Registry: o.registry, Repositories: map[string]string{}, Engine: o.engine}
	if own, err := os.Executable(); err == nil {
		options.Agent = filepath.Join(filepath.Dir(own), "slipway-agent")
	}
	if o.format == "text" {
		options.Out = cmd.OutOrStdout()
	} else {
		options.Out = cmd.ErrOrStderr()
	}
	checkouts, err := commandline.Pairs("--repository", *files.checkouts)
	if err != nil {
		return err
	}
	for alias, folder := range checkouts {
		options.Repositories[strings.ToLower(alias)] = folder
	}
	if options.Variables, err = o.variables(cmd, *files.variables); err != nil {
		return err
	}
	if options.Folder, err = localrun.NewFolder(os.TempDir(), o.keep); err != nil {
		return err
	}
	defer o.cleanRun(cmd.ErrOrStderr(), options.Folder, beside(func() error { return localrun.RemoveAbandoned(os.TempDir()) }))
	if cluster != nil {
		options.Deployer = cluster
	}
	if o.stop {
		options.Decide = newAsker(cmd).decide
	}
	kill, stop := killedBySecondInterrupt(cmd.Context())
	defer stop()
	options.Kill = kill
	r, err := localrun.NewRunner(cmd.Context(), options)
	if err != nil {
		return err
	}
	return o.rounds(cmd, r, write)
}

// rounds runs once, or again after each change of the working tree.
func (o *runOptions) rounds(cmd *cobra.Command, r *localrun.Runner, write func(*localrun.Report, io.Writer) error) error {
	ctx := cmd.Context()
	watch := watch{tree: r.Tree, changes: func(ctx context.Context, before, after string) ([]string, error) {
		return r.Changes(ctx, before, after, o.artifacts)
	}, said: cmd.ErrOrStderr()}
	for {
		if o.watch {
			if err := watch.begin(ctx); err != nil {
				return err
			}
		}
		report, err := r.Run(ctx)
		switch {
		case err != nil && !o.watch:
			cmd.PrintErrln(err)
			return &commandline.ExitError{Code: 1}
		case err != nil:
			cmd.PrintErrln(err)
		default:
			if err := write(report, cmd.OutOrStdout()); err != nil {
				return err
			}
			if o.artifacts != "" {
				if err := report.Unpack(o.artifacts); err != nil {
					return err
				}
			}
		}
		switch {
		case ctx.Err() != nil:
			return &commandline.ExitError{Code: 130}
		case o.watch:
			if !watch.await(ctx) {
				return nil
			}
		case !report.Succeeded():
			return &commandline.ExitError{Code: 1}
		default:
			return nil
		}
	}
}

// killedBySecondInterrupt is a context that a second Ctrl-C ends; the first ends ctx.
func killedBySecondInterrupt(ctx context.Context) (context.Context, context.CancelFunc) {
	kill, stop := context.WithCancel(context.WithoutCancel(ctx))
	end := context.AfterFunc(ctx, func() {
		again := make(chan os.Signal, 1)
		signal.Notify(again, os.Interrupt, syscall.SIGTERM)
		select {
		case <-again:
			stop()
		case <-kill.Done():
		}
		signal.Stop(again)
	})
	return kill, func() { end(); stop() }
}

// variables are those of the flags, with the secrets.
func (o *runOptions) variables(cmd *cobra.Command, plain []string) (variable.Set, error) {
	var set variable.Set
	values, err := commandline.Pairs("--variable", plain)
	if err != nil {
		return set, err
	}
	for name, value := range values {
		set.PutText(name, value)
	}
	in := bufio.NewReader(cmd.InOrStdin())
	for _, name := range o.secrets {
		if name == "" || strings.ContainsAny(name, "= ") {
			return set, fmt.Errorf("--secret %q: give the name alone; its value is asked for, so that it is in no history", name)
		}
		value, err := askSecret(cmd, in, name)
		if err != nil {
			return set, fmt.Errorf("read secret %s: %w", name, err)
		}
		set.Put(name, variable.Value{Text: value, Secret: true})
	}
	return set, nil
}

// askSecret takes a secret from the environment, from the terminal without showing it, or from a line of standard input.
func askSecret(cmd *cobra.Command, in *bufio.Reader, name string) (string, error) {
	if value := os.Getenv(variable.EnvironmentName(name)); value != "" {
		return value, nil
	}
	if file, ok := cmd.InOrStdin().(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		cmd.PrintErrf("%s: ", name)
		b, err := term.ReadPassword(int(file.Fd()))
		cmd.PrintErrln()
		return string(b), err
	}
	line, err := in.ReadString('\n')
	if err != nil && (line == "" || !errors.Is(err, io.EOF)) {
		return "", errors.New("it is neither in the environment nor on standard input")
	}
	return strings.TrimRight(line, "\r\n"), nil
}
