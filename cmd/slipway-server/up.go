package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

func upCommand() *cobra.Command {
	config := defaults()
	cmd := &cobra.Command{
		Use: "up", GroupID: "run", Short: "start Slipway: server, Kubernetes node and image builder; Ctrl-C stops all of it",
		Long: `Start Slipway on this machine: the server, a Kubernetes node of its own and an image builder, with all data below one
folder. Ctrl-C, or "slipway down" from elsewhere, stops all of it and leaves nothing on the machine but the data.

With --kubeconfig an existing cluster is used instead of a node, and the image builder is a pod there. Stopping ends that
pod; what was deployed is the cluster's and runs on.`,
		Args: cobra.NoArgs,
	}
	config.flags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return up(cmd.Context(), config) }
	return cmd
}

func up(ctx context.Context, config Config) (err error) {
	if err := config.complete(); err != nil {
		return err
	}
	if err := config.preflight(ctx); err != nil {
		return err
	}
	lock, err := lockData(config.Data)
	if err != nil {
		return err
	}
	defer lock.Close()
	logger, closeLog, err := openLog(config)
	if err != nil {
		return err
	}
	defer closeLog()
	terminal := newTerminal(os.Stdout)
	defer terminal.Close()

	s := &Server{config: config, logger: logger, terminal: terminal, started: time.Now()}
	group, running := errgroup.WithContext(ctx)
	err = s.start(running, group)
	if err == nil {
		err = group.Wait()
	}
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		err = nil // asked to stop
	}
	if err = errors.Join(err, s.stop(context.WithoutCancel(ctx))); err == nil {
		terminal.Say("    Stopped; the data is in %s", config.Data)
	}
	return err
}

// warmStopTime bounds the removal of pods that wait for jobs.
const warmStopTime = 10 * time.Second

// stop ends what start began: first what takes requests and works, then the programs, then the databases.
func (s *Server) stop(ctx context.Context) error {
	if s.cancel != nil {
		s.cancel()
	}
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	var errs []error
	if s.pipelines != nil {
		warm, cancel := context.WithTimeout(ctx, warmStopTime)
		if err := s.pipelines.StopWarm(warm); err != nil {
			s.logger.Warn("the next server removes the warm pods", "error", err)
		}
		cancel()
	}
	if len(s.programs) > 0 {
		s.terminal.Busy("stopping the builder, the node and its pods")
		errs = append(errs, stopPrograms(ctx, s.config))
		s.terminal.Done()
	}
	if s.builder != nil {
		s.terminal.Busy("stopping the image builder in the cluster")
		errs = append(errs, s.builder.Stop(ctx))
		s.terminal.Done()
	}
	errs = append(errs, s.Close())
	return errors.Join(errs...)
}

// openLog sends the log to a file in the data folder, and to the terminal's standard error with --verbose.
func openLog(c Config) (*slog.Logger, func(), error) {
	f, err := os.OpenFile(c.path("slipway.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open the log: %w", err)
	}
	level := slog.LevelInfo
	if c.Verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(f, &slog.HandlerOptions{Level: level})), func() { f.Close() }, nil
}
