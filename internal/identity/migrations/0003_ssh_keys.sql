-- +goose Up
-- The public keys with which users reach repositories by SSH.
CREATE TABLE ssh_keys (
    id          TEXT   NOT NULL PRIMARY KEY,
    user_id     TEXT   NOT NULL REFERENCES users (id),
    name        TEXT   NOT NULL,
    algorithm   TEXT   NOT NULL,
    fingerprint TEXT   NOT NULL UNIQUE, -- SHA256:...
    created     BIGINT NOT NULL,
    used        BIGINT NOT NULL -- 0 before the first time
);
CREATE INDEX ssh_keys_by_user ON ssh_keys (user_id);
