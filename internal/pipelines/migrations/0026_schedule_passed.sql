-- +goose Up
-- When a schedule last started no run although it was due, and why; 0 and '' once it has started one since.
ALTER TABLE pipeline_schedules ADD COLUMN passed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE pipeline_schedules ADD COLUMN passed_reason TEXT NOT NULL DEFAULT '';
