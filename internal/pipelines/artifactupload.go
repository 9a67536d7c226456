package pipelines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"slipway"
	"slipway/internal/db"
)

// ArtifactPayload is the payload of EventArtifactUploaded.
type ArtifactPayload struct {
	Run    slipway.RunID `json:"run"`
	Number string        `json:"number"`
	Name   string        `json:"name"`
}

// UploadArtifact stores what a person has as an artifact of a run, from the tar file that r gives. Its name must be a new one in the run: what
// a job published does not change. No deployment follows in the run, since the files are not those of its commit.
func (s *Service) UploadArtifact(ctx context.Context, id slipway.RunID, name string, r io.Reader, by slipway.Actor) (Artifact, error) {
	if by.Kind != slipway.ActorUser {
		return Artifact{}, slipway.Forbidden("a job publishes its artifacts by its steps: write publish, or the logging command artifact.upload")
	}
	if err := checkArtifactName(name); err != nil {
		return Artifact{}, err
	}
	taken := slipway.Conflict("artifact %q exists already in run %d: choose another name", name, id)
	free := func(q db.Querier) error {
		n, err := db.One(ctx, q, db.Value[int], `SELECT COUNT(*) FROM pipeline_artifacts WHERE run = $1 AND name_key = $2`, int64(id), strings.ToLower(name))
		if err == nil && n > 0 {
			err = taken
		}
		return err
	}
	if err := free(s.db); err != nil {
		return Artifact{}, err
	}
	// Rows of artifacts name a job; one that was uploaded is of any job of its run, and of none's instance.
	jobID, err := db.One(ctx, s.db, db.Value[int64], `SELECT COALESCE(MIN(id), 0) FROM pipeline_jobs WHERE run = $1`, int64(id))
	if err != nil {
		return Artifact{}, fmt.Errorf("find a job of run %d: %w", id, err)
	}
	if jobID == 0 {
		return Artifact{}, slipway.Conflict("run %d has no job, and so no artifacts", id)
	}
	uploader, err := json.Marshal(by)
	if err != nil {
		return Artifact{}, fmt.Errorf("encode actor: %w", err)
	}
	a, err := s.storeArtifact(ctx, &Job{ID: slipway.JobID(jobID), Run: id}, name, r, func(tx *db.Tx) error { return free(tx) }, func(tx *db.Tx, artifact int64) error {
		run, err := getRun(ctx, tx, id)
		if err != nil {
			return err
		}
		// One that was stored since free looked keeps the instance of its job, or who uploaded it.
		result, err := tx.ExecContext(ctx, `UPDATE pipeline_artifacts SET uploaded_by = $1 WHERE id = $2 AND instance = '' AND uploaded_by = ''`, string(uploader), artifact)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, taken)
		}
		return s.announce(ctx, tx, &run, EventArtifactUploaded, by, ArtifactPayload{Run: id, Number: run.Number, Name: name})
	})
	a.UploadedBy = by
	return a, err
}
