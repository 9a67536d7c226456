-- +goose Up
-- When a content was found to be no longer what its digest says, or gone, from the object store; 0 while it is not. Such a
-- content is not served, and the next push of it replaces its object.
ALTER TABLE registry_blobs ADD COLUMN rotten BIGINT NOT NULL DEFAULT 0;
