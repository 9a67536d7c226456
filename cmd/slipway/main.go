// Command slipway is Slipway's command line. It is small, so that it starts in a few milliseconds and is all that a laptop needs to check
// and run files of pipelines; every other command it hands on to slipway-server.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"slipway"
	"slipway/internal/commandline"
	"slipway/internal/filecommands"
	"slipway/internal/pipelines/nearest"
)

func main() {
	root := command()
	if own, _, err := root.Find(os.Args[1:]); err != nil || own == root {
		err := handOn(root)
		if !asksForHelp(os.Args[1:]) {
			fmt.Fprintln(os.Stderr, "slipway: "+err.Error())
			os.Exit(1)
		}
		root.Long += "\n\nHere are the commands that work without slipway-server, the other program, which is not there. The others need it."
	}
	commandline.Execute(root)
}

func command() *cobra.Command {
	root := commandline.Root()
	root.AddCommand(commandline.VersionCommand())
	root.AddCommand(filecommands.All(func(_, _, _ string) (filecommands.Cluster, error) { return nil, handOn(root) })...)
	commandline.ExplainMistakes(root)
	return root
}

// asksForHelp is true for what this program answers in part when slipway-server is not there.
func asksForHelp(args []string) bool {
	return len(args) == 0 || strings.HasPrefix(args[0], "-") || args[0] == "help"
}

// handOn lets slipway-server, which knows all commands, take the place of this process. It returns only if that cannot be.
func handOn(root *cobra.Command) error {
	const server = "slipway-server"
	own, err := os.Executable()
	if err == nil {
		own, err = filepath.EvalSymlinks(own)
	}
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	path := filepath.Join(filepath.Dir(own), server)
	if _, err := os.Stat(path); err != nil {
		if path, err = exec.LookPath(server); err != nil {
			return slipway.NotFound("%s is neither in %s nor on PATH, and `%s` needs it: put both programs into one folder; %s without it",
				server, filepath.Dir(own), strings.Join(append([]string{"slipway"}, os.Args[1:]...), " "), working(root))
		}
	}
	return fmt.Errorf("start %s: %w", path, syscall.Exec(path, os.Args, os.Environ()))
}

// working says which command of this program may have been meant, or where all are named.
func working(root *cobra.Command) string {
	var names []string
	for _, c := range root.Commands() {
		names = append(names, c.Name())
	}
	if len(os.Args) > 1 {
		if name := nearest.Find(os.Args[1], names); name != "" && name != os.Args[1] {
			return "`slipway " + name + "` works"
		}
	}
	return "`slipway --help` names what works"
}
