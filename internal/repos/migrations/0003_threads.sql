-- +goose Up
CREATE TABLE pull_request_threads (
    id           BIGSERIAL PRIMARY KEY,
    pull_request BIGINT NOT NULL REFERENCES pull_requests (id),
    status       TEXT   NOT NULL, -- active, fixed, wontFix, closed, byDesign, pending
    path         TEXT   NOT NULL, -- empty for one about the whole
    side         TEXT   NOT NULL, -- left or right; empty for one about the whole
    line         BIGINT NOT NULL, -- from 1, in path at commit_id; 0 for the whole file
    commit_id    TEXT   NOT NULL, -- what the writer looked at
    created      BIGINT NOT NULL,
    updated      BIGINT NOT NULL
);
CREATE INDEX pull_request_threads_by_pull_request ON pull_request_threads (pull_request, id);

CREATE TABLE pull_request_comments (
    thread     BIGINT  NOT NULL REFERENCES pull_request_threads (id),
    number     BIGINT  NOT NULL, -- from 1
    parent     BIGINT  NOT NULL, -- the comment that it answers; 0 for none
    author     TEXT    NOT NULL, -- the actor's id
    actor      TEXT    NOT NULL,
    text       TEXT    NOT NULL,
    created    BIGINT  NOT NULL,
    edited     BIGINT  NOT NULL, -- 0 when it never was
    deleted    BOOLEAN NOT NULL,
    PRIMARY KEY (thread, number)
);
