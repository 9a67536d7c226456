-- +goose Up
-- Limits of pushes to a repository, or to all of a project. 0 is none.
CREATE TABLE repository_limits (
    scope       TEXT   PRIMARY KEY, -- project/ID or repository/ID
    pack        BIGINT NOT NULL,    -- bytes of one push
    file        BIGINT NOT NULL,    -- bytes of one file
    path_length BIGINT NOT NULL,    -- bytes of one path
    path_depth  BIGINT NOT NULL,    -- names in one path
    refs        BIGINT NOT NULL     -- branches and tags
);

-- What upkeep has found and done last.
CREATE TABLE repository_upkeep (
    repository TEXT   PRIMARY KEY REFERENCES repositories (id),
    due        BIGINT NOT NULL, -- since when it is wanted; 0 when it is not
    packs      BIGINT NOT NULL, -- after the last upkeep
    loose      BIGINT NOT NULL, -- objects outside of packs, after it
    cleaned    BIGINT NOT NULL, -- when everything was packed anew and what is unreachable was looked through
    finished   BIGINT NOT NULL,
    took       BIGINT NOT NULL, -- microseconds
    problem    TEXT   NOT NULL
);
CREATE INDEX repository_upkeep_due ON repository_upkeep (due) WHERE due > 0;

ALTER TABLE repositories ADD COLUMN disabled BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE repositories ADD COLUMN deleted BIGINT NOT NULL DEFAULT 0; -- when; its name_key is deleted/ID then
ALTER TABLE repositories ADD COLUMN deleted_by TEXT NOT NULL DEFAULT '';

-- Names that repositories had before.
CREATE TABLE repository_redirects (
    project    TEXT   NOT NULL,
    name_key   TEXT   NOT NULL,
    repository TEXT   NOT NULL REFERENCES repositories (id),
    created    BIGINT NOT NULL,
    PRIMARY KEY (project, name_key)
);
CREATE INDEX repository_redirects_by_repository ON repository_redirects (repository);
