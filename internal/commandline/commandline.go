// Package commandline is what the programs with the name slipway have in common: how they start and end, and how they speak of mistakes.
package commandline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"slipway"
)

// Execute does what the process's arguments say, and ends the process. The first SIGINT or SIGTERM ends the command's context.
func Execute(root *cobra.Command) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root.ExecuteContext(context.WithValue(ctx, ownProcess{}, true)); err != nil {
		var silent *ExitError
		if errors.As(err, &silent) {
			os.Exit(silent.Code)
		}
		fmt.Fprintln(os.Stderr, "slipway: "+err.Error())
		os.Exit(1)
	}
}

// ownProcess is the key of a context whose command has the process for itself; tests run several beside one another.
type ownProcess struct{}

// OwnsProcess says whether the command has the process for itself, as it has when Execute runs it.
func OwnsProcess(ctx context.Context) bool { return ctx.Value(ownProcess{}) != nil }

// ExitError ends the program with a code after everything has been said.
type ExitError struct{ Code int }

func (e *ExitError) Error() string { return fmt.Sprintf("exit %d", e.Code) }

// Root is the command slipway without those below it, with the groups of help that every program has; call ExplainMistakes when all are there.
func Root() *cobra.Command {
	cobra.EnableCommandSorting = false // the help has the commands in the order of the work
	root := &cobra.Command{
		Use:   "slipway",
		Short: "CI/CD for containers on your own machine: git, pipelines, registry, Kubernetes, telemetry, boards",
		Long: `Slipway carries a change round the whole loop: git push, Azure Pipelines YAML, image build, OCI registry,
deployment to Kubernetes, telemetry, work item; and it remembers how everything in the loop hangs together.

  slipway up          start everything on this machine
  slipway status      what runs, and where to look
  slipway approve 3   let a waiting deployment go on`,
		Version:       Version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.AddGroup(&cobra.Group{ID: "run", Title: "Running Slipway:"}, &cobra.Group{ID: "files", Title: "Pipeline files:"})
	return root
}

// Pairs reads the values of a flag such as --variable that are written NAME=VALUE.
func Pairs(flag string, texts []string) (map[string]string, error) {
	m := map[string]string{}
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		name = strings.TrimSpace(name)
		if !ok || name == "" {
			return nil, slipway.Invalid("%s %q: write NAME=VALUE", flag, text)
		}
		if _, twice := m[name]; twice {
			return nil, slipway.Invalid("%s: %s is given twice", flag, name)
		}
		m[name] = value
	}
	return m, nil
}

// ShortNames lets --var stand for --variable, for pflag's SetNormalizeFunc.
func ShortNames(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	if name == "var" {
		name = "variable"
	}
	return pflag.NormalizedName(name)
}

// Count is a number of things, as `1 stage` and `2 stages`.
func Count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
