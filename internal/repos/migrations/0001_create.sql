-- +goose Up
CREATE TABLE repositories (
    id             TEXT   PRIMARY KEY,
    project        TEXT   NOT NULL,
    name           TEXT   NOT NULL,
    name_key       TEXT   NOT NULL, -- the name in lower case
    default_branch TEXT   NOT NULL,
    size           BIGINT NOT NULL, -- bytes on disk
    created        BIGINT NOT NULL,
    UNIQUE (project, name_key)
);

-- The value of each branch and tag as it was last announced by an event.
CREATE TABLE repository_refs (
    repository TEXT   NOT NULL REFERENCES repositories (id),
    name       TEXT   NOT NULL,
    target     TEXT   NOT NULL, -- the object that the ref names
    commit_id  TEXT   NOT NULL, -- the commit that target leads to; empty for a tag of something else
    updated    BIGINT NOT NULL,
    PRIMARY KEY (repository, name)
);

-- Pushes that have begun and whose events are not yet known to be published: who to name after a crash.
CREATE TABLE repository_pushes (
    id         BIGSERIAL PRIMARY KEY,
    repository TEXT   NOT NULL REFERENCES repositories (id),
    actor      TEXT   NOT NULL,
    started    BIGINT NOT NULL
);
CREATE INDEX repository_pushes_by_repository ON repository_pushes (repository);
