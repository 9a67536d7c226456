-- +goose Up
-- Large files that lie in the blob store, as lfs/REPOSITORY/OID.
CREATE TABLE lfs_objects (
    repository TEXT   NOT NULL REFERENCES repositories (id),
    oid        TEXT   NOT NULL, -- SHA-256 in hex
    size       BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    created_by TEXT   NOT NULL,
    PRIMARY KEY (repository, oid)
);

CREATE TABLE lfs_locks (
    id         BIGSERIAL PRIMARY KEY,
    repository TEXT   NOT NULL REFERENCES repositories (id),
    path       TEXT   NOT NULL,
    owner      TEXT   NOT NULL,
    locked     BIGINT NOT NULL,
    UNIQUE (repository, path)
);
