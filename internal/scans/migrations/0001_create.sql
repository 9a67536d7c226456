-- +goose Up
-- What is in an image. packages and findings are JSON, compressed by gzip; empty until there are some.
CREATE TABLE scan_images (
    repository TEXT   NOT NULL,
    digest     TEXT   NOT NULL,
    project    TEXT   NOT NULL,
    state      TEXT   NOT NULL,
    problem    TEXT   NOT NULL,
    attempts   BIGINT NOT NULL,
    claimed    BIGINT NOT NULL,
    wanted     BIGINT NOT NULL,
    packages   BYTEA  NOT NULL,
    count      BIGINT NOT NULL,
    findings   BYTEA  NOT NULL,
    matched    BIGINT NOT NULL,
    critical   BIGINT NOT NULL,
    high       BIGINT NOT NULL,
    medium     BIGINT NOT NULL,
    low        BIGINT NOT NULL,
    unknown    BIGINT NOT NULL,
    unchecked  BIGINT NOT NULL,
    PRIMARY KEY (repository, digest)
);
CREATE INDEX scan_images_by_state ON scan_images (state, claimed);
