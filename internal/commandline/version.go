package commandline

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"slipway"
)

// VersionCommand says which program this is.
func VersionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", GroupID: "run", Short: "say from which source this program was built; the server's is in slipway status", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", cmd.Root().Name(), Version())
			return err
		}}
}

// Version is what --version says of this program too.
func Version() string {
	return fmt.Sprintf("%s, %s, %s/%s", slipway.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
