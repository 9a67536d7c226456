-- +goose Up
-- pool: the name by which limits count the job.
ALTER TABLE pipeline_jobs ADD COLUMN pool TEXT NOT NULL DEFAULT 'default';
DROP INDEX pipeline_jobs_by_pod;
CREATE INDEX pipeline_jobs_with_pod ON pipeline_jobs (pod, id) WHERE pod IN (2, 3);
CREATE INDEX pipeline_jobs_of_server ON pipeline_jobs (id) WHERE pod = 5;
CREATE INDEX pipeline_jobs_in_queue ON pipeline_jobs (run, pool, queued, id) WHERE pod = 1;
CREATE INDEX pipeline_jobs_to_cancel ON pipeline_jobs (id) WHERE pod = 1 AND cancel_requested <> 0;

-- How many jobs of a project, and of one of its runs, run at once; 0 is no limit.
CREATE TABLE pipeline_limits (
    project  TEXT   PRIMARY KEY,
    jobs     BIGINT NOT NULL,
    run_jobs BIGINT NOT NULL
);

-- What beside pipelines starts a pipeline, as the file in its default branch says. kind: container, repository or webhook. source_key: the
-- image's repository, PROJECT/REPOSITORY or the webhook's name, in lower case. section is a plan.ResourceTrigger.
CREATE TABLE pipeline_resources (
    pipeline   BIGINT NOT NULL REFERENCES pipeline_definitions (id),
    kind       TEXT   NOT NULL,
    alias      TEXT   NOT NULL,
    source_key TEXT   NOT NULL,
    section    TEXT   NOT NULL,
    PRIMARY KEY (pipeline, kind, alias)
);
CREATE INDEX pipeline_resources_by_source ON pipeline_resources (kind, source_key);
-- Files that are there already are read again for them.
UPDATE pipeline_branches SET event = 0;
UPDATE pipeline_definitions SET branches_read = FALSE;

-- Incoming webhooks. address is the name in the URL, address_key the same in lower case; secret is sealed, empty for none.
CREATE TABLE pipeline_webhooks (
    id          BIGSERIAL PRIMARY KEY,
    project     TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    name_key    TEXT   NOT NULL,
    address     TEXT   NOT NULL,
    address_key TEXT   NOT NULL UNIQUE,
    header      TEXT   NOT NULL,
    secret      BYTEA  NOT NULL,
    created     BIGINT NOT NULL,
    created_by  TEXT   NOT NULL,
    called      BIGINT NOT NULL,
    UNIQUE (project, name_key)
);

-- Calls of webhooks that are still to start runs.
CREATE TABLE pipeline_webhook_calls (
    id       BIGSERIAL PRIMARY KEY,
    webhook  BIGINT NOT NULL REFERENCES pipeline_webhooks (id),
    body     TEXT   NOT NULL,
    received BIGINT NOT NULL
);
CREATE INDEX pipeline_webhook_calls_by_webhook ON pipeline_webhook_calls (webhook, id);

-- What the scheduler knew and decided, in order: entry is a schedule.Entry without outputs and legs, which the rows of the jobs have.
CREATE TABLE pipeline_decisions (
    run    BIGINT NOT NULL REFERENCES pipeline_runs (id),
    number BIGINT NOT NULL,
    time   BIGINT NOT NULL,
    entry  TEXT   NOT NULL,
    PRIMARY KEY (run, number)
);

-- Grows with each change of a run that the scheduler looks at, so that a server knows whether what it remembers of the run holds.
CREATE TABLE pipeline_revisions (
    run      BIGINT PRIMARY KEY REFERENCES pipeline_runs (id),
    revision BIGINT NOT NULL
);

-- Plans may be large: SQLite reads a row's large columns on the way to those behind them, and writes all of a row that changes.
CREATE TABLE pipeline_plans (
    run  BIGINT PRIMARY KEY REFERENCES pipeline_runs (id),
    plan TEXT   NOT NULL
);
INSERT INTO pipeline_plans (run, plan) SELECT id, plan FROM pipeline_runs WHERE plan <> '';
ALTER TABLE pipeline_runs DROP COLUMN plan;
