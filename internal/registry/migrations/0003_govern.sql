-- +goose Up
-- When a push, or a client that looks before a push, last relied on the manifest, or when it lost a tag.
ALTER TABLE registry_manifests ADD COLUMN touched BIGINT NOT NULL DEFAULT 0;
UPDATE registry_manifests SET touched = pushed;

-- When a tag or a digest was last pulled, and how often.
CREATE TABLE registry_pulls (
    repository_id BIGINT NOT NULL,
    reference     TEXT   NOT NULL,
    time          BIGINT NOT NULL,
    count         BIGINT NOT NULL,
    PRIMARY KEY (repository_id, reference)
);

-- How a project's repositories are governed (repository_id 0), or one of them. settings is JSON.
CREATE TABLE registry_settings (
    project       TEXT   NOT NULL,
    repository_id BIGINT NOT NULL,
    settings      TEXT   NOT NULL,
    PRIMARY KEY (project, repository_id)
);
