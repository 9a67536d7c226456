-- +goose Up
CREATE TABLE events (
    id      BIGSERIAL PRIMARY KEY,
    kind    TEXT   NOT NULL,
    version BIGINT NOT NULL,
    time    BIGINT NOT NULL,
    project TEXT   NOT NULL,
    subject TEXT   NOT NULL,
    actor   TEXT   NOT NULL,
    cause   BIGINT NOT NULL,
    payload TEXT   NOT NULL
);
CREATE INDEX events_by_project ON events (project, id);
CREATE INDEX events_by_kind ON events (kind, id);

CREATE TABLE event_references (
    event_id       BIGINT NOT NULL REFERENCES events (id),
    reference_kind TEXT   NOT NULL,
    reference_id   TEXT   NOT NULL,
    PRIMARY KEY (event_id, reference_kind, reference_id)
);
CREATE INDEX event_references_by_reference ON event_references (reference_kind, reference_id, event_id);

CREATE TABLE event_deliveries (
    consumer TEXT   NOT NULL,
    event_id BIGINT NOT NULL REFERENCES events (id),
    time     BIGINT NOT NULL,
    PRIMARY KEY (consumer, event_id)
);
