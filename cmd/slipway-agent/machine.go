package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"slipway/internal/agent"
	"slipway/internal/pipelines/job"
)

const machineUsage = `usage: slipway-agent machine [--server URL --token-file FILE] [--pool NAME | --environment PROJECT/NAME [--tags TAG,TAG]]
                             [--name NAME] [--capability NAME=VALUE] [--folder FOLDER] [--engine PROGRAM] [--replace] [--once]

Registers this machine at the first start and does the jobs of its pool or environment, one after the other, as the user that
starts it. The folder keeps its credentials.
`

// machine does jobs on this machine until it is told to stop.
func machine(args []string) error {
	c, err := machineConfig(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return agent.RunMachine(ctx, c)
}

func machineConfig(args []string) (agent.MachineConfig, error) {
	c := agent.MachineConfig{Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)), Registration: job.MachineRegistration{Capabilities: map[string]string{}}}
	host, _ := os.Hostname() // a name is asked for when there is none
	var tokenFile, tags string
	f := flag.NewFlagSet("slipway-agent machine", flag.ContinueOnError)
	f.Usage = func() { fmt.Fprint(f.Output(), machineUsage); f.PrintDefaults() }
	f.StringVar(&c.URL, "server", "", "URL of the server, as https://slipway.example")
	f.StringVar(&tokenFile, "token-file", "", "file with a registration token, - for standard input; needed at the first start alone")
	f.StringVar(&c.Registration.Pool, "pool", "", "pool that the token must be for")
	f.StringVar(&c.Registration.Environment, "environment", "", "PROJECT/NAME of the environment that the token must be for")
	f.StringVar(&tags, "tags", "", "tags by which deployments choose the machine, with commas between them")
	f.StringVar(&c.Registration.Name, "name", host, "name of the machine in its pool or environment")
	f.BoolVar(&c.Registration.Replace, "replace", false, "take the place of the machine of that name")
	f.StringVar(&c.Engine, "engine", "", "program for containers of jobs, docker or podman; without it the first that answers")
	f.BoolVar(&c.Once, "once", false, "end after one job")
	f.StringVar(&c.Folder, "folder", "slipway-agent-data", "folder for the credentials and the work")
	f.Func("capability", "NAME=VALUE that demands may ask for; may be given again", func(text string) error {
		name, value, _ := strings.Cut(text, "=")
		c.Registration.Capabilities[name] = value
		return nil
	})
	if err := f.Parse(args); err != nil {
		return c, err
	}
	if f.NArg() > 0 {
		return c, fmt.Errorf("%q is no option: slipway-agent machine --help lists them", f.Arg(0))
	}
	if c.Registration.Pool != "" && c.Registration.Environment != "" {
		return c, errors.New("a machine is of a pool or of an environment: give --pool or --environment, not both")
	}
	for tag := range strings.SplitSeq(tags, ",") {
		if tag = strings.TrimSpace(tag); tag != "" {
			c.Registration.Tags = append(c.Registration.Tags, tag)
		}
	}
	c.URL = strings.TrimRight(c.URL, "/")
	if c.URL != "" && !strings.HasPrefix(c.URL, "http://") && !strings.HasPrefix(c.URL, "https://") {
		return c, fmt.Errorf("--server %s: write a URL, as https://slipway.example", c.URL)
	}
	var err error
	if c.Folder, err = filepath.Abs(c.Folder); err != nil {
		return c, fmt.Errorf("find the folder: %w", err)
	}
	if c.Program, err = os.Executable(); err != nil {
		return c, fmt.Errorf("find this program: %w", err)
	}
	c.Token, err = readToken(tokenFile)
	return c, err
}

// readToken reads a registration token; a file that is gone was used.
func readToken(path string) (string, error) {
	var text []byte
	var err error
	switch path {
	case "":
		return "", nil
	case "-":
		path = "/dev/stdin"
	}
	if text, err = os.ReadFile(path); errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the registration token: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
