package repos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// The kinds of events about repositories themselves. Their subject is the repository.
const (
	EventCreated events.Kind = "repos.created" // payload {name}
	EventDeleted events.Kind = "repos.deleted" // payload {name}
)

// DefaultBranch is the default branch of a repository that was created without naming one.
const DefaultBranch = "main"

// Repository is a project's git repository.
type Repository struct {
	ID            slipway.RepositoryID
	Project       slipway.ProjectID
	Name          string // unique in the project without regard to case
	DefaultBranch string // as `main`, without refs/heads/; the branch need not exist
	Size          int64  // bytes on disk, brought up to date some time after a push
	Created       time.Time
	ObjectFormat  ObjectFormat
	Disabled      bool                 // neither cloned nor pushed to, nor shown
	Deleted       time.Time            // zero unless it was deleted and can be restored
	Parent        slipway.RepositoryID // that it was forked from, which may be gone; empty for none
}

// nameForm follows Azure Repos' rules as far as they make sense: it begins and ends with a letter, digit or
// underscore, and has these, spaces, dots and hyphens between. It is large, so it is compiled when it is needed first.
var nameForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\pL\pN_](?:[\pL\pN_ .-]*[\pL\pN_])?$`) })

func checkName(name string) error {
	p := slipway.Invalid("repository name %q: use 1 to 64 letters, digits, spaces and . _ -, beginning and ending with a letter or digit", name)
	if strings.HasSuffix(strings.ToLower(name), ".git") {
		p = slipway.Invalid("repository name %q must not end with .git, which git adds to addresses by itself", name)
	} else if utf8.RuneCountInString(name) <= 64 && nameForm().MatchString(name) {
		return nil
	}
	p.Field = "name"
	return p
}

// CreateRequest asks for a new, empty repository.
type CreateRequest struct {
	Project       slipway.ProjectID
	Name          string
	DefaultBranch string       // DefaultBranch when empty
	ObjectFormat  ObjectFormat // SHA1 when empty; it never changes once there are objects
	Actor         slipway.Actor

	parent slipway.RepositoryID                // of a fork
	also   func(tx *db.Tx, r Repository) error // in the transaction that makes it; may be nil
}

// Create makes an empty repository. A name that the project has already is a Conflict.
func (s *Service) Create(ctx context.Context, req CreateRequest) (Repository, error) {
	if err := checkName(req.Name); err != nil {
		return Repository{}, err
	}
	if req.DefaultBranch == "" {
		req.DefaultBranch = DefaultBranch
	}
	if err := checkBranch(req.DefaultBranch); err != nil {
		return Repository{}, err
	}
	format, err := ParseObjectFormat(string(req.ObjectFormat))
	if err != nil {
		return Repository{}, err
	}
	r := Repository{
		ID: slipway.RepositoryID(uuid.NewString()), Project: req.Project, Name: req.Name,
		DefaultBranch: req.DefaultBranch, Created: s.clock.Now(), ObjectFormat: format, Parent: req.parent,
	}
	if err := s.initialize(ctx, r); err != nil {
		return Repository{}, fmt.Errorf("create repository %s: %w", req.Name, err)
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		const insert = `
			INSERT INTO repositories (id, project, name, name_key, default_branch, size, created, parent, object_format)
			VALUES ($1, $2, $3, $4, $5, 0, $6, $7, $8)`
		_, err := tx.ExecContext(ctx, insert, string(r.ID), string(r.Project), r.Name, strings.ToLower(r.Name), r.DefaultBranch, db.Micros(r.Created), string(r.Parent), string(r.ObjectFormat))
		if err == nil && req.also != nil {
			err = req.also(tx, r)
		}
		if err != nil {
			return err
		}
		return s.log.Append(ctx, tx, r.event(EventCreated, req.Actor), map[string]string{"name": r.Name})
	})
	if err != nil {
		err = joinCleanup(err, os.RemoveAll(s.dir(r.ID)))
		if db.IsUniqueViolation(err) {
			return Repository{}, slipway.Conflict("the project already has a repository %q", req.Name)
		}
		return Repository{}, fmt.Errorf("create repository %s: %w", req.Name, err)
	}
	return r, nil
}

func joinCleanup(err, cleanup error) error {
	if cleanup == nil {
		return err
	}
	return fmt.Errorf("%w (and cleaning up: %w)", err, cleanup)
}

// initialize makes the bare repository beside its place and moves it there whole.
func (s *Service) initialize(ctx context.Context, r Repository) error {
	dir := s.dir(r.ID)
	if err := makeFolder(filepath.Dir(dir)); err != nil {
		return err
	}
	making := dir + ".making"
	args := []string{"init", "--quiet", "--bare", "--template=", "--object-format=" + string(r.ObjectFormat), "--initial-branch=" + r.DefaultBranch, making}
	if _, err := s.git.run(ctx, command{args: args}); err != nil {
		return joinCleanup(err, os.RemoveAll(making))
	}
	return os.Rename(making, dir)
}

func (r Repository) event(kind events.Kind, actor slipway.Actor) *events.Event {
	return &events.Event{Kind: kind, Project: r.Project, Subject: slipway.Ref(slipway.RefRepository, r.ID), Actor: actor}
}

const repositoryColumns = `id, project, name, default_branch, size, created, object_format, disabled, deleted, parent`

func scanRepository(row interface{ Scan(...any) error }, r *Repository) error {
	var created, deleted int64
	err := row.Scan((*string)(&r.ID), (*string)(&r.Project), &r.Name, &r.DefaultBranch, &r.Size, &created, (*string)(&r.ObjectFormat), &r.Disabled, &deleted, (*string)(&r.Parent))
	r.Created, r.Deleted = db.Time(created), db.Time(deleted)
	return err
}

// Get returns a repository by id. One that was deleted is NotFound.
func (s *Service) Get(ctx context.Context, id slipway.RepositoryID) (Repository, error) {
	r, err := s.get(ctx, id)
	if err == nil && !r.Deleted.IsZero() {
		return Repository{}, slipway.NotFound("repository %s was deleted; an administrator of the project can restore it for a while", r.Name)
	}
	return r, err
}

// get returns one that was deleted too.
func (s *Service) get(ctx context.Context, id slipway.RepositoryID) (Repository, error) {
	const query = `SELECT ` + repositoryColumns + ` FROM repositories WHERE id = $1`
	r, err := db.One(ctx, s.db, scanRepository, query, string(id))
	if db.IsNoRows(err) {
		return r, slipway.NotFound("there is no repository with the id %q", id)
	}
	if err != nil {
		return r, fmt.Errorf("get repository %s: %w", id, err)
	}
	return r, nil
}

// Find returns a project's repository by its name, in any case, by its id, or by a name that it had before.
func (s *Service) Find(ctx context.Context, project slipway.ProjectID, nameOrID string) (Repository, error) {
	const query = `SELECT ` + repositoryColumns + ` FROM repositories WHERE project = $1 AND deleted = 0
			AND (name_key = $2 OR id = $2 OR id = (SELECT repository FROM repository_redirects WHERE project = $1 AND name_key = $2))
		ORDER BY CASE WHEN name_key = $2 THEN 0 WHEN id = $2 THEN 1 ELSE 2 END LIMIT 1`
	r, err := db.One(ctx, s.db, scanRepository, query, string(project), strings.ToLower(nameOrID))
	if db.IsNoRows(err) {
		return r, slipway.NotFound("the project has no repository %q", nameOrID)
	}
	if err != nil {
		return r, fmt.Errorf("find repository %q: %w", nameOrID, err)
	}
	return r, nil
}

// maxRepositories bounds what List returns.
const maxRepositories = 1000

// List returns a project's repositories by name, at most 1000. An empty project means all projects.
func (s *Service) List(ctx context.Context, project slipway.ProjectID) ([]Repository, error) {
	const query = `SELECT ` + repositoryColumns + ` FROM repositories WHERE deleted = 0 AND ($1 = '' OR project = $1) ORDER BY name_key, id LIMIT $2`
	list, err := db.List(ctx, s.db, scanRepository, query, string(project), maxRepositories)
	if err != nil {
		return nil, fmt.Errorf("list repositories: %w", err)
	}
	return list, nil
}

// Delete removes a repository, its refs and its folder, for good.
func (s *Service) Delete(ctx context.Context, id slipway.RepositoryID, actor slipway.Actor) error {
	mirrors, err := s.Mirrors(ctx, id)
	if err != nil {
		return err
	}
	for _, m := range mirrors {
		s.transfers.cancel(m.ID, errMirrorDeleted)
	}
	s.forking.cancelAll(id, errMirrorDeleted)
	defer s.working.lock(id)()
	defer s.announce.lock(id)()
	r, err := s.get(ctx, id)
	if err != nil {
		return err
	}
	kind := EventDeleted
	if !r.Deleted.IsZero() { // that has been told
		kind = EventPurged
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		for _, statement := range []string{
			`DELETE FROM pull_request_expiries WHERE pull_request IN (SELECT id FROM pull_requests WHERE repository = $1)`,
			`DELETE FROM pull_request_likes WHERE thread IN (SELECT t.id FROM pull_request_threads t JOIN pull_requests p ON t.pull_request = p.id WHERE p.repository = $1)`,
			`DELETE FROM pull_request_drafts WHERE pull_request IN (SELECT id FROM pull_requests WHERE repository = $1)`,
			`DELETE FROM pull_request_viewed WHERE pull_request IN (SELECT id FROM pull_requests WHERE repository = $1)`,
			`DELETE FROM pull_request_visits WHERE pull_request IN (SELECT id FROM pull_requests WHERE repository = $1)`,
			`DELETE FROM pull_request_labels WHERE pull_request IN (SELECT id FROM pull_requests WHERE repository = $1)`,
			`DELETE FROM pull_request_properties WHERE pull_request IN (SELECT id FROM pull_requests WHERE repository = $1)`,
			`DELETE FROM pull_request_attachments WHERE pull_request IN (SELECT id FROM pull_requests WHERE repository = $1)`,
			`DELETE FROM git_picks WHERE repository = $1`,
			`DELETE FROM pull_request_comments WHERE thread IN (SELECT t.id FROM pull_request_threads t JOIN pull_requests p ON t.pull_request = p.id WHERE p.repository = $1)`,
			`DELETE FROM pull_request_threads WHERE pull_request IN (SELECT id FROM pull_requests WHERE repository = $1)`,
			`DELETE FROM pull_request_votes WHERE pull_request IN (SELECT id FROM pull_requests WHERE repository = $1)`,
			`DELETE FROM pull_request_builds WHERE pull_request IN (SELECT id FROM pull_requests WHERE repository = $1)`,
			`DELETE FROM git_statuses WHERE repository = $1`,
			`DELETE FROM lfs_objects WHERE repository = $1`,
			`DELETE FROM lfs_locks WHERE repository = $1`,
			`DELETE FROM allowed_secrets WHERE repository = $1`,
			`DELETE FROM branch_locks WHERE repository = $1`,
			`DELETE FROM policy_bypasses WHERE repository = $1`,
			`DELETE FROM branch_policies WHERE repository = $1`,
			`DELETE FROM deleted_branches WHERE repository = $1`,
			`DELETE FROM pull_request_iterations WHERE pull_request IN (SELECT id FROM pull_requests WHERE repository = $1)`,
			`DELETE FROM pull_requests WHERE repository = $1`,
			`DELETE FROM repository_mirrors WHERE repository = $1`,
			`DELETE FROM repository_fork_syncs WHERE repository = $1`,
			`DELETE FROM repository_redirects WHERE repository = $1`,
			`DELETE FROM repository_upkeep WHERE repository = $1`,
			`DELETE FROM repository_limits WHERE scope = 'repository/' || $1`,
			`DELETE FROM repository_pushes WHERE repository = $1`,
			`DELETE FROM repository_refs WHERE repository = $1`,
			`DELETE FROM repositories WHERE id = $1`,
		} {
			if _, err := tx.ExecContext(ctx, statement, string(id)); err != nil {
				return err
			}
		}
		return s.log.Append(ctx, tx, r.event(kind, actor), map[string]string{"name": r.Name})
	})
	if err != nil {
		return fmt.Errorf("delete repository %s: %w", r.Name, err)
	}
	if err := errors.Join(s.deleteLFSObjects(ctx, id), s.deleteAttachments(ctx, id)); err != nil {
		return fmt.Errorf("delete repository %s: %w", r.Name, err)
	}
	s.readers.drop(s.dir(id))
	gone := s.dir(id) + ".deleted"
	if err := os.Rename(s.dir(id), gone); err != nil {
		return fmt.Errorf("delete repository %s: %w", r.Name, err)
	}
	if err := os.RemoveAll(gone); err != nil {
		return fmt.Errorf("delete repository %s: %w", r.Name, err)
	}
	return nil
}

// SetDefaultBranch names the branch that clones check out and pages show first. It must exist.
func (s *Service) SetDefaultBranch(ctx context.Context, id slipway.RepositoryID, branch string) error {
	if err := checkBranch(branch); err != nil {
		return err
	}
	if _, err := s.Resolve(ctx, id, "refs/heads/"+branch); err != nil {
		return err
	}
	return s.setDefaultBranch(ctx, id, branch)
}

func (s *Service) setDefaultBranch(ctx context.Context, id slipway.RepositoryID, branch string) error {
	args := []string{"symbolic-ref", "HEAD", "refs/heads/" + branch}
	if _, err := s.git.run(ctx, command{dir: s.dir(id), args: args}); err != nil {
		return fmt.Errorf("set default branch: %w", err)
	}
	const update = `UPDATE repositories SET default_branch = $1 WHERE id = $2`
	if _, err := s.db.ExecContext(ctx, update, branch, string(id)); err != nil {
		return fmt.Errorf("set default branch: %w", err)
	}
	return nil
}
