-- +goose Up
CREATE TABLE pipeline_definitions (
    id         BIGSERIAL PRIMARY KEY,
    project    TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    name_key   TEXT    NOT NULL,
    repository TEXT    NOT NULL,
    path       TEXT    NOT NULL,
    disabled   BOOLEAN NOT NULL,
    created    BIGINT  NOT NULL,
    UNIQUE (project, name_key),
    UNIQUE (repository, path)
);

-- Counters give run numbers their daily revision and counter() its values.
CREATE TABLE pipeline_counters (
    pipeline BIGINT NOT NULL REFERENCES pipeline_definitions (id),
    prefix   TEXT   NOT NULL,
    value    BIGINT NOT NULL,
    PRIMARY KEY (pipeline, prefix)
);

-- variables and groups are sealed JSON; plan is '' for a run whose file is broken, which problems then describes.
CREATE TABLE pipeline_runs (
    id         BIGSERIAL PRIMARY KEY,
    project    TEXT    NOT NULL,
    pipeline   BIGINT  NOT NULL REFERENCES pipeline_definitions (id),
    number     TEXT    NOT NULL,
    title      TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    repository TEXT    NOT NULL,
    ref        TEXT    NOT NULL,
    commit_id  TEXT    NOT NULL,
    actor      TEXT    NOT NULL,
    parameters TEXT    NOT NULL,
    plan       TEXT    NOT NULL,
    variables  BYTEA   NOT NULL,
    problems   TEXT    NOT NULL,
    tags       TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    result     TEXT    NOT NULL,
    canceled   BOOLEAN NOT NULL,
    canceled_by TEXT   NOT NULL,
    queued     BIGINT  NOT NULL,
    started    BIGINT  NOT NULL,
    finished   BIGINT  NOT NULL,
    cause      TEXT UNIQUE
);
CREATE INDEX pipeline_runs_by_project ON pipeline_runs (project, id);
CREATE INDEX pipeline_runs_by_pipeline ON pipeline_runs (pipeline, id);
CREATE INDEX pipeline_runs_by_state ON pipeline_runs (state, id);
CREATE INDEX pipeline_runs_by_commit ON pipeline_runs (commit_id, id);

CREATE TABLE pipeline_stages (
    run      BIGINT  NOT NULL REFERENCES pipeline_runs (id),
    stage    TEXT    NOT NULL,
    attempt  BIGINT  NOT NULL,
    state    TEXT    NOT NULL,
    result   TEXT    NOT NULL,
    checks   TEXT    NOT NULL,
    manual   BOOLEAN NOT NULL,
    unwanted BOOLEAN NOT NULL,
    after_cancel BOOLEAN NOT NULL,
    reason   TEXT    NOT NULL,
    started  BIGINT  NOT NULL,
    finished BIGINT  NOT NULL,
    PRIMARY KEY (run, stage, attempt)
);

-- One row for each attempt of each instance; variables is sealed JSON.
-- pod: 0 none, 1 to be started, 2 started, 3 to be removed, 4 removed.
CREATE TABLE pipeline_jobs (
    id               BIGSERIAL PRIMARY KEY,
    run              BIGINT  NOT NULL REFERENCES pipeline_runs (id),
    instance         TEXT    NOT NULL,
    stage            TEXT    NOT NULL,
    name             TEXT    NOT NULL,
    attempt          BIGINT  NOT NULL,
    stage_attempt    BIGINT  NOT NULL,
    state            TEXT    NOT NULL,
    result           TEXT    NOT NULL,
    cancel_requested BIGINT  NOT NULL,
    reason           TEXT    NOT NULL,
    outputs          TEXT    NOT NULL,
    legs             TEXT    NOT NULL,
    environment      TEXT    NOT NULL,
    variables        BYTEA   NOT NULL,
    pod              BIGINT  NOT NULL,
    pod_note         TEXT    NOT NULL,
    queued           BIGINT  NOT NULL,
    started          BIGINT  NOT NULL,
    finished         BIGINT  NOT NULL,
    heard            BIGINT  NOT NULL,
    UNIQUE (run, instance, attempt)
);
CREATE INDEX pipeline_jobs_by_pod ON pipeline_jobs (pod, id);

CREATE TABLE pipeline_steps (
    job      BIGINT NOT NULL REFERENCES pipeline_jobs (id),
    step     BIGINT NOT NULL,
    record   TEXT   NOT NULL,
    log_size BIGINT NOT NULL,
    PRIMARY KEY (job, step)
);

CREATE TABLE pipeline_logs (
    job   BIGINT NOT NULL,
    step  BIGINT NOT NULL,
    start BIGINT NOT NULL,
    data  BYTEA  NOT NULL,
    PRIMARY KEY (job, step, start)
);

CREATE TABLE pipeline_artifacts (
    id       BIGSERIAL PRIMARY KEY,
    run      BIGINT NOT NULL REFERENCES pipeline_runs (id),
    job      BIGINT NOT NULL REFERENCES pipeline_jobs (id),
    instance TEXT   NOT NULL,
    name     TEXT   NOT NULL,
    name_key TEXT   NOT NULL,
    size     BIGINT NOT NULL,
    files    BIGINT NOT NULL,
    listing  TEXT   NOT NULL,
    blob_key TEXT   NOT NULL,
    created  BIGINT NOT NULL,
    UNIQUE (run, name_key)
);

CREATE TABLE pipeline_test_runs (
    id       BIGSERIAL PRIMARY KEY,
    run      BIGINT NOT NULL REFERENCES pipeline_runs (id),
    job      BIGINT NOT NULL REFERENCES pipeline_jobs (id),
    step     BIGINT NOT NULL,
    title    TEXT   NOT NULL,
    total    BIGINT NOT NULL,
    passed   BIGINT NOT NULL,
    failed   BIGINT NOT NULL,
    skipped  BIGINT NOT NULL,
    duration BIGINT NOT NULL,
    created  BIGINT NOT NULL,
    UNIQUE (job, step, title)
);
CREATE INDEX pipeline_test_runs_by_run ON pipeline_test_runs (run, id);

CREATE TABLE pipeline_test_results (
    test_run BIGINT NOT NULL REFERENCES pipeline_test_runs (id),
    number   BIGINT NOT NULL,
    suite    TEXT   NOT NULL,
    name     TEXT   NOT NULL,
    outcome  TEXT   NOT NULL,
    duration BIGINT NOT NULL,
    message  TEXT   NOT NULL,
    detail   TEXT   NOT NULL,
    PRIMARY KEY (test_run, number)
);
CREATE INDEX pipeline_test_results_by_outcome ON pipeline_test_results (test_run, outcome, number);

CREATE TABLE pipeline_summaries (
    run  BIGINT NOT NULL REFERENCES pipeline_runs (id),
    job  BIGINT NOT NULL REFERENCES pipeline_jobs (id),
    step BIGINT NOT NULL,
    name TEXT   NOT NULL,
    text TEXT   NOT NULL,
    PRIMARY KEY (run, job, step, name)
);

CREATE TABLE variable_groups (
    id          BIGSERIAL PRIMARY KEY,
    project     TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    name_key    TEXT   NOT NULL,
    description TEXT   NOT NULL,
    created     BIGINT NOT NULL,
    UNIQUE (project, name_key)
);

-- A secret's value is in sealed, another's in value.
CREATE TABLE variable_group_values (
    group_id BIGINT  NOT NULL REFERENCES variable_groups (id),
    name     TEXT    NOT NULL,
    name_key TEXT    NOT NULL,
    value    TEXT    NOT NULL,
    secret   BOOLEAN NOT NULL,
    sealed   BYTEA   NOT NULL,
    PRIMARY KEY (group_id, name_key)
);
