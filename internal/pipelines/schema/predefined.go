package schema

import (
	"slices"
	"strings"

	"slipway/internal/pipelines/variable"
)

// Predefined is a variable that Slipway sets.
type Predefined struct {
	Name string
	// Doc says in a sentence what it holds.
	Doc string
	// Templates says that ${{ variables['NAME'] }} sees it too, since it is known before the run exists.
	Templates bool
}

// PredefinedVariables are the variables that Slipway sets, by name.
func PredefinedVariables() []Predefined { return slices.Clone(predefined) }

// PredefinedVariable finds one by its name in any case, nil without one.
func PredefinedVariable(name string) *Predefined {
	for i := range predefined {
		if strings.EqualFold(predefined[i].Name, name) {
			p := predefined[i]
			return &p
		}
	}
	return nil
}

// predefined is never changed.
var predefined = []Predefined{
	{Name: variable.AgentBuildDirectory, Doc: "The folder of the job's sources, artifacts and binaries; the same as Pipeline.Workspace."},
	{Name: variable.AgentHomeDirectory, Doc: "The folder of the agent."},
	{Name: variable.AgentID, Doc: "The number of the agent; always 1."},
	{Name: variable.AgentIsSelfHosted, Doc: "1."},
	{Name: variable.AgentJobName, Doc: "The name of the job."},
	{Name: variable.AgentJobStatus, Doc: "How the job stands: Succeeded, SucceededWithIssues, Failed or Canceled."},
	{Name: variable.AgentMachineName, Doc: "The host name of the job's pod."},
	{Name: variable.AgentName, Doc: "The name of the agent."},
	{Name: variable.AgentOS, Doc: "Linux."},
	{Name: variable.AgentOSArchitecture, Doc: "X64 or ARM64."},
	{Name: variable.AgentRootDirectory, Doc: "The folder in which the agent works; the same as Agent.WorkFolder."},
	{Name: variable.AgentTempDirectory, Doc: "A folder for temporary files, empty when the job starts."},
	{Name: variable.AgentToolsDirectory, Doc: "The folder of installed tools."},
	{Name: variable.AgentVersion, Doc: "4.999.999: what needs a release of Microsoft's agent at least finds it met."},
	{Name: variable.AgentWorkFolder, Doc: "The folder in which the agent works."},
	{Name: variable.BuildArtifactStagingDirectory, Doc: "A folder for what is going to be published."},
	{Name: variable.BuildBinariesDirectory, Doc: "A folder for what is built."},
	{Name: variable.BuildBuildID, Doc: "The number of the run, unique on the server."},
	{Name: variable.BuildBuildNumber, Doc: "The run's name, of the format that name: gives."},
	{Name: variable.BuildBuildURI, Doc: "The run as a URI: vstfs:///Build/Build/7."},
	{Name: variable.BuildCronScheduleDisplayName, Doc: "The name of the schedule that started the run.", Templates: true},
	{Name: variable.BuildDefinitionName, Doc: "The name of the pipeline.", Templates: true},
	{Name: variable.BuildDefinitionVersion, Doc: "1.", Templates: true},
	{Name: variable.BuildQueuedBy, Doc: "Who queued the run: a person who asked for it, or Slipway.", Templates: true},
	{Name: variable.BuildQueuedByID, Doc: "The ID of who queued the run.", Templates: true},
	{Name: variable.BuildReason, Doc: "Why the run started: Manual, IndividualCI, BatchedCI, Schedule, PullRequest, ResourceTrigger or BuildCompletion.", Templates: true},
	{Name: variable.BuildRepositoryClean, Doc: "Whether the checkout cleans the repository: True or False."},
	{Name: variable.BuildRepositoryID, Doc: "The ID of the repository.", Templates: true},
	{Name: variable.BuildRepositoryLocalPath, Doc: "The folder of the repository's files."},
	{Name: variable.BuildRepositoryName, Doc: "The name of the repository.", Templates: true},
	{Name: variable.BuildRepositoryProvider, Doc: "TfsGit.", Templates: true},
	{Name: variable.BuildRepositorySubmodules, Doc: "Whether the checkout fetches submodules: True or False."},
	{Name: variable.BuildRepositoryURI, Doc: "The address of the repository.", Templates: true},
	{Name: variable.BuildRequestedFor, Doc: "Who started the run.", Templates: true},
	{Name: variable.BuildRequestedForEmail, Doc: "The address of who started the run; empty if there is none.", Templates: true},
	{Name: variable.BuildRequestedForID, Doc: "The ID of who started the run.", Templates: true},
	{Name: variable.BuildSourceBranch, Doc: "The full name of the branch or tag, such as refs/heads/main.", Templates: true},
	{Name: variable.BuildSourceBranchName, Doc: "The last part of the branch's name.", Templates: true},
	{Name: variable.BuildSourcesDirectory, Doc: "The folder of the sources."},
	{Name: variable.BuildSourceVersion, Doc: "The commit.", Templates: true},
	{Name: variable.BuildSourceVersionAuthor, Doc: "Who wrote the commit.", Templates: true},
	{Name: variable.BuildSourceVersionMessage, Doc: "The first line of the commit's message.", Templates: true},
	{Name: variable.BuildStagingDirectory, Doc: "A folder for what is going to be published; the same as Build.ArtifactStagingDirectory."},
	{Name: variable.CommonTestResultsDirectory, Doc: "A folder for results of tests."},
	{Name: variable.EnvironmentNameName, Doc: "The environment of a deployment."},
	{Name: variable.EnvironmentResourceName, Doc: "The environment's resource of a deployment."},
	{Name: variable.EnvironmentResourceID, Doc: "The number of the virtual machine of a deployment."},
	{Name: variable.PipelineWorkspace, Doc: "The folder of the job: s holds sources, a artifacts, b binaries."},
	{Name: variable.StrategyAction, Doc: "What a canary does with the cluster now: deploy, promote or reject."},
	{Name: variable.StrategyCycleName, Doc: "The hook of a deployment: preDeploy, deploy …"},
	{Name: variable.StrategyIncrement, Doc: "The share in percent that a canary deploys now, 100 the last time."},
	{Name: variable.StrategyName, Doc: "The strategy of a deployment: runOnce or canary."},
	{Name: variable.SystemAccessToken, Doc: "The job's token, a secret: it comes to a script by env."},
	{Name: variable.SystemArtifactsDirectory, Doc: "The folder to which artifacts are downloaded."},
	{Name: variable.SystemCollectionID, Doc: "The GUID of the server.", Templates: true},
	{Name: variable.SystemCollectionURI, Doc: "The address of the server."},
	{Name: variable.SystemTeamFoundationURI, Doc: "The address of the server, as jobs reach it."},
	{Name: variable.SystemTeamFoundationServerURI, Doc: "The address of the server, as jobs reach it."},
	{Name: variable.SystemCulture, Doc: "en-US.", Templates: true},
	{Name: variable.SystemDebug, Doc: "true for logs that say more."},
	{Name: variable.SystemDefaultWorkingDirectory, Doc: "The folder in which scripts run."},
	{Name: variable.SystemDefinitionName, Doc: "The name of the pipeline; the same as Build.DefinitionName.", Templates: true},
	{Name: variable.BuildDefinitionID, Doc: "The number of the pipeline.", Templates: true},
	{Name: variable.SystemHostType, Doc: "build.", Templates: true},
	{Name: variable.SystemIsScheduled, Doc: "Whether a schedule started the run: True or False.", Templates: true},
	{Name: variable.SystemJobAttempt, Doc: "Which attempt of the job this is; 1 is the first."},
	{Name: variable.SystemJobDisplayName, Doc: "What people see of the job."},
	{Name: variable.SystemJobID, Doc: "The number of the job."},
	{Name: variable.SystemJobIdentifier, Doc: "The job by its stage, if the file has stages, its name and its leg: Build.Test.__default."},
	{Name: variable.SystemJobName, Doc: "The name of the job's leg; __default without legs. System.PhaseName is the job's."},
	{Name: variable.SystemJobPositionInPhase, Doc: "Which leg of the job this is; 1 is the first."},
	{Name: variable.SystemOIDCRequestURI, Doc: "The address at which the job asks for its identity token."},
	{Name: variable.SystemPhaseAttempt, Doc: "Which attempt of the job this is; 1 is the first."},
	{Name: variable.SystemPhaseDisplayName, Doc: "What people see of the job, without its leg."},
	{Name: variable.SystemPhaseName, Doc: "The name of the job, without its leg."},
	{Name: variable.SystemPipelineStartTime, Doc: "When the run was queued, such as 2026-03-04 05:06:07+00:00; pipeline.startTime in expressions."},
	{Name: variable.SystemPullRequestID, Doc: "The number of the pull request."},
	{Name: variable.SystemPullRequestIsFork, Doc: "Whether the pull request comes from a fork: True or False."},
	{Name: variable.SystemPullRequestNumber, Doc: "The number of the pull request."},
	{Name: variable.SystemPullRequestSource, Doc: "The branch of the pull request: refs/heads/topic.", Templates: true},
	{Name: variable.SystemPullRequestSourceCommit, Doc: "The commit of the pull request's branch."},
	{Name: variable.SystemPullRequestSourceURI, Doc: "The URL of the repository with the pull request's branch: of the fork, if it comes from one."},
	{Name: variable.SystemPullRequestTarget, Doc: "The branch into which the pull request goes: refs/heads/main.", Templates: true},
	{Name: variable.SystemPullRequestTargetName, Doc: "The branch into which the pull request goes, without refs/heads/.", Templates: true},
	{Name: variable.SystemStageAttempt, Doc: "Which attempt of the stage this is; 1 is the first."},
	{Name: variable.SystemStageDisplayName, Doc: "What people see of the stage."},
	{Name: variable.SystemStageName, Doc: "The name of the stage."},
	{Name: variable.SystemTeamProject, Doc: "The name of the project.", Templates: true},
	{Name: variable.SystemTeamProjectID, Doc: "The ID of the project.", Templates: true},
	{Name: variable.SystemTotalJobsInPhase, Doc: "How many legs the job has."},
	{Name: variable.SystemWorkFolder, Doc: "The folder in which the agent works; the same as Agent.WorkFolder."},
	{Name: variable.TFBuild, Doc: "True: the script runs in a pipeline.", Templates: true},
}
