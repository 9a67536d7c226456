// Package slipway holds the words that every part of Slipway shares: identifiers,
// digests, actors, references between things, and the one kind of error that users see.
//
// It imports the standard library alone, does no I/O and defines no interfaces.
package slipway

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Identifiers. Those that Azure DevOps writes as GUIDs are lower-case UUID strings, the others
// are positive numbers, unique in the installation.
type (
	ProjectID     string // UUID
	RepositoryID  string // UUID
	UserID        string // UUID
	PipelineID    int64  // a pipeline's definition
	RunID         int64  // one run of a pipeline; Azure DevOps calls it the build id
	JobID         int64  // one attempt of one job of a run
	EnvironmentID int64
	DeploymentID  int64
	WorkItemID    int64
	PullRequestID int64
)

func (id RunID) String() string        { return strconv.FormatInt(int64(id), 10) }
func (id JobID) String() string        { return strconv.FormatInt(int64(id), 10) }
func (id PipelineID) String() string   { return strconv.FormatInt(int64(id), 10) }
func (id DeploymentID) String() string { return strconv.FormatInt(int64(id), 10) }
func (id WorkItemID) String() string   { return strconv.FormatInt(int64(id), 10) }

func (id PullRequestID) String() string { return strconv.FormatInt(int64(id), 10) }

// CommitID is a git object name in lower-case hex: 40 digits (SHA-1) or 64 (SHA-256).
type CommitID string

// ParseCommitID accepts a full object name in any case.
func ParseCommitID(s string) (CommitID, error) {
	if len(s) != 40 && len(s) != 64 {
		return "", Invalid("commit %q is not a full object name of 40 or 64 hex digits", s)
	}
	if _, err := hex.DecodeString(s); err != nil {
		return "", Invalid("commit %q is not hexadecimal", s)
	}
	return CommitID(strings.ToLower(s)), nil
}

// Short is the name as people write it: the first eight digits.
func (c CommitID) Short() string {
	if len(c) < 8 {
		return string(c)
	}
	return string(c[:8])
}

// IsZero reports the all-zero name that git uses for "no object", or no name at all.
func (c CommitID) IsZero() bool { return strings.Trim(string(c), "0") == "" }

// Digest names content as `algorithm:hex` (OCI image specification, descriptor.md, "Digests").
// The registered algorithms sha256 and sha512 are known.
type Digest string

var digestHex = regexp.MustCompile(`^[a-f0-9]+$`)

// ParseDigest checks the algorithm, the length and the alphabet.
func ParseDigest(s string) (Digest, error) {
	algorithm, digits, ok := strings.Cut(s, ":")
	if !ok {
		return "", Invalid("digest %q has no algorithm: write sha256:HEX", s)
	}
	want := map[string]int{"sha256": 64, "sha512": 128}[algorithm]
	if want == 0 {
		return "", Invalid("digest algorithm %q is not supported: use sha256 or sha512", algorithm)
	}
	if len(digits) != want || !digestHex.MatchString(digits) {
		return "", Invalid("digest %q must have %d lower-case hex digits", s, want)
	}
	return Digest(s), nil
}

// Algorithm is the part before the colon.
func (d Digest) Algorithm() string { a, _, _ := strings.Cut(string(d), ":"); return a }

// Hex is the part after the colon.
func (d Digest) Hex() string { _, h, _ := strings.Cut(string(d), ":"); return h }

// Short is the digest as pages show it: twelve hex digits without the algorithm.
func (d Digest) Short() string {
	h := d.Hex()
	if len(h) > 12 {
		h = h[:12]
	}
	return h
}

// ActorKind says what sort of caller an Actor is.
type ActorKind string

// The kinds of actors.
const (
	ActorAnonymous ActorKind = "anonymous" // nobody signed in
	ActorUser      ActorKind = "user"      // a person, by password or personal access token
	ActorJob       ActorKind = "job"       // a pipeline's job, by its job token
	ActorNode      ActorKind = "node"      // a cluster's node that pulls images
	ActorMachine   ActorKind = "machine"   // an agent that waits for jobs on a machine
	ActorWorkload  ActorKind = "workload"  // a deployed application that sends telemetry
	ActorSystem    ActorKind = "system"    // Slipway itself
)

// Actor is who does something. The zero value is nobody.
type Actor struct {
	Kind ActorKind `json:"kind"`
	ID   string    `json:"id"`
	Name string    `json:"name"`
}

// System is the actor of what Slipway does on its own account.
var System = Actor{Kind: ActorSystem, ID: "slipway", Name: "Slipway"}

// ReferenceKind says what a Reference points to; the nodes of the lineage graph.
type ReferenceKind string

// The kinds of things that events refer to and the lineage graph joins.
const (
	RefProject     ReferenceKind = "project"
	RefRepository  ReferenceKind = "repository"
	RefBranch      ReferenceKind = "branch"      // REPOSITORY/refs/heads/NAME
	RefCommit      ReferenceKind = "commit"      // object name
	RefPullRequest ReferenceKind = "pullrequest" // number
	RefPipeline    ReferenceKind = "pipeline"    // number
	RefRun         ReferenceKind = "run"         // number
	RefImage       ReferenceKind = "image"       // digest
	RefEnvironment ReferenceKind = "environment" // number
	RefDeployment  ReferenceKind = "deployment"  // number
	RefPod         ReferenceKind = "pod"         // NAMESPACE/NAME
	RefTrace       ReferenceKind = "trace"       // 32 hex digits
	RefAlert       ReferenceKind = "alert"       // number
	RefWorkItem    ReferenceKind = "workitem"    // number
	RefUser        ReferenceKind = "user"        // UUID
	RefTask        ReferenceKind = "task"        // GUID, of pipelines
)

// Reference names one thing of the loop.
type Reference struct {
	Kind ReferenceKind `json:"kind"`
	ID   string        `json:"id"`
}

// Ref makes a Reference from anything that prints as its identifier.
func Ref(kind ReferenceKind, id any) Reference {
	return Reference{Kind: kind, ID: fmt.Sprint(id)}
}

// String is the reference as the command line writes it: `run:12`.
func (r Reference) String() string { return string(r.Kind) + ":" + r.ID }

// ParseReference reads what String writes.
func ParseReference(s string) (Reference, error) {
	kind, id, ok := strings.Cut(s, ":")
	if !ok || id == "" {
		return Reference{}, Invalid("reference %q: write KIND:ID, as run:12 or commit:4f0c…", s)
	}
	switch k := ReferenceKind(kind); k {
	case RefProject, RefRepository, RefBranch, RefCommit, RefPullRequest, RefPipeline, RefRun, RefImage,
		RefEnvironment, RefDeployment, RefPod, RefTrace, RefAlert, RefWorkItem, RefUser, RefTask:
		return Reference{Kind: k, ID: id}, nil
	}
	return Reference{}, Invalid("reference %q: %q is no kind of thing that Slipway knows", s, kind)
}
