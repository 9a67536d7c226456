-- +goose Up
-- What is forbidden of a repository, a tag or a manifest: 1 its deletion, 2 that it changes, 4 pulling it; or their sum.
ALTER TABLE registry_repositories ADD COLUMN locks BIGINT NOT NULL DEFAULT 0;
ALTER TABLE registry_tags ADD COLUMN locks BIGINT NOT NULL DEFAULT 0;
ALTER TABLE registry_manifests ADD COLUMN locks BIGINT NOT NULL DEFAULT 0;
-- Lists begin with what was tagged or pushed last; sizes are added up without the manifests themselves.
CREATE INDEX registry_tags_by_age ON registry_tags (repository_id, updated, name);
CREATE INDEX registry_manifests_by_age ON registry_manifests (repository_id, pushed, digest, size);
