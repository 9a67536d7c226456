package task

import (
	"slices"
	"sync"
)

const (
	useScript = "write what it does as a script or bash step"
	useCall   = "call its REST API with InvokeRESTAPI@1 in a job with pool: server, or with curl in a script step"
)

// definitions are the tasks, with the inputs of their public manifests: a function for each family of them. The slice is never
// changed. It is made when a task is looked for first, since a program that looks for none need not make so large a table.
var definitions = sync.OnceValue(func() []Definition {
	return slices.Concat(
		scriptTasks(), fileTasks(), tokenTasks(), artifactTasks(), cacheTasks(), secureFileTasks(), testTasks(), coverageTasks(),
		dockerTasks(), composeTasks(), azureTasks(), kubernetesTasks(), kubectlTasks(), toolTasks(), sshTasks(), githubTasks(),
		msbuildTasks(), buildTasks(), terraformTasks(), terraformCLITasks(), serverTasks(), universalTasks())
})
