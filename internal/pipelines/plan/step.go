package plan

import "slipway"

// StepKind says which one of a step's parts is set.
type StepKind string

// The kinds of steps: a closed set.
const (
	StepScript   StepKind = "script"
	StepCheckout StepKind = "checkout"
	StepPublish  StepKind = "publish"
	StepDownload StepKind = "download"
	StepTask     StepKind = "task"
	StepPackage  StepKind = "getPackage"
	StepReview   StepKind = "reviewApp" // has no part
)

// Step is one thing that the agent does. Exactly the part that Kind names is set. Every string in the parts, the
// display name and the environment may hold macros, which the agent expands just before the step.
type Step struct {
	// ID is stable and unique in its job or hook: the step's place, counted from 1.
	ID int `json:"id"`
	// Name is the key of the step's outputs; "" if the file gives none.
	Name string `json:"name,omitempty"`
	// DisplayName is never empty.
	DisplayName string   `json:"displayName"`
	Kind        StepKind `json:"kind"`
	// Disabled is `enabled: false`: the step is shown and never runs.
	Disabled bool `json:"disabled,omitempty"`
	// Unchosen is a step that is disabled because a run of some steps leaves it out.
	Unchosen bool `json:"unchosen,omitempty"`
	// Condition is an expression without brackets, evaluated by the agent; "" is succeeded().
	Condition       string `json:"condition,omitempty"`
	ContinueOnError bool   `json:"continueOnError,omitempty"`
	// TimeoutInMinutes is 0 without a limit of its own.
	TimeoutInMinutes int `json:"timeoutInMinutes,omitempty"`
	// Retries is how often a failed step is tried again, at most 10.
	Retries int               `json:"retries,omitempty"`
	Env     map[string]string `json:"env,omitempty"`
	// Open are as those of a job: timeoutInMinutes, retryCountOnTaskFailure, continueOnError and enabled.
	Open map[string]string `json:"open,omitempty"`
	// Target says where the step runs and limits what its output may do; nil is the job's container, and no limit.
	Target *Target `json:"target,omitempty"`
	// Connections are the service connections that the inputs of a task name.
	Connections []Connection `json:"connections,omitempty"`

	Script   *Script     `json:"script,omitempty"`
	Checkout *Checkout   `json:"checkout,omitempty"`
	Publish  *Publish    `json:"publish,omitempty"`
	Download *Download   `json:"download,omitempty"`
	Task     *Task       `json:"task,omitempty"`
	Package  *GetPackage `json:"package,omitempty"`

	At slipway.Position `json:"at"`
}

// TargetHost is the target that means the pool's image, whatever container the job has.
const TargetHost = "host"

// Target is what `target` of a step says.
type Target struct {
	// Container is a container of resources.containers, or TargetHost; "" is the job's own.
	Container string `json:"container,omitempty"`
	// Restricted allows only commands that concern the step itself (commands: restricted).
	Restricted bool `json:"restricted,omitempty"`
	// Settable are the only variables that the step may set, in any case, if LimitsVariables is set.
	LimitsVariables bool     `json:"limitsVariables,omitempty"`
	Settable        []string `json:"settable,omitempty"`
}

// Shell says which program reads a script.
type Shell string

// The shells.
const (
	ShellDefault Shell = "sh"   // `script`, CmdLine@2: bash if there is one, else sh
	ShellBash    Shell = "bash" // `bash`, Bash@3
)

// Script runs text in a shell. It stands for script and bash steps and for the tasks CmdLine@2 and Bash@3.
type Script struct {
	Shell Shell `json:"shell"`
	// Text is the script; "" when FilePath is set.
	Text string `json:"text,omitempty"`
	// FilePath is a script file of the workspace, started with Arguments.
	FilePath  string `json:"filePath,omitempty"`
	Arguments string `json:"arguments,omitempty"`
	// WorkingDirectory is "" for the default, $(System.DefaultWorkingDirectory).
	WorkingDirectory string `json:"workingDirectory,omitempty"`
	// FailOnStderr is a boolean as text, since it may be a macro: "true" fails the step if it writes to standard error.
	FailOnStderr string `json:"failOnStderr,omitempty"`
	// BashEnv is the value of BASH_ENV, "" to leave it as it is.
	BashEnv string `json:"bashEnv,omitempty"`
}

// Checkout fetches a repository into the workspace.
type Checkout struct {
	// Repository is "self" or an alias of Resources.Repositories. A checkout of none is no step.
	Repository string `json:"repository"`
	// FetchDepth is the number of commits, as text since it may be a macro; "0" is all of history, "" the pipeline's
	// setting.
	FetchDepth  string `json:"fetchDepth,omitempty"`
	FetchFilter string `json:"fetchFilter,omitempty"`
	// WorkspaceRepo, FetchTags, Clean, LFS and PersistCredentials are booleans as text, "" when not said.
	// WorkspaceRepo makes this checkout the place where later steps begin.
	WorkspaceRepo      string `json:"workspaceRepo,omitempty"`
	FetchTags          string `json:"fetchTags,omitempty"`
	Clean              string `json:"clean,omitempty"`
	LFS                string `json:"lfs,omitempty"`
	PersistCredentials string `json:"persistCredentials,omitempty"`
	// Submodules is "", "true", "false" or "recursive".
	Submodules string `json:"submodules,omitempty"`
	// Path is below $(Pipeline.Workspace); "" is the default, s (or s/NAME with several checkouts in the job).
	Path string `json:"path,omitempty"`
	// SparseDirectories and SparsePatterns limit the working tree.
	SparseDirectories string `json:"sparseDirectories,omitempty"`
	SparsePatterns    string `json:"sparsePatterns,omitempty"`
	// Implicit says that the file does not state this step: a job without checkout fetches self first.
	Implicit bool `json:"implicit,omitempty"`
}

// Publish stores a file or folder as an artifact of the run. It stands for publish and upload steps and the tasks
// PublishPipelineArtifact and PublishBuildArtifacts@1.
type Publish struct {
	Path string `json:"path"`
	// Artifact is the name, unique in a run; "" leaves the choice to the agent, which takes the job's name.
	Artifact string `json:"artifact,omitempty"`
	// Add adds to an artifact of that name.
	Add bool `json:"add,omitempty"`
	// Properties is a JSON object as text.
	Properties string `json:"properties,omitempty"`
	// Tar is a boolean as text: "true" stores one plain tar file, ARTIFACT.tar, of what is at Path.
	Tar string `json:"tar,omitempty"`
}

// Download fetches artifacts. It stands for download steps and the tasks DownloadPipelineArtifact and DownloadBuildArtifacts.
type Download struct {
	// Source is "current" or an alias of Resources.Pipelines. A download of none is no step.
	Source string `json:"source"`
	// Run is the number of the run whose artifacts are fetched, as text since it may be a macro; "" is the one that Source
	// means. It is one of the same project.
	Run string `json:"run,omitempty"`
	// Artifact is the name; "" is all of them, each into its own folder.
	Artifact string `json:"artifact,omitempty"`
	// Patterns are globs, one a line; "" is everything. Where all artifacts are fetched they begin with the artifact's name.
	Patterns string `json:"patterns,omitempty"`
	// Path is the folder; "" is $(Pipeline.Workspace)/ARTIFACT.
	Path string `json:"path,omitempty"`
	// Folders says that each artifact, a named one too, goes into a folder of its name below Path, and that Patterns
	// begin with the name: the habits of DownloadBuildArtifacts.
	Folders bool `json:"folders,omitempty"`
	// Clean is a boolean as text: "true" empties Path first.
	Clean string `json:"clean,omitempty"`
	// ExtractTars is a boolean as text: "true" unpacks each tar file that was fetched into the folder of its name below Path, and removes it.
	ExtractTars string `json:"extractTars,omitempty"`
	// Implicit says that the file does not state this step: a deployment job downloads everything first.
	Implicit bool `json:"implicit,omitempty"`
}

// Task is a task that Slipway runs itself, or one that was uploaded; its inputs are checked against its definition.
type Task struct {
	// Name and Major are as in the definition: Docker, 2.
	Name  string `json:"name"`
	Major int    `json:"major"`
	// Inputs have the definition's own names (aliases resolved) and defaults filled in. Inputs that are neither
	// given nor have a default are absent.
	Inputs map[string]string `json:"inputs,omitempty"`
	// Given names the inputs that the file states.
	Given []string `json:"given,omitempty"`
	// Package is set for a task that was uploaded.
	Package *TaskPackage `json:"package,omitempty"`
}

// TaskPackage is what was uploaded of a task when the plan was made: its jobs run this and no newer one.
type TaskPackage struct {
	ID      string         `json:"id"`      // a GUID
	Version string         `json:"version"` // MAJOR.MINOR.PATCH
	Digest  slipway.Digest `json:"digest"`  // of its zip file
	// PreJob and PostJob say that parts of it run before and after the steps of the job.
	PreJob  bool `json:"preJob,omitempty"`
	PostJob bool `json:"postJob,omitempty"`
	// Connections and SecureFiles are the inputs that name service connections and secure files, several parted by commas.
	Connections []string `json:"connections,omitempty"`
	SecureFiles []string `json:"secureFiles,omitempty"`
}
