-- +goose Up
-- stop_minutes: for how many minutes in all a job of the run waits for a person at steps that failed, 0 for not at all.
ALTER TABLE pipeline_runs ADD COLUMN stop_minutes BIGINT NOT NULL DEFAULT 0;

-- A job's wait at a step that failed. actor is who decided.
CREATE TABLE pipeline_pauses (
    id       BIGSERIAL PRIMARY KEY,
    project  TEXT   NOT NULL,
    run      BIGINT NOT NULL REFERENCES pipeline_runs (id),
    job      BIGINT NOT NULL REFERENCES pipeline_jobs (id),
    number   BIGINT NOT NULL,
    step     BIGINT NOT NULL,
    title    TEXT   NOT NULL,
    reason   TEXT   NOT NULL,
    state    TEXT   NOT NULL,
    decision TEXT   NOT NULL,
    actor    TEXT   NOT NULL,
    started  BIGINT NOT NULL,
    expires  BIGINT NOT NULL,
    ended    BIGINT NOT NULL,
    UNIQUE (job, number)
);
CREATE INDEX pipeline_pauses_by_run ON pipeline_pauses (run, id);
CREATE INDEX pipeline_pauses_by_state ON pipeline_pauses (state, project, id);

-- Who had a terminal in a job. closed is 0 while it is open; a server that was killed leaves it so until the next one, or the job's end.
CREATE TABLE pipeline_terminals (
    id     BIGSERIAL PRIMARY KEY,
    run    BIGINT NOT NULL REFERENCES pipeline_runs (id),
    job    BIGINT NOT NULL REFERENCES pipeline_jobs (id),
    step   BIGINT NOT NULL,
    actor  TEXT   NOT NULL,
    opened BIGINT NOT NULL,
    closed BIGINT NOT NULL,
    typed  BIGINT NOT NULL,
    shown  BIGINT NOT NULL,
    note   TEXT   NOT NULL
);
CREATE INDEX pipeline_terminals_by_run ON pipeline_terminals (run, id);
CREATE INDEX pipeline_terminals_by_job ON pipeline_terminals (job, id);

-- Files that steps attach to a run (task.addattachment, task.uploadfile, build.uploadlog).
CREATE TABLE pipeline_attachments (
    id       BIGSERIAL PRIMARY KEY,
    run      BIGINT NOT NULL REFERENCES pipeline_runs (id),
    job      BIGINT NOT NULL REFERENCES pipeline_jobs (id),
    step     BIGINT NOT NULL,
    type     TEXT   NOT NULL,
    name     TEXT   NOT NULL,
    size     BIGINT NOT NULL,
    blob_key TEXT   NOT NULL,
    created  BIGINT NOT NULL,
    UNIQUE (job, step, type, name)
);
CREATE INDEX pipeline_attachments_by_run ON pipeline_attachments (run, id);
