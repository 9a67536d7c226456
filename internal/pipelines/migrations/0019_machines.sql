-- +goose Up
-- Machines whose agents do jobs: of a pool, by its name in lower case, or of an environment of a project, by its name in lower case.
-- tags and capabilities are JSON; job is what it was given, 0 for none; heard is the last word of its agent.
CREATE TABLE pipeline_machines (
    id           BIGSERIAL PRIMARY KEY,
    pool         TEXT    NOT NULL,
    project      TEXT    NOT NULL,
    environment  TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    name_key     TEXT    NOT NULL,
    tags         TEXT    NOT NULL,
    capabilities TEXT    NOT NULL,
    enabled      BOOLEAN NOT NULL,
    job          BIGINT  NOT NULL,
    created      BIGINT  NOT NULL,
    created_by   TEXT    NOT NULL,
    heard        BIGINT  NOT NULL,
    UNIQUE (pool, project, environment, name_key)
);

-- Registration tokens by their hashes, which are deleted when they are used.
CREATE TABLE pipeline_machine_registrations (
    hash        TEXT   PRIMARY KEY,
    pool        TEXT   NOT NULL,
    project     TEXT   NOT NULL,
    environment TEXT   NOT NULL,
    created_by  TEXT   NOT NULL,
    expires     BIGINT NOT NULL
);

-- What jobs want that wait for a machine, or have one: of a pool with these demands (JSON), or just that machine.
CREATE TABLE pipeline_machine_jobs (
    job     BIGINT  PRIMARY KEY REFERENCES pipeline_jobs (id),
    pool    TEXT    NOT NULL,
    machine BIGINT  NOT NULL,
    demands TEXT    NOT NULL,
    fork    BOOLEAN NOT NULL
);

-- pod may also be 6, waits for a machine, and 7, was given to one; machine is the one, and stays when the job is over.
ALTER TABLE pipeline_jobs ADD COLUMN machine BIGINT NOT NULL DEFAULT 0;
CREATE INDEX pipeline_jobs_of_machines ON pipeline_jobs (id) WHERE pod IN (6, 7);
CREATE INDEX pipeline_jobs_by_machine ON pipeline_jobs (machine, id) WHERE machine <> 0;
