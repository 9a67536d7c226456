// Package filecommands has the commands about files of pipelines, which need no server: slipway validate, expand, plan, run, import, lsp and
// schema.
package filecommands

import (
	"github.com/spf13/cobra"

	"slipway/internal/localrun"
)

// Cluster is where the deployment jobs of slipway run deploy to.
type Cluster interface {
	localrun.Deployer
	Close() error
}

// OpenCluster opens the cluster of a kubeconfig file; context and namespace may be empty for those that the file names.
type OpenCluster func(kubeconfig, context, namespace string) (Cluster, error)

// All are the commands in the order in which the help has them.
func All(open OpenCluster) []*cobra.Command {
	return []*cobra.Command{validateCommand(), expandCommand(), planCommand(), runCommand(open), importCommand(), lspCommand(), schemaCommand()}
}
