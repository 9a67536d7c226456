-- +goose Up
-- A review app is an environment of one pull request, made of another one (reviewApp of a deployment job). It is removed when the pull
-- request closes: its history stays, its namespace does not.
ALTER TABLE environments ADD COLUMN review_of BIGINT NOT NULL DEFAULT 0;
ALTER TABLE environments ADD COLUMN pull_request BIGINT NOT NULL DEFAULT 0;
ALTER TABLE environments ADD COLUMN removed BIGINT NOT NULL DEFAULT 0;
CREATE INDEX environments_pull_request ON environments (pull_request);
