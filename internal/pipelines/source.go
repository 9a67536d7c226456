package pipelines

import (
	"context"
	"time"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// Repository is what pipelines need to know of a git repository.
type Repository struct {
	ID            slipway.RepositoryID
	Project       slipway.ProjectID
	ProjectName   string
	Name          string
	DefaultBranch string // full name: refs/heads/main
	URL           string // for git in a job's pod, without credentials
}

// Commit is what pipelines need to know of a commit.
type Commit struct {
	Message string
	Author  string
}

// Branch is a branch of a repository; Ref is its full name.
type Branch struct {
	Ref    string
	Commit slipway.CommitID
}

// Source reads repositories. An absent thing is a slipway.Problem with CodeNotFound.
type Source interface {
	Repository(ctx context.Context, id slipway.RepositoryID) (Repository, error)
	// FindRepository finds REPOSITORY in the project, or PROJECT/REPOSITORY.
	FindRepository(ctx context.Context, project slipway.ProjectID, name string) (Repository, error)
	Branches(ctx context.Context, id slipway.RepositoryID) ([]Branch, error)
	Resolve(ctx context.Context, id slipway.RepositoryID, ref string) (slipway.CommitID, error)
	ReadFile(ctx context.Context, id slipway.RepositoryID, commit slipway.CommitID, path string, limit int64) ([]byte, error)
	// List names what is in a folder of a commit, "" being the root.
	List(ctx context.Context, id slipway.RepositoryID, commit slipway.CommitID, folder string) ([]string, error)
	Commit(ctx context.Context, id slipway.RepositoryID, commit slipway.CommitID) (Commit, error)
}

// Environments is what pipelines ask of environments.
type Environments interface {
	// Variables are those of an environment for the deployment jobs in it; secrets among them are marked. An environment that
	// does not exist yet has none.
	Variables(ctx context.Context, project slipway.ProjectID, environment string) (variable.Set, error)
	// Waits says of each stage of a run whose checks are pending, by its name, what it waits for: "waits for …".
	Waits(ctx context.Context, run slipway.RunID) (map[string]string, error)
}

// Tokens issues the tokens of jobs; *identity.Service does.
type Tokens interface {
	IssueToken(ctx context.Context, r identity.TokenRequest) (string, error)
	RevokeSecret(ctx context.Context, secret string) error
	// RevokeBound ends all tokens of a kind that are bound to just that.
	RevokeBound(ctx context.Context, kind identity.TokenKind, b identity.Binding) error
	// RevokeJob ends all tokens of a job.
	RevokeJob(ctx context.Context, job slipway.JobID) error
}

// Pod is what an executor starts for one attempt of one job, or as a warm pod.
type Pod struct {
	// Name is derived from the job or the warm pod, a DNS label.
	Name    string
	Project slipway.ProjectID
	Run     slipway.RunID // 0 for a warm pod, as is Job
	Job     slipway.JobID
	Warm    int64 // number of a warm pod, else 0
	Fork    bool  // it runs what a fork brought: it shares no caches with pods that do not
	Title   string
	// Pool says where it may run and what it may use.
	Pool PoolSettings
	// Image is the job's container image.
	Image string
	Env   map[string]string
	// User is the number of the user that the job runs as; nil leaves it to the image.
	User     *int64
	Volumes  []plan.Volume // that the job's container and services share
	Options  plan.ContainerOptions
	Services []PodService
	// Targets are containers in which steps of the job run; their names are those of job.TargetSocket.
	Targets []PodService
	// Registries are those that its images are pulled from with credentials.
	Registries []RegistryLogin
	// Token is the job's token, which the agent gets as SLIPWAY_JOB_TOKEN.
	Token string
	// Deadline bounds the pod's life from its start.
	Deadline time.Duration

	poolName string // of a warm pod
}

// RegistryLogin opens a registry, by its host as images name it; docker.io is Docker Hub.
type RegistryLogin struct {
	Host, User, Password string
}

// PodService is a container beside the job; Name is its host name, or that of a target.
type PodService struct {
	Name  string
	Image string
	Env   map[string]string
	User  *int64 // as Pod.User

	Volumes []plan.Volume
	Options plan.ContainerOptions
}

// PodPhase is how far a pod is.
type PodPhase string

// The phases of a pod.
const (
	PodAbsent   PodPhase = "absent"
	PodStarting PodPhase = "starting" // Note says what it waits for
	PodRunning  PodPhase = "running"
	PodEnded    PodPhase = "ended"  // the agent's program has ended; Note says how if that was not well
	PodBroken   PodPhase = "broken" // it cannot run or go on; Note says why
)

// PodStatus is what an executor sees of a pod. Note is a sentence for people.
type PodStatus struct {
	Phase PodPhase
	Note  string
	// Lost says that a pod which ended or broke did so by no fault of its job: its node or somebody took it away.
	Lost bool
}

// Executor runs jobs' pods. Each method may be called again at any time: Start of a pod that is there and Stop of one
// that is not do nothing. A slipway.Problem with CodeInvalid from Start says that this pod can never be started.
type Executor interface {
	Start(ctx context.Context, p Pod) error
	Stop(ctx context.Context, name string) error
	Inspect(ctx context.Context, name string) (PodStatus, error)
}
