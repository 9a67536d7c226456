package insights

import (
	"context"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/insights/telemetry"
)

// podKey names a pod as a sender can: its credential says project and environment, its host's name the pod.
type podKey struct {
	project     slipway.ProjectID
	environment slipway.EnvironmentID
	name        string
}

type knownPod struct {
	resource telemetry.Resource
	gone     time.Time // zero while it is there
}

const (
	podMemory = time.Hour // how long a pod that has gone is remembered, for what it sent last
	maxPods   = 20_000
)

// PodSeen remembers what a pod belongs to; collectors call it for every change. Senders that know nothing but their
// host's name, as Application Insights' clients, are found by it.
func (s *Service) PodSeen(r telemetry.Resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := podKey{r.Project, r.Environment, r.Pod}
	if s.pods[key] == nil && len(s.pods) >= maxPods {
		s.dropGonePods(s.clock.Now())
	}
	s.pods[key] = &knownPod{resource: r}
}

// PodGone says that the pod is there no more.
func (s *Service) PodGone(r telemetry.Resource) {
	now := s.clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.pods[podKey{r.Project, r.Environment, r.Pod}]; p != nil && p.resource.Deployment == r.Deployment {
		p.gone = now
	}
	s.dropGonePods(now.Add(-podMemory))
}

func (s *Service) dropGonePods(before time.Time) {
	for key, p := range s.pods {
		if !p.gone.IsZero() && p.gone.Before(before) {
			delete(s.pods, key)
		}
	}
}

// findDeployment settles the deployment of a sender that names none: by its pod, else the newest one of its
// environment.
func (s *Service) findDeployment(ctx context.Context, r *telemetry.Resource) error {
	if r.Project == "" || r.Environment == 0 {
		return nil
	}
	s.mu.Lock()
	pod := s.pods[podKey{r.Project, r.Environment, r.Pod}]
	s.mu.Unlock()
	if pod != nil {
		of := pod.resource
		r.Deployment, r.Run, r.Commit, r.Image = of.Deployment, of.Run, of.Commit, of.Image
		r.Namespace, r.Node, r.EnvironmentName = of.Namespace, of.Node, of.EnvironmentName
		if r.Container == "" {
			r.Container = of.Container
		}
		if r.Service == "" {
			r.Service = of.Service
		}
		return nil
	}
	const query = `SELECT max(id) FROM insights_deployments WHERE project_id = $1 AND environment_id = $2 AND (completed = 0 OR succeeded = TRUE)`
	id, err := db.One(ctx, s.db, db.Value[*int64], query, string(r.Project), int64(r.Environment))
	if err != nil {
		return fmt.Errorf("find the deployment of environment %d: %w", r.Environment, err)
	}
	if id != nil {
		r.Deployment = slipway.DeploymentID(*id)
	}
	return nil
}
