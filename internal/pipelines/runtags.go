package pipelines

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/db"
)

// maxRunTags bounds the tags of a run, MaxRunTag the bytes of one.
const maxRunTags, MaxRunTag = 100, 200

// ChangeTags takes tags off a run and puts others on it, which are the same in any case of letters, and returns what it has then. A tag that
// a run gets when it is over starts nothing.
func (s *Service) ChangeTags(ctx context.Context, id slipway.RunID, add, remove []string) (tags []string, err error) {
	for i, tag := range add {
		if add[i] = strings.TrimSpace(tag); add[i] == "" || len(add[i]) > MaxRunTag {
			return nil, slipway.Invalid("tag %q of a run: write 1 to %d bytes", tag, MaxRunTag)
		}
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		run, err := getRun(ctx, tx, id)
		if err != nil {
			return err
		}
		run.Tags = slices.DeleteFunc(run.Tags, func(tag string) bool { return contains(remove, tag) })
		for _, tag := range add {
			if !contains(run.Tags, tag) {
				run.Tags = append(run.Tags, tag)
			}
		}
		if len(run.Tags) > maxRunTags {
			return slipway.Limit("a run has at most %d tags", maxRunTags)
		}
		tags = run.Tags
		tx.AfterCommit(func() { s.changed(id) })
		return updateRun(ctx, tx, &run)
	})
	if err != nil {
		return nil, fmt.Errorf("change the tags of run %d: %w", id, err)
	}
	return tags, nil
}

// Tags are those that the newest 1000 tagged runs of a project have, in order.
func (s *Service) Tags(ctx context.Context, project slipway.ProjectID) ([]string, error) {
	const query = `SELECT tags FROM pipeline_runs r WHERE project = $1 AND tags NOT IN ('[]', 'null')` + notDeleted + ` ORDER BY id DESC LIMIT 1000`
	rows, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, tags *[]string) error {
		var text string
		if err := row.Scan(&text); err != nil {
			return err
		}
		return decodeColumns(column{text, tags})
	}, query, string(project))
	if err != nil {
		return nil, fmt.Errorf("list tags of runs: %w", err)
	}
	var all []string
	for _, tags := range rows {
		for _, tag := range tags {
			if !contains(all, tag) {
				all = append(all, tag)
			}
		}
	}
	slices.SortFunc(all, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return all, nil
}
