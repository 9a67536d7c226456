-- +goose Up
-- The hash by which a repository names its objects: sha1 or sha256.
ALTER TABLE repositories ADD COLUMN object_format TEXT NOT NULL DEFAULT 'sha1';
