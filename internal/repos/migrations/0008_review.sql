-- +goose Up
ALTER TABLE pull_request_threads ADD COLUMN end_line BIGINT NOT NULL DEFAULT 0; -- the last of several lines; 0 for one line or none

-- Comments that their writers have not submitted: nobody else sees them.
CREATE TABLE pull_request_drafts (
    id           BIGSERIAL PRIMARY KEY,
    pull_request BIGINT NOT NULL REFERENCES pull_requests (id),
    author       TEXT   NOT NULL, -- the actor's id
    thread       BIGINT NOT NULL, -- that it answers; 0 for one that begins a thread
    path         TEXT   NOT NULL, -- as in pull_request_threads
    side         TEXT   NOT NULL,
    line         BIGINT NOT NULL,
    end_line     BIGINT NOT NULL,
    commit_id    TEXT   NOT NULL,
    text         TEXT   NOT NULL,
    created      BIGINT NOT NULL
);
CREATE INDEX pull_request_drafts_by_author ON pull_request_drafts (pull_request, author, id);

-- Which content of a file somebody has looked at.
CREATE TABLE pull_request_viewed (
    pull_request BIGINT NOT NULL REFERENCES pull_requests (id),
    user_id      TEXT   NOT NULL,
    path         TEXT   NOT NULL,
    object       TEXT   NOT NULL, -- the file's; empty for a deleted one
    PRIMARY KEY (pull_request, user_id, path)
);

-- Which iteration somebody looked at last, and before that.
CREATE TABLE pull_request_visits (
    pull_request BIGINT NOT NULL REFERENCES pull_requests (id),
    user_id      TEXT   NOT NULL,
    iteration    BIGINT NOT NULL,
    previous     BIGINT NOT NULL, -- 0 when there was none
    PRIMARY KEY (pull_request, user_id)
);
