-- +goose Up
-- What a pull request into some branches needs before it is completed. Branches with a blocking one take no direct push.
CREATE TABLE branch_policies (
    id         BIGSERIAL PRIMARY KEY,
    revision   BIGINT  NOT NULL, -- counts the changes of the row
    project    TEXT    NOT NULL,
    repository TEXT    NOT NULL, -- empty for all repositories of the project
    match_kind TEXT    NOT NULL, -- exact, prefix, defaultBranch
    ref        TEXT    NOT NULL, -- refs/heads/main, the prefix refs/heads/release/, or empty for the default branch
    kind       TEXT    NOT NULL,
    enabled    BOOLEAN NOT NULL,
    blocking   BOOLEAN NOT NULL,
    settings   TEXT    NOT NULL, -- JSON
    created    BIGINT  NOT NULL,
    created_by TEXT    NOT NULL
);
CREATE INDEX branch_policies_by_project ON branch_policies (project, repository);

-- Who may do what policies refuse.
CREATE TABLE policy_bypasses (
    repository    TEXT    NOT NULL REFERENCES repositories (id),
    user_id       TEXT    NOT NULL,
    name          TEXT    NOT NULL, -- the user's
    on_completion BOOLEAN NOT NULL,
    on_push       BOOLEAN NOT NULL,
    granted       BIGINT  NOT NULL,
    granted_by    TEXT    NOT NULL,
    PRIMARY KEY (repository, user_id)
);

-- The runs that policies of the kind build asked for.
CREATE TABLE pull_request_builds (
    pull_request  BIGINT NOT NULL REFERENCES pull_requests (id),
    policy        BIGINT NOT NULL,
    run           BIGINT NOT NULL,
    source_commit TEXT   NOT NULL,
    merge_commit  TEXT   NOT NULL, -- what was run
    state         TEXT   NOT NULL, -- running, succeeded, failed
    queued        BIGINT NOT NULL,
    completed     BIGINT NOT NULL, -- 0 while it runs
    PRIMARY KEY (pull_request, policy, run)
);
CREATE INDEX pull_request_builds_by_run ON pull_request_builds (run);

-- What others say of a commit, or of a pull request.
CREATE TABLE git_statuses (
    id           BIGSERIAL PRIMARY KEY,
    repository   TEXT   NOT NULL REFERENCES repositories (id),
    pull_request BIGINT NOT NULL, -- 0 for one of a commit
    iteration    BIGINT NOT NULL, -- of the pull request; 0 for one of a commit
    commit_id    TEXT   NOT NULL, -- of a pull request's, the source when it was posted
    state        TEXT   NOT NULL,
    genre        TEXT   NOT NULL,
    name         TEXT   NOT NULL,
    description  TEXT   NOT NULL,
    target_url   TEXT   NOT NULL,
    created      BIGINT NOT NULL,
    created_by   TEXT   NOT NULL
);
CREATE INDEX git_statuses_by_commit ON git_statuses (repository, commit_id, id);
CREATE INDEX git_statuses_by_pull_request ON git_statuses (pull_request, id);

ALTER TABLE pull_requests ADD COLUMN auto_complete TEXT NOT NULL DEFAULT ''; -- JSON of who asked for it, and how; empty when nobody did
ALTER TABLE pull_requests ADD COLUMN work_items BIGINT NOT NULL DEFAULT 0; -- linked to it, as was last told

ALTER TABLE pull_request_votes ADD COLUMN required BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE pull_request_votes ADD COLUMN policy BIGINT NOT NULL DEFAULT 0; -- the one that included the reviewer; 0 for people
ALTER TABLE pull_request_votes ADD COLUMN iteration BIGINT NOT NULL DEFAULT 0; -- that the vote is of

ALTER TABLE repository_refs ADD COLUMN actor TEXT NOT NULL DEFAULT ''; -- who moved it last
