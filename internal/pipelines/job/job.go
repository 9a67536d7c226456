// Package job is the contract between the server and the agent that runs one attempt of one job: what the agent is
// given (Assignment) and what it reports (StepRecord, Completion, test results, artifacts' contents).
//
// It is data with its limits; it does no I/O, and both sides import it. Every report states the whole of what it is
// about, so that sending it twice is the same as sending it once.
package job

import (
	"path"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/pipelines/coverage"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

// Version of the contract. A server refuses an agent of another version.
const Version = 2

// Assignment is everything that an agent needs to run its job.
type Assignment struct {
	Version  int                `json:"version"`
	Project  slipway.ProjectID  `json:"project"`
	Run      slipway.RunID      `json:"run"`
	Job      slipway.JobID      `json:"job"`
	Pipeline slipway.PipelineID `json:"pipeline"`
	// Instance is plan.Instance.ID, and Title its name for people.
	Instance string `json:"instance"`
	Title    string `json:"title"`
	Attempt  int    `json:"attempt"`

	Steps []plan.Step `json:"steps"`
	// Variables are all but those that the agent knows itself (paths, machine, token). They may hold secrets.
	Variables variable.Set `json:"variables"`
	// Repositories by alias; "self" is the run's own.
	Repositories map[string]Repository `json:"repositories"`
	// Runs are the runs of other pipelines whose artifacts may be downloaded, by alias.
	Runs map[string]slipway.RunID `json:"runs,omitempty"`

	// Workspace is what to clean first: "", outputs, resources or all.
	Workspace string `json:"workspace,omitempty"`
	// TimeoutInMinutes is never 0, and neither is CancelTimeoutInMinutes.
	TimeoutInMinutes       int `json:"timeoutInMinutes"`
	CancelTimeoutInMinutes int `json:"cancelTimeoutInMinutes"`

	// StopAtFailure is for how many minutes in all the job waits for a person at steps that failed; 0 is not at all.
	StopAtFailure int `json:"stopAtFailure,omitempty"`

	// HasHost says that a container of the pool's image is beside the job's own, for what the image of that lacks: plan.TargetHost.
	HasHost bool `json:"hasHost,omitempty"`

	// Environment is set for a deployment job, whose artifacts are downloaded without asking.
	Environment *plan.EnvironmentReference `json:"environment,omitempty"`
	// Server is the server's URL as it stands in the repositories and variables: an agent that reaches it by another puts that in its place.
	Server string `json:"server,omitempty"`
	// Registry is the host name under which images are pushed and pulled.
	Registry string `json:"registry"`
	// ToolMirrors are the URLs from which tools are downloaded, by their names (MirroredTools); others come from their vendors.
	ToolMirrors map[string]string `json:"toolMirrors,omitempty"`
}

// PodAssignment is the job that a waiting agent is given, with the job's token.
type PodAssignment struct {
	Job   slipway.JobID `json:"job"`
	Token string        `json:"token"`
}

// TargetSocket is where the agent of a container in which steps run waits for the job's own agent: a file in the folder that they share.
func TargetSocket(folder, name string) string {
	return path.Join(folder, "_targets", strings.ToLower(name)+".sock")
}

// MirroredTools are the names of tools that can have a mirror. goproxy is a proxy of Go's modules, which has Go too, and nuget
// a source of NuGet packages, from which programs of .NET are installed.
func MirroredTools() []string {
	return []string{"dotnet", "go", "goproxy", "helm", "java", "kubectl", "kubelogin", "node", "nuget", "opa", "python", "terraform"}
}

// Repository is where a checkout step gets its files.
type Repository struct {
	Name   string           `json:"name"`
	URL    string           `json:"url"` // of the git repository, without credentials
	Ref    string           `json:"ref"`
	Commit slipway.CommitID `json:"commit"`
	// Objects is the folder of the repository's objects if it lies on the agent's machine, which a checkout borrows instead of fetching them; "" for
	// one that does not.
	Objects string `json:"objects,omitempty"`
}

// Control is what the server wants of a running agent.
type Control struct {
	// Cancel asks to stop the step that runs and to run only what runs after a cancel.
	Cancel bool `json:"cancel"`
	// Over says that the job was ended without the agent: stop at once.
	Over bool `json:"over"`
}

// IssueKind says how bad an issue is.
type IssueKind string

// The kinds of issues.
const (
	IssueError   IssueKind = "error"
	IssueWarning IssueKind = "warning"
)

// Issue is an error or warning of a step, with its place in a source file if it has one.
type Issue struct {
	Kind    IssueKind         `json:"kind"`
	Message string            `json:"message"`
	Code    string            `json:"code,omitempty"`
	At      *slipway.Position `json:"at,omitempty"`
}

// Limits on what an agent may report; it keeps them, and the server enforces them.
const (
	MaxIssues       = 100       // for each step; further ones are counted only
	MaxIssueLength  = 4 << 10   // bytes of a message
	MaxDetails      = 100       // parts of a step that it tells of
	MaxDetailText   = 500       // bytes of each text of one
	MaxOutputs      = 500       // variables of a job
	MaxOutputLength = 32 << 10  // bytes of a variable's value
	MaxLogChunk     = 2 << 20   // bytes of one append, also when they are packed
	MaxLog          = 256 << 20 // bytes of one step's log
	MaxSummary      = 1 << 20   // bytes of one summary
	MaxTestResults  = 50_000    // of one publication
	MaxArtifact     = 20 << 30  // bytes of one artifact
	MaxDeployment   = 16 << 20  // bytes of one Deployment
	MaxAttachment   = 64 << 20  // bytes of one attachment
	MaxCache        = 10 << 30  // bytes of one cache, compressed
	MaxCacheKey     = 1 << 10   // bytes of a cache's key
	MaxRestoreKeys  = 100
)

// StepRecord is all that is known of one step. Step 0 is the job's own start; the numbers after the last step are those of
// the pre-job and then of the post-job parts of tasks, in the order in which they run.
type StepRecord struct {
	ID          int             `json:"id"`
	Name        string          `json:"name,omitempty"`
	DisplayName string          `json:"displayName"`
	State       schedule.State  `json:"state"`
	Result      schedule.Result `json:"result,omitempty"`
	// Reason says why a step was skipped.
	Reason string `json:"reason,omitempty"`
	// Started and Finished are microseconds since 1970 in UTC, 0 while not known.
	Started  int64   `json:"started,omitempty"`
	Finished int64   `json:"finished,omitempty"`
	Issues   []Issue `json:"issues,omitempty"`
	Errors   int     `json:"errors,omitempty"`
	Warnings int     `json:"warnings,omitempty"`
	// Percent is the progress that the step told, 0 to 100.
	Percent int `json:"percent,omitempty"`
	// Details are parts of the step that it told of (task.logdetail), in the order in which it first did.
	Details []Detail `json:"details,omitempty"`
	// PreJob marks a part of a task that runs before the job's first step, whatever its number.
	PreJob bool `json:"preJob,omitempty"`
}

// Detail is a part of a step, as the step itself tells of it.
type Detail struct {
	ID        string          `json:"id"`
	Parent    string          `json:"parent,omitempty"` // another detail's; "" for one of the step itself
	Type      string          `json:"type"`
	Name      string          `json:"name"`
	Order     int             `json:"order,omitempty"`
	Operation string          `json:"operation,omitempty"` // what it does now
	State     schedule.State  `json:"state,omitempty"`
	Result    schedule.Result `json:"result,omitempty"`
	Percent   int             `json:"percent,omitempty"`
	Started   int64           `json:"started,omitempty"` // as those of a step
	Finished  int64           `json:"finished,omitempty"`
}

// Place orders steps by when they run, before their numbers do: the start of the job, the pre-job parts of tasks, all others.
func (r *StepRecord) Place() int {
	switch {
	case r.ID == 0:
		return 0
	case r.PreJob:
		return 1
	}
	return 2
}

// Report is a set of changed step records with the job's outputs so far.
type Report struct {
	Steps []StepRecord `json:"steps,omitempty"`
	// Outputs are STEP.VARIABLE to value, all of them so far.
	Outputs map[string]string `json:"outputs,omitempty"`
	// BuildNumber is a new run number, "" for no change; Tags are added to the run.
	BuildNumber string   `json:"buildNumber,omitempty"`
	Tags        []string `json:"tags,omitempty"`
}

// Completion ends a job.
type Completion struct {
	Result  schedule.Result   `json:"result"`
	Reason  string            `json:"reason,omitempty"`
	Outputs map[string]string `json:"outputs,omitempty"`
}

// LogPosition answers an append: the size of the step's log now.
type LogPosition struct {
	Size int64 `json:"size"`
}

// FileAttachment is Azure's type of a file that is attached without a type of its own.
const FileAttachment = "DistributedTask.Core.FileAttachment"

// Artifact is one artifact of a run.
type Artifact struct {
	Name  string `json:"name"`
	Size  int64  `json:"size"`
	Files int    `json:"files"`
}

// CacheQuery asks for a cache: the one of the key, else the newest whose key begins with the parts of a restore key, which are
// tried in order. A key is its parts, joined by bars.
type CacheQuery struct {
	Key         string   `json:"key"`
	RestoreKeys []string `json:"restoreKeys,omitempty"`
}

// Cache answers a CacheQuery. ID is 0 when there is none.
type Cache struct {
	ID  int64  `json:"id"`
	Key string `json:"key,omitempty"`
	Ref string `json:"ref,omitempty"` // of the run that saved it
	// Size is that of its compressed tar file, in bytes.
	Size int64 `json:"size,omitempty"`
}

// SecureFile is a secure file that a step of the job names.
type SecureFile struct {
	ID      string `json:"id"` // a UUID
	Name    string `json:"name"`
	Content []byte `json:"content"`
}

// Connection is a service connection that a step of the job names: something outside, with what opens it.
type Connection struct {
	ID   string `json:"id"` // a GUID
	Name string `json:"name"`
	// Type is Azure's name of its kind: dockerregistry, kubernetes, generic, ssh, github, externalgit, azurerm, externalnpmregistry, ...
	Type string `json:"type"`
	URL  string `json:"url"`
	// Scheme says how the Parameters authorize: UsernamePassword, Token, Certificate, None, ...
	Scheme string `json:"scheme"`
	// Parameters are those of the authorization, which may be secret; Data is what is not.
	Parameters map[string]string `json:"parameters,omitempty"`
	Data       map[string]string `json:"data,omitempty"`
	// Secret names the Parameters and Data that are secrets.
	Secret []string `json:"secret,omitempty"`
}

// VaultSecret is a variable of the group that stands for a key vault; all are secrets for the job.
type VaultSecret struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// SecretNames are the names in the input SecretsFilter of the task AzureKeyVault, nil for all.
func SecretNames(filter string) []string {
	var list []string
	for name := range strings.SplitSeq(filter, ",") {
		if name = strings.TrimSpace(name); name == "*" {
			return nil
		} else if name != "" && !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

// TestOutcome says how one test ended.
type TestOutcome string

// The outcomes.
const (
	TestPassed  TestOutcome = "passed"
	TestFailed  TestOutcome = "failed"
	TestSkipped TestOutcome = "skipped"
)

// TestRun is one publication of test results.
type TestRun struct {
	// Step and Title name it within the job: publishing the same again replaces it.
	Step  int    `json:"step"`
	Title string `json:"title"`
	// Platform and Configuration say for what the tests were built and run, as x64 and Release; "" if nobody says.
	Platform      string       `json:"platform,omitempty"`
	Configuration string       `json:"configuration,omitempty"`
	Results       []TestResult `json:"results"`
	// Files are those of the publication as a whole. The agent sends them beside it.
	Files []string `json:"-"`
}

// TestResult is the result of one test.
type TestResult struct {
	Suite   string      `json:"suite,omitempty"`
	Name    string      `json:"name"`
	Outcome TestOutcome `json:"outcome"`
	// Duration is in microseconds.
	Duration int64  `json:"duration,omitempty"`
	Message  string `json:"message,omitempty"`
	Detail   string `json:"detail,omitempty"` // stack trace or output
	// Files are what the test itself has attached, as its file of results names them. The agent sends them beside the results.
	Files []string `json:"-"`
}

// Coverage is the code coverage that a step publishes: publishing it again replaces it.
type Coverage struct {
	Step  int             `json:"step"`
	Tool  string          `json:"tool"` // that the reports are of
	Files []coverage.File `json:"files"`
}

// Summary is a page in Markdown that a step attaches to the run.
type Summary struct {
	Step int    `json:"step"`
	Name string `json:"name"`
	Text string `json:"text"`
}

// Deployment asks the server to apply manifests to the cluster of the job's environment.
type Deployment struct {
	// Step that asks.
	Step int `json:"step"`
	// Action is deploy.
	Action    string `json:"action"`
	Namespace string `json:"namespace,omitempty"`
	// Manifests are YAML or JSON documents.
	Manifests []Manifest `json:"manifests,omitempty"`
	// Images are references whose repositories' images in the manifests they replace.
	Images      []string `json:"images,omitempty"`
	PullSecrets []string `json:"pullSecrets,omitempty"`
	// Annotations are put on every object.
	Annotations map[string]string `json:"annotations,omitempty"`
	// TimeoutInSeconds bounds the wait for readiness, 0 is the server's own bound.
	TimeoutInSeconds int `json:"timeoutInSeconds,omitempty"`
}

// ClusterAccess lets a deployment job into the namespace of its environment, and nowhere else, until it ends.
type ClusterAccess struct {
	Server    string `json:"server"` // the address of the API server, as pods reach it
	Namespace string `json:"namespace"`
	Token     string `json:"token"`
	// Kubeconfig is a file with all of it for kubectl and helm.
	Kubeconfig string `json:"kubeconfig"`
}

// Manifest is the text of one file of manifests.
type Manifest struct {
	Path string `json:"path"`
	Text string `json:"text"`
}

// Progress is one line of the answer to a Deployment: a line of log, or the end.
type Progress struct {
	Line string `json:"line,omitempty"`
	// Done ends the answer; Error says why it failed, "" if it did not.
	Done  bool   `json:"done,omitempty"`
	Error string `json:"error,omitempty"`
}
