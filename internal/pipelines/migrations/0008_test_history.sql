-- +goose Up
CREATE INDEX pipeline_test_results_by_name ON pipeline_test_results (name, test_run);

-- Tests that passed and failed on one and the same commit. seen is when that was last found, run the run in which it was.
CREATE TABLE pipeline_flaky_tests (
    pipeline BIGINT NOT NULL REFERENCES pipeline_definitions (id),
    suite    TEXT   NOT NULL,
    name     TEXT   NOT NULL,
    run      BIGINT NOT NULL,
    seen     BIGINT NOT NULL,
    PRIMARY KEY (pipeline, name, suite)
);
