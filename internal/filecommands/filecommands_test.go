package filecommands

import (
	"errors"

	"github.com/spf13/cobra"

	"slipway/internal/commandline"
	"slipway/internal/commandline/commandlinetest"
)

var errCluster = errors.New("a cluster was asked for")

// command is a program that has these commands alone, and no cluster.
func command() *cobra.Command {
	root := commandline.Root()
	root.AddCommand(All(func(_, _, _ string) (Cluster, error) { return nil, errCluster })...)
	commandline.ExplainMistakes(root)
	return root
}

// run runs a command and gives what it printed.
func run(args ...string) (string, error) { return commandlinetest.Run(command(), args...) }
