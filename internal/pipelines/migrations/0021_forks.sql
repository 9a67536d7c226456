-- +goose Up
-- JSON of what a run of a pull request from a fork may; empty for any other run.
ALTER TABLE pipeline_runs ADD COLUMN fork TEXT NOT NULL DEFAULT '';

-- What pipelines do with pull requests from forks, of a pipeline or, with pipeline 0, of all of a project that have nothing of their own.
CREATE TABLE pipeline_fork_settings (
    project    TEXT    NOT NULL,
    pipeline   BIGINT  NOT NULL,
    build      BOOLEAN NOT NULL,
    comment    TEXT    NOT NULL, -- all, nonMembers, never
    secrets    BOOLEAN NOT NULL,
    full_token BOOLEAN NOT NULL,
    changed    BIGINT  NOT NULL,
    changed_by TEXT    NOT NULL,
    PRIMARY KEY (project, pipeline)
);
