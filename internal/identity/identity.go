// Package identity owns who is there and what they may do: users, sessions, tokens, projects and the roles that
// users have in them. Every door asks Authenticate who calls and Authorize whether they may.
//
// A token is shown once and kept as a hash. It knows no other domain; projects live here since a project is, to
// begin with, the thing that permissions are given on.
package identity

import (
	"context"
	"embed"
	"strings"
	"sync"
	"time"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/events"
)

// Migrations holds this package's tables.
//
//go:embed migrations
var Migrations embed.FS

// The events of this package.
const (
	EventProjectCreated       events.Kind = "identity.project_created"       // subject project
	EventUserCreated          events.Kind = "identity.user_created"          // subject user
	EventUserDisabled         events.Kind = "identity.user_disabled"         // subject user
	EventUserEnabled          events.Kind = "identity.user_enabled"          // subject user
	EventPasswordChanged      events.Kind = "identity.password_changed"      // subject user; the actor is another when it was reset
	EventAdministratorChanged events.Kind = "identity.administrator_changed" // subject user
	EventRoleChanged          events.Kind = "identity.role_changed"          // subject user, refers to project
	EventTokenIssued          events.Kind = "identity.token_issued"          // subject user; only personal access tokens
	EventTokenRevoked         events.Kind = "identity.token_revoked"         // subject user
)

// Service answers questions of identity. It is safe for concurrent use.
type Service struct {
	db     *db.DB
	log    *events.Log
	clock  clock.Clock
	recent recent

	// Elsewhere says whether the jobs of a run may read other projects than their own; nil lets none. It is set before the service is used.
	Elsewhere func(ctx context.Context, run slipway.RunID) (bool, error)

	mu    sync.Mutex
	fails map[string]failures // by user name: sign-ins gone wrong of late
}

// Open migrates the tables and returns the service.
func Open(ctx context.Context, d *db.DB, log *events.Log, c clock.Clock) (*Service, error) {
	if err := d.Migrate(ctx, "identity", Migrations); err != nil {
		return nil, err
	}
	return &Service{db: d, log: log, clock: c, fails: map[string]failures{}}, nil
}

// Role is what a user is in a project. Each role may all that the one before it may.
type Role string

// The roles.
const (
	RoleNone          Role = ""
	RoleReader        Role = "reader"
	RoleContributor   Role = "contributor"
	RoleAdministrator Role = "administrator"
)

// ParseRole reads a role's name in any case.
func ParseRole(s string) (Role, error) {
	switch r := Role(strings.ToLower(s)); r {
	case RoleReader, RoleContributor, RoleAdministrator:
		return r, nil
	}
	return RoleNone, slipway.Invalid("role %q: write reader, contributor or administrator", s)
}

// Action is what a caller wants to do in a project.
type Action string

// The actions, from weakest to strongest.
const (
	Read       Action = "read"       // see everything but secrets
	Contribute Action = "contribute" // push, queue, edit items, upload images
	Administer Action = "administer" // settings, members, secrets' values, deletion
)

// verb is the action in a sentence, before what it is done to.
func (a Action) verb() string {
	if a == Contribute {
		return "contribute to"
	}
	return string(a)
}

// TokenKind says what a token is for.
type TokenKind string

// The kinds of tokens.
const (
	TokenPersonal TokenKind = "personal" // a user's personal access token
	TokenJob      TokenKind = "job"      // one attempt of one job, while it runs
	TokenPod      TokenKind = "pod"      // an agent that waits for a job; it opens nothing else
	TokenMachine  TokenKind = "machine"  // an agent on a machine, to take jobs of its pool or environment; it opens nothing else
	TokenNode     TokenKind = "node"     // a cluster's nodes, to pull images
	TokenWorkload TokenKind = "workload" // a deployment's applications, to send telemetry
	TokenRegistry TokenKind = "registry" // short-lived, from the registry's token endpoint
)

// Binding ties a token to the one thing that it was made for. Zero fields bind to nothing.
type Binding struct {
	Run         slipway.RunID         `json:"run,omitempty"`
	Job         slipway.JobID         `json:"job,omitempty"`
	Commit      slipway.CommitID      `json:"commit,omitempty"`
	Pipeline    slipway.PipelineID    `json:"pipeline,omitempty"` // of the run
	Ref         string                `json:"ref,omitempty"`      // that the run is of
	Pod         int64                 `json:"pod,omitempty"`      // that waits for a job
	Machine     int64                 `json:"machine,omitempty"`  // on which an agent waits for jobs
	Environment slipway.EnvironmentID `json:"environment,omitempty"`
	Deployment  slipway.DeploymentID  `json:"deployment,omitempty"`
	// Scopes limit a registry token: `repository:NAME:pull,push`.
	Scopes []string `json:"scopes,omitempty"`
	// Parent is the id of the token that a registry token was made from, and with which it ends.
	Parent string `json:"parent,omitempty"`
	// Scope limits a personal access token, and what is made from it.
	Scope TokenScope `json:"scope,omitempty"`
	// PullRequest is the one from a fork whose run a job's token is for that may read alone: it pushes images to a place of its own.
	PullRequest slipway.PullRequestID `json:"pull_request,omitempty"`
}

// Principal is an authenticated caller.
type Principal struct {
	slipway.Actor
	Administrator bool              // of the whole installation
	MustChange    bool              // signed in with a password that another gave: pages ask for a new one first
	Token         TokenKind         // how it came in; empty for a session or nobody
	TokenID       string            // of that token
	Project       slipway.ProjectID // the only project that a job's or workload's token is good for
	Binding       Binding
}

// Anonymous is a caller without credentials.
var Anonymous = Principal{Actor: slipway.Actor{Kind: slipway.ActorAnonymous, Name: "anonymous"}}

// SystemPrincipal is Slipway acting on its own account.
var SystemPrincipal = Principal{Actor: slipway.System, Administrator: true}

// Authorize returns nil when p may do a in the project; Unauthenticated when nobody is signed in; NotFound when p
// may not even know of the project; Forbidden otherwise. An empty project means the installation itself, which
// anybody signed in may read and only its administrators may change.
func (s *Service) Authorize(ctx context.Context, p Principal, a Action, project slipway.ProjectID) error {
	role := RoleNone
	if p.Kind == slipway.ActorUser && !p.Administrator && project != "" {
		var err error
		if role, err = s.Role(ctx, slipway.UserID(p.ID), project); err != nil {
			return err
		}
	}
	if p.Kind == slipway.ActorJob && project != "" && project != p.Project && a == Read && p.Binding.Run != 0 && s.Elsewhere != nil {
		reads, err := s.Elsewhere(ctx, p.Binding.Run)
		if err != nil {
			return err
		}
		if reads {
			return p.withinScope(a)
		}
	}
	return decide(p, role, a, project)
}

// decide is the rule of Authorize, given the user's role in the project.
func decide(p Principal, role Role, a Action, project slipway.ProjectID) error {
	if err := p.withinScope(a); err != nil {
		return err
	}
	switch p.Kind {
	case slipway.ActorSystem:
		return nil
	case slipway.ActorUser:
		if p.Administrator {
			return nil
		}
		if project == "" {
			if a == Read {
				return nil
			}
			return slipway.Forbidden("only an administrator of this installation may do that")
		}
		if role == RoleNone {
			return slipway.NotFound("there is no such project, or you are not a member of it")
		}
		if allows(role, a) {
			return nil
		}
		return slipway.Forbidden("you are a %s of this project and may not %s it: ask one of its administrators", role, a.verb())
	case slipway.ActorJob:
		if project == p.Project && project != "" && a != Administer {
			return nil
		}
		return slipway.Forbidden("a job's token is good for its own project alone")
	case slipway.ActorNode:
		if a == Read {
			return nil
		}
		return slipway.Forbidden("a node's token may only read")
	case slipway.ActorMachine:
		return slipway.Forbidden("a machine's credentials may only take jobs")
	case slipway.ActorWorkload:
		return slipway.Forbidden("this token may only send telemetry")
	}
	return slipway.Unauthenticated("sign in first, or send a personal access token as the password")
}

func allows(role Role, a Action) bool {
	switch role {
	case RoleAdministrator:
		return true
	case RoleContributor:
		return a == Read || a == Contribute
	case RoleReader:
		return a == Read
	}
	return false
}

// expired reports whether a moment in the database has passed; the zero time never does.
func (s *Service) expired(t time.Time) bool { return !t.IsZero() && s.clock.Now().After(t) }
