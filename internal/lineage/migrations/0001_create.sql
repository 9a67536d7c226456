-- +goose Up
-- Edges point the way a change goes round the loop. time is when the edge was last seen.
CREATE TABLE lineage_edges (
    project   TEXT   NOT NULL,
    from_kind TEXT   NOT NULL,
    from_id   TEXT   NOT NULL,
    to_kind   TEXT   NOT NULL,
    to_id     TEXT   NOT NULL,
    event_id  BIGINT NOT NULL,
    time      BIGINT NOT NULL,
    PRIMARY KEY (from_kind, from_id, to_kind, to_id, project)
);
CREATE INDEX lineage_edges_forward ON lineage_edges (from_kind, from_id, to_kind, time);
CREATE INDEX lineage_edges_backward ON lineage_edges (to_kind, to_id, from_kind, time);
