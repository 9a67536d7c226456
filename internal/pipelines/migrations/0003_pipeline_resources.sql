-- +goose Up
-- The pipelines whose runs start another one, as the file in the default branch of that one says. section is a
-- plan.PipelineTrigger.
CREATE TABLE pipeline_sources (
    pipeline   BIGINT NOT NULL REFERENCES pipeline_definitions (id),
    alias      TEXT   NOT NULL,
    source_key TEXT   NOT NULL,
    section    TEXT   NOT NULL,
    PRIMARY KEY (pipeline, alias)
);
CREATE INDEX pipeline_sources_by_source ON pipeline_sources (source_key);

-- The runs of other pipelines that a run takes artifacts from, by lower-case alias. triggered: that one started it.
CREATE TABLE pipeline_run_sources (
    run       BIGINT  NOT NULL REFERENCES pipeline_runs (id),
    alias     TEXT    NOT NULL,
    source    BIGINT  NOT NULL,
    triggered BOOLEAN NOT NULL,
    PRIMARY KEY (run, alias)
);
