package environments

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// DeploymentState is how far a deployment has come.
type DeploymentState string

// The states; see the package's diagram.
const (
	Running             DeploymentState = "running"
	Succeeded           DeploymentState = "succeeded"
	Failed              DeploymentState = "failed"
	DeploymentCancelled DeploymentState = "cancelled"
)

// Image is one that a deployment runs.
type Image struct {
	Repository string         `json:"repository"` // without host and tag: shop/web
	Reference  string         `json:"reference"`  // as the manifests name it, by digest
	Digest     slipway.Digest `json:"digest"`
}

// Parameter is a variable as the deployment used it. A secret's value is never kept, only that it was there.
type Parameter struct {
	Name   string `json:"name"`
	Value  string `json:"value,omitempty"`
	Secret bool   `json:"secret,omitempty"`
}

// NewDeployment says what StartDeployment records. Run, Stage, Job and Attempt are the deployment's identity.
type NewDeployment struct {
	Environment slipway.EnvironmentID
	Run         slipway.RunID
	Stage       string
	Job         string
	Attempt     int
	Commit      slipway.CommitID
	Parameters  []Parameter
	By          slipway.Actor
}

// Deployment is one that is running or has ended.
type Deployment struct {
	ID              slipway.DeploymentID
	Project         slipway.ProjectID
	Environment     slipway.EnvironmentID
	EnvironmentName string
	Run             slipway.RunID
	Stage           string
	Job             string
	Attempt         int
	Commit          slipway.CommitID
	Images          []Image
	Parameters      []Parameter
	ManifestsHash   string               // sha256:HEX of the manifests as applied, empty before
	RollbackTo      slipway.DeploymentID // the deployment whose manifests this one brought back, or 0
	State           DeploymentState
	Reason          string // a sentence, when it did not succeed
	Started         time.Time
	Completed       time.Time // zero while running
	StartedBy       slipway.Actor
}

const (
	maxParameters = 2000
	maxImages     = 200
	maxReason     = 4000
)

// StartDeployment records that a job begins to deploy. Calling it again for the same attempt of a job returns the
// deployment that is there.
func (s *Service) StartDeployment(ctx context.Context, n NewDeployment) (Deployment, error) {
	if len(n.Parameters) > maxParameters {
		return Deployment{}, slipway.Limit("a deployment has more than %d parameters", maxParameters)
	}
	d := Deployment{Environment: n.Environment, Run: n.Run, Stage: n.Stage, Job: n.Job, Attempt: n.Attempt, Commit: n.Commit,
		Parameters: withoutSecrets(n.Parameters), StartedBy: n.By}
	return s.start(ctx, d, fmt.Sprintf("run/%d/%s/%s/%d", n.Run, n.Stage, n.Job, n.Attempt))
}

// StartRollback records that an environment goes back to an earlier successful deployment. Only one deployment that
// is a rollback runs in an environment at a time.
func (s *Service) StartRollback(ctx context.Context, to slipway.DeploymentID, by slipway.Actor) (Deployment, error) {
	target, err := s.Deployment(ctx, to)
	if err != nil {
		return Deployment{}, err
	}
	if target.State != Succeeded {
		return Deployment{}, slipway.Conflict("deployment %d did not succeed: there is nothing to go back to", to)
	}
	if target.RollbackTo != 0 { // a rollback has no manifests of its own: it brought these back
		return s.StartRollback(ctx, target.RollbackTo, by)
	}
	latest, err := s.History(ctx, target.Environment, 1)
	if err != nil {
		return Deployment{}, err
	}
	if latest[0].State == Running {
		return Deployment{}, slipway.Conflict("deployment %d to %s is still running", latest[0].ID, target.EnvironmentName)
	}
	d := Deployment{Environment: target.Environment, Run: target.Run, Stage: target.Stage, Job: target.Job,
		Attempt: target.Attempt, Commit: target.Commit, Images: target.Images, Parameters: target.Parameters,
		RollbackTo: to, StartedBy: by}
	// The latest deployment's id makes a second click, or a second server, meet the same row.
	return s.start(ctx, d, fmt.Sprintf("rollback/%d/after/%d", to, latest[0].ID))
}

func withoutSecrets(list []Parameter) []Parameter {
	clean := make([]Parameter, len(list))
	for i, p := range list {
		if p.Secret {
			p.Value = ""
		}
		clean[i] = p
	}
	return clean
}

func (s *Service) start(ctx context.Context, d Deployment, origin string) (Deployment, error) {
	parameters, err := json.Marshal(d.Parameters)
	if err != nil {
		return d, err
	}
	images, err := json.Marshal(d.Images)
	if err != nil {
		return d, err
	}
	actor, err := json.Marshal(d.StartedBy)
	if err != nil {
		return d, err
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		e, err := getEnvironment(ctx, tx, d.Environment)
		if err != nil {
			return err
		}
		// A write that changes nothing holds the environment until the end, so that whoever says the same at the same
		// moment finds the row below: an insert that meets it would use a number up.
		if _, err := tx.ExecContext(ctx, `UPDATE environments SET name = name WHERE id = $1`, int64(e.ID)); err != nil {
			return fmt.Errorf("start deployment to %s: %w", e.Name, err)
		}
		there, err := getDeployment(ctx, tx, `d.origin = $1`, origin)
		if err == nil {
			d = there
			return nil
		}
		if slipway.CodeOf(err) != slipway.CodeNotFound {
			return err
		}
		const insert = `
			INSERT INTO deployments (project, environment_id, origin, run, stage, job, attempt, commit_id, images, parameters,
			  manifests_hash, rollback_to, state, reason, started, completed, started_by)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '', $11, $12, '', $13, 0, $14) RETURNING id`
		var id int64
		err = tx.QueryRowContext(ctx, insert, string(e.Project), int64(e.ID), origin, int64(d.Run), d.Stage, d.Job, d.Attempt,
			string(d.Commit), string(images), string(parameters), int64(d.RollbackTo), string(Running),
			db.Micros(s.clock.Now()), string(actor)).Scan(&id)
		if err != nil {
			return fmt.Errorf("start deployment to %s: %w", e.Name, err)
		}
		if d, err = getDeployment(ctx, tx, `d.id = $1`, id); err != nil {
			return err
		}
		return s.appendDeployment(ctx, tx, DeploymentStarted, d, d.StartedBy, 0)
	})
	return d, err
}

// DeploymentUpdate holds what becomes known while a deployment runs; nil leaves it as it is.
type DeploymentUpdate struct {
	Images        []Image
	ManifestsHash *string
	Reason        *string // why it will not succeed, for people
}

// UpdateDeployment records the images and the manifests of a running deployment. Images add to those known before:
// a job may apply manifests in several steps.
func (s *Service) UpdateDeployment(ctx context.Context, id slipway.DeploymentID, u DeploymentUpdate) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		d, err := getDeployment(ctx, tx, `d.id = $1`, int64(id))
		if err != nil {
			return err
		}
		if d.State != Running {
			return slipway.Conflict("deployment %d has ended", id)
		}
		d.Images = mergeImages(d.Images, u.Images)
		if len(d.Images) > maxImages {
			return slipway.Limit("a deployment has more than %d images", maxImages)
		}
		if u.ManifestsHash != nil {
			d.ManifestsHash = *u.ManifestsHash
		}
		if u.Reason != nil {
			d.Reason = shortened(*u.Reason)
		}
		images, err := json.Marshal(d.Images)
		if err != nil {
			return err
		}
		const update = `UPDATE deployments SET images = $2, manifests_hash = $3, reason = $4 WHERE id = $1`
		if _, err := tx.ExecContext(ctx, update, int64(id), string(images), d.ManifestsHash, d.Reason); err != nil {
			return fmt.Errorf("update deployment %d: %w", id, err)
		}
		return nil
	})
}

// mergeImages adds images by reference; the later word on one wins.
func mergeImages(known, more []Image) []Image {
	merged := append([]Image{}, known...)
next:
	for _, m := range more {
		for i := range merged {
			if merged[i].Reference == m.Reference {
				merged[i] = m
				continue next
			}
		}
		merged = append(merged, m)
	}
	return merged
}

func shortened(reason string) string {
	if len(reason) > maxReason {
		return strings.ToValidUTF8(reason[:maxReason], "")
	}
	return reason
}

// CompleteDeployment ends a deployment. reason is a sentence for people when it did not succeed; without one, what an
// update told before stays. Completing it again changes nothing: the first result stays.
func (s *Service) CompleteDeployment(ctx context.Context, id slipway.DeploymentID, result DeploymentState, reason string) (Deployment, error) {
	if result != Succeeded && result != Failed && result != DeploymentCancelled {
		return Deployment{}, fmt.Errorf("complete deployment %d: %q is no result", id, result)
	}
	var d Deployment
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		const update = `
			UPDATE deployments SET state = $2, reason = CASE WHEN $3 THEN '' WHEN $4 <> '' THEN $4 ELSE reason END, completed = $5
			WHERE id = $1 AND state = 'running'`
		done, err := tx.ExecContext(ctx, update, int64(id), string(result), result == Succeeded, shortened(reason), db.Micros(s.clock.Now()))
		if err != nil {
			return fmt.Errorf("complete deployment %d: %w", id, err)
		}
		if d, err = getDeployment(ctx, tx, `d.id = $1`, int64(id)); err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return err
		}
		previous, err := previousDeployment(ctx, tx, d)
		if err != nil && slipway.CodeOf(err) != slipway.CodeNotFound {
			return err
		}
		return s.appendDeployment(ctx, tx, DeploymentCompleted, d, slipway.System, previous.ID)
	})
	return d, err
}

func (s *Service) appendDeployment(ctx context.Context, tx *db.Tx, kind events.Kind, d Deployment, by slipway.Actor, previous slipway.DeploymentID) error {
	refs := []slipway.Reference{slipway.Ref(slipway.RefRun, d.Run), slipway.Ref(slipway.RefCommit, d.Commit)}
	for _, image := range d.Images {
		refs = append(refs, slipway.Ref(slipway.RefImage, image.Digest))
	}
	p := DeploymentPayload{Environment: d.EnvironmentName, EnvironmentID: d.Environment, Run: d.Run, Stage: d.Stage, Job: d.Job,
		Attempt: d.Attempt, Commit: d.Commit, Reason: d.Reason, RollbackTo: d.RollbackTo, Previous: previous}
	if d.State != Running {
		p.Result = d.State
	}
	e := Environment{ID: d.Environment, Project: d.Project}
	return s.append(ctx, tx, kind, e, slipway.Ref(slipway.RefDeployment, d.ID), refs, by, p)
}
