-- +goose Up
ALTER TABLE repositories ADD COLUMN parent TEXT NOT NULL DEFAULT ''; -- the repository that it was forked from, which may be gone; empty for none
CREATE INDEX repositories_by_parent ON repositories (parent);

-- What forks take of the repositories that they were made from: everything once (initial), and branches whenever somebody asks.
CREATE TABLE repository_fork_syncs (
    id         BIGSERIAL PRIMARY KEY,
    repository TEXT    NOT NULL REFERENCES repositories (id), -- the fork
    source     TEXT    NOT NULL,
    initial    BOOLEAN NOT NULL,
    branches   TEXT    NOT NULL, -- JSON of which become which; empty for all
    state      TEXT    NOT NULL, -- queued, running, succeeded, failed, canceled
    problem    TEXT    NOT NULL, -- why it failed
    started    BIGINT  NOT NULL,
    finished   BIGINT  NOT NULL,
    created    BIGINT  NOT NULL,
    created_by TEXT    NOT NULL
);
CREATE INDEX repository_fork_syncs_by_repository ON repository_fork_syncs (repository, id);
CREATE INDEX repository_fork_syncs_by_state ON repository_fork_syncs (state, id);

-- The fork that has the source branch of a pull request, and its name then; both empty when the repository itself has it.
ALTER TABLE pull_requests ADD COLUMN fork TEXT NOT NULL DEFAULT '';
ALTER TABLE pull_requests ADD COLUMN fork_name TEXT NOT NULL DEFAULT '';
DROP INDEX pull_requests_active;
CREATE UNIQUE INDEX pull_requests_active ON pull_requests (repository, fork, source, target) WHERE status = 'active';
CREATE INDEX pull_requests_by_fork ON pull_requests (fork, status, source);
