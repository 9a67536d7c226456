-- +goose Up
-- Branches that nobody changes until they are unlocked.
CREATE TABLE branch_locks (
    repository TEXT   NOT NULL REFERENCES repositories (id),
    name       TEXT   NOT NULL, -- refs/heads/main
    locked     BIGINT NOT NULL,
    locked_by  TEXT   NOT NULL,
    PRIMARY KEY (repository, name)
);
