-- +goose Up
-- codec is joblog.Codec; lines counts the line ends in the text of data, -1 where nobody has.
ALTER TABLE pipeline_logs ADD COLUMN codec BIGINT NOT NULL DEFAULT 0;
ALTER TABLE pipeline_logs ADD COLUMN lines BIGINT NOT NULL DEFAULT -1;
CREATE INDEX pipeline_logs_by_line ON pipeline_logs (job, step, start, lines);

-- Pools that administrators have made; settings is JSON.
CREATE TABLE pipeline_pools (
    id       BIGSERIAL PRIMARY KEY,
    name     TEXT   NOT NULL,
    name_key TEXT   NOT NULL UNIQUE,
    settings TEXT   NOT NULL,
    created  BIGINT NOT NULL
);

-- When a project's job last took a pod of a pool that might have been a warm one.
CREATE TABLE pipeline_pool_uses (
    pool    TEXT   NOT NULL,
    project TEXT   NOT NULL,
    image   TEXT   NOT NULL,
    used    BIGINT NOT NULL,
    PRIMARY KEY (pool, project)
);

-- Pods that wait for a job. state: 1 to be started, 2 started, 3 its agent waits, 4 given to the job, 5 to be removed.
CREATE TABLE pipeline_warm_pods (
    id      BIGSERIAL PRIMARY KEY,
    pool    TEXT   NOT NULL,
    project TEXT   NOT NULL,
    likeness TEXT  NOT NULL,
    state   BIGINT NOT NULL,
    job     BIGINT NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX pipeline_warm_pods_by_likeness ON pipeline_warm_pods (state, likeness, id);

-- pod_name is '' for the name that follows from the job; lost counts the pods that were lost before the first step.
ALTER TABLE pipeline_jobs ADD COLUMN pod_name TEXT NOT NULL DEFAULT '';
ALTER TABLE pipeline_jobs ADD COLUMN lost BIGINT NOT NULL DEFAULT 0;
