-- +goose Up
-- What opens something outside. parameters and data are JSON of what may be shown, with "" for what is sealed; sealed is JSON of
-- the secret ones. created_by is an actor.
CREATE TABLE service_connections (
    id            TEXT    PRIMARY KEY,
    project       TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    name_key      TEXT    NOT NULL,
    description   TEXT    NOT NULL,
    type          TEXT    NOT NULL,
    url           TEXT    NOT NULL,
    scheme        TEXT    NOT NULL,
    parameters    TEXT    NOT NULL,
    data          TEXT    NOT NULL,
    sealed        BYTEA   NOT NULL,
    all_pipelines BOOLEAN NOT NULL,
    created       BIGINT  NOT NULL,
    created_by    TEXT    NOT NULL,
    modified      BIGINT  NOT NULL,
    UNIQUE (project, name_key)
);

CREATE TABLE service_connection_pipelines (
    connection TEXT   NOT NULL,
    pipeline   BIGINT NOT NULL,
    PRIMARY KEY (connection, pipeline)
);

-- Who was given a connection; step is 0 for the job's pod and for the run's own files, job 0 for the run.
CREATE TABLE service_connection_uses (
    id         BIGSERIAL PRIMARY KEY,
    connection TEXT   NOT NULL,
    run        BIGINT NOT NULL,
    pipeline   BIGINT NOT NULL,
    job        BIGINT NOT NULL,
    step       BIGINT NOT NULL,
    purpose    TEXT   NOT NULL,
    used       BIGINT NOT NULL
);
CREATE INDEX service_connection_uses_connection ON service_connection_uses (connection, id);
