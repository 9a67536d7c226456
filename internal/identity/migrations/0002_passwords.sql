-- +goose Up
-- The user signs in with a password that somebody else knows, and is asked for one of their own first.
ALTER TABLE users ADD COLUMN must_change BOOLEAN NOT NULL DEFAULT FALSE;
