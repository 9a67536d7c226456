-- +goose Up
-- What other programs keep with a pull request. kind is how the value is read: string, integer or number.
CREATE TABLE pull_request_properties (
    pull_request BIGINT NOT NULL REFERENCES pull_requests (id),
    name         TEXT   NOT NULL,
    kind         TEXT   NOT NULL,
    value        TEXT   NOT NULL,
    PRIMARY KEY (pull_request, name)
);
