-- +goose Up
-- Artifacts are kept as chunks, each once. digest is SHA-256 in hexadecimal digits, or blob_key while a chunk is being stored or deleted.
-- used: when an upload last relied on it.
CREATE TABLE pipeline_chunks (
    digest   TEXT   PRIMARY KEY,
    blob_key TEXT   NOT NULL UNIQUE,
    size     BIGINT NOT NULL,
    used     BIGINT NOT NULL
);
CREATE INDEX pipeline_chunks_by_use ON pipeline_chunks (used);

-- The chunks of an artifact's tar file, in order. Artifacts without any are one object, blob_key, from before.
CREATE TABLE pipeline_artifact_chunks (
    artifact BIGINT NOT NULL REFERENCES pipeline_artifacts (id),
    position BIGINT NOT NULL,
    digest   TEXT   NOT NULL REFERENCES pipeline_chunks (digest),
    PRIMARY KEY (artifact, position)
);
CREATE INDEX pipeline_artifact_chunks_by_digest ON pipeline_artifact_chunks (digest);
