package environments

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"slipway"
	"slipway/internal/db"
)

// DefaultCluster is the cluster that environments are bound to unless told otherwise: the embedded node's, or the
// one that the server was started against.
const DefaultCluster = "local"

// Environment is a place to deploy to. Its name is unique in its project without regard to case.
type Environment struct {
	ID          slipway.EnvironmentID
	Project     slipway.ProjectID
	Name        string
	Description string
	Cluster     string // the name of a cluster
	Namespace   string // in that cluster, owned by this environment alone
	Created     time.Time
	CreatedBy   slipway.Actor
	// ReviewOf is the environment that this one is a review app of, for PullRequest; 0 for others. Removed is when its namespace went, zero before.
	ReviewOf    slipway.EnvironmentID
	PullRequest slipway.PullRequestID
	Removed     time.Time
}

// NewEnvironment is what Create needs. ProjectName makes the namespace readable; Namespace and Cluster may be empty.
type NewEnvironment struct {
	Project     slipway.ProjectID
	ProjectName string
	Name        string
	Description string
	Cluster     string
	Namespace   string

	reviewOf    slipway.EnvironmentID // of a review app
	pullRequest slipway.PullRequestID
}

var (
	environmentName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\pL\pN][\pL\pN _.\-]*$`) })
	namespaceName   = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`) // RFC 1123 label
	notInLabel      = regexp.MustCompile(`[^a-z0-9]+`)
)

const (
	maxName        = 128
	maxDescription = 4000
	maxNamespace   = 63
)

// Namespace is the Kubernetes namespace of an environment: PROJECT-ENVIRONMENT in lower case. Where the names hold
// characters that a namespace may not, or are too long, it ends in a hash of them so that two never meet by chance.
func Namespace(project, environment string) string {
	plain := strings.ToLower(project + "-" + environment)
	if len(plain) <= maxNamespace && namespaceName.MatchString(plain) {
		return plain
	}
	return withHash(plain, project+"/"+environment)
}

func withHash(name, of string) string {
	sum := sha256.Sum256([]byte(of))
	slug := strings.Trim(notInLabel.ReplaceAllString(strings.ToLower(name), "-"), "-")
	if len(slug) > maxNamespace-9 {
		slug = strings.TrimRight(slug[:maxNamespace-9], "-")
	}
	if slug == "" {
		slug = "environment"
	}
	return slug + "-" + hex.EncodeToString(sum[:4])
}

func (n *NewEnvironment) check() error {
	n.Name = strings.TrimSpace(n.Name)
	if utf8.RuneCountInString(n.Name) > maxName || !environmentName().MatchString(n.Name) {
		return &slipway.Problem{Code: slipway.CodeInvalid, Field: "name", Message: fmt.Sprintf(
			"environment name %q: use letters, digits, spaces, dots, dashes and underscores, at most %d, beginning with a letter or digit", n.Name, maxName)}
	}
	if len(n.Description) > maxDescription {
		return slipway.Limit("the description has more than %d bytes", maxDescription)
	}
	if n.Namespace != "" && (len(n.Namespace) > maxNamespace || !namespaceName.MatchString(n.Namespace)) {
		return &slipway.Problem{Code: slipway.CodeInvalid, Field: "namespace", Message: fmt.Sprintf(
			"namespace %q: use lower-case letters, digits and dashes, at most %d", n.Namespace, maxNamespace)}
	}
	if n.Project == "" {
		return slipway.Invalid("an environment belongs to a project")
	}
	if n.Cluster == "" {
		n.Cluster = DefaultCluster
	}
	return nil
}

// Create makes an environment; slipway.CodeConflict when the project has one of that name.
func (s *Service) Create(ctx context.Context, n NewEnvironment, by slipway.Actor) (Environment, error) {
	if err := n.check(); err != nil {
		return Environment{}, err
	}
	var e Environment
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		var err error
		e, err = s.create(ctx, tx, n, by)
		return err
	})
	if db.IsUniqueViolation(err) {
		return e, slipway.Conflict("the project has an environment %q already", n.Name)
	}
	return e, err
}

// Ensure returns the environment of that name and makes it on first use, as Azure Pipelines does.
func (s *Service) Ensure(ctx context.Context, n NewEnvironment, by slipway.Actor) (Environment, error) {
	e, err := s.ByName(ctx, n.Project, n.Name)
	if slipway.CodeOf(err) != slipway.CodeNotFound {
		return e, err
	}
	e, err = s.Create(ctx, n, by)
	if slipway.CodeOf(err) == slipway.CodeConflict { // another was faster
		return s.ByName(ctx, n.Project, n.Name)
	}
	return e, err
}

func (s *Service) create(ctx context.Context, tx *db.Tx, n NewEnvironment, by slipway.Actor) (Environment, error) {
	e := Environment{Project: n.Project, Name: n.Name, Description: n.Description, Cluster: n.Cluster,
		Namespace: n.Namespace, Created: s.clock.Now(), CreatedBy: by, ReviewOf: n.reviewOf, PullRequest: n.pullRequest}
	if e.Namespace == "" {
		e.Namespace = Namespace(n.ProjectName, n.Name)
		const count = `SELECT count(*) FROM environments WHERE cluster = $1 AND namespace = $2`
		taken, err := db.One(ctx, tx, db.Value[int], count, e.Cluster, e.Namespace)
		if err != nil {
			return e, fmt.Errorf("choose namespace: %w", err)
		}
		if taken > 0 { // project a, environment b-c and project a-b, environment c
			e.Namespace = withHash(e.Namespace, string(n.Project)+"/"+n.Name)
		}
	}
	actor, err := json.Marshal(by)
	if err != nil {
		return e, err
	}
	const insert = `
		INSERT INTO environments (project, name, name_key, description, cluster, namespace, created, created_by, review_of, pull_request)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id`
	err = tx.QueryRowContext(ctx, insert, string(e.Project), e.Name, strings.ToLower(e.Name), e.Description, e.Cluster,
		e.Namespace, db.Micros(e.Created), string(actor), int64(e.ReviewOf), int64(e.PullRequest)).Scan(&e.ID)
	if err != nil {
		return e, fmt.Errorf("create environment %q: %w", e.Name, err)
	}
	return e, s.append(ctx, tx, Created, e, slipway.Ref(slipway.RefEnvironment, e.ID), nil, by, EnvironmentPayload{Name: e.Name})
}

const environmentColumns = `id, project, name, description, cluster, namespace, created, created_by, review_of, pull_request, removed`

func scanEnvironment(row interface{ Scan(...any) error }, e *Environment) error {
	var created, removed int64
	var actor string
	err := row.Scan(&e.ID, &e.Project, &e.Name, &e.Description, &e.Cluster, &e.Namespace, &created, &actor, (*int64)(&e.ReviewOf), (*int64)(&e.PullRequest), &removed)
	if err != nil {
		return err
	}
	e.Created, e.Removed = db.Time(created), db.Time(removed)
	return json.Unmarshal([]byte(actor), &e.CreatedBy)
}

// Get returns one environment.
func (s *Service) Get(ctx context.Context, id slipway.EnvironmentID) (Environment, error) {
	return getEnvironment(ctx, s.db, id)
}

func getEnvironment(ctx context.Context, q db.Querier, id slipway.EnvironmentID) (Environment, error) {
	e, err := db.One(ctx, q, scanEnvironment, `SELECT `+environmentColumns+` FROM environments WHERE id = $1`, int64(id))
	if db.IsNoRows(err) {
		return e, slipway.NotFound("there is no environment %d", id)
	}
	if err != nil {
		return e, fmt.Errorf("get environment %d: %w", id, err)
	}
	return e, nil
}

// ByName returns a project's environment, without regard to case.
func (s *Service) ByName(ctx context.Context, project slipway.ProjectID, name string) (Environment, error) {
	const query = `SELECT ` + environmentColumns + ` FROM environments WHERE project = $1 AND name_key = $2`
	e, err := db.One(ctx, s.db, scanEnvironment, query, string(project), strings.ToLower(strings.TrimSpace(name)))
	if db.IsNoRows(err) {
		return e, slipway.NotFound("the project has no environment %q", name)
	}
	if err != nil {
		return e, fmt.Errorf("get environment %q: %w", name, err)
	}
	return e, nil
}

// ByNamespace returns the environment that owns a namespace of a cluster.
func (s *Service) ByNamespace(ctx context.Context, cluster, namespace string) (Environment, error) {
	const query = `SELECT ` + environmentColumns + ` FROM environments WHERE cluster = $1 AND namespace = $2`
	e, err := db.One(ctx, s.db, scanEnvironment, query, cluster, namespace)
	if db.IsNoRows(err) {
		return e, slipway.NotFound("no environment owns the namespace %q of cluster %q", namespace, cluster)
	}
	if err != nil {
		return e, fmt.Errorf("get environment of namespace %q: %w", namespace, err)
	}
	return e, nil
}

// maxEnvironments bounds List; a project of more is a project to split.
const maxEnvironments = 1000

// List returns the environments of a project by name, or of all projects when it is empty, without removed review apps.
func (s *Service) List(ctx context.Context, project slipway.ProjectID) ([]Environment, error) {
	const query = `SELECT ` + environmentColumns + ` FROM environments WHERE ($1 = '' OR project = $1) AND removed = 0
		ORDER BY project, name_key LIMIT $2`
	list, err := db.List(ctx, s.db, scanEnvironment, query, string(project), maxEnvironments)
	if err != nil {
		return nil, fmt.Errorf("list environments: %w", err)
	}
	return list, nil
}

// Update holds what may change of an environment; nil leaves it as it is.
type Update struct {
	Description *string
}

// Update changes an environment.
func (s *Service) Update(ctx context.Context, id slipway.EnvironmentID, u Update, by slipway.Actor) (Environment, error) {
	var e Environment
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		var err error
		if e, err = getEnvironment(ctx, tx, id); err != nil {
			return err
		}
		if u.Description == nil {
			return nil
		}
		if len(*u.Description) > maxDescription {
			return slipway.Limit("the description has more than %d bytes", maxDescription)
		}
		e.Description = *u.Description
		if _, err := tx.ExecContext(ctx, `UPDATE environments SET description = $2 WHERE id = $1`, int64(id), e.Description); err != nil {
			return fmt.Errorf("update environment %d: %w", id, err)
		}
		return s.changed(ctx, tx, e, by, "description")
	})
	return e, err
}
