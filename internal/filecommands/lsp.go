package filecommands

import (
	"errors"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"slipway/internal/commandline"
	"slipway/internal/languageserver"
	"slipway/internal/pipelines/extension"
)

func lspCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "lsp", GroupID: "files", Short: "serve an editor with the language of pipeline files",
		Long: `Speaks the Language Server Protocol 3.17 on standard input and output: mistakes while you type, completion, explanations
and definitions. Editors start it; docs/pipelines.md has the lines for VS Code and Neovim.`,
		Args: cobra.NoArgs,
	}
	tasks := addTaskFlag(cmd)
	cmd.Flags().Bool("stdio", true, "speak on standard input and output, as there is no other way")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
		server := languageserver.New(logger, languageserver.Delay)
		known, err := extension.Open(*tasks)
		if err != nil {
			return err
		}
		if server.Tasks, err = known.Catalog, known.Close(); err != nil {
			return err
		}
		err = server.Serve(cmd.Context(), standard{os.Stdin, os.Stdout})
		if errors.Is(err, languageserver.ErrNoShutdown) {
			return &commandline.ExitError{Code: 1}
		}
		return err
	}
	return cmd
}

// standard is this program's input and output as one stream.
type standard struct {
	io.ReadCloser
	out io.WriteCloser
}

func (s standard) Write(b []byte) (int, error) { return s.out.Write(b) }

// Close closes both, so that a read that waits ends.
func (s standard) Close() error { return errors.Join(s.ReadCloser.Close(), s.out.Close()) }
