package boards

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/db"
)

// Evidence is why an alert opens a bug.
type Evidence struct {
	Project slipway.ProjectID
	// Key names what is wrong for as long as it is wrong, for example `rule/3/deployment/17`: one key, one bug.
	Key   string
	Title string
	Text  string // Markdown: numbers, queries, traces
	Links []Link // the alert, the deployment, the commit ...
	Tags  []string
}

// OpenBug opens a bug for the evidence. Where the key has one already it is the same bug, with what the evidence
// says anew as a comment; a link that is new, as to another alert, reopens it. Told again it changes nothing. It reports whether the bug
// was created.
func (s *Service) OpenBug(ctx context.Context, by slipway.Actor, e Evidence) (bug Item, isNew bool, err error) {
	if e.Key == "" || len(e.Key) > 300 {
		return bug, false, slipway.Invalid("an alert's key has 1 to 300 characters")
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		id, err := db.One(ctx, tx, db.Value[int64], `SELECT item_id FROM boards_alerts WHERE project = $1 AND key = $2`, string(e.Project), e.Key)
		isNew = db.IsNoRows(err)
		switch {
		case isNew:
			bug, err = s.firstBug(ctx, tx, by, e)
		case err == nil:
			bug, err = getItem(ctx, tx, slipway.WorkItemID(id))
		}
		if err != nil {
			return err
		}
		news := false
		for _, l := range e.Links {
			linked, err := s.link(ctx, tx, by, bug, l)
			if err != nil {
				return err
			}
			news = news || linked
		}
		if !isNew {
			bug, err = s.again(ctx, tx, by, bug, e, news)
		}
		return err
	})
	if db.IsUniqueViolation(err) { // another opened it in the same moment
		return s.OpenBug(ctx, by, e)
	}
	return bug, isNew, err
}

// CommentBug adds what is new about an alert to its bug; an alert without one is left alone. Told again it changes nothing.
func (s *Service) CommentBug(ctx context.Context, by slipway.Actor, project slipway.ProjectID, key, text string) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		id, err := db.One(ctx, tx, db.Value[int64], `SELECT item_id FROM boards_alerts WHERE project = $1 AND key = $2`, string(project), key)
		if db.IsNoRows(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("find the bug of alert %s: %w", key, err)
		}
		bug, err := getItem(ctx, tx, slipway.WorkItemID(id))
		if err != nil {
			return err
		}
		said, err := db.One(ctx, tx, db.Value[int64], `SELECT count(*) FROM boards_comments WHERE item_id = $1 AND text = $2`, id, text)
		if err != nil {
			return fmt.Errorf("look for the comment of alert %s: %w", key, err)
		}
		if said > 0 {
			return nil
		}
		_, err = s.comment(ctx, tx, by, bug, text)
		return err
	})
}

func (s *Service) firstBug(ctx context.Context, tx *db.Tx, by slipway.Actor, e Evidence) (Item, error) {
	title := strings.Join(strings.Fields(e.Title), " ")
	if r := []rune(title); len(r) > maxTitle {
		title = string(r[:maxTitle-1]) + "…"
	}
	bug, err := s.create(ctx, tx, by, NewItem{Project: e.Project, Type: Bug, Title: title, Description: e.Text, Priority: 1, Tags: e.Tags})
	if err != nil {
		return bug, err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO boards_alerts (project, key, item_id) VALUES ($1, $2, $3)`, string(e.Project), e.Key, int64(bug.ID)); err != nil {
		return bug, fmt.Errorf("remember bug %d of alert %s: %w", bug.ID, e.Key, err)
	}
	return bug, nil
}

// again adds what is new to a bug that exists. news says that an alert (or another thing) came that it did not know.
func (s *Service) again(ctx context.Context, tx *db.Tx, by slipway.Actor, bug Item, e Evidence, news bool) (Item, error) {
	last, err := db.List(ctx, tx, db.Value[string], `SELECT text FROM boards_comments WHERE item_id = $1 ORDER BY id DESC LIMIT 1`, int64(bug.ID))
	if err != nil {
		return bug, fmt.Errorf("get last comment of work item %d: %w", bug.ID, err)
	}
	text := strings.TrimSpace(e.Text)
	if text != "" && text != strings.TrimSpace(bug.Description) && !slices.Contains(last, text) {
		if _, err := s.comment(ctx, tx, by, bug, text); err != nil {
			return bug, err
		}
	}
	if !news || bug.State.Open() {
		return bug, nil
	}
	state := Active
	return s.update(ctx, tx, by, bug.ID, Change{State: &state})
}

// Shipped is a finished deployment.
type Shipped struct {
	Project    slipway.ProjectID
	By         slipway.Actor
	Deployment Link                // with its reference
	Production bool                // then the items that it ships are done
	Because    []slipway.Reference // commits, pull requests and runs that it brings for the first time
}

// MoveOn links the deployment to the open items that are linked to what it ships, and in production moves them on to
// Resolved (tasks to Closed). It returns the items. Told again it changes nothing.
func (s *Service) MoveOn(ctx context.Context, d Shipped) ([]Item, error) {
	var list []Item
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		list = []Item{}
		for _, because := range d.Because {
			items, err := db.List(ctx, tx, scanItem, `
				SELECT `+itemColumns+` FROM boards_items
				WHERE project = $1 AND id IN (SELECT item_id FROM boards_links WHERE reference_kind = $2 AND reference_id = $3)
				ORDER BY id LIMIT 1000`, string(d.Project), string(because.Kind), because.ID)
			if err != nil {
				return fmt.Errorf("list work items of %s: %w", because, err)
			}
			for _, i := range items {
				if slices.ContainsFunc(list, func(o Item) bool { return o.ID == i.ID }) {
					continue
				}
				if i, err = s.ship(ctx, tx, d, i); err != nil {
					return err
				}
				list = append(list, i)
			}
		}
		return nil
	})
	return list, err
}

func (s *Service) ship(ctx context.Context, tx *db.Tx, d Shipped, i Item) (Item, error) {
	if _, err := s.link(ctx, tx, d.By, i, d.Deployment); err != nil {
		return i, err
	}
	if !d.Production || !i.State.Open() {
		return i, nil
	}
	return s.moveOnce(ctx, tx, d.By, i, d.Deployment.To, i.Type.Done())
}
