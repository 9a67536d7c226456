-- +goose Up
-- Versions of tasks that were uploaded; blob_key is where the zip file lies, digest its digest. created_by is an actor.
CREATE TABLE pipeline_tasks (
    id         TEXT    NOT NULL,
    major      INTEGER NOT NULL,
    minor      INTEGER NOT NULL,
    patch      INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    extension  TEXT    NOT NULL,
    manifest   TEXT    NOT NULL,
    digest     TEXT    NOT NULL,
    size       BIGINT  NOT NULL,
    blob_key   TEXT    NOT NULL,
    created    BIGINT  NOT NULL,
    created_by TEXT    NOT NULL,
    PRIMARY KEY (id, major, minor, patch)
);
CREATE INDEX pipeline_tasks_by_digest ON pipeline_tasks (digest);
