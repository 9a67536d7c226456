package boards

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"slipway"
	"slipway/internal/db"
)

// NewItem is a work item to create.
type NewItem struct {
	Project     slipway.ProjectID
	Type        Type
	State       State // New when empty
	Title       string
	Description string
	Assigned    slipway.UserID
	Priority    int // 2 when zero
	Tags        []string
	Parent      slipway.WorkItemID
}

// Create adds an item at the end of its column.
func (s *Service) Create(ctx context.Context, by slipway.Actor, n NewItem) (Item, error) {
	var i Item
	err := s.db.Tx(ctx, func(tx *db.Tx) (err error) {
		i, err = s.create(ctx, tx, by, n)
		return err
	})
	return i, err
}

func (s *Service) create(ctx context.Context, tx *db.Tx, by slipway.Actor, n NewItem) (Item, error) {
	if n.State == "" {
		n.State = New
	}
	if n.Priority == 0 {
		n.Priority = 2
	}
	blank := Item{Project: n.Project, Tags: []string{}}
	i, changes, err := blank.apply(Change{Type: &n.Type, State: &n.State, Title: &n.Title, Description: &n.Description,
		Assigned: &n.Assigned, Priority: &n.Priority, Tags: &n.Tags, Parent: &n.Parent})
	if err != nil {
		return i, err
	}
	if err := checkParent(ctx, tx, i); err != nil {
		return i, err
	}
	i.Revision, i.Created, i.Changed, i.CreatedBy, i.ChangedBy = 1, s.clock.Now(), s.clock.Now(), by, by
	actor, err := encodeActor(by)
	if err != nil {
		return i, err
	}
	tags, err := json.Marshal(i.Tags)
	if err != nil {
		return i, err
	}
	const insert = `
		INSERT INTO boards_items (project, revision, type, state, title, description, assigned, priority, tags, parent, rank,
			created, created_by, changed, changed_by)
		VALUES ($1, 1, $2, $3, $4, $5, $6, $7, $8, $9,
			(SELECT coalesce(max(rank), 0) + $10 FROM boards_items WHERE project = $1), $11, $12, $11, $12)
		RETURNING id`
	err = tx.QueryRowContext(ctx, insert, string(i.Project), string(i.Type), string(i.State), i.Title, i.Description, string(i.Assigned),
		i.Priority, string(tags), int64(i.Parent), int64(rankStep), db.Micros(i.Created), actor).Scan((*int64)(&i.ID))
	if err != nil {
		return i, fmt.Errorf("create work item: %w", err)
	}
	if err := revise(ctx, tx, i, changes); err != nil {
		return i, err
	}
	refs := []slipway.Reference{}
	if i.Parent != 0 {
		refs = append(refs, slipway.Ref(slipway.RefWorkItem, i.Parent))
	}
	return i, s.tell(ctx, tx, EventItemCreated, i, by, nil, refs...)
}

// revise writes the item's revision into its history.
func revise(ctx context.Context, tx *db.Tx, i Item, changes []FieldChange) error {
	actor, err := encodeActor(i.ChangedBy)
	if err != nil {
		return err
	}
	encoded, err := json.Marshal(changes)
	if err != nil {
		return err
	}
	const insert = `INSERT INTO boards_revisions (item_id, revision, time, actor, changes) VALUES ($1, $2, $3, $4, $5)`
	if _, err := tx.ExecContext(ctx, insert, int64(i.ID), i.Revision, db.Micros(i.Changed), actor, string(encoded)); err != nil {
		return fmt.Errorf("record revision %d of work item %d: %w", i.Revision, i.ID, err)
	}
	return nil
}

// checkParent follows the parents upwards: they are in the same project, and do not come back to the item.
func checkParent(ctx context.Context, q db.Querier, i Item) error {
	next := i.Parent
	for depth := 0; next != 0; depth++ {
		if next == i.ID && i.ID != 0 || depth >= maxDepth {
			return slipway.Invalid("work item %d cannot be the parent: it is below this one, or too deep", i.Parent)
		}
		parent, err := getItem(ctx, q, next)
		if err != nil || parent.Project != i.Project {
			return slipway.Invalid("the parent %d is no work item of this project", next)
		}
		next = parent.Parent
	}
	return nil
}

func getItem(ctx context.Context, q db.Querier, id slipway.WorkItemID) (Item, error) {
	i, err := db.One(ctx, q, scanItem, `SELECT `+itemColumns+` FROM boards_items WHERE id = $1`, int64(id))
	if db.IsNoRows(err) {
		return i, slipway.NotFound("there is no work item %d", id)
	}
	if err != nil {
		return i, fmt.Errorf("get work item %d: %w", id, err)
	}
	return i, nil
}

// Get returns one item.
func (s *Service) Get(ctx context.Context, id slipway.WorkItemID) (Item, error) {
	return getItem(ctx, s.db, id)
}

// Update changes an item's fields; a Conflict when its revision is another than the one given. A change that changes
// nothing makes no revision.
func (s *Service) Update(ctx context.Context, by slipway.Actor, id slipway.WorkItemID, c Change) (Item, error) {
	var i Item
	err := s.db.Tx(ctx, func(tx *db.Tx) (err error) {
		i, err = s.update(ctx, tx, by, id, c)
		return err
	})
	return i, err
}

func (s *Service) update(ctx context.Context, tx *db.Tx, by slipway.Actor, id slipway.WorkItemID, c Change) (Item, error) {
	old, err := getItem(ctx, tx, id)
	if err != nil {
		return old, err
	}
	conflict := slipway.Conflict("work item %d was changed meanwhile: look at it again before you change it", id)
	if c.Revision != 0 && c.Revision != old.Revision {
		return old, conflict
	}
	i, changes, err := old.apply(c)
	if err != nil || len(changes) == 0 {
		return i, err
	}
	if i.Parent != old.Parent {
		if err := checkParent(ctx, tx, i); err != nil {
			return i, err
		}
	}
	i.Revision, i.Changed, i.ChangedBy = old.Revision+1, s.clock.Now(), by
	actor, err := encodeActor(by)
	if err != nil {
		return i, err
	}
	tags, err := json.Marshal(i.Tags)
	if err != nil {
		return i, err
	}
	const update = `
		UPDATE boards_items SET revision = $1, type = $2, state = $3, title = $4, description = $5, assigned = $6, priority = $7,
			tags = $8, parent = $9, changed = $10, changed_by = $11
		WHERE id = $12 AND revision = $13`
	result, err := tx.ExecContext(ctx, update, i.Revision, string(i.Type), string(i.State), i.Title, i.Description, string(i.Assigned), i.Priority,
		string(tags), int64(i.Parent), db.Micros(i.Changed), actor, int64(id), old.Revision)
	if err != nil {
		return i, fmt.Errorf("update work item %d: %w", id, err)
	}
	if n, err := result.RowsAffected(); err == nil && n == 0 {
		return i, conflict
	}
	if err := revise(ctx, tx, i, changes); err != nil {
		return i, err
	}
	return i, s.tell(ctx, tx, EventItemChanged, i, by, fieldNames(changes))
}

// Filter chooses items; zero fields choose all.
type Filter struct {
	Project   slipway.ProjectID
	IDs       []slipway.WorkItemID // at most 200
	Type      Type
	State     State
	Assigned  slipway.UserID
	Tag       string // in any case
	Text      string // in title or description, in any case
	Parent    slipway.WorkItemID
	Reference slipway.Reference // linked to it
	Limit     int               // at most 1000, which is also the default
}

// List returns items, the latest changed first.
func (s *Service) List(ctx context.Context, f Filter) ([]Item, error) {
	if f.Limit <= 0 || f.Limit > 1000 {
		f.Limit = 1000
	}
	if len(f.IDs) > 200 {
		return nil, slipway.Limit("at most 200 work items can be asked for at once")
	}
	var where strings.Builder
	args := []any{f.Limit}
	and := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		where.WriteString(" AND " + condition)
	}
	if f.Project != "" {
		and(`project = ?`, string(f.Project))
	}
	if len(f.IDs) > 0 {
		list := make([]any, len(f.IDs))
		for i, id := range f.IDs {
			list[i] = int64(id)
		}
		and(`id IN (?`+strings.Repeat(", ?", len(list)-1)+`)`, list...)
	}
	if f.Type != "" {
		and(`type = ?`, string(f.Type))
	}
	if f.State != "" {
		and(`state = ?`, string(f.State))
	}
	if f.Assigned != "" {
		and(`assigned = ?`, string(f.Assigned))
	}
	if f.Tag != "" {
		encoded, err := json.Marshal(f.Tag)
		if err != nil {
			return nil, err
		}
		and(`lower(tags) LIKE ? ESCAPE '\'`, "%"+likeText(strings.ToLower(string(encoded)))+"%")
	}
	if f.Text != "" {
		text := "%" + likeText(strings.ToLower(f.Text)) + "%"
		and(`(lower(title) LIKE ? ESCAPE '\' OR lower(description) LIKE ? ESCAPE '\')`, text, text)
	}
	if f.Parent != 0 {
		and(`parent = ?`, int64(f.Parent))
	}
	if f.Reference.ID != "" {
		and(`id IN (SELECT item_id FROM boards_links WHERE reference_kind = ? AND reference_id = ?)`, string(f.Reference.Kind), f.Reference.ID)
	}
	query := `SELECT ` + itemColumns + ` FROM boards_items WHERE 1 = 1` + where.String() + ` ORDER BY changed DESC, id DESC LIMIT $1`
	list, err := db.List(ctx, s.db, scanItem, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list work items: %w", err)
	}
	return list, nil
}

// likeText takes the meaning from the characters that LIKE gives one.
func likeText(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}

// maxWalked is how many items of a project Choose looks through.
const maxWalked = 200_000

// Choose returns the items of a project that meet a condition, at most limit; more says that there are others. A project of more than 200,000 items is a Limit.
func (s *Service) Choose(ctx context.Context, project slipway.ProjectID, limit int, meets func(Item) bool) (list []Item, more bool, err error) {
	const query = `SELECT ` + itemColumns + ` FROM boards_items WHERE project = $1 AND id > $2 ORDER BY id LIMIT 1000`
	after := slipway.WorkItemID(0)
	for walked := 0; walked < maxWalked; walked += 1000 {
		part, err := db.List(ctx, s.db, scanItem, query, string(project), int64(after))
		if err != nil {
			return nil, false, fmt.Errorf("choose work items: %w", err)
		}
		for _, i := range part {
			if after = i.ID; !meets(i) {
				continue
			}
			if len(list) == limit {
				return list, true, nil
			}
			list = append(list, i)
		}
		if len(part) < 1000 {
			return list, false, nil
		}
	}
	return nil, false, slipway.Limit("the project has more than %d work items, which is as many as a query looks through", maxWalked)
}
