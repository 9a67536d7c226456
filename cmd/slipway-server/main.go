// Command slipway-server is Slipway's server, and the whole of its command line: the program slipway hands on to it what it does not do itself.
package main

import (
	"github.com/spf13/cobra"

	"slipway/internal/commandline"
	"slipway/internal/filecommands"
)

func main() {
	commandline.Execute(command())
}

func command() *cobra.Command {
	root := commandline.Root()
	root.AddGroup(&cobra.Group{ID: "runs", Title: "Runs:"}, &cobra.Group{ID: "deploy", Title: "Deployments:"}, &cobra.Group{ID: "project", Title: "What a project has:"},
		&cobra.Group{ID: "server", Title: "What the whole server has:"}, &cobra.Group{ID: "people", Title: "People:"})
	root.AddCommand(upCommand(), downCommand(), statusCommand(), imagesCommand(), commandline.VersionCommand())
	root.AddCommand(verifyCommand(), signingCommand(), trustRootCommand(), sbomCommand(), scanCommand(), vulnerabilitiesCommand())
	root.AddCommand(filecommands.All(openLocalCluster)...)
	root.AddCommand(queueCommand(), runsCommand(), logsCommand(), resumeCommand(), rejectCommand(), stoppedCommand(), terminalCommand())
	root.AddCommand(approveCommand(), rollbackCommand(), environmentsCommand(), traceCommand())
	root.AddCommand(connectionsCommand(), secureFilesCommand(), artifactsCommand(), auditCommand(), webhooksCommand(), hooksCommand(), cachesCommand(), limitsCommand(), pipelinesCommand(), retentionCommand(), prCommand(), reposCommand(), variableGroupsCommand())
	root.AddCommand(registryCommand(), buildCommand(), builderCommand(), buildsCommand(), poolsCommand(), tasksCommand(), userCommand(), memberCommand(), sshKeysCommand())
	commandline.ExplainMistakes(root)
	return root
}
