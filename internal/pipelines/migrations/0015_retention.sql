-- +goose Up
-- How long the runs of a project are kept: days, and how many of the newest of each pipeline anyway.
CREATE TABLE pipeline_retention (
    project           TEXT   PRIMARY KEY,
    runs              BIGINT NOT NULL,
    pull_request_runs BIGINT NOT NULL,
    artifacts         BIGINT NOT NULL,
    recent            BIGINT NOT NULL
);

-- Who wants a run to be kept, until when. owner is free text.
CREATE TABLE pipeline_leases (
    id               BIGSERIAL PRIMARY KEY,
    run              BIGINT  NOT NULL REFERENCES pipeline_runs (id),
    project          TEXT    NOT NULL,
    owner            TEXT    NOT NULL,
    protect_pipeline BOOLEAN NOT NULL,
    created          BIGINT  NOT NULL,
    expires          BIGINT  NOT NULL
);
CREATE INDEX pipeline_leases_by_run ON pipeline_leases (run, id);
CREATE INDEX pipeline_leases_by_owner ON pipeline_leases (project, owner, id);

-- Runs that were deleted, or are being: completed is 0 until nothing is left of them. actor is who wanted it.
CREATE TABLE pipeline_run_deletions (
    run       BIGINT PRIMARY KEY,
    project   TEXT   NOT NULL,
    number    TEXT   NOT NULL,
    actor     TEXT   NOT NULL,
    reason    TEXT   NOT NULL,
    requested BIGINT NOT NULL,
    completed BIGINT NOT NULL
);
CREATE INDEX pipeline_run_deletions_under_way ON pipeline_run_deletions (run) WHERE completed = 0;

-- When the artifacts and attachments of a run were deleted before the run, 0 for never.
ALTER TABLE pipeline_runs ADD COLUMN purged BIGINT NOT NULL DEFAULT 0;
CREATE INDEX pipeline_run_sources_by_source ON pipeline_run_sources (source);
