-- +goose Up
-- Findings of the scan for secrets that somebody let through: the same credential is no finding of the repository any more.
CREATE TABLE allowed_secrets (
    repository TEXT   NOT NULL REFERENCES repositories (id),
    finding    TEXT   NOT NULL, -- its id, which does not tell the secret
    reason     TEXT   NOT NULL,
    allowed    BIGINT NOT NULL,
    allowed_by TEXT   NOT NULL,
    PRIMARY KEY (repository, finding)
);
