-- +goose Up
-- Pushes to a branch of a pipeline whose file says trigger.batch. section is the trigger section of the pushed file.
-- run: 0 while the push waits, the run that built it, -1 when nothing did.
CREATE TABLE pipeline_pushes (
    pipeline      BIGINT  NOT NULL REFERENCES pipeline_definitions (id),
    event         BIGINT  NOT NULL,
    ref           TEXT    NOT NULL,
    commit_id     TEXT    NOT NULL,
    message       TEXT    NOT NULL,
    actor         TEXT    NOT NULL,
    paths         TEXT    NOT NULL,
    paths_unknown BOOLEAN NOT NULL,
    section       TEXT    NOT NULL,
    received      BIGINT  NOT NULL,
    run           BIGINT  NOT NULL,
    PRIMARY KEY (pipeline, event)
);
CREATE INDEX pipeline_pushes_by_run ON pipeline_pushes (run, pipeline, ref);
CREATE INDEX pipeline_runs_under_way ON pipeline_runs (pipeline, ref) WHERE state <> 'completed';

-- The number of the latest push whose file gave a branch its schedules.
CREATE TABLE pipeline_branches (
    pipeline BIGINT NOT NULL REFERENCES pipeline_definitions (id),
    ref      TEXT   NOT NULL,
    event    BIGINT NOT NULL,
    PRIMARY KEY (pipeline, ref)
);

-- next is 0 when the schedule names no time to come.
CREATE TABLE pipeline_schedules (
    id           BIGSERIAL PRIMARY KEY,
    pipeline     BIGINT  NOT NULL REFERENCES pipeline_definitions (id),
    ref          TEXT    NOT NULL,
    cron         TEXT    NOT NULL,
    display_name TEXT    NOT NULL,
    always       BOOLEAN NOT NULL,
    batch        BOOLEAN NOT NULL,
    next         BIGINT  NOT NULL
);
CREATE INDEX pipeline_schedules_by_next ON pipeline_schedules (next);
CREATE INDEX pipeline_schedules_by_pipeline ON pipeline_schedules (pipeline, ref);

ALTER TABLE pipeline_runs ADD COLUMN schedule BIGINT NOT NULL DEFAULT 0;
ALTER TABLE pipeline_runs ADD COLUMN schedule_name TEXT NOT NULL DEFAULT '';
CREATE INDEX pipeline_runs_by_schedule ON pipeline_runs (schedule, id) WHERE schedule <> 0;

-- Whether the schedules of all branches were read once after the pipeline was created.
ALTER TABLE pipeline_definitions ADD COLUMN branches_read BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX pipeline_definitions_unread ON pipeline_definitions (id) WHERE branches_read = FALSE;
