-- +goose Up
CREATE TABLE pull_requests (
    id            BIGSERIAL PRIMARY KEY,
    revision      BIGINT  NOT NULL, -- counts the changes of the row
    repository    TEXT    NOT NULL REFERENCES repositories (id),
    project       TEXT    NOT NULL,
    source        TEXT    NOT NULL, -- refs/heads/topic
    target        TEXT    NOT NULL, -- refs/heads/main
    title         TEXT    NOT NULL,
    description   TEXT    NOT NULL,
    draft         BOOLEAN NOT NULL,
    status        TEXT    NOT NULL, -- active, completed, abandoned
    created       BIGINT  NOT NULL,
    created_by    TEXT    NOT NULL,
    creator       TEXT    NOT NULL, -- the id in created_by
    closed        BIGINT  NOT NULL, -- 0 while it is active
    closed_by     TEXT    NOT NULL, -- of an active one whose completion has begun: who asked for it
    source_commit TEXT    NOT NULL,
    target_commit TEXT    NOT NULL,
    merge_status  TEXT    NOT NULL,
    merge_commit  TEXT    NOT NULL, -- the trial merge; of a completed one what the target got
    merge_reason  TEXT    NOT NULL, -- why there is none
    conflicts     TEXT    NOT NULL, -- paths, a JSON array
    completion    TEXT    NOT NULL, -- JSON of what is being, or was, asked for; empty before
    completing    TEXT    NOT NULL  -- the commit that the target gets, from before it gets it until the row is completed
);
CREATE INDEX pull_requests_by_repository ON pull_requests (repository, status, id);
CREATE INDEX pull_requests_by_project ON pull_requests (project, status, id);
CREATE INDEX pull_requests_by_merge ON pull_requests (repository, merge_commit);
CREATE UNIQUE INDEX pull_requests_active ON pull_requests (repository, source, target) WHERE status = 'active';

-- What the source branch was after each push.
CREATE TABLE pull_request_iterations (
    pull_request  BIGINT NOT NULL REFERENCES pull_requests (id),
    number        BIGINT NOT NULL, -- from 1
    source_commit TEXT   NOT NULL,
    target_commit TEXT   NOT NULL,
    base_commit   TEXT   NOT NULL, -- the merge base of the two; empty when they have none
    created       BIGINT NOT NULL,
    created_by    TEXT   NOT NULL,
    PRIMARY KEY (pull_request, number)
);

CREATE TABLE pull_request_votes (
    pull_request BIGINT NOT NULL REFERENCES pull_requests (id),
    reviewer     TEXT   NOT NULL, -- the actor's id
    actor        TEXT   NOT NULL,
    vote         BIGINT NOT NULL,
    voted        BIGINT NOT NULL,
    PRIMARY KEY (pull_request, reviewer)
);
