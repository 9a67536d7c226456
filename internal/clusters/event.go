package clusters

import (
	"context"
	"errors"
	"fmt"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// The kinds of events that this package appends.
const (
	Applied    events.Kind = "clusters.applied"     // AppliedPayload; subject deployment
	PodStarted events.Kind = "clusters.pod_started" // PodPayload; subject pod
	PodFailed  events.Kind = "clusters.pod_failed"  // PodPayload; subject pod
)

// AppliedPayload tells how an apply ended.
type AppliedPayload struct {
	Cluster   string   `json:"cluster"`
	Namespace string   `json:"namespace"`
	Objects   int      `json:"objects"`
	Changed   []string `json:"changed,omitempty"` // workloads that this deployment started
	Pruned    int      `json:"pruned"`
	Ready     bool     `json:"ready"`
	Cause     string   `json:"cause,omitempty"` // in plain words, when not ready
}

// PodPayload tells of a pod that started or failed.
type PodPayload struct {
	Cluster     string                `json:"cluster"`
	Namespace   string                `json:"namespace"`
	Name        string                `json:"name"`
	Workload    string                `json:"workload"`
	Node        string                `json:"node"`
	Environment slipway.EnvironmentID `json:"environment"`
	Deployment  slipway.DeploymentID  `json:"deployment"`
	Restarts    int                   `json:"restarts"`
	Reason      string                `json:"reason,omitempty"`
}

func references(environment slipway.EnvironmentID, deployment slipway.DeploymentID, run slipway.RunID, commit slipway.CommitID) []slipway.Reference {
	var refs []slipway.Reference
	if environment != 0 {
		refs = append(refs, slipway.Ref(slipway.RefEnvironment, environment))
	}
	if deployment != 0 {
		refs = append(refs, slipway.Ref(slipway.RefDeployment, deployment))
	}
	if run != 0 {
		refs = append(refs, slipway.Ref(slipway.RefRun, run))
	}
	if commit != "" {
		refs = append(refs, slipway.Ref(slipway.RefCommit, commit))
	}
	return refs
}

func (s *Service) appendApplied(ctx context.Context, t Target, r Result, outcome error) error {
	p := AppliedPayload{Cluster: t.Cluster, Namespace: t.Namespace, Objects: len(r.Objects), Changed: r.Changed,
		Pruned: len(r.Pruned), Ready: outcome == nil}
	var problem *slipway.Problem
	var unready *NotReadyError
	switch {
	case outcome == nil:
	case errors.As(outcome, &unready):
		p.Cause = unready.Error()
	case errors.As(outcome, &problem):
		p.Cause = problem.Message
	default:
		p.Cause = "the cluster could not be changed"
	}
	refs := references(t.Environment, t.Deployment, t.Run, t.Commit)
	for _, image := range r.Images {
		if image.Digest != "" {
			refs = append(refs, slipway.Ref(slipway.RefImage, image.Digest))
		}
	}
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		return s.events.Append(ctx, tx, &events.Event{Kind: Applied, Project: t.Project,
			Subject: slipway.Ref(slipway.RefDeployment, t.Deployment), References: refs}, p)
	})
	if err != nil {
		return fmt.Errorf("record apply of deployment %d: %w", t.Deployment, err)
	}
	return nil
}
