-- +goose Up
-- lost_attempts counts the attempts before this one, in a row, whose pods were lost; retried says why this one is there.
ALTER TABLE pipeline_jobs ADD COLUMN lost_attempts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE pipeline_jobs ADD COLUMN retried TEXT NOT NULL DEFAULT '';
-- retry_lost is how often a job of the pipeline whose pod is lost is started again, -1 as the pool says.
ALTER TABLE pipeline_definitions ADD COLUMN retry_lost BIGINT NOT NULL DEFAULT -1;
