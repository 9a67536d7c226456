-- +goose Up
-- What steps published. data is coverage.Encode, gzipped.
CREATE TABLE pipeline_coverage (
    job     BIGINT NOT NULL REFERENCES pipeline_jobs (id),
    step    BIGINT NOT NULL,
    run     BIGINT NOT NULL REFERENCES pipeline_runs (id),
    tool    TEXT   NOT NULL,
    data    BYTEA  NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (job, step)
);
CREATE INDEX pipeline_coverage_by_run ON pipeline_coverage (run, job, step);

-- All of it together, of the latest attempt of each job.
CREATE TABLE pipeline_coverage_sums (
    run      BIGINT PRIMARY KEY REFERENCES pipeline_runs (id),
    lines    BIGINT NOT NULL,
    covered  BIGINT NOT NULL,
    branches BIGINT NOT NULL,
    taken    BIGINT NOT NULL
);

-- And by file. data is coverage.EncodeLines.
CREATE TABLE pipeline_coverage_files (
    run      BIGINT NOT NULL REFERENCES pipeline_runs (id),
    path     TEXT   NOT NULL,
    package  TEXT   NOT NULL,
    lines    BIGINT NOT NULL,
    covered  BIGINT NOT NULL,
    branches BIGINT NOT NULL,
    taken    BIGINT NOT NULL,
    data     BYTEA  NOT NULL,
    PRIMARY KEY (run, path)
);
