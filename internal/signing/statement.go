package signing

import (
	"encoding/json"
	"fmt"
	"time"

	"slipway"
)

// The media and predicate types of statements.
const (
	// StatementType is the media type of an in-toto statement.
	StatementType = "application/vnd.in-toto+json"
	// BundleType is the media type of a signed statement with all that verifies it.
	BundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"
	// PredicateProvenance is SLSA's, version 1 (slsa.dev/spec/v1.1/provenance).
	PredicateProvenance = "https://slsa.dev/provenance/v1"
	// PredicateSignature is that of a plain signature, as `cosign sign` makes it.
	PredicateSignature = "https://sigstore.dev/cosign/sign/v1"
	// BuildType says how to read the external parameters of our provenance (docs/trust.md).
	BuildType = "urn:slipway:pipeline-job:v1"
)

// Image is what a statement is about.
type Image struct {
	Name   string // with the registry's host, without tag
	Digest slipway.Digest
}

// statement is an in-toto statement, version 1.
type statement struct {
	Type          string    `json:"_type"`
	Subject       []subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     any       `json:"predicate"`
}

type subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

func newStatement(i Image, predicateType string, predicate any) ([]byte, error) {
	b, err := json.Marshal(statement{Type: "https://in-toto.io/Statement/v1", PredicateType: predicateType, Predicate: predicate,
		Subject: []subject{{Name: i.Name, Digest: map[string]string{i.Digest.Algorithm(): i.Digest.Hex()}}}})
	if err != nil {
		return nil, fmt.Errorf("write a statement about %s@%s: %w", i.Name, i.Digest, err)
	}
	return b, nil
}

// Provenance is SLSA's predicate of provenance, as far as it is used here.
type Provenance struct {
	BuildDefinition struct {
		BuildType            string             `json:"buildType"`
		ExternalParameters   ExternalParameters `json:"externalParameters"`
		InternalParameters   InternalParameters `json:"internalParameters"`
		ResolvedDependencies []Dependency       `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
	RunDetails struct {
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
		Metadata struct {
			InvocationID string     `json:"invocationId"`
			StartedOn    *time.Time `json:"startedOn,omitempty"`
			FinishedOn   *time.Time `json:"finishedOn,omitempty"`
		} `json:"metadata"`
	} `json:"runDetails"`
}

// ExternalParameters are what people chose.
type ExternalParameters struct {
	Pipeline struct {
		Repository string `json:"repository"`
		Ref        string `json:"ref"`
		Path       string `json:"path"`
	} `json:"pipeline"`
	Parameters map[string]any `json:"parameters,omitempty"`
}

// InternalParameters are what the server chose.
type InternalParameters struct {
	Project      string `json:"project"`
	Pipeline     string `json:"pipeline"`
	PipelineID   int64  `json:"pipelineId"`
	Run          int64  `json:"run"`
	RunNumber    string `json:"runNumber"`
	Reason       string `json:"reason"`
	RequestedFor string `json:"requestedFor"`
	Stage        string `json:"stage,omitempty"`
	Job          string `json:"job,omitempty"`
	JobID        int64  `json:"jobId,omitempty"`
	Attempt      int    `json:"attempt,omitempty"`
	Environment  string `json:"environment,omitempty"`
}

// Dependency is a source that the build read.
type Dependency struct {
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest"`
}

// provenance says what the server knows of a build; nothing of it is the job's own word.
func (s *Service) provenance(b Build) Provenance {
	var p Provenance
	d := &p.BuildDefinition
	d.BuildType = BuildType
	d.ExternalParameters.Pipeline.Repository, d.ExternalParameters.Pipeline.Ref = s.repositoryURL(b), b.Ref
	d.ExternalParameters.Pipeline.Path, d.ExternalParameters.Parameters = b.File, b.Parameters
	d.InternalParameters = InternalParameters{Project: b.Project, Pipeline: b.Pipeline, PipelineID: int64(b.PipelineID), Run: int64(b.Run), RunNumber: b.Number,
		Reason: b.Reason, RequestedFor: b.RequestedFor, Stage: b.Stage, Job: b.JobName, JobID: int64(b.Job), Attempt: b.Attempt, Environment: b.Environment}
	d.ResolvedDependencies = []Dependency{{URI: "git+" + s.repositoryURL(b) + "@" + b.Ref, Digest: map[string]string{"gitCommit": string(b.Commit)}}}
	p.RunDetails.Builder.ID = s.url
	p.RunDetails.Metadata.InvocationID = s.runURL(b)
	p.RunDetails.Metadata.StartedOn, p.RunDetails.Metadata.FinishedOn = moment(b.Started), moment(b.Pushed)
	return p
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}
