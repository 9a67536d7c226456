-- +goose Up
CREATE TABLE pull_request_labels (
    pull_request BIGINT NOT NULL REFERENCES pull_requests (id),
    name_key     TEXT   NOT NULL, -- the name in lower case
    name         TEXT   NOT NULL,
    PRIMARY KEY (pull_request, name_key)
);

CREATE TABLE pull_request_likes (
    thread  BIGINT NOT NULL REFERENCES pull_request_threads (id),
    number  BIGINT NOT NULL, -- the comment's
    user_id TEXT   NOT NULL,
    actor   TEXT   NOT NULL,
    liked   BIGINT NOT NULL,
    PRIMARY KEY (thread, number, user_id)
);

-- Files of pull requests, which lie in the blob store as attachments/REPOSITORY/PULL-REQUEST/ID.
CREATE TABLE pull_request_attachments (
    id           BIGSERIAL PRIMARY KEY,
    pull_request BIGINT NOT NULL REFERENCES pull_requests (id),
    name         TEXT   NOT NULL,
    size         BIGINT NOT NULL,
    hash         TEXT   NOT NULL, -- SHA-1 in hex, as clients of Azure DevOps expect it
    object       TEXT   NOT NULL, -- the last part of its key
    created      BIGINT NOT NULL,
    created_by   TEXT   NOT NULL,
    UNIQUE (pull_request, name)
);

-- Cherry-picks and reverts that were asked for.
CREATE TABLE git_picks (
    id           BIGSERIAL PRIMARY KEY,
    repository   TEXT   NOT NULL REFERENCES repositories (id),
    kind         TEXT   NOT NULL, -- cherryPick, revert
    pull_request BIGINT NOT NULL, -- what was picked; 0 for the commits
    commits      TEXT   NOT NULL, -- object names, a JSON array
    onto         TEXT   NOT NULL, -- refs/heads/release
    branch       TEXT   NOT NULL, -- refs/heads/revert-12, which was made for it
    status       TEXT   NOT NULL, -- completed, failed
    reason       TEXT   NOT NULL, -- why it failed
    conflicts    TEXT   NOT NULL, -- paths, a JSON array
    conflicting  TEXT   NOT NULL, -- the commit that conflicts; empty without conflicts
    created      BIGINT NOT NULL,
    created_by   TEXT   NOT NULL
);
CREATE INDEX git_picks_by_branch ON git_picks (repository, branch, id);
