// Command slipway-agent runs one job in its pod, or one after the other on a machine: see package agent.
//
//	slipway-agent                 run the job that the environment names
//	slipway-agent machine         do jobs on this machine; machine --help lists the options
//	slipway-agent install FOLDER  copy this program, and docker if it lies beside it (which is az, buildctl, ko and pack too), into FOLDER (the pod's init container)
//	slipway-agent target FOLDER NAME  start programs of steps in this container, for the agent that works in FOLDER
//	slipway-agent share FOLDER    let every user write into FOLDER (a volume, for an image whose user is not root)
//	slipway-agent version
//
// The environment gives SLIPWAY_URL, SLIPWAY_JOB and SLIPWAY_JOB_TOKEN, or instead of the job SLIPWAY_POD, the number of the pod that waits for
// one, with the token of the pod. SLIPWAY_IN_POD says that its end by a signal is that of its pod. It may give SLIPWAY_REGISTRY (the image registry's host),
// SLIPWAY_PORTS (ports of the job's services, SERVICE=MAPPED=PORT parted by blanks), SLIPWAY_PUBLISHED_PORTS (those that a container engine has mapped), SLIPWAY_WORKSPACE (the folder to work in, /workspace by default) and SLIPWAY_CACHE (a folder for tools' caches). It ends with 0 once the server has the job's
// result, whatever that is.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"slipway"
	"slipway/internal/agent"
	"slipway/internal/pipelines/job"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "slipway-agent:", err)
		if errors.Is(err, agent.ErrPodEnds) {
			os.Exit(128 + int(syscall.SIGTERM)) // as a program does that the signal ends
		}
		os.Exit(1)
	}
}

func run(args []string) error {
	if os.Getpid() == 1 && (len(args) == 0 || args[0] == "target") {
		return reap(args)
	}
	if len(args) == 0 {
		return work()
	}
	switch {
	case args[0] == "target" && len(args) == 3:
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return agent.ServeTarget(ctx, args[1], args[2])
	case args[0] == "install" && len(args) == 2:
		return install(args[1])
	case args[0] == "share" && len(args) == 2:
		return os.Chmod(args[1], 0o777|os.ModeSticky)
	case args[0] == "work" && len(args) == 1:
		return work()
	case args[0] == "machine":
		return machine(args[1:])
	case slices.Contains([]string{"help", "--help", "-h"}, args[0]):
		fmt.Print(usage)
		return nil
	case args[0] == "version" && len(args) == 1:
		fmt.Println("slipway-agent, protocol", job.Version)
		return nil
	}
	return fmt.Errorf("%q is no command of slipway-agent, or has not its arguments: see slipway-agent --help", args[0])
}

// usage is for people: on machines they start the agent themselves.
const usage = `slipway-agent runs jobs of a Slipway server.

  slipway-agent machine                     do jobs on this machine, one after the other; machine --help lists the options
  slipway-agent version                     print the version of the protocol with the server

What the server starts in the pods of jobs:

  slipway-agent                             run the job that SLIPWAY_URL, SLIPWAY_JOB and SLIPWAY_JOB_TOKEN name
  slipway-agent install FOLDER              copy this program, and docker and az beside it, into FOLDER
  slipway-agent target FOLDER NAME          start programs of steps in this container
  slipway-agent share FOLDER                let every user write into FOLDER
`

// work runs the job.
func work() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c := agent.Config{
		URL: os.Getenv("SLIPWAY_URL"), Token: os.Getenv("SLIPWAY_JOB_TOKEN"), Folder: os.Getenv("SLIPWAY_WORKSPACE"),
		InPod: os.Getenv("SLIPWAY_IN_POD") != "", Cache: os.Getenv("SLIPWAY_CACHE"), Registry: os.Getenv("SLIPWAY_REGISTRY"), Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	if c.URL == "" || c.Token == "" {
		return errors.New("SLIPWAY_URL and SLIPWAY_JOB_TOKEN must be set")
	}
	var ok bool
	if c.Ports, ok = job.ParsePorts(os.Getenv("SLIPWAY_PORTS")); !ok {
		return fmt.Errorf("SLIPWAY_PORTS is %q, not SERVICE=MAPPED=PORT parted by blanks", os.Getenv("SLIPWAY_PORTS"))
	}
	if c.Published, ok = job.ParsePorts(os.Getenv("SLIPWAY_PUBLISHED_PORTS")); !ok {
		return fmt.Errorf("SLIPWAY_PUBLISHED_PORTS is %q, not SERVICE=MAPPED=PORT parted by blanks", os.Getenv("SLIPWAY_PUBLISHED_PORTS"))
	}
	if c.Folder == "" {
		c.Folder = "/workspace"
	}
	if text := os.Getenv("SLIPWAY_MACHINE"); text != "" {
		number, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("SLIPWAY_MACHINE is %q, not the number of a machine", text)
		}
		c.Machine = agent.MachineName{ID: number, Name: os.Getenv("SLIPWAY_MACHINE_NAME")}
	}
	if pod := os.Getenv("SLIPWAY_POD"); pod != "" {
		given, err := agent.Await(ctx, c, pod)
		if err != nil || given.Job == 0 {
			return err
		}
		c.Job, c.Token = given.Job, given.Token
		return agent.Run(ctx, c)
	}
	id, err := strconv.ParseInt(os.Getenv("SLIPWAY_JOB"), 10, 64)
	if err != nil {
		return fmt.Errorf("SLIPWAY_JOB is %q, not the number of a job", os.Getenv("SLIPWAY_JOB"))
	}
	c.Job = slipway.JobID(id)
	return agent.Run(ctx, c)
}

// install copies the programs of this image into a folder that the job's container sees.
func install(folder string) error {
	own, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if err := copyProgram(own, filepath.Join(folder, "slipway-agent")); err != nil {
		return err
	}
	docker := filepath.Join(filepath.Dir(own), "docker")
	if _, err := os.Stat(docker); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := copyProgram(docker, filepath.Join(folder, "docker")); err != nil {
		return err
	}
	// One file, several names: it does what it is called by.
	for _, name := range []string{"az", "buildctl", "docker-compose", "ko", "pack"} {
		if err := os.Symlink("docker", filepath.Join(folder, name)); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("install: %w", err)
		}
	}
	return nil
}

func copyProgram(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("install: %w", err)
	}
	return nil
}
