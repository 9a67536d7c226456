-- +goose Up
-- Who uploaded an artifact by hand, as an actor in JSON; '' is the job.
ALTER TABLE pipeline_artifacts ADD COLUMN uploaded_by TEXT NOT NULL DEFAULT '';
