package variable

// The names of the predefined variables that more than one part of Slipway sets or reads.
const (
	AgentBuildDirectory           = "Agent.BuildDirectory"
	AgentHomeDirectory            = "Agent.HomeDirectory"
	AgentID                       = "Agent.Id"
	AgentJobName                  = "Agent.JobName"
	AgentJobStatus                = "Agent.JobStatus"
	AgentMachineName              = "Agent.MachineName"
	AgentName                     = "Agent.Name"
	AgentOS                       = "Agent.OS"
	AgentOSArchitecture           = "Agent.OSArchitecture"
	AgentTempDirectory            = "Agent.TempDirectory"
	AgentToolsDirectory           = "Agent.ToolsDirectory"
	AgentWorkFolder               = "Agent.WorkFolder"
	BuildArtifactStagingDirectory = "Build.ArtifactStagingDirectory"
	BuildBinariesDirectory        = "Build.BinariesDirectory"
	BuildBuildID                  = "Build.BuildId"
	BuildBuildNumber              = "Build.BuildNumber"
	BuildBuildURI                 = "Build.BuildUri"
	BuildDefinitionID             = "System.DefinitionId"
	BuildDefinitionName           = "Build.DefinitionName"
	BuildReason                   = "Build.Reason"
	BuildRepositoryID             = "Build.Repository.ID"
	BuildRepositoryLocalPath      = "Build.Repository.LocalPath"
	BuildRepositoryName           = "Build.Repository.Name"
	BuildRepositoryProvider       = "Build.Repository.Provider"
	BuildRepositoryURI            = "Build.Repository.Uri"
	BuildRequestedFor             = "Build.RequestedFor"
	BuildRequestedForEmail        = "Build.RequestedForEmail"
	BuildRequestedForID           = "Build.RequestedForId"
	BuildSourceBranch             = "Build.SourceBranch"
	BuildSourceBranchName         = "Build.SourceBranchName"
	BuildSourcesDirectory         = "Build.SourcesDirectory"
	BuildSourceVersion            = "Build.SourceVersion"
	BuildSourceVersionAuthor      = "Build.SourceVersionAuthor"
	BuildSourceVersionMessage     = "Build.SourceVersionMessage"
	BuildStagingDirectory         = "Build.StagingDirectory"
	CommonTestResultsDirectory    = "Common.TestResultsDirectory"
	EnvironmentIDName             = "Environment.Id"
	EnvironmentNameName           = "Environment.Name"
	EnvironmentResourceID         = "Environment.ResourceId"
	EnvironmentResourceName       = "Environment.ResourceName"
	PipelineWorkspace             = "Pipeline.Workspace"
	StrategyName                  = "Strategy.Name"
	StrategyCycleName             = "Strategy.CycleName"
	SystemAccessToken             = "System.AccessToken"
	SystemArtifactsDirectory      = "System.ArtifactsDirectory"
	SystemCollectionURI           = "System.CollectionUri"
	SystemCulture                 = "System.Culture"
	SystemDebug                   = "System.Debug"
	SystemDefaultWorkingDirectory = "System.DefaultWorkingDirectory"
	SystemHostType                = "System.HostType"
	SystemJobAttempt              = "System.JobAttempt"
	SystemJobDisplayName          = "System.JobDisplayName"
	SystemJobID                   = "System.JobId"
	SystemJobIdentifier           = "System.JobIdentifier"
	SystemJobName                 = "System.JobName"
	SystemJobPositionInPhase      = "System.JobPositionInPhase"
	SystemPhaseAttempt            = "System.PhaseAttempt"
	SystemPhaseDisplayName        = "System.PhaseDisplayName"
	SystemPhaseName               = "System.PhaseName"
	SystemPullRequestID           = "System.PullRequest.PullRequestId"
	SystemPullRequestNumber       = "System.PullRequest.PullRequestNumber"
	SystemPullRequestIsFork       = "System.PullRequest.IsFork"
	SystemPullRequestSource       = "System.PullRequest.SourceBranch"
	SystemPullRequestTarget       = "System.PullRequest.TargetBranch"
	SystemStageAttempt            = "System.StageAttempt"
	SystemStageDisplayName        = "System.StageDisplayName"
	SystemStageName               = "System.StageName"
	SystemTeamProject             = "System.TeamProject"
	SystemTeamProjectID           = "System.TeamProjectId"
	SystemTimelineID              = "System.TimelineId"
	SystemTotalJobsInPhase        = "System.TotalJobsInPhase"
	SystemWorkFolder              = "System.WorkFolder"
	TFBuild                       = "TF_BUILD"
)

// The values of Build.Reason.
const (
	ReasonManual          = "Manual"
	ReasonIndividualCI    = "IndividualCI"
	ReasonBatchedCI       = "BatchedCI"
	ReasonSchedule        = "Schedule"
	ReasonPullRequest     = "PullRequest"
	ReasonResourceTrigger = "ResourceTrigger"
	ReasonBuildCompletion = "BuildCompletion"
)

// BranchName is Build.SourceBranchName: the last part of a branch's path.
func BranchName(ref string) string {
	for i := len(ref) - 1; i >= 0; i-- {
		if ref[i] == '/' {
			return ref[i+1:]
		}
	}
	return ref
}
