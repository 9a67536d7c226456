-- +goose Up
CREATE TABLE registry_repositories (
    id      BIGSERIAL PRIMARY KEY,
    name    TEXT    NOT NULL UNIQUE,
    project TEXT    NOT NULL,
    public  BOOLEAN NOT NULL DEFAULT FALSE,
    created BIGINT  NOT NULL
);
CREATE INDEX registry_repositories_by_project ON registry_repositories (project);

-- One row for each content; key is where the object store keeps it.
CREATE TABLE registry_blobs (
    digest  TEXT   NOT NULL PRIMARY KEY,
    key     TEXT   NOT NULL UNIQUE,
    size    BIGINT NOT NULL,
    created BIGINT NOT NULL
);

-- Which repositories a content may be read through. touched is when a push last relied on it.
CREATE TABLE registry_blob_links (
    repository_id BIGINT NOT NULL REFERENCES registry_repositories (id),
    digest        TEXT   NOT NULL REFERENCES registry_blobs (digest),
    touched       BIGINT NOT NULL,
    PRIMARY KEY (repository_id, digest)
);
CREATE INDEX registry_blob_links_by_digest ON registry_blob_links (digest);
CREATE INDEX registry_blob_links_by_age ON registry_blob_links (touched);

CREATE TABLE registry_manifests (
    repository_id BIGINT NOT NULL REFERENCES registry_repositories (id),
    digest        TEXT   NOT NULL,
    media_type    TEXT   NOT NULL,
    artifact_type TEXT   NOT NULL,
    content       BYTEA  NOT NULL,
    size          BIGINT NOT NULL,
    total_size    BIGINT NOT NULL,
    config        TEXT   NOT NULL,
    platform      TEXT   NOT NULL,
    subject       TEXT   NOT NULL,
    annotations   TEXT   NOT NULL,
    pushed        BIGINT NOT NULL,
    PRIMARY KEY (repository_id, digest)
);
CREATE INDEX registry_manifests_by_subject ON registry_manifests (repository_id, subject);
CREATE INDEX registry_manifests_by_digest ON registry_manifests (digest);

CREATE TABLE registry_manifest_references (
    repository_id BIGINT NOT NULL,
    manifest      TEXT   NOT NULL,
    position      BIGINT NOT NULL,
    role          TEXT   NOT NULL,
    digest        TEXT   NOT NULL,
    PRIMARY KEY (repository_id, manifest, position),
    FOREIGN KEY (repository_id, manifest) REFERENCES registry_manifests (repository_id, digest)
);
CREATE INDEX registry_manifest_references_by_digest ON registry_manifest_references (repository_id, digest);

CREATE TABLE registry_tags (
    repository_id BIGINT NOT NULL,
    name          TEXT   NOT NULL,
    digest        TEXT   NOT NULL,
    updated       BIGINT NOT NULL,
    PRIMARY KEY (repository_id, name),
    FOREIGN KEY (repository_id, digest) REFERENCES registry_manifests (repository_id, digest)
);
CREATE INDEX registry_tags_by_digest ON registry_tags (repository_id, digest);

-- Who pushed what, for which run and commit; kept when the manifest goes.
CREATE TABLE registry_pushes (
    id            BIGSERIAL PRIMARY KEY,
    repository_id BIGINT NOT NULL REFERENCES registry_repositories (id),
    digest        TEXT   NOT NULL,
    tag           TEXT   NOT NULL,
    run           BIGINT NOT NULL,
    commit_id     TEXT   NOT NULL,
    actor         TEXT   NOT NULL,
    time          BIGINT NOT NULL
);
CREATE INDEX registry_pushes_by_manifest ON registry_pushes (repository_id, digest, id);
CREATE INDEX registry_pushes_by_run ON registry_pushes (run);
CREATE INDEX registry_pushes_by_commit ON registry_pushes (commit_id);

-- Uploads under way. state is the running hash over the received bytes.
CREATE TABLE registry_uploads (
    id            TEXT   NOT NULL PRIMARY KEY,
    repository_id BIGINT NOT NULL REFERENCES registry_repositories (id),
    algorithm     TEXT   NOT NULL,
    received      BIGINT NOT NULL,
    state         BYTEA  NOT NULL,
    updated       BIGINT NOT NULL
);
CREATE INDEX registry_uploads_by_repository ON registry_uploads (repository_id);
CREATE INDEX registry_uploads_by_age ON registry_uploads (updated);
