-- +goose Up
-- origin: JSON of the run whose job posted the status; empty for one of a person or of another service.
ALTER TABLE git_statuses ADD COLUMN origin TEXT NOT NULL DEFAULT '';

-- When a build that a policy goes by is valid no more, though nothing else happens.
CREATE TABLE pull_request_expiries (
    pull_request BIGINT PRIMARY KEY REFERENCES pull_requests (id),
    expires      BIGINT NOT NULL
);
CREATE INDEX pull_request_expiries_by_time ON pull_request_expiries (expires);
