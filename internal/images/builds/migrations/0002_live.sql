-- +goose Up
-- Builds that people start, which are listed while they run. actor is a slipway.Actor as JSON, '' for what a job reports of itself. seen is when the program that
-- builds was last heard of. log_bytes is how much it has told of its log.
ALTER TABLE image_builds ADD COLUMN state TEXT NOT NULL DEFAULT 'succeeded';
ALTER TABLE image_builds ADD COLUMN actor TEXT NOT NULL DEFAULT '';
ALTER TABLE image_builds ADD COLUMN started BIGINT NOT NULL DEFAULT 0;
ALTER TABLE image_builds ADD COLUMN seen BIGINT NOT NULL DEFAULT 0;
ALTER TABLE image_builds ADD COLUMN log_bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE image_builds ADD COLUMN canceled_by TEXT NOT NULL DEFAULT '';
UPDATE image_builds SET state = 'failed' WHERE error <> '';
UPDATE image_builds SET started = finished - CAST(seconds * 1000000 AS BIGINT);
-- Their logs in pieces; at is where in the log a piece begins, in bytes as they were told.
CREATE TABLE image_build_logs (
    build BIGINT NOT NULL,
    at    BIGINT NOT NULL,
    text  TEXT   NOT NULL,
    PRIMARY KEY (build, at)
);
