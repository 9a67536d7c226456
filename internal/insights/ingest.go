package insights

import (
	"context"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/insights/telemetry"
)

// knownDeployment is what Ingest remembers of a deployment between batches.
type knownDeployment struct {
	Deployment
	announced bool
	read      time.Time // when the record was read
	waiting   time.Time // since when telemetry without a trace is there that was not told of
}

const (
	rereadAfter    = 30 * time.Second // a deployment that was not announced yet is looked up again
	traceWait      = 20 * time.Second // how long telemetry_seen waits for a trace to refer to
	maxDeployments = 10_000
)

// Complete fills in what the sender left out and the pod or the announced deployment tells; doors call it for every
// resource once the project is settled. It is an Invalid Problem when the deployment is another project's or
// environment's than the credential's.
func (s *Service) Complete(ctx context.Context, r *telemetry.Resource) error {
	if r.Deployment == 0 {
		if err := s.findDeployment(ctx, r); err != nil || r.Deployment == 0 {
			return err
		}
	}
	d, err := s.known(ctx, r.Deployment)
	if err != nil {
		return err
	}
	if !d.announced {
		return nil
	}
	if r.Project != d.Project {
		return slipway.Invalid("deployment %d belongs to another project", r.Deployment)
	}
	if r.Environment != 0 && r.Environment != d.Environment {
		return slipway.Invalid("deployment %d belongs to another environment", r.Deployment)
	}
	r.Environment, r.EnvironmentName = d.Environment, d.EnvironmentName
	if d.Commit != "" {
		r.Commit = d.Commit
	}
	if d.Run != 0 {
		r.Run = d.Run
	}
	return nil
}

// Ingest makes the rows durable and tells of the first telemetry of a deployment. An Unavailable Problem asks
// the sender to try again.
func (s *Service) Ingest(ctx context.Context, b *telemetry.Batch) error {
	if b.Len() == 0 {
		return nil
	}
	if err := s.store.Write(ctx, b); err != nil {
		return err
	}
	return s.noticeFirst(ctx, b)
}

// noticeFirst records the deployments whose first telemetry this is.
func (s *Service) noticeFirst(ctx context.Context, b *telemetry.Batch) error {
	traces := map[slipway.DeploymentID]string{}
	pods := map[slipway.DeploymentID]string{}
	var last *telemetry.Resource
	for row := range b.All {
		i := row.Base()
		if i.Resource == nil || i.Resource.Deployment == 0 || !sentByApplication(row) {
			continue
		}
		id := i.Resource.Deployment
		if i.Resource == last && traces[id] != "" {
			continue
		}
		last = i.Resource
		if traces[id] == "" {
			traces[id] = i.OperationID
		}
		if i.Resource.Pod != "" && i.Resource.Namespace != "" { // a host's name alone may be no pod
			pods[id] = i.Resource.Namespace + "/" + i.Resource.Pod
		}
	}
	for id, trace := range traces {
		if err := s.notice(ctx, id, trace, pods[id]); err != nil {
			return err
		}
	}
	return nil
}

// sentByApplication is false for what collectors saw.
func sentByApplication(r telemetry.Row) bool {
	switch r := r.(type) {
	case *telemetry.Container, *telemetry.KubernetesEvent:
		return false
	case *telemetry.Trace:
		return r.Source != telemetry.SourceContainer
	}
	return true
}

// SeenPayload is the payload of EventTelemetrySeen.
type SeenPayload struct {
	Deployment  slipway.DeploymentID  `json:"deployment"`
	Environment slipway.EnvironmentID `json:"environment"`
	Trace       string                `json:"trace,omitempty"` // an operation id
	Pod         string                `json:"pod,omitempty"`   // NAMESPACE/NAME
}

// notice appends EventTelemetrySeen once for an announced deployment, with a trace as soon as there is one and
// without one after traceWait.
func (s *Service) notice(ctx context.Context, id slipway.DeploymentID, trace, pod string) error {
	d, err := s.known(ctx, id)
	if err != nil {
		return err
	}
	if !d.announced || !d.Seen.IsZero() {
		return nil
	}
	now := s.clock.Now()
	if trace == "" && !s.waitedForTrace(id, now) {
		return nil
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE insights_deployments SET seen = $1 WHERE id = $2 AND seen = 0`, db.Micros(now), int64(id))
		if err != nil {
			return fmt.Errorf("record first telemetry of deployment %d: %w", id, err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return err
		}
		e := events.Event{Kind: EventTelemetrySeen, Project: d.Project, Subject: slipway.Ref(slipway.RefDeployment, id),
			References: d.references()}
		if trace != "" {
			e.References = append(e.References, slipway.Ref(slipway.RefTrace, trace))
		}
		if pod != "" {
			e.References = append(e.References, slipway.Ref(slipway.RefPod, pod))
		}
		return s.log.Append(ctx, tx, &e, SeenPayload{Deployment: id, Environment: d.Environment, Trace: trace, Pod: pod})
	})
	s.forget(id)
	return err
}

func (d Deployment) references() []slipway.Reference {
	list := []slipway.Reference{slipway.Ref(slipway.RefDeployment, d.ID)}
	if d.Environment != 0 {
		list = append(list, slipway.Ref(slipway.RefEnvironment, d.Environment))
	}
	if d.Commit != "" {
		list = append(list, slipway.Ref(slipway.RefCommit, d.Commit))
	}
	if d.Run != 0 {
		list = append(list, slipway.Ref(slipway.RefRun, d.Run))
	}
	return list
}

func (s *Service) waitedForTrace(id slipway.DeploymentID, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.deployments[id]
	if d == nil {
		return false
	}
	if d.waiting.IsZero() {
		d.waiting = now
	}
	return now.Sub(d.waiting) >= traceWait
}

// known returns what is remembered of a deployment, reading it when need be.
func (s *Service) known(ctx context.Context, id slipway.DeploymentID) (knownDeployment, error) {
	now := s.clock.Now()
	s.mu.Lock()
	if d := s.deployments[id]; d != nil && (d.announced || now.Sub(d.read) < rereadAfter) {
		defer s.mu.Unlock()
		return *d, nil
	}
	s.mu.Unlock()
	record, err := s.Deployment(ctx, id)
	if err != nil && slipway.CodeOf(err) != slipway.CodeNotFound {
		return knownDeployment{}, err
	}
	d := knownDeployment{Deployment: record, announced: err == nil, read: now}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.deployments) >= maxDeployments { // numbers come from outside
		clear(s.deployments)
	}
	if old := s.deployments[id]; old != nil {
		d.waiting = old.waiting
	}
	s.deployments[id] = &d
	return d, nil
}

// forget makes known read the record again.
func (s *Service) forget(id slipway.DeploymentID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.deployments, id)
}
