package boards

import (
	"context"
	"fmt"
	"slices"

	"slipway"
	"slipway/internal/db"
)

// Column is a state's items on a board, in the order that people gave them.
type Column struct {
	State State
	Items []Item // the first 200
	Total int
}

// Board returns the columns of a level's board.
func (s *Service) Board(ctx context.Context, project slipway.ProjectID, level Level) ([]Column, error) {
	types := level.Types()
	if len(types) == 0 {
		return nil, slipway.NotFound("there is no board %q: choose epics, features, stories or tasks", level)
	}
	columns := []Column{}
	for _, state := range level.States() {
		items, err := db.List(ctx, s.db, scanItem, `
			SELECT `+itemColumns+` FROM boards_items WHERE project = $1 AND state = $2 AND type IN ($3, $4) ORDER BY rank, id LIMIT $5`,
			string(project), string(state), string(types[0]), string(types[len(types)-1]), maxColumn)
		if err != nil {
			return nil, fmt.Errorf("list column %s: %w", state, err)
		}
		c := Column{State: state, Items: items, Total: len(items)}
		if len(items) == maxColumn {
			c.Total, err = db.One(ctx, s.db, db.Value[int], `SELECT count(*) FROM boards_items WHERE project = $1 AND state = $2 AND type IN ($3, $4)`,
				string(project), string(state), string(types[0]), string(types[len(types)-1]))
			if err != nil {
				return nil, fmt.Errorf("count column %s: %w", state, err)
			}
		}
		columns = append(columns, c)
	}
	return columns, nil
}

// Move puts an item into the column of a state, before another item of it, or at its end when before is 0. revision
// is the one that the caller saw (0 does not ask); only a change of state makes a new one.
func (s *Service) Move(ctx context.Context, by slipway.Actor, id slipway.WorkItemID, to State, before slipway.WorkItemID, revision int64) (Item, error) {
	var i Item
	err := s.db.Tx(ctx, func(tx *db.Tx) (err error) {
		if i, err = s.update(ctx, tx, by, id, Change{State: &to, Revision: revision}); err != nil {
			return err
		}
		return place(ctx, tx, i, before)
	})
	return i, err
}

// place gives the item the rank that puts it before another of its column.
func place(ctx context.Context, tx *db.Tx, i Item, before slipway.WorkItemID) error {
	if before == i.ID {
		return nil
	}
	types := LevelOf(i.Type).Types()
	column, err := db.List(ctx, tx, func(row interface{ Scan(...any) error }, r *ranked) error {
		return row.Scan(&r.id, &r.rank)
	}, `SELECT id, rank FROM boards_items WHERE project = $1 AND state = $2 AND type IN ($3, $4) AND id <> $5 ORDER BY rank, id`,
		string(i.Project), string(i.State), string(types[0]), string(types[len(types)-1]), int64(i.ID))
	if err != nil {
		return fmt.Errorf("list column of work item %d: %w", i.ID, err)
	}
	at := len(column)
	if before != 0 {
		at = slices.IndexFunc(column, func(r ranked) bool { return r.id == int64(before) })
		if at < 0 {
			return slipway.Conflict("work item %d is not in the column %s any more: look at the board again", before, i.State)
		}
	}
	for _, r := range rerank(column, int64(i.ID), at) {
		if _, err := tx.ExecContext(ctx, `UPDATE boards_items SET rank = $1 WHERE id = $2`, r.rank, r.id); err != nil {
			return fmt.Errorf("place work item %d: %w", i.ID, err)
		}
	}
	return nil
}

// ranked is an item's place in its column.
type ranked struct{ id, rank int64 }

// rankStep is the room between neighbours, for some twenty moves into the same gap.
const rankStep = 1 << 20

// rerank puts id into a column, sorted by rank, before index at. It returns the ranks to write: one, or all of the
// column's when there is no room left between the neighbours.
func rerank(column []ranked, id int64, at int) []ranked {
	switch {
	case len(column) == 0:
		return []ranked{{id, rankStep}}
	case at == len(column):
		return []ranked{{id, column[at-1].rank + rankStep}}
	case at == 0:
		return []ranked{{id, column[0].rank - rankStep}}
	}
	low, high := column[at-1].rank, column[at].rank
	if high-low > 1 {
		return []ranked{{id, low + (high-low)/2}}
	}
	list := slices.Insert(slices.Clone(column), at, ranked{id: id})
	for i := range list {
		list[i].rank = column[0].rank + int64(i)*rankStep
	}
	return list
}
