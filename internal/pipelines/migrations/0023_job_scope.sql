-- +goose Up
-- Whether jobs of a project, or of all projects where project is '', reach their own project alone.
CREATE TABLE pipeline_job_scopes (
    project    TEXT    PRIMARY KEY,
    limited    BOOLEAN NOT NULL,
    changed    BIGINT  NOT NULL,
    changed_by TEXT    NOT NULL
);

-- The project of the other pipeline as the file names it, '' for this one's own.
ALTER TABLE pipeline_sources ADD COLUMN source_project TEXT NOT NULL DEFAULT '';
