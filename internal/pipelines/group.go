package pipelines

import (
	"context"
	"fmt"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/variable"
)

// Group is a variable group: variables of a project that pipelines use by the group's name.
type Group struct {
	ID          int64
	Project     slipway.ProjectID
	Name        string
	Description string
	Created     time.Time
	Variables   []GroupVariable // in order of names
}

// GroupVariable is a variable of a group. A secret's value is never read back: it is "" when listed, and "" in an update
// keeps it.
type GroupVariable struct {
	Name   string
	Value  string
	Secret bool
}

const maxGroupVariables, maxVariableValue = 500, 64 << 10

func scanGroup(row interface{ Scan(...any) error }, g *Group) error {
	var created int64
	err := row.Scan(&g.ID, (*string)(&g.Project), &g.Name, &g.Description, &created)
	g.Created = db.Time(created)
	return err
}

const groupColumns = `id, project, name, description, created`

// Group is one variable group with its variables.
func (s *Service) Group(ctx context.Context, id int64) (Group, error) {
	g, err := db.One(ctx, s.db, scanGroup, `SELECT `+groupColumns+` FROM variable_groups WHERE id = $1`, id)
	if db.IsNoRows(err) {
		return g, slipway.NotFound("there is no variable group %d", id)
	}
	if err != nil {
		return g, fmt.Errorf("read variable group %d: %w", id, err)
	}
	return g, s.readGroupValues(ctx, &g)
}

func (s *Service) readGroupValues(ctx context.Context, g *Group) (err error) {
	g.Variables, err = db.List(ctx, s.db, func(row interface{ Scan(...any) error }, v *GroupVariable) error {
		return row.Scan(&v.Name, &v.Value, &v.Secret)
	}, `SELECT name, value, secret FROM variable_group_values WHERE group_id = $1 ORDER BY name_key`, g.ID)
	if err != nil {
		return fmt.Errorf("list variables of group %q: %w", g.Name, err)
	}
	return nil
}

// Groups lists up to 1000 variable groups of the project with their variables.
func (s *Service) Groups(ctx context.Context, project slipway.ProjectID) ([]Group, error) {
	list, err := db.List(ctx, s.db, scanGroup, `SELECT `+groupColumns+` FROM variable_groups WHERE project = $1 ORDER BY name_key LIMIT 1000`, string(project))
	if err != nil {
		return nil, fmt.Errorf("list variable groups: %w", err)
	}
	for i := range list {
		if err := s.readGroupValues(ctx, &list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// CreateGroup makes a group; a second one of a name is a conflict.
func (s *Service) CreateGroup(ctx context.Context, g Group, by slipway.Actor) (Group, error) {
	return s.storeGroup(ctx, g, by, `INSERT INTO variable_groups (project, name, name_key, description, created) VALUES ($1, $2, $3, $4, $5) RETURNING id, created`)
}

// PutGroup replaces the name, description and variables of the group of that ID; without one it makes the project's group of that name or
// replaces its description and variables.
func (s *Service) PutGroup(ctx context.Context, g Group, by slipway.Actor) (Group, error) {
	if g.ID != 0 {
		return s.storeGroup(ctx, g, by, `UPDATE variable_groups SET name = $2, name_key = $3, description = $4 WHERE project = $1 AND id = $5 RETURNING id, created`)
	}
	return s.storeGroup(ctx, g, by, `
		INSERT INTO variable_groups (project, name, name_key, description, created) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (project, name_key) DO UPDATE SET name = excluded.name, description = excluded.description RETURNING id, created`)
}

// storeGroup runs a statement that stores the group: of its project, name, name's key, description and either ID or creation.
func (s *Service) storeGroup(ctx context.Context, g Group, by slipway.Actor, statement string) (Group, error) {
	if g.Name = strings.TrimSpace(g.Name); g.Name == "" || len(g.Name) > 200 {
		return g, slipway.Invalid("a variable group has a name of up to 200 characters")
	}
	if len(g.Variables) > maxGroupVariables {
		return g, slipway.Limit("a variable group has at most %d variables", maxGroupVariables)
	}
	for _, v := range g.Variables {
		if strings.TrimSpace(v.Name) == "" || len(v.Name) > 200 || len(v.Value) > maxVariableValue {
			return g, slipway.Invalid("variable %q: a name has up to 200 characters, a value up to %d bytes", v.Name, maxVariableValue)
		}
	}
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		last, created := g.ID, int64(0)
		if last == 0 {
			last = db.Micros(s.clock.Now())
		}
		err := tx.QueryRowContext(ctx, statement, string(g.Project), g.Name, strings.ToLower(g.Name), g.Description, last).Scan(&g.ID, &created)
		switch {
		case db.IsUniqueViolation(err):
			return slipway.Conflict("there is a variable group %q in this project already", g.Name)
		case db.IsNoRows(err):
			return slipway.NotFound("there is no variable group %d in this project", g.ID)
		case err != nil:
			return err
		}
		g.Created = db.Time(created)
		before, err := groupValues(ctx, tx, g.ID)
		if err != nil {
			return err
		}
		if err := s.putGroupValues(ctx, tx, &g, before); err != nil {
			return err
		}
		return s.announceProject(ctx, tx, g.Project, EventVariableGroupChanged, by, changesOf(&g, before))
	})
	if err != nil {
		return g, fmt.Errorf("store variable group %q: %w", g.Name, err)
	}
	for i := range g.Variables {
		if g.Variables[i].Secret {
			g.Variables[i].Value = ""
		}
	}
	return g, nil
}

func (s *Service) putGroupValues(ctx context.Context, tx *db.Tx, g *Group, before map[string]groupValue) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM variable_group_values WHERE group_id = $1`, g.ID); err != nil {
		return err
	}
	for _, v := range g.Variables {
		key, value, sealed := strings.ToLower(v.Name), v.Value, []byte{}
		if v.Secret {
			if old := before[key]; v.Value == "" && old.secret {
				sealed = old.sealed
			} else {
				var err error
				if sealed, err = s.Secrets.Seal([]byte(v.Value), groupContext(g.ID, key)); err != nil {
					return err
				}
			}
			value = ""
		}
		const insert = `INSERT INTO variable_group_values (group_id, name, name_key, value, secret, sealed) VALUES ($1, $2, $3, $4, $5, $6)`
		if _, err := tx.ExecContext(ctx, insert, g.ID, v.Name, key, value, v.Secret, sealed); err != nil {
			if db.IsUniqueViolation(err) {
				return slipway.Invalid("variable %q is there twice", v.Name)
			}
			return err
		}
	}
	return nil
}

func groupContext(group int64, key string) string {
	return fmt.Sprintf("pipelines/group/%d/%s", group, key)
}

// DeleteGroup removes a variable group; runs that need it fail from then on.
func (s *Service) DeleteGroup(ctx context.Context, project slipway.ProjectID, id int64, by slipway.Actor) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		g, err := db.One(ctx, tx, scanGroup, `SELECT `+groupColumns+` FROM variable_groups WHERE id = $1`, id)
		if db.IsNoRows(err) || err == nil && g.Project != project {
			return slipway.NotFound("there is no variable group %d in this project", id)
		}
		if err != nil {
			return fmt.Errorf("delete variable group %d: %w", id, err)
		}
		for _, q := range []string{`DELETE FROM variable_group_values WHERE group_id = $1`, `DELETE FROM variable_groups WHERE id = $1`} {
			if _, err := tx.ExecContext(ctx, q, id); err != nil {
				return fmt.Errorf("delete variable group %d: %w", id, err)
			}
		}
		return s.announceProject(ctx, tx, project, EventVariableGroupDeleted, by, VariableGroupPayload{Group: id, Name: g.Name})
	})
}

// groupSet is a group's variables with its secrets opened; ok is false when there is no such group.
func (s *Service) groupSet(ctx context.Context, q db.Querier, project slipway.ProjectID, name string) (set variable.Set, ok bool, err error) {
	id, err := db.One(ctx, q, db.Value[int64], `SELECT id FROM variable_groups WHERE project = $1 AND name_key = $2`, string(project), strings.ToLower(name))
	if db.IsNoRows(err) {
		return set, false, nil
	}
	if err != nil {
		return set, false, fmt.Errorf("find variable group %q: %w", name, err)
	}
	values, err := groupValues(ctx, q, id)
	if err != nil {
		return set, false, fmt.Errorf("read variable group %q: %w", name, err)
	}
	for key, v := range values {
		if v.secret {
			plain, err := s.Secrets.Open(v.sealed, groupContext(id, key))
			if err != nil {
				return set, false, fmt.Errorf("read variable %q of group %q: %w", v.name, name, err)
			}
			v.text = string(plain)
		}
		set.Put(v.name, variable.Value{Text: v.text, Secret: v.secret})
	}
	return set, true, nil
}
