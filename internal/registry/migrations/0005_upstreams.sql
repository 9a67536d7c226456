-- +goose Up
-- Other registries whose images are kept here. password is sealed, empty for none; patterns and projects are JSON lists.
CREATE TABLE registry_upstreams (
    id              BIGSERIAL PRIMARY KEY,
    name            TEXT    NOT NULL UNIQUE,
    url             TEXT    NOT NULL,
    username        TEXT    NOT NULL,
    password        BYTEA   NOT NULL,
    patterns        TEXT    NOT NULL,
    projects        TEXT    NOT NULL,
    stale_minutes   BIGINT  NOT NULL,
    keep_days       BIGINT  NOT NULL,
    enabled         BOOLEAN NOT NULL,
    created         BIGINT  NOT NULL,
    updated         BIGINT  NOT NULL,
    hits            BIGINT  NOT NULL DEFAULT 0,
    misses          BIGINT  NOT NULL DEFAULT 0,
    bytes_saved     BIGINT  NOT NULL DEFAULT 0,
    bytes_fetched   BIGINT  NOT NULL DEFAULT 0,
    last_error      TEXT    NOT NULL DEFAULT '',
    last_error_time BIGINT  NOT NULL DEFAULT 0
);

-- Repositories that hold copies.
CREATE TABLE registry_cached_repositories (
    repository_id BIGINT NOT NULL PRIMARY KEY REFERENCES registry_repositories (id),
    upstream_id   BIGINT NOT NULL REFERENCES registry_upstreams (id)
);
CREATE INDEX registry_cached_repositories_by_upstream ON registry_cached_repositories (upstream_id);

-- When the upstream last said that a tag is what it is, and the entity tag it gave.
CREATE TABLE registry_cached_tags (
    repository_id BIGINT NOT NULL REFERENCES registry_cached_repositories (repository_id),
    name          TEXT   NOT NULL,
    etag          TEXT   NOT NULL,
    checked       BIGINT NOT NULL,
    PRIMARY KEY (repository_id, name)
);

-- When a manifest was pulled last, to within some minutes.
CREATE TABLE registry_cached_pulls (
    repository_id BIGINT NOT NULL REFERENCES registry_cached_repositories (repository_id),
    digest        TEXT   NOT NULL,
    pulled        BIGINT NOT NULL,
    PRIMARY KEY (repository_id, digest)
);
CREATE INDEX registry_cached_pulls_by_age ON registry_cached_pulls (pulled);
