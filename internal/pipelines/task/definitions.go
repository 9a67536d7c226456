package task

import "slices"

const (
	useScript = "write what it does as a script or bash step"
	useCall   = "call its REST API with InvokeRESTAPI@1 in a job with pool: server, or with curl in a script step"
)

// definitions are the tasks, with the inputs of their public manifests: a file for each family of them. The slice is never
// changed.
var definitions = slices.Concat(scriptTasks, fileTasks, tokenTasks, artifactTasks, cacheTasks, secureFileTasks, testTasks, coverageTasks, dockerTasks, composeTasks, azureTasks, kubernetesTasks, kubectlTasks, toolTasks, sshTasks, githubTasks, msbuildTasks, buildTasks, terraformTasks, terraformCLITasks, serverTasks, universalTasks)
