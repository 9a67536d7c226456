-- +goose Up
-- Finished image builds. steps is JSON. saved is how many seconds the cached steps took when they were last run, as far as that is known.
CREATE TABLE image_builds (
    id        BIGSERIAL PRIMARY KEY,
    project   TEXT             NOT NULL,
    run       BIGINT           NOT NULL,
    job       BIGINT           NOT NULL,
    tags      TEXT             NOT NULL,
    target    TEXT             NOT NULL,
    platforms TEXT             NOT NULL,
    digest    TEXT             NOT NULL,
    error     TEXT             NOT NULL,
    bytes     BIGINT           NOT NULL,
    layers    BIGINT           NOT NULL,
    seconds   DOUBLE PRECISION NOT NULL,
    steps     TEXT             NOT NULL,
    total     BIGINT           NOT NULL,
    cached    BIGINT           NOT NULL,
    saved     DOUBLE PRECISION NOT NULL,
    finished  BIGINT           NOT NULL
);
CREATE INDEX image_builds_by_project ON image_builds (project, id);
CREATE INDEX image_builds_by_run ON image_builds (run, id);
