// Command slipway-node is a whole Kubernetes node in one program: supervisor, control plane, kubelet, containerd and kubectl.
// README.md beside this module describes its arguments, its configuration and what it prints.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	_ "github.com/containerd/containerd/v2/cmd/containerd/builtins" // containerd's plugins register themselves
	"github.com/containerd/containerd/v2/cmd/containerd/command"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"

	"slipway/node/config"
	"slipway/node/parts"
	"slipway/node/supervisor"
)

const usage = `slipway-node: a Kubernetes node in one program

  slipway-node run --config FILE      start the node and keep it running; SIGTERM or Ctrl-C stops it
  slipway-node clean --config FILE    remove what a killed node left on the host
  slipway-node kubectl ARGUMENT...    kubectl
`

func main() {
	args := os.Args[1:]
	if filepath.Base(os.Args[0]) == "kubectl" {
		args = append([]string{"kubectl"}, args...)
	}
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	switch args[0] {
	case "run", "clean":
		os.Exit(supervise(args[0], args[1:]))
	case "parts": // for the supervisor: a child with some of the parts
		os.Exit(runParts(args[1:]))
	case "containerd": // for the supervisor
		if err := command.App().Run(context.Background(), args); err != nil {
			fmt.Fprintln(os.Stderr, "containerd:", err)
			os.Exit(1)
		}
	case "kubectl":
		os.Args = args
		os.Exit(cli.Run(kubectl.NewDefaultKubectlCommand()))
	case "help", "-h", "--help":
		fmt.Print(usage)
	default:
		fmt.Fprintf(os.Stderr, "slipway-node: unknown command %q\n\n%s", args[0], usage)
		os.Exit(2)
	}
}

// configuration reads the configuration that --config names, and returns the other arguments.
func configuration(command string, args []string) (c *config.Config, file string, rest []string, err error) {
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.StringVar(&file, "config", "", "configuration `FILE` (JSON)")
	if err := flags.Parse(args); err != nil {
		return nil, "", nil, err
	}
	if file == "" {
		return nil, "", nil, errors.New("--config FILE is missing")
	}
	if file, err = filepath.Abs(file); err != nil {
		return nil, "", nil, err
	}
	c, err = config.Load(file)
	return c, file, flags.Args(), err
}

// supervise runs or cleans; its failures are progress lines, too.
func supervise(command string, args []string) int {
	progress := supervisor.NewProgress(os.Stdout)
	fail := func(err error) int {
		phase := "node"
		if e := (*supervisor.PhaseError)(nil); errors.As(err, &e) {
			phase = e.Phase
		}
		progress.Say(phase, supervisor.Failed, err.Error())
		return 1
	}
	c, file, rest, err := configuration(command, args)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%s takes no argument %q", command, rest[0])
	}
	if err != nil {
		return fail(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if command == "clean" {
		if err := supervisor.Clean(ctx, c); err != nil {
			return fail(err)
		}
		progress.Say("node", supervisor.Stopped, "nothing of the node is left on the host")
		return 0
	}
	program, err := os.Executable()
	if err != nil {
		return fail(err)
	}
	s := &supervisor.Supervisor{Config: c, File: file, Program: program, Progress: progress}
	if err := s.Run(ctx); err != nil {
		return fail(err)
	}
	progress.Say("node", supervisor.Stopped, "nothing of the node is left on the host")
	return 0
}

// runParts is the child's side: it runs parts until it is told to stop.
func runParts(args []string) int {
	c, _, names, err := configuration("parts", args)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	set := parts.Set{Config: c}
	if c.Ingress.Listen != "" {
		f := os.NewFile(3, "ingress")
		if set.Ingress, err = net.FileListener(f); err != nil {
			fmt.Fprintln(os.Stderr, "ingress listener:", err)
			return 1
		}
		f.Close()
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := set.Run(ctx, names); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
