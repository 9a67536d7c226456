// Package az is the program `az` in a job's pod. There is no Azure behind a Slipway server: the commands that name something
// that the server has (its registry, pipelines and repositories, the job's own identity) work on that, and the others say in a sentence what
// to use instead. Names, options and output formats are those of the Azure CLI, so that scripts written for it go on working.
//
// The program works for the job alone, by the job's token. Environment: SLIPWAY_URL is the server, SLIPWAY_JOB_TOKEN the
// token, SLIPWAY_REGISTRY_HOST the registry's name in images, and System.TeamProject (SYSTEM_TEAMPROJECT) the project.
package az

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"slipway"
)

// compatible is the release of the Azure CLI whose options are understood. Scripts ask for it.
const compatible = "2.77.0"

// Exit codes of the Azure CLI (azure-cli-core, azure/cli/core/azclierror.py and its parser).
const (
	exitFailed   = 1
	exitUsage    = 2
	exitNotFound = 3
)

// Program is one call of az with its surroundings.
type Program struct {
	Getenv         func(string) string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Docker runs Slipway's docker, which builds images and keeps the registry's credentials. It writes what goes wrong to its
	// standard error and returns its exit code.
	Docker func(ctx context.Context, stdin io.Reader, stdout io.Writer, args ...string) int
	// Executable is the path of this program's file, so that another az on PATH can be told from it.
	Executable string
	// Exec replaces this process by another program; syscall.Exec when nil.
	Exec func(path string, args, env []string) error
	// Environ is the environment of a program that Exec starts.
	Environ []string
}

// usageError is a mistake on the command line.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errReported is a failure that another program has explained already.
type errReported struct{ code int }

func (e errReported) Error() string { return fmt.Sprintf("docker ended with %d", e.code) }

// Main runs the command line (without the program's name) and gives the exit code.
func (p Program) Main(ctx context.Context, args []string) int {
	err := p.run(ctx, args)
	if err == nil {
		return 0
	}
	var reported errReported
	if errors.As(err, &reported) {
		return exitFailed
	}
	fmt.Fprintln(p.Stderr, "ERROR:", message(err))
	var usage usageError
	switch {
	case errors.As(err, &usage), slipway.CodeOf(err) == slipway.CodeUnsupported:
		return exitUsage
	case slipway.CodeOf(err) == slipway.CodeNotFound:
		return exitNotFound
	}
	return exitFailed
}

// message leaves out the cause of a Problem whose own sentence says all; causes of what is not reachable are kept.
func message(err error) string {
	var p *slipway.Problem
	if !errors.As(err, &p) || p.Code == slipway.CodeUnavailable {
		return err.Error()
	}
	shown := *p
	shown.Err = nil
	return shown.Error()
}

func (p Program) run(ctx context.Context, args []string) error {
	words := leading(args)
	if len(words) == 0 {
		return p.general(args)
	}
	c := find(words)
	if c == nil {
		if path := p.another(); path != "" {
			return p.exec(path, args)
		}
		if slipwayHelp(args) && isGroup(words) {
			return p.help(words)
		}
		return refuse(words)
	}
	if slipwayHelp(args) {
		return p.helpOf(c)
	}
	call, err := c.parse(args[len(strings.Fields(c.name)):])
	if err != nil {
		return err
	}
	call.Program, call.ctx = p, ctx
	result, err := c.run(call)
	if err != nil {
		return err
	}
	return p.print(result, call.format, call.text("query"))
}

// leading are the words before the first option: the command.
func leading(args []string) []string {
	for i, a := range args {
		if strings.HasPrefix(a, "-") {
			return args[:i]
		}
	}
	return args
}

func slipwayHelp(args []string) bool {
	for _, a := range args {
		if a == "--help" || a == "-h" {
			return true
		}
	}
	return false
}

// general is az without a command.
func (p Program) general(args []string) error {
	for _, a := range args {
		switch a {
		case "--version", "-v":
			return p.versionText()
		case "--help", "-h":
		default:
			return usagef("%s is not an option of az itself: see az --help", a)
		}
	}
	return p.help(nil)
}

func (p Program) versionText() error {
	_, err := fmt.Fprintf(p.Stdout, "azure-cli                         %s\n\nExtensions:\nazure-devops                      %s\n\nThis is Slipway's az: it works on this server's registry, pipelines and repositories, and there is no Azure behind it.\n",
		compatible, compatibleDevOps)
	return err
}

// exec goes on as another program, with the same arguments.
func (p Program) exec(path string, args []string) error {
	exec := p.Exec
	if exec == nil {
		exec = syscall.Exec
	}
	if err := exec(path, append([]string{path}, args...), p.Environ); err != nil {
		return fmt.Errorf("run %s: %w", path, err)
	}
	return nil
}
