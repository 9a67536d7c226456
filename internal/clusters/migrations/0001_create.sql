-- +goose Up
CREATE TABLE cluster_manifests (
    id          BIGSERIAL PRIMARY KEY,
    deployment  BIGINT NOT NULL,
    cluster     TEXT   NOT NULL,
    namespace   TEXT   NOT NULL,
    set_name    TEXT   NOT NULL,
    hash        TEXT   NOT NULL,
    shown       TEXT   NOT NULL,
    sealed      TEXT   NOT NULL,
    applied     BIGINT NOT NULL
);
CREATE INDEX cluster_manifests_by_deployment ON cluster_manifests (deployment, id);

CREATE TABLE cluster_pods (
    uid         TEXT   PRIMARY KEY,
    cluster     TEXT   NOT NULL,
    namespace   TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    project     TEXT   NOT NULL,
    environment BIGINT NOT NULL,
    deployment  BIGINT NOT NULL,
    run         BIGINT NOT NULL,
    commit_id   TEXT   NOT NULL,
    workload    TEXT   NOT NULL,
    node        TEXT   NOT NULL,
    images      TEXT   NOT NULL,
    created     BIGINT NOT NULL,
    started     BIGINT NOT NULL,
    ended       BIGINT NOT NULL,
    restarts    BIGINT NOT NULL,
    reason      TEXT   NOT NULL
);
CREATE INDEX cluster_pods_by_deployment ON cluster_pods (deployment, created);
CREATE INDEX cluster_pods_by_environment ON cluster_pods (environment, created);
