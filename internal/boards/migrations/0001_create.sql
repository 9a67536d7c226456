-- +goose Up
CREATE TABLE boards_items (
    id          BIGSERIAL PRIMARY KEY,
    project     TEXT   NOT NULL,
    revision    BIGINT NOT NULL,
    type        TEXT   NOT NULL,
    state       TEXT   NOT NULL,
    title       TEXT   NOT NULL,
    description TEXT   NOT NULL,
    assigned    TEXT   NOT NULL,
    priority    BIGINT NOT NULL,
    tags        TEXT   NOT NULL,
    parent      BIGINT NOT NULL,
    -- where the item stands among those of its project; smaller is higher
    rank        BIGINT NOT NULL,
    created     BIGINT NOT NULL,
    created_by  TEXT   NOT NULL,
    changed     BIGINT NOT NULL,
    changed_by  TEXT   NOT NULL
);
CREATE INDEX boards_items_by_column ON boards_items (project, state, rank);
CREATE INDEX boards_items_by_change ON boards_items (project, changed);
CREATE INDEX boards_items_by_parent ON boards_items (parent);
CREATE INDEX boards_items_by_assigned ON boards_items (assigned);

CREATE TABLE boards_revisions (
    item_id  BIGINT NOT NULL REFERENCES boards_items (id),
    revision BIGINT NOT NULL,
    time     BIGINT NOT NULL,
    actor    TEXT   NOT NULL,
    changes  TEXT   NOT NULL,
    PRIMARY KEY (item_id, revision)
);

CREATE TABLE boards_comments (
    id      BIGSERIAL PRIMARY KEY,
    item_id BIGINT NOT NULL REFERENCES boards_items (id),
    time    BIGINT NOT NULL,
    actor   TEXT   NOT NULL,
    text    TEXT   NOT NULL
);
CREATE INDEX boards_comments_by_item ON boards_comments (item_id, id);

CREATE TABLE boards_links (
    item_id        BIGINT NOT NULL REFERENCES boards_items (id),
    reference_kind TEXT   NOT NULL,
    reference_id   TEXT   NOT NULL,
    title          TEXT   NOT NULL,
    url            TEXT   NOT NULL,
    time           BIGINT NOT NULL,
    actor          TEXT   NOT NULL,
    PRIMARY KEY (item_id, reference_kind, reference_id)
);
CREATE INDEX boards_links_by_reference ON boards_links (reference_kind, reference_id, item_id);

-- The bug that an alert opened; key is the alert's, so that it opens one only.
CREATE TABLE boards_alerts (
    project TEXT   NOT NULL,
    key     TEXT   NOT NULL,
    item_id BIGINT NOT NULL REFERENCES boards_items (id),
    PRIMARY KEY (project, key)
);
CREATE INDEX boards_alerts_by_item ON boards_alerts (item_id);

-- What has moved an item's state by itself: a commit that fixes it, a deployment that ships it. Each does so once.
CREATE TABLE boards_moves (
    item_id        BIGINT NOT NULL REFERENCES boards_items (id),
    reference_kind TEXT   NOT NULL,
    reference_id   TEXT   NOT NULL,
    PRIMARY KEY (item_id, reference_kind, reference_id)
);
