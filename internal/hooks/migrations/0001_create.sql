-- +goose Up
-- Who is told of events. project is empty for those of the whole installation; target is sealed: an address may be a secret.
CREATE TABLE hook_subscriptions (
    id          TEXT    NOT NULL PRIMARY KEY,
    project     TEXT    NOT NULL,
    description TEXT    NOT NULL,
    kinds       TEXT    NOT NULL,
    filters     TEXT    NOT NULL,
    format      TEXT    NOT NULL,
    target      BYTEA   NOT NULL,
    state       TEXT    NOT NULL,
    failures    BIGINT  NOT NULL DEFAULT 0,
    created     BIGINT  NOT NULL,
    created_by  TEXT    NOT NULL,
    updated     BIGINT  NOT NULL
);
CREATE INDEX hook_subscriptions_by_project ON hook_subscriptions (project);

-- What each was told, and what it answered to the last attempt. origin makes an event reach a subscription once.
CREATE TABLE hook_deliveries (
    id              BIGSERIAL PRIMARY KEY,
    subscription_id TEXT   NOT NULL REFERENCES hook_subscriptions (id),
    origin          TEXT   NOT NULL UNIQUE,
    event_id        BIGINT NOT NULL,
    kind            TEXT   NOT NULL,
    body            TEXT   NOT NULL,
    state           TEXT   NOT NULL,
    attempts        BIGINT NOT NULL,
    created         BIGINT NOT NULL,
    attempted       BIGINT NOT NULL,
    micros          BIGINT NOT NULL,
    request         TEXT   NOT NULL,
    status          BIGINT NOT NULL,
    answer          TEXT   NOT NULL,
    error           TEXT   NOT NULL
);
CREATE INDEX hook_deliveries_by_subscription ON hook_deliveries (subscription_id, id);
CREATE INDEX hook_deliveries_by_age ON hook_deliveries (created);
