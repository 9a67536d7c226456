package repos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// EventPushedMany says that many branches and tags were made, moved or deleted at once, as by the first push of a mirror: the first hundred,
// the default branch before the others, have an EventPushed each, and those that follow are told together, some hundreds by an event. Subject is the
// repository. Its payload is a PushedMany.
const EventPushedMany events.Kind = "repos.pushed_many"

const (
	manyBytes  = 48 << 10 // of the payload of one EventPushedMany, for refs
	manyPerTx  = 2000     // refs whose rows move in one transaction
	rowsAtOnce = 100      // rows that one statement writes
)

// PushedMany is the payload of EventPushedMany.
type PushedMany struct {
	Repository slipway.RepositoryID `json:"repository"`
	Name       string               `json:"name"`             // the repository's
	Copied     bool                 `json:"copied,omitempty"` // as in Pushed
	Updates    []RefMoved           `json:"updates"`
}

// RefMoved is what happened to one of many refs.
type RefMoved struct {
	Ref    string           `json:"ref"`              // refs/heads/main, refs/tags/v1
	Before slipway.CommitID `json:"before,omitempty"` // empty when the ref is new
	After  slipway.CommitID `json:"after,omitempty"`  // empty when it was deleted; the tagged commit of a tag
}

// publishMany moves the rows of refs that are not told one by one, and appends the events that tell of them together.
func (s *Service) publishMany(ctx context.Context, r Repository, actor slipway.Actor, changes []change) ([]Pushed, error) {
	if err := s.keepDeleted(ctx, r.ID, changes); err != nil {
		return nil, err
	}
	copied, err := s.copying(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	who, err := json.Marshal(actor)
	if err != nil {
		return nil, fmt.Errorf("encode actor: %w", err)
	}
	told, err := together(r, copied, changes)
	if err != nil {
		return nil, err
	}
	var list []Pushed
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		list = list[:0] // the transaction may be repeated
		if err := s.moveRows(ctx, tx, r.ID, changes, string(who)); err != nil {
			return err
		}
		if err := errors.Join(s.pushDue(ctx, tx, r.ID), s.wantUpkeep(ctx, tx, r.ID)); err != nil {
			return err
		}
		for _, many := range told {
			e := *r.event(EventPushedMany, actor)
			if err := s.log.Append(ctx, tx, &e, many); err != nil {
				return err
			}
			for _, u := range many.Updates {
				list = append(list, Pushed{EventID: e.ID, Repository: r.ID, Name: r.Name, Ref: u.Ref, Before: u.Before, After: u.After,
					Commits: []PushedCommit{}, MoreCommits: true, Paths: []string{}, MorePaths: true, Copied: copied, Together: true})
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("announce push to repository %s: %w", r.Name, err)
	}
	return list, nil
}

// together are the payloads that tell of changes, each as long as a payload may be.
func together(r Repository, copied bool, changes []change) (list []PushedMany, err error) {
	room := 0
	for _, c := range changes {
		if c.silent() {
			continue
		}
		u := RefMoved{Ref: c.name(), Before: c.before.Commit, After: c.after.Commit}
		b, err := json.Marshal(u)
		if err != nil {
			return nil, fmt.Errorf("encode the change of %s: %w", u.Ref, err)
		}
		if room -= len(b) + 1; room < 0 || len(list) == 0 {
			list = append(list, PushedMany{Repository: r.ID, Name: r.Name, Copied: copied})
			room = manyBytes - len(b) - 1
		}
		last := &list[len(list)-1]
		last.Updates = append(last.Updates, u)
	}
	return list, nil
}

// moveRows takes the rows of refs from their announced to their new values, or says errMoved.
func (s *Service) moveRows(ctx context.Context, tx *db.Tx, id slipway.RepositoryID, changes []change, actor string) error {
	var made, moved, gone, noted [][]any
	for _, c := range changes {
		switch {
		case c.before.Target == "":
			made = append(made, []any{c.after.Full, c.after.Target, string(c.after.Commit)})
			continue
		case c.after.Target != "":
			moved = append(moved, []any{c.after.Full, c.after.Target, string(c.after.Commit), c.before.Target})
			continue
		}
		gone = append(gone, []any{c.before.Full, c.before.Target})
		if name := c.deletedBranch(); name != "" {
			noted = append(noted, []any{name, string(c.before.Commit)})
		}
	}
	const (
		insert = `INSERT INTO repository_refs (repository, updated, actor, name, target, commit_id) VALUES %s ON CONFLICT DO NOTHING`
		update = `WITH v (name, target, commit_id, old) AS (VALUES %s) UPDATE repository_refs SET target = v.target, commit_id = v.commit_id, updated = $2, actor = $3
			FROM v WHERE repository_refs.repository = $1 AND repository_refs.name = v.name AND repository_refs.target = v.old`
		remove = `WITH v (name, old) AS (VALUES %s) DELETE FROM repository_refs WHERE repository = $1 AND name IN (SELECT v.name FROM v)
			AND target = (SELECT v.old FROM v WHERE v.name = repository_refs.name)`
		note = `INSERT INTO deleted_branches (repository, deleted, actor, name, commit_id) VALUES %s`
	)
	who := []any{string(id), db.Micros(s.clock.Now()), actor}
	const columns = "$1, $2, $3, "
	for _, w := range []struct {
		query, columns string
		fixed          []any
		rows           [][]any
	}{{insert, columns, who, made}, {update, "", who, moved}, {remove, "", who[:1], gone}, {note, columns, who, noted}} {
		if err := writeRows(ctx, tx, w.query, w.columns, w.fixed, w.rows); err != nil {
			return err
		}
	}
	return nil
}

// writeRows writes rows by as many statements as they need. query has a place for them, where each begins with columns, of the values in
// fixed. A row that is not written is errMoved.
func writeRows(ctx context.Context, tx *db.Tx, query, columns string, fixed []any, rows [][]any) error {
	for part := range slices.Chunk(rows, rowsAtOnce) {
		args, list := slices.Clone(fixed), &strings.Builder{}
		for i, row := range part {
			if i > 0 {
				list.WriteString(", ")
			}
			list.WriteString("(" + columns)
			for j, v := range row {
				if j > 0 {
					list.WriteString(", ")
				}
				args = append(args, v)
				list.WriteString("$" + strconv.Itoa(len(args)))
			}
			list.WriteString(")")
		}
		result, err := tx.ExecContext(ctx, fmt.Sprintf(query, list), args...)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return err
		}
		if n != int64(len(part)) {
			return errMoved
		}
	}
	return nil
}
