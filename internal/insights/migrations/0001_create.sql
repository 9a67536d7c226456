-- +goose Up
-- Deployments as far as telemetry needs to know them: to fill in what senders leave out, to watch the one that
-- serves, and to mark the charts.
CREATE TABLE insights_deployments (
    id               BIGINT  PRIMARY KEY,
    project_id       TEXT    NOT NULL,
    environment_id   BIGINT  NOT NULL,
    environment_name TEXT    NOT NULL,
    commit_id        TEXT    NOT NULL,
    run_id           BIGINT  NOT NULL,
    label            TEXT    NOT NULL,
    started          BIGINT  NOT NULL,
    completed        BIGINT  NOT NULL,
    succeeded        BOOLEAN NOT NULL,
    seen             BIGINT  NOT NULL
);
CREATE INDEX insights_deployments_by_environment ON insights_deployments (project_id, environment_id, id);

-- Instrumentation keys of Application Insights: a key is a credential, so only its hash is kept.
CREATE TABLE insights_keys (
    hash          TEXT   PRIMARY KEY,
    project_id    TEXT   NOT NULL,
    deployment_id BIGINT NOT NULL,
    origin        TEXT   NOT NULL,
    created       BIGINT NOT NULL
);
CREATE INDEX insights_keys_by_deployment ON insights_keys (deployment_id);

CREATE TABLE insights_rules (
    id             BIGSERIAL PRIMARY KEY,
    project_id     TEXT             NOT NULL,
    name           TEXT             NOT NULL,
    kind           TEXT             NOT NULL,
    threshold      DOUBLE PRECISION NOT NULL,
    window_seconds BIGINT           NOT NULL,
    minimum        BIGINT           NOT NULL,
    enabled        BOOLEAN          NOT NULL,
    UNIQUE (project_id, name)
);

CREATE TABLE insights_alerts (
    id             BIGSERIAL PRIMARY KEY,
    rule_id        BIGINT           NOT NULL REFERENCES insights_rules (id),
    project_id     TEXT             NOT NULL,
    environment_id BIGINT           NOT NULL,
    deployment_id  BIGINT           NOT NULL,
    fired          BIGINT           NOT NULL,
    clear_since    BIGINT           NOT NULL,
    resolved       BIGINT           NOT NULL,
    value          DOUBLE PRECISION NOT NULL,
    evidence       TEXT             NOT NULL
);
-- One firing alert for a rule and a deployment, whoever evaluates.
CREATE UNIQUE INDEX insights_alerts_firing ON insights_alerts (rule_id, deployment_id) WHERE resolved = 0;
CREATE INDEX insights_alerts_by_project ON insights_alerts (project_id, id);
