package plan

import "slipway"

// Triggers say which events start a run. They hold for the file of the branch that the event is about.
type Triggers struct {
	Push        Push        `json:"push"`
	PullRequest PullRequest `json:"pullRequest"`
	Schedules   []Schedule  `json:"schedules,omitempty"`
	// Pipelines are those whose runs start this one. A plan has them under Resources.
	Pipelines []Pipeline `json:"pipelines,omitempty"`
	// Resources are what else starts this pipeline, of the resources of the file before it is expanded.
	Resources []ResourceTrigger `json:"resources,omitempty"`
}

// ResourceKind is what a resource is that starts a run.
type ResourceKind string

// The kinds of resources.
const (
	ResourceContainer  ResourceKind = "container"
	ResourceRepository ResourceKind = "repository"
	ResourcePackage    ResourceKind = "package"
	ResourceWebhook    ResourceKind = "webhook"
)

// ResourceTrigger says which changes of a resource start a run.
type ResourceTrigger struct {
	Kind  ResourceKind `json:"kind"`
	Alias string       `json:"alias"`
	// Source is the image, REPOSITORY or PROJECT/REPOSITORY, or the name of the incoming webhook.
	Source string `json:"source"`
	// Tags of an image that count.
	Tags Filter `json:"tags"`
	// Push of a repository.
	Push Push `json:"push"`
	// Filters of a webhook, all of which must hold.
	Filters []WebhookFilter `json:"filters,omitempty"`
	// Package whose new versions start a run; Source is its name.
	Package *Package `json:"package,omitempty"`
}

// WebhookFilter is a value that the body of a call must have at a path.
type WebhookFilter struct {
	Path  string `json:"path"`
	Value string `json:"value"`
}

// Filter is a list of patterns to include and one to exclude. Excluding wins. An empty Include includes everything.
type Filter struct {
	Include []string `json:"include,omitempty"`
	Exclude []string `json:"exclude,omitempty"`
}

// IsZero reports a filter that says nothing.
func (f Filter) IsZero() bool { return len(f.Include) == 0 && len(f.Exclude) == 0 }

// Push is the `trigger` section. A file without one triggers on every branch.
type Push struct {
	// None is `trigger: none`.
	None     bool   `json:"none,omitempty"`
	Branches Filter `json:"branches"`
	Paths    Filter `json:"paths"`
	// Tags trigger only if they are listed.
	Tags Filter `json:"tags"`
	// Batch lets one run at a time take all pushes that came meanwhile, by branch.
	Batch bool `json:"batch,omitempty"`
}

// PullRequest is the `pr` section: the default build policy of the branches that it names.
type PullRequest struct {
	// Stated says that the file has a `pr` section.
	Stated   bool   `json:"stated,omitempty"`
	None     bool   `json:"none,omitempty"`
	Branches Filter `json:"branches"`
	Paths    Filter `json:"paths"`
	// KeepRunning is `autoCancel: false`: a new push to the pull request does not cancel the run before.
	KeepRunning bool `json:"keepRunning,omitempty"`
	// SkipDrafts is `drafts: false`.
	SkipDrafts bool `json:"skipDrafts,omitempty"`
	// At is where the section is; zero without one.
	At slipway.Position `json:"at"`
}

// Schedule is one entry of `schedules`.
type Schedule struct {
	// Cron has five fields and counts in UTC.
	Cron        string `json:"cron"`
	DisplayName string `json:"displayName,omitempty"`
	// Branches are those on which it runs, as far as their own files have it too; without a filter it is the
	// repository's default branch.
	Branches Filter `json:"branches"`
	// Always runs even if nothing changed since the last run of the schedule that succeeded.
	Always bool `json:"always,omitempty"`
	// Batch starts no run while one of the schedule is under way; it has no effect together with Always.
	Batch bool             `json:"batch,omitempty"`
	At    slipway.Position `json:"at"`
}
