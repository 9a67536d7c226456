-- +goose Up
-- The authorities: a root certificate that signs those of builds, and below it one that signs timestamps. The private keys are sealed.
CREATE TABLE signing_authorities (
    id                    TEXT   PRIMARY KEY,
    root_certificate      BYTEA  NOT NULL,
    root_sealed           BYTEA  NOT NULL,
    timestamp_certificate BYTEA  NOT NULL,
    timestamp_sealed      BYTEA  NOT NULL,
    created               BIGINT NOT NULL
);

-- Projects whose images are not signed.
CREATE TABLE signing_off (
    project TEXT PRIMARY KEY
);

-- What was attested, so that an event that is delivered again attests nothing twice.
CREATE TABLE signing_images (
    repository TEXT   NOT NULL,
    digest     TEXT   NOT NULL,
    run        BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    PRIMARY KEY (repository, digest, run)
);
