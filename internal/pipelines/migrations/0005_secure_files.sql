-- +goose Up
-- Files of a project that jobs fetch by name; sealed is the content. created_by is an actor.
CREATE TABLE secure_files (
    id         TEXT   PRIMARY KEY,
    project    TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    name_key   TEXT   NOT NULL,
    size       BIGINT NOT NULL,
    sealed     BYTEA  NOT NULL,
    created    BIGINT NOT NULL,
    created_by TEXT   NOT NULL,
    UNIQUE (project, name_key)
);
