-- +goose Up
-- Folders that jobs keep for later runs of their pipeline, each as a compressed tar file under blob_key. ref is that of the run
-- that saved it: only runs of this ref write there. cache_key is the parts of the key, joined by bars.
CREATE TABLE pipeline_caches (
    id        BIGSERIAL PRIMARY KEY,
    project   TEXT   NOT NULL,
    pipeline  BIGINT NOT NULL REFERENCES pipeline_definitions (id),
    ref       TEXT   NOT NULL,
    cache_key TEXT   NOT NULL,
    run       BIGINT NOT NULL,
    size      BIGINT NOT NULL,
    hits      BIGINT NOT NULL,
    blob_key  TEXT   NOT NULL UNIQUE,
    created   BIGINT NOT NULL,
    used      BIGINT NOT NULL,
    UNIQUE (pipeline, ref, cache_key)
);
CREATE INDEX pipeline_caches_by_project ON pipeline_caches (project, used);
CREATE INDEX pipeline_caches_by_use ON pipeline_caches (used);
