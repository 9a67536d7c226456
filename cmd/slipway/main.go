// Command slipway is Slipway's server and command line.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	cobra.EnableCommandSorting = false // the help has the commands in the order of the work
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(context.WithValue(ctx, ownProcess{}, true)); err != nil {
		var silent *exitError
		if errors.As(err, &silent) {
			os.Exit(silent.code)
		}
		fmt.Fprintln(os.Stderr, "slipway: "+err.Error())
		os.Exit(1)
	}
}

// ownProcess is the key of a context whose command has the process for itself; tests run several beside one another.
type ownProcess struct{}

// exitError ends the program with a code after everything has been said.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit %d", e.code) }

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "slipway",
		Short: "CI/CD for containers on your own machine: git, pipelines, registry, Kubernetes, telemetry, boards",
		Long: `Slipway carries a change round the whole loop: git push, Azure Pipelines YAML, image build, OCI registry,
deployment to Kubernetes, telemetry, work item; and it remembers how everything in the loop hangs together.

  slipway up          start everything on this machine
  slipway status      what runs, and where to look
  slipway approve 3   let a waiting deployment go on`,
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddGroup(&cobra.Group{ID: "run", Title: "Running Slipway:"}, &cobra.Group{ID: "files", Title: "Pipeline files:"}, &cobra.Group{ID: "runs", Title: "Runs:"},
		&cobra.Group{ID: "deploy", Title: "Deployments:"}, &cobra.Group{ID: "project", Title: "What a project has:"}, &cobra.Group{ID: "server", Title: "What the whole server has:"},
		&cobra.Group{ID: "people", Title: "People:"})
	root.AddCommand(upCommand(), downCommand(), statusCommand(), imagesCommand(), versionCommand())
	root.AddCommand(verifyCommand(), signingCommand(), trustRootCommand(), sbomCommand(), scanCommand(), vulnerabilitiesCommand())
	root.AddCommand(validateCommand(), expandCommand(), planCommand(), runCommand(), importCommand(), lspCommand(), schemaCommand())
	root.AddCommand(queueCommand(), runsCommand(), logsCommand(), resumeCommand(), rejectCommand(), stoppedCommand(), terminalCommand())
	root.AddCommand(approveCommand(), rollbackCommand(), environmentsCommand(), traceCommand())
	root.AddCommand(connectionsCommand(), secureFilesCommand(), artifactsCommand(), auditCommand(), webhooksCommand(), hooksCommand(), cachesCommand(), limitsCommand(), pipelinesCommand(), retentionCommand(), prCommand(), reposCommand(), variableGroupsCommand())
	root.AddCommand(registryCommand(), buildCommand(), builderCommand(), buildsCommand(), poolsCommand(), tasksCommand(), userCommand(), memberCommand(), sshKeysCommand())
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	explainMistakes(root)
	return root
}
