package insights

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/insights/telemetry"
)

// IssueKey makes an instrumentation key of Application Insights for what origin says: a GUID with 122 random bits
// that is a credential to write telemetry, good until its deployment's keys are revoked. It cannot be read again.
func (s *Service) IssueKey(ctx context.Context, origin telemetry.Origin) (string, error) {
	if origin.Project == "" {
		return "", slipway.Invalid("an instrumentation key needs a project")
	}
	key, err := uuid.NewRandom()
	if err != nil {
		return "", fmt.Errorf("issue instrumentation key: %w", err)
	}
	b, err := json.Marshal(origin)
	if err != nil {
		return "", fmt.Errorf("issue instrumentation key: %w", err)
	}
	_, err = s.db.ExecContext(ctx, `INSERT INTO insights_keys (hash, project_id, deployment_id, origin, created) VALUES ($1, $2, $3, $4, $5)`,
		keyHash(key.String()), string(origin.Project), int64(origin.Deployment), string(b), db.Micros(s.clock.Now()))
	if err != nil {
		return "", fmt.Errorf("issue instrumentation key: %w", err)
	}
	return key.String(), nil
}

// EnsureKey makes the instrumentation key that stands for 16 secret bytes, unless it is there already, and returns
// it. It is for an environment, whose pods keep their key across deployments.
func (s *Service) EnsureKey(ctx context.Context, from [16]byte, origin telemetry.Origin) (string, error) {
	if origin.Project == "" || origin.Environment == 0 {
		return "", slipway.Invalid("an environment's instrumentation key needs a project and the environment")
	}
	from[6], from[8] = from[6]&0x0f|0x40, from[8]&0x3f|0x80 // version 4, variant RFC 9562
	key := uuid.UUID(from).String()
	b, err := json.Marshal(origin)
	if err != nil {
		return "", fmt.Errorf("make instrumentation key: %w", err)
	}
	const insert = `
		INSERT INTO insights_keys (hash, project_id, deployment_id, origin, created) VALUES ($1, $2, 0, $3, $4)
		ON CONFLICT DO NOTHING`
	if _, err := s.db.ExecContext(ctx, insert, keyHash(key), string(origin.Project), string(b), db.Micros(s.clock.Now())); err != nil {
		return "", fmt.Errorf("make instrumentation key: %w", err)
	}
	return key, nil
}

// KeyOrigin says what an instrumentation key is good for; NotFound when nobody issued it. GUIDs are taken in any
// case, with or without dashes.
func (s *Service) KeyOrigin(ctx context.Context, key string) (telemetry.Origin, error) {
	var o telemetry.Origin
	id, err := uuid.Parse(key)
	if err != nil || len(key) > 36 {
		return o, slipway.NotFound("there is no such instrumentation key")
	}
	text, err := db.One(ctx, s.db, db.Value[string], `SELECT origin FROM insights_keys WHERE hash = $1`, keyHash(id.String()))
	if db.IsNoRows(err) {
		return o, slipway.NotFound("there is no such instrumentation key")
	}
	if err != nil {
		return o, fmt.Errorf("look up instrumentation key: %w", err)
	}
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return o, fmt.Errorf("look up instrumentation key: %w", err)
	}
	if o.Deployment != 0 || o.Environment == 0 {
		return o, nil
	}
	// A key of an environment stands for what is deployed there now.
	const newest = `
		SELECT ` + deploymentColumns + ` FROM insights_deployments
		WHERE project_id = $1 AND environment_id = $2 AND (completed = 0 OR succeeded = TRUE) ORDER BY id DESC LIMIT 1`
	d, err := db.One(ctx, s.db, scanDeployment, newest, string(o.Project), int64(o.Environment))
	if db.IsNoRows(err) {
		return o, nil
	}
	if err != nil {
		return o, fmt.Errorf("look up instrumentation key: %w", err)
	}
	o.Deployment, o.Commit, o.Run = d.ID, d.Commit, d.Run
	return o, nil
}

// RevokeKeys ends the instrumentation keys of a deployment.
func (s *Service) RevokeKeys(ctx context.Context, deployment slipway.DeploymentID) error {
	if _, err := s.db.ExecContext(ctx, `DELETE FROM insights_keys WHERE deployment_id = $1`, int64(deployment)); err != nil {
		return fmt.Errorf("revoke instrumentation keys of deployment %d: %w", deployment, err)
	}
	return nil
}

// keyHash needs no salt: the key is random.
func keyHash(key string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(key)))
	return hex.EncodeToString(sum[:])
}
