// Package policy holds the rules of branch policies: what each kind may be set to, on which branches it is, and what it says of a
// pull request. It is pure: facts go in, an evaluation comes out. Names of settings are those of Azure DevOps' REST API.
package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway"
)

// Kind is what a policy asks for.
type Kind string

// The kinds.
const (
	MinimumReviewers  Kind = "minimumReviewers"  // so many approvals
	RequiredReviewers Kind = "requiredReviewers" // approvals of certain people, who are included automatically
	CodeOwners        Kind = "codeOwners"        // approvals of those whom the file CODEOWNERS names
	Build             Kind = "build"             // a pipeline's run of the merge succeeds
	Status            Kind = "status"            // another service says that all is well
	WorkItems         Kind = "workItems"         // a work item is linked
	Comments          Kind = "comments"          // all threads are resolved
	MergeTypes        Kind = "mergeTypes"        // some merge strategies alone
)

// Match says how a scope's ref is compared.
type Match string

// The ways.
const (
	Exact         Match = "exact"
	Prefix        Match = "prefix"
	DefaultBranch Match = "defaultBranch"
)

// Scope is the branches that a policy is on.
type Scope struct {
	Repository slipway.RepositoryID // empty for all repositories of the project
	Match      Match
	Ref        string // `refs/heads/main`; a prefix for Prefix; empty for DefaultBranch
}

// String is the branches in people's words: main, release/*, the default branch.
func (s Scope) String() string {
	name := strings.TrimPrefix(s.Ref, "refs/heads/")
	switch s.Match {
	case DefaultBranch:
		return "the default branch"
	case Prefix:
		return name + "*"
	}
	return name
}

// Policy is one rule for pull requests into some branches.
type Policy struct {
	ID        int64
	Revision  int64
	Project   slipway.ProjectID
	Scope     Scope
	Kind      Kind
	Enabled   bool
	Blocking  bool // required: completing waits for it, and direct pushes are refused
	Settings  Settings
	Created   time.Time
	CreatedBy slipway.Actor
}

// Applies says whether the policy is on a branch, by its full name; defaultRef is that of its repository's default branch.
func (p Policy) Applies(repository slipway.RepositoryID, ref, defaultRef string) bool {
	if !p.Enabled || p.Scope.Repository != "" && p.Scope.Repository != repository {
		return false
	}
	switch p.Scope.Match {
	case Exact:
		return ref == p.Scope.Ref
	case Prefix:
		return strings.HasPrefix(ref, p.Scope.Ref)
	}
	return ref == defaultRef
}

// Title names the policy to people, with what tells it from others of its kind.
func (p Policy) Title() string {
	s := p.Settings
	switch p.Kind {
	case MinimumReviewers:
		return fmt.Sprintf("Minimum number of reviewers (%d)", s.MinimumApproverCount)
	case RequiredReviewers:
		if s.Message != "" {
			return "Required reviewers: " + s.Message
		}
	case Build:
		if s.DisplayName != "" {
			return "Build: " + s.DisplayName
		}
		return fmt.Sprintf("Build of pipeline %d", s.BuildDefinitionID)
	case Status:
		if s.DefaultDisplayName != "" {
			return "Status: " + s.DefaultDisplayName
		}
		return "Status: " + s.statusName()
	}
	return kinds[p.Kind].title
}

// Settings are what the kinds can be told; each kind has its own fields of them.
type Settings struct {
	// Of MinimumReviewers. The first two are RequiredReviewers' too, CreatorVoteCounts also CodeOwners'.
	MinimumApproverCount        int  `json:"minimumApproverCount,omitempty"`
	CreatorVoteCounts           bool `json:"creatorVoteCounts,omitempty"`           // who asked for the pull request may approve it
	AllowDownvotes              bool `json:"allowDownvotes,omitempty"`              // votes to reject or wait do not hold it up
	ResetOnSourcePush           bool `json:"resetOnSourcePush,omitempty"`           // a push takes approvals back
	ResetRejectionsOnSourcePush bool `json:"resetRejectionsOnSourcePush,omitempty"` // a push takes all votes back
	RequireVoteOnLastIteration  bool `json:"requireVoteOnLastIteration,omitempty"`  // one approval at least is of the last push
	BlockLastPusherVote         bool `json:"blockLastPusherVote,omitempty"`         // who pushed last may not approve

	// Of Build. FilenamePatterns are also RequiredReviewers' and Status'.
	BuildDefinitionID       int64    `json:"buildDefinitionId,omitempty"`
	DisplayName             string   `json:"displayName,omitempty"`
	ManualQueueOnly         bool     `json:"manualQueueOnly,omitempty"`
	QueueOnSourceUpdateOnly bool     `json:"queueOnSourceUpdateOnly,omitempty"` // a push to the target does not end a build's validity at once
	ValidDuration           float64  `json:"validDuration,omitempty"`           // minutes, after which a build of an older target is no more valid; 0 for ever
	FilenamePatterns        []string `json:"filenamePatterns,omitempty"`

	// Of Status.
	StatusName               string `json:"statusName,omitempty"`
	StatusGenre              string `json:"statusGenre,omitempty"`
	AuthorID                 string `json:"authorId,omitempty"` // whose statuses count: a user's, or pipeline:12's own runs; anybody's when empty
	InvalidateOnSourceUpdate bool   `json:"invalidateOnSourceUpdate,omitempty"`
	DefaultDisplayName       string `json:"defaultDisplayName,omitempty"`
	PolicyApplicability      int    `json:"policyApplicability,omitempty"` // 1: it applies once a status was posted

	// Of MergeTypes.
	AllowNoFastForward bool `json:"allowNoFastForward,omitempty"`
	AllowSquash        bool `json:"allowSquash,omitempty"`
	AllowRebase        bool `json:"allowRebase,omitempty"`
	AllowRebaseMerge   bool `json:"allowRebaseMerge,omitempty"`

	// Of RequiredReviewers.
	RequiredReviewerIDs []string `json:"requiredReviewerIds,omitempty"`
	Message             string   `json:"message,omitempty"`
}

// authorPipeline begins an AuthorID that is a pipeline's.
const authorPipeline = "pipeline:"

// AuthorPipeline is the pipeline whose runs may post the status, if it is one.
func (s Settings) AuthorPipeline() (id int64, ok bool) {
	number, ok := strings.CutPrefix(s.AuthorID, authorPipeline)
	if !ok {
		return 0, false
	}
	id, err := strconv.ParseInt(number, 10, 64)
	return id, err == nil && id > 0
}

func (s Settings) statusName() string {
	if s.StatusGenre == "" {
		return s.StatusName
	}
	return s.StatusGenre + "/" + s.StatusName
}

// kinds are the kinds' titles and settings. The map is never changed.
var kinds = map[Kind]struct {
	title  string
	fields []string
}{
	MinimumReviewers: {"Minimum number of reviewers", []string{"minimumApproverCount", "creatorVoteCounts", "allowDownvotes", "resetOnSourcePush",
		"resetRejectionsOnSourcePush", "requireVoteOnLastIteration", "blockLastPusherVote"}},
	RequiredReviewers: {"Required reviewers", []string{"requiredReviewerIds", "minimumApproverCount", "creatorVoteCounts", "filenamePatterns", "message"}},
	CodeOwners:        {"Code owners", []string{"creatorVoteCounts"}},
	Build:             {"Build", []string{"buildDefinitionId", "displayName", "manualQueueOnly", "queueOnSourceUpdateOnly", "validDuration", "filenamePatterns"}},
	Status: {"Status", []string{"statusName", "statusGenre", "authorId", "invalidateOnSourceUpdate", "defaultDisplayName", "policyApplicability",
		"filenamePatterns"}},
	WorkItems:  {"Work item linking", nil},
	Comments:   {"Comment requirements", nil},
	MergeTypes: {"Require a merge strategy", []string{"allowNoFastForward", "allowSquash", "allowRebase", "allowRebaseMerge"}},
}

// Title names a kind to people.
func (k Kind) Title() string { return kinds[k].title }

// Kinds lists the kinds by name.
func Kinds() []Kind { return slices.Sorted(maps.Keys(kinds)) }

// Bounds of settings.
const (
	maxText     = 400 // bytes
	maxPatterns = 100
	maxPeople   = 50
	maxMinutes  = 366 * 24 * 60
)

// ParseSettings reads the settings of a kind. What the kind has not and what would change nothing is ignored; the rest that it has
// not is Invalid.
func ParseSettings(kind Kind, text []byte) (Settings, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return Settings{}, at("settings", slipway.Invalid("the settings are no JSON object: %v", err))
	}
	k, known := kinds[kind]
	if !known {
		return Settings{}, at("type", slipway.Invalid("there is no policy of the kind %q", kind))
	}
	use := map[string]json.RawMessage{}
	for name, value := range fields {
		switch {
		case slices.Contains(k.fields, name):
			use[name] = value
		case name == "scope" || empty(value):
		case kind == MergeTypes && name == "useSquashMerge": // from before there were others
			use["allowSquash"] = value
		default:
			return Settings{}, at("settings."+name, slipway.Unsupported("a policy %q has no setting %s: leave it out; it has %s", k.title, name,
				strings.Join(append(slices.Clone(k.fields), "scope"), ", ")))
		}
	}
	var s Settings
	b, err := json.Marshal(use)
	if err != nil {
		return s, fmt.Errorf("encode settings: %w", err)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, at("settings", slipway.Invalid("the settings of a policy %q do not fit: %v", k.title, err))
	}
	return s, s.check(kind)
}

// empty says that a value of JSON is what a missing one is.
func empty(value json.RawMessage) bool {
	switch string(bytes.TrimSpace(value)) {
	case "null", "false", "0", `""`, "[]", "{}":
		return true
	}
	return false
}

func at(field string, p *slipway.Problem) error {
	p.Field = field
	return p
}

func (s Settings) check(kind Kind) error {
	for _, text := range []string{s.DisplayName, s.StatusName, s.StatusGenre, s.AuthorID, s.DefaultDisplayName, s.Message} {
		if len(text) > maxText || strings.ContainsAny(text, "\n\x00") {
			return at("settings", slipway.Limit("a text in a policy's settings is one line of at most %d bytes", maxText))
		}
	}
	if err := checkPatterns(s.FilenamePatterns); err != nil {
		return err
	}
	switch kind {
	case MinimumReviewers:
		if s.MinimumApproverCount < 1 || s.MinimumApproverCount > maxPeople {
			return at("settings.minimumApproverCount", slipway.Invalid("write how many approvals are needed, from 1 to %d", maxPeople))
		}
	case RequiredReviewers:
		if n := len(s.RequiredReviewerIDs); n == 0 || n > maxPeople {
			return at("settings.requiredReviewerIds", slipway.Invalid("name from 1 to %d users by their ids", maxPeople))
		}
		if s.MinimumApproverCount < 0 || s.MinimumApproverCount > len(s.RequiredReviewerIDs) {
			return at("settings.minimumApproverCount", slipway.Invalid("at most the %d reviewers can approve; leave it out to want all of them", len(s.RequiredReviewerIDs)))
		}
	case Build:
		if s.BuildDefinitionID <= 0 {
			return at("settings.buildDefinitionId", slipway.Invalid("write the number of the pipeline that validates"))
		}
		if s.ValidDuration < 0 || s.ValidDuration > maxMinutes {
			return at("settings.validDuration", slipway.Invalid("write for how many minutes a build is valid, from 0 (for ever) to %d", maxMinutes))
		}
	case Status:
		if strings.TrimSpace(s.StatusName) == "" {
			return at("settings.statusName", slipway.Invalid("write the name of the status that must succeed"))
		}
		if _, ok := s.AuthorPipeline(); !ok && strings.HasPrefix(s.AuthorID, authorPipeline) {
			return at("settings.authorId", slipway.Invalid("write the number of the pipeline whose runs post the status, as pipeline:12, not %q", s.AuthorID))
		}
		if s.PolicyApplicability != 0 && s.PolicyApplicability != 1 {
			return at("settings.policyApplicability", slipway.Invalid("write 0 (it applies by default) or 1 (once a status was posted), not %d", s.PolicyApplicability))
		}
	case MergeTypes:
		if !s.AllowNoFastForward && !s.AllowSquash && !s.AllowRebase && !s.AllowRebaseMerge {
			return at("settings", slipway.Invalid("allow one merge strategy at least: allowNoFastForward, allowSquash, allowRebase or allowRebaseMerge"))
		}
	}
	return nil
}

// Strategies are the merge strategies that a policy MergeTypes allows, in Azure Repos' words.
func (s Settings) Strategies() []string {
	var all []string
	for _, one := range []struct {
		allowed bool
		name    string
	}{{s.AllowNoFastForward, "noFastForward"}, {s.AllowSquash, "squash"}, {s.AllowRebase, "rebase"}, {s.AllowRebaseMerge, "rebaseMerge"}} {
		if one.allowed {
			all = append(all, one.name)
		}
	}
	return all
}
