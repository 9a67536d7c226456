-- +goose Up
-- What a repository has to do with one of another host: it is filled from there once (import) or again and again (pull), or its
-- branches and tags go there after each push (push). secret is the sealed JSON of the credentials.
CREATE TABLE repository_mirrors (
    id          BIGSERIAL PRIMARY KEY,
    repository  TEXT    NOT NULL REFERENCES repositories (id),
    project     TEXT    NOT NULL,
    kind        TEXT    NOT NULL, -- import, pull, push
    url         TEXT    NOT NULL,
    username    TEXT    NOT NULL,
    secret      BYTEA   NOT NULL, -- empty without one
    connection  TEXT    NOT NULL, -- the service connection with the credentials; empty without one
    known_hosts TEXT    NOT NULL, -- of an address of SSH
    every       BIGINT  NOT NULL, -- microseconds between two fetches of a pull mirror; 0 by hand alone
    enabled     BOOLEAN NOT NULL,
    private     BOOLEAN NOT NULL, -- it may reach any address
    state       TEXT    NOT NULL, -- queued, running, succeeded, failed, canceled
    problem     TEXT    NOT NULL, -- why it failed
    failures    BIGINT  NOT NULL, -- since it succeeded last
    due         BIGINT  NOT NULL, -- when it runs next; 0 when nothing is planned
    started     BIGINT  NOT NULL,
    finished    BIGINT  NOT NULL,
    succeeded   BIGINT  NOT NULL,
    created     BIGINT  NOT NULL,
    created_by  TEXT    NOT NULL
);
CREATE UNIQUE INDEX repository_mirrors_incoming ON repository_mirrors (repository) WHERE kind <> 'push';
CREATE INDEX repository_mirrors_by_repository ON repository_mirrors (repository, id);
CREATE INDEX repository_mirrors_due ON repository_mirrors (due) WHERE due > 0;
