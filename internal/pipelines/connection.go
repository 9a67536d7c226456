package pipelines

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/pipelines/job"
)

// Connection is a service connection of a project: something outside, such as a registry or a cluster, with what opens it.
// Secrets in Parameters and Data are never read back: they are "" when listed, and "" in an update keeps them.
type Connection struct {
	ID          string // UUID
	Project     slipway.ProjectID
	Name        string // unique in the project in any case
	Description string
	Type        string // Azure's name in lower case, see ConnectionTypes
	URL         string
	Scheme      string // how Parameters authorize
	Parameters  map[string]string
	Data        map[string]string
	// AllPipelines lets every pipeline use it, Pipelines those that are listed.
	AllPipelines bool
	Pipelines    []slipway.PipelineID
	Created      time.Time
	CreatedBy    slipway.Actor
	Modified     time.Time
}

// Bounds of connections.
const (
	maxConnections     = 1000 // of a project
	maxConnectionText  = 64 << 10
	maxConnectionParts = 50 // parameters, and data
	maxConnectionName  = 200
)

// ConnectionPayload is the payload of the events of service connections; never a secret.
type ConnectionPayload struct {
	ID   string        `json:"id"`
	Name string        `json:"name"`
	Type string        `json:"type"`
	Run  slipway.RunID `json:"run,omitempty"` // that was given it
}

const connectionColumns = `id, project, name, description, type, url, scheme, parameters, data, all_pipelines, created, created_by, modified`

func scanConnection(row interface{ Scan(...any) error }, c *Connection) error {
	var created, modified int64
	var parameters, data, by string
	err := row.Scan(&c.ID, (*string)(&c.Project), &c.Name, &c.Description, &c.Type, &c.URL, &c.Scheme, &parameters, &data, &c.AllPipelines, &created, &by, &modified)
	if err != nil {
		return err
	}
	c.Created, c.Modified = db.Time(created), db.Time(modified)
	return decodeColumns(column{parameters, &c.Parameters}, column{data, &c.Data}, column{by, &c.CreatedBy})
}

// Connections lists the project's service connections by name.
func (s *Service) Connections(ctx context.Context, project slipway.ProjectID) ([]Connection, error) {
	return listConnections(ctx, s.db, project)
}

func listConnections(ctx context.Context, q db.Querier, project slipway.ProjectID) ([]Connection, error) {
	list, err := db.List(ctx, q, scanConnection, `SELECT `+connectionColumns+` FROM service_connections WHERE project = $1 ORDER BY name_key LIMIT 1000`, string(project))
	if err != nil {
		return nil, fmt.Errorf("list service connections: %w", err)
	}
	type grant struct {
		connection string
		pipeline   slipway.PipelineID
	}
	grants, err := db.List(ctx, q, func(row interface{ Scan(...any) error }, g *grant) error {
		return row.Scan(&g.connection, (*int64)(&g.pipeline))
	},
		`SELECT p.connection, p.pipeline FROM service_connection_pipelines p JOIN service_connections c ON c.id = p.connection WHERE c.project = $1 ORDER BY p.pipeline LIMIT 100000`, string(project))
	if err != nil {
		return nil, fmt.Errorf("list permissions of service connections: %w", err)
	}
	for i := range list {
		for _, g := range grants {
			if g.connection == list[i].ID {
				list[i].Pipelines = append(list[i].Pipelines, g.pipeline)
			}
		}
	}
	return list, nil
}

// Connection returns the project's service connection of that id, or of that name in any case.
func (s *Service) Connection(ctx context.Context, project slipway.ProjectID, idOrName string) (Connection, error) {
	return findConnection(ctx, s.db, project, idOrName)
}

func findConnection(ctx context.Context, q db.Querier, project slipway.ProjectID, idOrName string) (Connection, error) {
	key := strings.ToLower(strings.TrimSpace(idOrName))
	c, err := db.One(ctx, q, scanConnection, `SELECT `+connectionColumns+` FROM service_connections WHERE project = $1 AND (id = $2 OR name_key = $2) ORDER BY id LIMIT 1`,
		string(project), key)
	if db.IsNoRows(err) {
		return c, slipway.NotFound("there is no service connection %q in this project", idOrName)
	}
	if err == nil {
		c.Pipelines, err = db.List(ctx, q, func(row interface{ Scan(...any) error }, id *slipway.PipelineID) error { return row.Scan((*int64)(id)) },
			`SELECT pipeline FROM service_connection_pipelines WHERE connection = $1 ORDER BY pipeline LIMIT 1000`, c.ID)
	}
	if err != nil {
		return c, fmt.Errorf("find service connection %q: %w", idOrName, err)
	}
	return c, nil
}

// ConnectionByID returns a connection of any project.
func (s *Service) ConnectionByID(ctx context.Context, id string) (Connection, error) {
	project, err := db.One(ctx, s.db, db.Value[string], `SELECT project FROM service_connections WHERE id = $1`, strings.ToLower(id))
	if db.IsNoRows(err) {
		return Connection{}, slipway.NotFound("there is no service connection %q", id)
	}
	if err != nil {
		return Connection{}, fmt.Errorf("find service connection %q: %w", id, err)
	}
	return findConnection(ctx, s.db, slipway.ProjectID(project), id)
}

// connectionSecrets are the sealed parts of a connection.
type connectionSecrets struct {
	Parameters map[string]string `json:"parameters,omitempty"`
	Data       map[string]string `json:"data,omitempty"`
}

func connectionContext(id string) string { return "pipelines/connection/" + id }

func (s *Service) connectionSecrets(ctx context.Context, q db.Querier, c *Connection) (secrets connectionSecrets, err error) {
	sealed, err := db.One(ctx, q, db.Value[[]byte], `SELECT sealed FROM service_connections WHERE id = $1`, c.ID)
	if err == nil {
		sealed, err = s.Secrets.Open(sealed, connectionContext(c.ID))
	}
	if err == nil {
		err = json.Unmarshal(sealed, &secrets)
	}
	if err != nil {
		return secrets, fmt.Errorf("read service connection %q: %w", c.Name, err)
	}
	return secrets, nil
}

// CreateConnection stores a connection, whose ID and times are made. A name that is taken is a conflict.
func (s *Service) CreateConnection(ctx context.Context, c Connection, by slipway.Actor) (Connection, error) {
	c.ID, c.Created, c.CreatedBy = uuid.NewString(), s.clock.Now(), by
	c.Modified = c.Created
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := db.One(ctx, tx, db.Value[int], `SELECT COUNT(*) FROM service_connections WHERE project = $1`, string(c.Project))
		if err != nil {
			return err
		}
		if n >= maxConnections {
			return slipway.Limit("a project has at most %d service connections", maxConnections)
		}
		return s.putConnection(ctx, tx, &c, connectionSecrets{}, EventConnectionCreated, by)
	})
	if err != nil {
		return c, fmt.Errorf("store service connection %q: %w", c.Name, err)
	}
	return c, nil
}

// UpdateConnection replaces the connection of c's project and ID; its type stays. Secrets that are kept stay with their URL or host: a
// new one needs them again, so that nobody sends them elsewhere who does not know them.
func (s *Service) UpdateConnection(ctx context.Context, c Connection, by slipway.Actor) (Connection, error) {
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		old, err := findConnection(ctx, tx, c.Project, c.ID)
		if err != nil {
			return err
		}
		if c.Type != "" && !strings.EqualFold(c.Type, old.Type) {
			return slipway.Invalid("service connection %q is of type %s, which does not change: make another", old.Name, old.Type)
		}
		c.ID, c.Type, c.Created, c.CreatedBy, c.Modified = old.ID, old.Type, old.Created, old.CreatedBy, s.clock.Now()
		secrets, err := s.connectionSecrets(ctx, tx, &old)
		if err != nil {
			return err
		}
		if !strings.EqualFold(c.Scheme, old.Scheme) {
			secrets.Parameters = nil
		}
		if strings.TrimSpace(c.URL) != old.URL && (keeps(c.Parameters, secrets.Parameters) || keeps(c.Data, secrets.Data)) {
			return slipway.Invalid("service connection %q has another URL now: give its secrets again", old.Name)
		}
		if name := c.moved(&old); name != "" && (keeps(c.Parameters, secrets.Parameters) || keeps(c.Data, secrets.Data)) {
			return slipway.Invalid("service connection %q has another %s now: give its secrets again", old.Name, name)
		}
		return s.putConnection(ctx, tx, &c, secrets, EventConnectionChanged, by)
	})
	if err != nil {
		return c, fmt.Errorf("store service connection: %w", err)
	}
	return c, nil
}

// moved is the name of a parameter or datum that says where secrets are sent and is another than before, "" if none is.
func (c *Connection) moved(old *Connection) string {
	for _, name := range []string{"registry", "loginServer"} {
		if now, _ := partOf(c.Parameters, name); !sameText(now, old.Parameters, name) {
			return name
		}
	}
	for _, name := range []string{"Host", "Port"} {
		if now, _ := partOf(c.Data, name); !sameText(now, old.Data, name) {
			return name
		}
	}
	return ""
}

func sameText(now string, parts map[string]string, name string) bool {
	before, _ := partOf(parts, name)
	return strings.TrimSpace(now) == strings.TrimSpace(before)
}

// keeps reports whether a secret is not given and stays.
func keeps(given, secrets map[string]string) bool {
	for name, secret := range secrets {
		if value, ok := partOf(given, name); secret != "" && (!ok || value == "") {
			return true
		}
	}
	return false
}

func partOf(parts map[string]string, name string) (string, bool) {
	for key, value := range parts {
		if strings.EqualFold(key, name) {
			return value, true
		}
	}
	return "", false
}

// putConnection checks and writes a connection; kept are the secrets that stay when they are not given. c has none afterwards.
func (s *Service) putConnection(ctx context.Context, tx *db.Tx, c *Connection, kept connectionSecrets, kind events.Kind, by slipway.Actor) error {
	var secrets connectionSecrets
	c.Parameters, secrets.Parameters = partition(c.Parameters, kept.Parameters, SecretParameter)
	c.Data, secrets.Data = partition(c.Data, kept.Data, SecretDatum)
	if err := c.check(secrets); err != nil {
		return err
	}
	text, err := json.Marshal(secrets)
	if err != nil {
		return fmt.Errorf("encode secrets: %w", err)
	}
	sealed, err := s.Secrets.Seal(text, connectionContext(c.ID))
	if err != nil {
		return err
	}
	texts := [3]string{}
	for i, v := range []any{c.Parameters, c.Data, c.CreatedBy} {
		b, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("encode service connection: %w", err)
		}
		texts[i] = string(b)
	}
	const upsert = `
		INSERT INTO service_connections (id, project, name, name_key, description, type, url, scheme, parameters, data, sealed, all_pipelines, created, created_by, modified)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, name_key = excluded.name_key, description = excluded.description, url = excluded.url, scheme = excluded.scheme,
			parameters = excluded.parameters, data = excluded.data, sealed = excluded.sealed, all_pipelines = excluded.all_pipelines, modified = excluded.modified`
	_, err = tx.ExecContext(ctx, upsert, c.ID, string(c.Project), c.Name, strings.ToLower(c.Name), c.Description, c.Type, c.URL, c.Scheme, texts[0], texts[1], sealed,
		c.AllPipelines, db.Micros(c.Created), texts[2], db.Micros(c.Modified))
	if db.IsUniqueViolation(err) {
		return slipway.Conflict("there is a service connection %q already", c.Name)
	}
	if err != nil {
		return err
	}
	if err := putConnectionPipelines(ctx, tx, c); err != nil {
		return err
	}
	return s.announceConnection(ctx, tx, c, kind, by, nil)
}

func putConnectionPipelines(ctx context.Context, tx *db.Tx, c *Connection) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM service_connection_pipelines WHERE connection = $1`, c.ID); err != nil {
		return err
	}
	slices.Sort(c.Pipelines)
	c.Pipelines = slices.Compact(c.Pipelines)
	if len(c.Pipelines) > maxConnections {
		return slipway.Limit("a service connection lists at most %d pipelines: let all use it", maxConnections)
	}
	for _, id := range c.Pipelines {
		n, err := db.One(ctx, tx, db.Value[int], `SELECT COUNT(*) FROM pipeline_definitions WHERE id = $1 AND project = $2`, int64(id), string(c.Project))
		if err != nil {
			return err
		}
		if n == 0 {
			return slipway.NotFound("there is no pipeline %d in this project", id)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO service_connection_pipelines (connection, pipeline) VALUES ($1, $2)`, c.ID, int64(id)); err != nil {
			return err
		}
	}
	return nil
}

// announceConnection appends an event about a connection; run is the one that was given it, or nil.
func (s *Service) announceConnection(ctx context.Context, tx *db.Tx, c *Connection, kind events.Kind, by slipway.Actor, run *Run) error {
	e := events.Event{Kind: kind, Project: c.Project, Actor: by, Subject: slipway.Ref(slipway.RefProject, c.Project)}
	p := ConnectionPayload{ID: c.ID, Name: c.Name, Type: c.Type}
	if run != nil {
		p.Run = run.ID
		e.References = []slipway.Reference{slipway.Ref(slipway.RefRun, run.ID), slipway.Ref(slipway.RefPipeline, run.Pipeline)}
	}
	return s.log.Append(ctx, tx, &e, p)
}

// DeleteConnection deletes the project's connection of that id or name; what needs it fails from then on.
func (s *Service) DeleteConnection(ctx context.Context, project slipway.ProjectID, idOrName string, by slipway.Actor) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		c, err := findConnection(ctx, tx, project, idOrName)
		if err != nil {
			return err
		}
		for _, q := range []string{`DELETE FROM service_connection_uses WHERE connection = $1`, `DELETE FROM service_connection_pipelines WHERE connection = $1`,
			`DELETE FROM service_connections WHERE id = $1`} {
			if _, err := tx.ExecContext(ctx, q, c.ID); err != nil {
				return fmt.Errorf("delete service connection %q: %w", c.Name, err)
			}
		}
		return s.announceConnection(ctx, tx, &c, EventConnectionDeleted, by, nil)
	})
}

// PermitConnection says which pipelines may use a connection. all may be nil, which leaves that as it is; pipelines are added
// (true) or taken away (false).
func (s *Service) PermitConnection(ctx context.Context, project slipway.ProjectID, idOrName string, all *bool, pipelines map[slipway.PipelineID]bool, by slipway.Actor) (Connection, error) {
	var c Connection
	err := s.db.Tx(ctx, func(tx *db.Tx) (err error) {
		if c, err = findConnection(ctx, tx, project, idOrName); err != nil {
			return err
		}
		if all != nil {
			c.AllPipelines = *all
		}
		for id, may := range pipelines {
			c.Pipelines = slices.DeleteFunc(c.Pipelines, func(other slipway.PipelineID) bool { return other == id })
			if may {
				c.Pipelines = append(c.Pipelines, id)
			}
		}
		if _, err := tx.ExecContext(ctx, `UPDATE service_connections SET all_pipelines = $1 WHERE id = $2`, c.AllPipelines, c.ID); err != nil {
			return err
		}
		if err := putConnectionPipelines(ctx, tx, &c); err != nil {
			return err
		}
		return s.announceConnection(ctx, tx, &c, EventConnectionChanged, by, nil)
	})
	return c, err
}

// Permits reports whether a pipeline may use the connection.
func (c *Connection) Permits(pipeline slipway.PipelineID) bool {
	return c.AllPipelines || slices.Contains(c.Pipelines, pipeline)
}

// opened is the connection with its secrets, as jobs get it.
func (s *Service) opened(ctx context.Context, q db.Querier, c *Connection) (job.Connection, error) {
	secrets, err := s.connectionSecrets(ctx, q, c)
	if err != nil {
		return job.Connection{}, err
	}
	out := job.Connection{ID: c.ID, Name: c.Name, Type: c.Type, URL: c.URL, Scheme: c.Scheme, Parameters: maps.Clone(c.Parameters), Data: maps.Clone(c.Data)}
	maps.Copy(out.Parameters, secrets.Parameters)
	maps.Copy(out.Data, secrets.Data)
	for name := range out.Data {
		if SecretDatum(name) {
			out.Secret = append(out.Secret, name)
		}
	}
	for name := range out.Parameters {
		if SecretParameter(name) {
			out.Secret = append(out.Secret, name)
		}
	}
	slices.Sort(out.Secret)
	return out, nil
}
