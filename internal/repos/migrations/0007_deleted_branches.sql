-- +goose Up
-- Branches that were deleted, for as long as they can be restored.
CREATE TABLE deleted_branches (
    id         BIGSERIAL PRIMARY KEY,
    repository TEXT   NOT NULL REFERENCES repositories (id),
    name       TEXT   NOT NULL, -- without refs/heads/
    commit_id  TEXT   NOT NULL, -- where it was
    deleted    BIGINT NOT NULL,
    actor      TEXT   NOT NULL
);
CREATE INDEX deleted_branches_by_repository ON deleted_branches (repository, deleted);
