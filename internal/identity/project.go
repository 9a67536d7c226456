package identity

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// Project holds repositories, pipelines, environments and work items, and is what permissions are given on.
type Project struct {
	ID          slipway.ProjectID
	Name        string // unique in any case; part of URLs and image names
	Description string
	Created     time.Time
}

// Key is the project's name as image names and Kubernetes namespaces need it: in lower case.
func (p Project) Key() string { return strings.ToLower(p.Name) }

// A name is a path segment, an image name's first part and a namespace's first part at once.
var projectName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,38}[A-Za-z0-9])?$`)

// reservedProjectNames are the first segments of the server's own paths, and of images that belong to no project.
var reservedProjectNames = map[string]bool{"v1": true, "v2": true, "library": true, "slipway": true, "static": true,
	"signin": true, "signout": true, "profile": true, "projects": true, "clusters": true, "administration": true, "healthz": true, "metrics": true, "events": true, "trace": true}

// CreateProject adds a project; its creator, when a user, becomes its administrator.
func (s *Service) CreateProject(ctx context.Context, by slipway.Actor, name, description string) (Project, error) {
	if !projectName.MatchString(name) {
		return Project{}, slipway.Invalid("project name %q: use up to 40 letters, digits and dashes, beginning and ending with a letter or digit", name)
	}
	if reservedProjectNames[strings.ToLower(name)] {
		return Project{}, slipway.Invalid("project name %q is reserved: choose another", name)
	}
	if len(description) > 4000 {
		return Project{}, slipway.Limit("a description has at most 4000 bytes")
	}
	p := Project{ID: slipway.ProjectID(uuid.NewString()), Name: name, Description: description, Created: s.clock.Now()}
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO projects (id, name, name_key, description, created) VALUES ($1, $2, $3, $4, $5)`,
			string(p.ID), p.Name, strings.ToLower(p.Name), p.Description, db.Micros(p.Created))
		if db.IsUniqueViolation(err) {
			return slipway.Conflict("there is a project called %q already", name)
		}
		if err != nil {
			return fmt.Errorf("create project: %w", err)
		}
		if by.Kind == slipway.ActorUser {
			if err := setRole(ctx, tx, p.ID, slipway.UserID(by.ID), RoleAdministrator); err != nil {
				return err
			}
		}
		return s.log.Append(ctx, tx, &events.Event{Kind: EventProjectCreated, Project: p.ID, Actor: by, Subject: slipway.Ref(slipway.RefProject, p.ID)}, nil)
	})
	return p, err
}

const projectColumns = `id, name, description, created`

func scanProject(row interface{ Scan(...any) error }, p *Project) error {
	var created int64
	err := row.Scan((*string)(&p.ID), &p.Name, &p.Description, &created)
	p.Created = db.Time(created)
	return err
}

// Project returns the project with that id.
func (s *Service) Project(ctx context.Context, id slipway.ProjectID) (Project, error) {
	return s.ProjectByName(ctx, string(id))
}

// ProjectByName returns the project with that name in any case, or with that UUID.
func (s *Service) ProjectByName(ctx context.Context, nameOrID string) (Project, error) {
	key := strings.ToLower(nameOrID)
	p, err := db.One(ctx, s.db, scanProject, `SELECT `+projectColumns+` FROM projects WHERE name_key = $1 OR id = $1`, key)
	return p, notFound(err, "there is no project %q, or you are not a member of it", nameOrID)
}

// Projects lists up to 1000 projects that p may read, by name.
func (s *Service) Projects(ctx context.Context, p Principal) ([]Project, error) {
	switch {
	case p.Administrator || p.Kind == slipway.ActorSystem:
		return db.List(ctx, s.db, scanProject, `SELECT `+projectColumns+` FROM projects ORDER BY name_key LIMIT 1000`)
	case p.Kind == slipway.ActorUser:
		return db.List(ctx, s.db, scanProject, `
			SELECT `+projectColumns+` FROM projects
			WHERE id IN (SELECT project_id FROM memberships WHERE user_id = $1) ORDER BY name_key LIMIT 1000`, p.ID)
	case p.Project != "":
		return db.List(ctx, s.db, scanProject, `SELECT `+projectColumns+` FROM projects WHERE id = $1`, string(p.Project))
	}
	return nil, slipway.Unauthenticated("sign in first, or send a personal access token as the password")
}

// Member is a user with a role in a project.
type Member struct {
	User
	Role Role
}

// Members lists up to 1000 members of a project by name.
func (s *Service) Members(ctx context.Context, project slipway.ProjectID) ([]Member, error) {
	const query = `
		SELECT u.id, u.name, u.display_name, u.email, u.administrator, u.disabled, u.must_change, u.created, m.role
		FROM memberships AS m JOIN users AS u ON u.id = m.user_id
		WHERE m.project_id = $1 ORDER BY u.name_key LIMIT 1000`
	return db.List(ctx, s.db, func(row interface{ Scan(...any) error }, m *Member) error {
		var created int64
		err := row.Scan((*string)(&m.ID), &m.Name, &m.DisplayName, &m.Email, &m.Administrator, &m.Disabled, &m.MustChange, &created, (*string)(&m.Role))
		m.Created = db.Time(created)
		return err
	}, query, string(project))
}

// Role is the user's role in the project, RoleNone when they have none.
func (s *Service) Role(ctx context.Context, user slipway.UserID, project slipway.ProjectID) (Role, error) {
	r, err := db.One(ctx, s.db, db.Value[string], `SELECT role FROM memberships WHERE project_id = $1 AND user_id = $2`, string(project), string(user))
	if db.IsNoRows(err) {
		return RoleNone, nil
	}
	return Role(r), err
}

// SetRole gives the user a role in the project; RoleNone takes it away. NotFound when there is no such user, or none
// whom to take it away from; Conflict when the project would be left without an administrator.
func (s *Service) SetRole(ctx context.Context, by slipway.Actor, project slipway.ProjectID, user slipway.UserID, role Role) error {
	u, err := s.User(ctx, user)
	if err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := mayChangeRole(ctx, tx, project, u, role); err != nil {
			return err
		}
		if err := setRole(ctx, tx, project, user, role); err != nil {
			return err
		}
		return s.log.Append(ctx, tx, &events.Event{Kind: EventRoleChanged, Project: project, Actor: by,
			Subject:    slipway.Ref(slipway.RefUser, user),
			References: []slipway.Reference{slipway.Ref(slipway.RefProject, project)}}, map[string]Role{"role": role})
	})
}

// mayChangeRole refuses to lose a project's last administrator. Writing their rows first makes two such changes at the
// same time go one after the other on either engine.
func mayChangeRole(ctx context.Context, tx *db.Tx, project slipway.ProjectID, user User, role Role) error {
	const lock = `
		UPDATE memberships SET role = 'administrator' WHERE project_id = $1 AND role = 'administrator'`
	if _, err := tx.ExecContext(ctx, lock, string(project)); err != nil {
		return fmt.Errorf("set role: %w", err)
	}
	now, err := db.One(ctx, tx, db.Value[string], `SELECT role FROM memberships WHERE project_id = $1 AND user_id = $2`, string(project), string(user.ID))
	if db.IsNoRows(err) {
		if role == RoleNone {
			return slipway.NotFound("%s is not a member of this project", user.Name)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("set role: %w", err)
	}
	if Role(now) != RoleAdministrator || role == RoleAdministrator {
		return nil
	}
	const query = `
		SELECT count(*) FROM memberships AS m JOIN users AS u ON u.id = m.user_id
		WHERE m.project_id = $1 AND m.role = 'administrator' AND m.user_id <> $2 AND u.disabled = FALSE`
	others, err := db.One(ctx, tx, db.Value[int64], query, string(project), string(user.ID))
	if err != nil {
		return fmt.Errorf("set role: %w", err)
	}
	if others == 0 {
		return slipway.Conflict("%s is the project's last administrator: make another member one first", user.Name)
	}
	return nil
}

func setRole(ctx context.Context, tx *db.Tx, project slipway.ProjectID, user slipway.UserID, role Role) error {
	var err error
	if role == RoleNone {
		_, err = tx.ExecContext(ctx, `DELETE FROM memberships WHERE project_id = $1 AND user_id = $2`, string(project), string(user))
	} else {
		_, err = tx.ExecContext(ctx, `
			INSERT INTO memberships (project_id, user_id, role) VALUES ($1, $2, $3)
			ON CONFLICT (project_id, user_id) DO UPDATE SET role = excluded.role`, string(project), string(user), string(role))
	}
	if err != nil {
		return fmt.Errorf("set role: %w", err)
	}
	return nil
}
