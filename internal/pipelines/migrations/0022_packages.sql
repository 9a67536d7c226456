-- +goose Up
-- The packages that a run takes, by the alias of resources.packages. triggered: a new version started the run.
CREATE TABLE pipeline_run_packages (
    run       BIGINT  NOT NULL REFERENCES pipeline_runs (id),
    alias     TEXT    NOT NULL,
    kind      TEXT    NOT NULL,
    name      TEXT    NOT NULL,
    version   TEXT    NOT NULL,
    triggered BOOLEAN NOT NULL,
    PRIMARY KEY (run, alias)
);

-- The packages whose new versions start a run, as the default branch's file says. resource_key changes when another version may be
-- meant; seen is the newest version that is known, '' before the first look. next is when to look, failures how often that failed in a row.
CREATE TABLE pipeline_package_polls (
    pipeline     BIGINT NOT NULL REFERENCES pipeline_definitions (id),
    alias        TEXT   NOT NULL,
    resource_key TEXT   NOT NULL,
    seen         TEXT   NOT NULL,
    next         BIGINT NOT NULL,
    failures     BIGINT NOT NULL,
    problem      TEXT   NOT NULL,
    PRIMARY KEY (pipeline, alias)
);
CREATE INDEX pipeline_package_polls_next ON pipeline_package_polls (next);
