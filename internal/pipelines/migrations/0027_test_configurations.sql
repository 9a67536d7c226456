-- +goose Up
-- For which platform and configuration tests were run, "" for none that was named.
ALTER TABLE pipeline_test_runs ADD COLUMN platform TEXT NOT NULL DEFAULT '';
ALTER TABLE pipeline_test_runs ADD COLUMN configuration TEXT NOT NULL DEFAULT '';

-- A test of one name is another test for each platform and configuration.
ALTER TABLE pipeline_flaky_tests RENAME TO pipeline_flaky_tests_before;
CREATE TABLE pipeline_flaky_tests (
    pipeline      BIGINT NOT NULL REFERENCES pipeline_definitions (id),
    suite         TEXT   NOT NULL,
    name          TEXT   NOT NULL,
    platform      TEXT   NOT NULL,
    configuration TEXT   NOT NULL,
    run           BIGINT NOT NULL,
    seen          BIGINT NOT NULL,
    PRIMARY KEY (pipeline, name, suite, platform, configuration)
);
INSERT INTO pipeline_flaky_tests (pipeline, suite, name, platform, configuration, run, seen)
    SELECT pipeline, suite, name, '', '', run, seen FROM pipeline_flaky_tests_before;
DROP TABLE pipeline_flaky_tests_before;

-- Files of a publication of test results as a whole: what it was read from, and what the runner attached to it.
CREATE TABLE pipeline_test_attachments (
    id       BIGSERIAL PRIMARY KEY,
    run      BIGINT NOT NULL REFERENCES pipeline_runs (id),
    test_run BIGINT NOT NULL REFERENCES pipeline_test_runs (id),
    name     TEXT   NOT NULL,
    size     BIGINT NOT NULL,
    blob_key TEXT   NOT NULL,
    created  BIGINT NOT NULL,
    UNIQUE (test_run, name)
);
CREATE INDEX pipeline_test_attachments_by_run ON pipeline_test_attachments (run, id);
