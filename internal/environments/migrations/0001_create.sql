-- +goose Up
CREATE TABLE environments (
    id          BIGSERIAL PRIMARY KEY,
    project     TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    name_key    TEXT   NOT NULL,
    description TEXT   NOT NULL,
    cluster     TEXT   NOT NULL,
    namespace   TEXT   NOT NULL,
    created     BIGINT NOT NULL,
    created_by  TEXT   NOT NULL,
    UNIQUE (project, name_key),
    UNIQUE (cluster, namespace)
);

CREATE TABLE environment_variables (
    environment_id BIGINT  NOT NULL REFERENCES environments (id),
    name_key       TEXT    NOT NULL,
    name           TEXT    NOT NULL,
    value          TEXT    NOT NULL,
    secret         BOOLEAN NOT NULL,
    changed        BIGINT  NOT NULL,
    changed_by     TEXT    NOT NULL,
    PRIMARY KEY (environment_id, name_key)
);

CREATE TABLE environment_checks (
    environment_id BIGINT NOT NULL REFERENCES environments (id),
    kind           TEXT   NOT NULL,
    settings       TEXT   NOT NULL,
    changed        BIGINT NOT NULL,
    changed_by     TEXT   NOT NULL,
    PRIMARY KEY (environment_id, kind)
);

CREATE TABLE check_requests (
    id           BIGSERIAL PRIMARY KEY,
    project      TEXT   NOT NULL,
    run          BIGINT NOT NULL,
    stage        TEXT   NOT NULL,
    attempt      BIGINT NOT NULL,
    requested_by TEXT   NOT NULL,
    commit_id    TEXT   NOT NULL,
    state        TEXT   NOT NULL,
    created      BIGINT NOT NULL,
    completed    BIGINT NOT NULL,
    UNIQUE (run, stage, attempt)
);

CREATE TABLE approvals (
    id             BIGSERIAL PRIMARY KEY,
    request_id     BIGINT NOT NULL REFERENCES check_requests (id),
    environment_id BIGINT NOT NULL REFERENCES environments (id),
    settings       TEXT   NOT NULL,
    state          TEXT   NOT NULL,
    created        BIGINT NOT NULL,
    expires        BIGINT NOT NULL,
    completed      BIGINT NOT NULL,
    UNIQUE (request_id, environment_id)
);
CREATE INDEX approvals_by_state ON approvals (state, expires);
CREATE INDEX approvals_by_environment ON approvals (environment_id, id);

CREATE TABLE approval_decisions (
    approval_id BIGINT  NOT NULL REFERENCES approvals (id),
    actor_id    TEXT    NOT NULL,
    actor       TEXT    NOT NULL,
    approved    BOOLEAN NOT NULL,
    comment     TEXT    NOT NULL,
    time        BIGINT  NOT NULL,
    PRIMARY KEY (approval_id, actor_id)
);

CREATE TABLE deployments (
    id              BIGSERIAL PRIMARY KEY,
    project         TEXT   NOT NULL,
    environment_id  BIGINT NOT NULL REFERENCES environments (id),
    origin          TEXT   NOT NULL UNIQUE,
    run             BIGINT NOT NULL,
    stage           TEXT   NOT NULL,
    job             TEXT   NOT NULL,
    attempt         BIGINT NOT NULL,
    commit_id       TEXT   NOT NULL,
    images          TEXT   NOT NULL,
    parameters      TEXT   NOT NULL,
    manifests_hash  TEXT   NOT NULL,
    rollback_to     BIGINT NOT NULL,
    state           TEXT   NOT NULL,
    reason          TEXT   NOT NULL,
    started         BIGINT NOT NULL,
    completed       BIGINT NOT NULL,
    started_by      TEXT   NOT NULL
);
CREATE INDEX deployments_by_environment ON deployments (environment_id, id);
CREATE INDEX deployments_by_run ON deployments (run, id);
CREATE INDEX deployments_by_project ON deployments (project, id);
