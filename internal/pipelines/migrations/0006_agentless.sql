-- +goose Up
-- Agentless jobs that are under way or were; pipeline_jobs.pod 5 says that the server runs them.
-- due: when to look again. step: the one that runs, late when it began after the job was asked to stop. call: '' none,
-- calling until call_until by the server that made it so, waiting for an event. token: the job's own, sealed, empty until needed.
CREATE TABLE pipeline_agentless (
    job        BIGINT PRIMARY KEY REFERENCES pipeline_jobs (id),
    due        BIGINT  NOT NULL,
    step       BIGINT  NOT NULL,
    late       BOOLEAN NOT NULL,
    call       TEXT    NOT NULL,
    call_until BIGINT  NOT NULL,
    token      BYTEA   NOT NULL
);

-- What ManualValidation asks. settings is a task.Validation; actor decided.
CREATE TABLE pipeline_validations (
    id           BIGSERIAL PRIMARY KEY,
    project      TEXT   NOT NULL,
    run          BIGINT NOT NULL REFERENCES pipeline_runs (id),
    job          BIGINT NOT NULL REFERENCES pipeline_jobs (id),
    step         BIGINT NOT NULL,
    title        TEXT   NOT NULL,
    instructions TEXT   NOT NULL,
    settings     TEXT   NOT NULL,
    state        TEXT   NOT NULL,
    actor        TEXT   NOT NULL,
    comment      TEXT   NOT NULL,
    created      BIGINT NOT NULL,
    expires      BIGINT NOT NULL,
    completed    BIGINT NOT NULL,
    UNIQUE (job, step)
);
CREATE INDEX pipeline_validations_by_run ON pipeline_validations (run, id);
CREATE INDEX pipeline_validations_by_state ON pipeline_validations (state, id);
