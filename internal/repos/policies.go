package repos

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/repos/policy"
)

// EventPolicyChanged says that a policy was made, changed or removed. Its subject is the project, and its payload a PolicyPayload.
const EventPolicyChanged events.Kind = "repos.policy_changed"

// PolicyPayload is the payload of EventPolicyChanged.
type PolicyPayload struct {
	Policy     int64                `json:"policy"`
	Change     string               `json:"change"` // created, changed, deleted
	Repository slipway.RepositoryID `json:"repository,omitempty"`
	Branches   string               `json:"branches"`
	Title      string               `json:"title"`
	Enabled    bool                 `json:"enabled"`
	Blocking   bool                 `json:"blocking"`
}

// maxPolicies bounds the policies of one project.
const maxPolicies = 500

// People tells of users and their tokens; identity.Service does.
type People interface {
	User(ctx context.Context, id slipway.UserID) (identity.User, error)
	Members(ctx context.Context, project slipway.ProjectID) ([]identity.Member, error)
	Role(ctx context.Context, user slipway.UserID, project slipway.ProjectID) (identity.Role, error)
	AuthenticateToken(ctx context.Context, secret string) (identity.Principal, error)
}

const policyColumns = `id, revision, project, repository, match_kind, ref, kind, enabled, blocking, settings, created, created_by`

func scanPolicy(row interface{ Scan(...any) error }, p *policy.Policy) error {
	var created int64
	var settings, by string
	err := row.Scan(&p.ID, &p.Revision, (*string)(&p.Project), (*string)(&p.Scope.Repository), (*string)(&p.Scope.Match), &p.Scope.Ref, (*string)(&p.Kind),
		&p.Enabled, &p.Blocking, &settings, &created, &by)
	if err != nil {
		return err
	}
	p.Created = db.Time(created)
	if err := json.Unmarshal([]byte(settings), &p.Settings); err != nil {
		return fmt.Errorf("read settings of policy %d: %w", p.ID, err)
	}
	return json.Unmarshal([]byte(by), &p.CreatedBy)
}

// Policies lists a project's policies, those that are switched off too, by number.
func (s *Service) Policies(ctx context.Context, project slipway.ProjectID) ([]policy.Policy, error) {
	list, err := db.List(ctx, s.db, scanPolicy, `SELECT `+policyColumns+` FROM branch_policies WHERE project = $1 ORDER BY id LIMIT $2`, string(project), maxPolicies)
	if err != nil {
		return nil, fmt.Errorf("list policies of project %s: %w", project, err)
	}
	return list, nil
}

// BranchPolicies lists the policies that are on a branch of a repository, by its full name.
func (s *Service) BranchPolicies(ctx context.Context, r Repository, ref string) ([]policy.Policy, error) {
	all, err := s.Policies(ctx, r.Project)
	return slices.DeleteFunc(all, func(p policy.Policy) bool { return !p.Applies(r.ID, ref, branchPrefix+r.DefaultBranch) }), err
}

// Policy returns a project's policy by its number.
func (s *Service) Policy(ctx context.Context, project slipway.ProjectID, id int64) (policy.Policy, error) {
	p, err := db.One(ctx, s.db, scanPolicy, `SELECT `+policyColumns+` FROM branch_policies WHERE project = $1 AND id = $2`, string(project), id)
	if db.IsNoRows(err) {
		return p, slipway.NotFound("there is no policy %d", id)
	}
	if err != nil {
		return p, fmt.Errorf("get policy %d: %w", id, err)
	}
	return p, nil
}

// CreatePolicy makes a policy; its project, scope, kind and settings are checked.
func (s *Service) CreatePolicy(ctx context.Context, by slipway.Actor, p policy.Policy) (policy.Policy, error) {
	if err := s.checkPolicy(ctx, &p); err != nil {
		return p, err
	}
	p.Revision, p.Created, p.CreatedBy = 1, s.clock.Now(), by
	settings, actor, err := encodePolicy(p)
	if err != nil {
		return p, err
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		count, err := db.One(ctx, tx, db.Value[int64], `SELECT count(*) FROM branch_policies WHERE project = $1`, string(p.Project))
		if err != nil {
			return err
		}
		if count >= maxPolicies {
			return slipway.Limit("the project has %d policies already", count)
		}
		const insert = `
			INSERT INTO branch_policies (revision, project, repository, match_kind, ref, kind, enabled, blocking, settings, created, created_by)
			VALUES (1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id`
		err = tx.QueryRowContext(ctx, insert, string(p.Project), string(p.Scope.Repository), string(p.Scope.Match), p.Scope.Ref, string(p.Kind), p.Enabled,
			p.Blocking, settings, db.Micros(p.Created), actor).Scan(&p.ID)
		if err != nil {
			return err
		}
		return s.tellPolicy(ctx, tx, by, p, "created")
	})
	if err != nil {
		return p, fmt.Errorf("create policy: %w", err)
	}
	return p, nil
}

// UpdatePolicy changes a policy's scope, settings and switches; its kind stays.
func (s *Service) UpdatePolicy(ctx context.Context, by slipway.Actor, p policy.Policy) (policy.Policy, error) {
	was, err := s.Policy(ctx, p.Project, p.ID)
	if err != nil {
		return p, err
	}
	if p.Kind != was.Kind {
		return p, slipway.Invalid("policy %d is of the kind %q: delete it and make another", p.ID, was.Kind.Title())
	}
	if err := s.checkPolicy(ctx, &p); err != nil {
		return p, err
	}
	settings, _, err := encodePolicy(p)
	if err != nil {
		return p, err
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		const update = `
			UPDATE branch_policies SET repository = $2, match_kind = $3, ref = $4, enabled = $5, blocking = $6, settings = $7, revision = revision + 1
			WHERE id = $1`
		_, err := tx.ExecContext(ctx, update, p.ID, string(p.Scope.Repository), string(p.Scope.Match), p.Scope.Ref, p.Enabled, p.Blocking, settings)
		if err != nil {
			return err
		}
		return s.tellPolicy(ctx, tx, by, p, "changed")
	})
	if err != nil {
		return p, fmt.Errorf("change policy %d: %w", p.ID, err)
	}
	return s.Policy(ctx, p.Project, p.ID)
}

// DeletePolicy removes a policy.
func (s *Service) DeletePolicy(ctx context.Context, by slipway.Actor, project slipway.ProjectID, id int64) error {
	p, err := s.Policy(ctx, project, id)
	if err != nil {
		return err
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		for _, statement := range []string{`DELETE FROM pull_request_builds WHERE policy = $1`, `DELETE FROM branch_policies WHERE id = $1`} {
			if _, err := tx.ExecContext(ctx, statement, id); err != nil {
				return err
			}
		}
		return s.tellPolicy(ctx, tx, by, p, "deleted")
	})
	if err != nil {
		return fmt.Errorf("delete policy %d: %w", id, err)
	}
	return nil
}

func encodePolicy(p policy.Policy) (settings, actor string, err error) {
	b, err := json.Marshal(p.Settings)
	if err != nil {
		return "", "", fmt.Errorf("encode settings: %w", err)
	}
	who, err := json.Marshal(p.CreatedBy)
	if err != nil {
		return "", "", fmt.Errorf("encode actor: %w", err)
	}
	return string(b), string(who), nil
}

func (s *Service) tellPolicy(ctx context.Context, tx *db.Tx, by slipway.Actor, p policy.Policy, change string) error {
	e := events.Event{Kind: EventPolicyChanged, Project: p.Project, Subject: slipway.Ref(slipway.RefProject, p.Project), Actor: by}
	if p.Scope.Repository != "" {
		e.References = []slipway.Reference{slipway.Ref(slipway.RefRepository, p.Scope.Repository)}
	}
	return s.log.Append(ctx, tx, &e, PolicyPayload{Policy: p.ID, Change: change, Repository: p.Scope.Repository, Branches: p.Scope.String(), Title: p.Title(),
		Enabled: p.Enabled, Blocking: p.Blocking})
}

// checkPolicy checks the scope, and the settings once more against what there is.
func (s *Service) checkPolicy(ctx context.Context, p *policy.Policy) error {
	if p.Scope.Repository != "" {
		r, err := s.Get(ctx, p.Scope.Repository)
		if err != nil {
			return err
		}
		if r.Project != p.Project {
			return slipway.NotFound("the project has no repository with the id %q", p.Scope.Repository)
		}
	}
	if err := checkScope(&p.Scope); err != nil {
		bad := slipway.Invalid("%s", err)
		bad.Field = "settings.scope"
		return bad
	}
	text, err := json.Marshal(p.Settings)
	if err != nil {
		return fmt.Errorf("encode settings: %w", err)
	}
	if p.Settings, err = policy.ParseSettings(p.Kind, text); err != nil {
		return err
	}
	for _, id := range p.Settings.RequiredReviewerIDs {
		if _, err := s.reviewer(ctx, p.Project, id); err != nil {
			return err
		}
	}
	if _, ok := p.Settings.AuthorPipeline(); p.Settings.AuthorID == "" || ok {
		return nil
	}
	if _, err := s.reviewer(ctx, p.Project, p.Settings.AuthorID); err != nil {
		bad := slipway.Invalid("authorId %q may not post statuses: name a user who may contribute by their id, or pipeline:12 for the runs of a pipeline", p.Settings.AuthorID)
		bad.Field, bad.Err = "settings.authorId", err
		return bad
	}
	return nil
}

func checkScope(scope *policy.Scope) error {
	switch scope.Match {
	case policy.DefaultBranch:
		scope.Ref = ""
		return nil
	case policy.Exact:
		name, ok := strings.CutPrefix(scope.Ref, branchPrefix)
		if !ok || checkBranch(name) != nil {
			return fmt.Errorf("%.80q is no branch: write it as refs/heads/main", scope.Ref)
		}
		return nil
	case policy.Prefix:
		scope.Ref = strings.TrimSuffix(scope.Ref, "*")
		name, ok := strings.CutPrefix(scope.Ref, branchPrefix)
		if !ok || name != "" && checkRefName(name+"x") != nil {
			return fmt.Errorf("%.80q begins no branch: write it as refs/heads/release/", scope.Ref)
		}
		return nil
	}
	return fmt.Errorf("matchKind %q: write exact, prefix or defaultBranch", scope.Match)
}

// reviewer is a user who can review in the project: one who may contribute.
func (s *Service) reviewer(ctx context.Context, project slipway.ProjectID, id string) (slipway.Actor, error) {
	u, err := s.People.User(ctx, slipway.UserID(id))
	if err != nil {
		return slipway.Actor{}, err
	}
	role, err := s.People.Role(ctx, u.ID, project)
	if err != nil {
		return slipway.Actor{}, err
	}
	if !mayReview(u, role) {
		return slipway.Actor{}, slipway.Invalid("%s cannot review: make them a contributor of the project first", u.Name)
	}
	return slipway.Actor{Kind: slipway.ActorUser, ID: string(u.ID), Name: u.Name}, nil
}

func mayReview(u identity.User, role identity.Role) bool {
	return !u.Disabled && (u.Administrator || role == identity.RoleContributor || role == identity.RoleAdministrator)
}
