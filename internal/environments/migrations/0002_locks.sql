-- +goose Up
-- What exclusive locks need to know of a stage that asks. lock_state: '' before its approvals are there, or when it needs no
-- lock, waiting, held, released. The request itself is pending until the lock is held.
ALTER TABLE check_requests ADD COLUMN pipeline BIGINT NOT NULL DEFAULT 0;
ALTER TABLE check_requests ADD COLUMN lock_behavior TEXT NOT NULL DEFAULT '';
ALTER TABLE check_requests ADD COLUMN lock_state TEXT NOT NULL DEFAULT '';
ALTER TABLE check_requests ADD COLUMN lock_since BIGINT NOT NULL DEFAULT 0;
ALTER TABLE check_requests ADD COLUMN lock_expires BIGINT NOT NULL DEFAULT 0;
CREATE INDEX check_requests_by_lock ON check_requests (lock_state, lock_since, id);

-- The environments whose lock a request needs.
CREATE TABLE environment_locks (
    request_id     BIGINT NOT NULL REFERENCES check_requests (id),
    environment_id BIGINT NOT NULL REFERENCES environments (id),
    PRIMARY KEY (request_id, environment_id)
);
CREATE INDEX environment_locks_by_environment ON environment_locks (environment_id, request_id);
