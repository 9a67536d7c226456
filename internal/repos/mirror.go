package repos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/gitremote"
)

// The kinds of events about repositories of other hosts. Their subject is the repository.
const (
	EventMirrorChanged events.Kind = "repos.mirror_changed" // payload MirrorPayload; Change is created, changed or deleted
	EventMirrorSynced  events.Kind = "repos.mirror_synced"  // payload MirrorPayload; Change is succeeded, failed or canceled; told of each push, and of others when it is another than before
)

// MirrorPayload is the payload of the events about mirrors.
type MirrorPayload struct {
	Mirror  int64      `json:"mirror"`
	Kind    MirrorKind `json:"kind"`
	URL     string     `json:"url"`
	Change  string     `json:"change"`
	Problem string     `json:"problem,omitempty"`
}

// MirrorKind is what becomes of a repository and one of another host.
type MirrorKind string

// The kinds.
const (
	MirrorImport MirrorKind = "import" // filled from there, once
	MirrorPull   MirrorKind = "pull"   // made equal to it, again and again
	MirrorPush   MirrorKind = "push"   // the other is made equal to this one
)

// MirrorState is how the last transfer of a mirror went, or that one is to come.
type MirrorState string

// The states.
const (
	MirrorQueued    MirrorState = "queued"
	MirrorRunning   MirrorState = "running"
	MirrorSucceeded MirrorState = "succeeded"
	MirrorFailed    MirrorState = "failed"
	MirrorCanceled  MirrorState = "canceled"
)

const (
	// MinMirrorInterval is how often a pull mirror fetches at most.
	MinMirrorInterval = 5 * time.Minute
	maxMirrorInterval = 31 * 24 * time.Hour
	maxPushMirrors    = 10
	maxCredential     = 64 << 10
)

// Mirror is what a repository has to do with one of another host. At most one fills it; pushes may go to ten.
type Mirror struct {
	ID         int64
	Repository slipway.RepositoryID
	Project    slipway.ProjectID
	Kind       MirrorKind
	URL        string
	User       string
	HasSecret  bool   // a password or private key is kept, sealed
	Connection string // name of the service connection with the credentials
	KnownHosts string // keys of the host, of an address of SSH
	Every      time.Duration
	Enabled    bool
	Private    bool // it may reach any address, not public ones alone
	State      MirrorState
	Problem    string // why it failed, in a sentence
	Failures   int64  // since it succeeded last
	Due        time.Time
	Started    time.Time
	Finished   time.Time
	Succeeded  time.Time
	Created    time.Time
	CreatedBy  slipway.Actor

	sealed []byte
}

// Fills says that the mirror alone changes the branches and tags of its repository now.
func (m Mirror) Fills() bool {
	return m.Kind == MirrorPull && m.Enabled || m.Kind == MirrorImport && (m.State == MirrorQueued || m.State == MirrorRunning)
}

// MirrorSettings are what people choose of a mirror.
type MirrorSettings struct {
	Kind       MirrorKind
	URL        string
	User       string
	Password   string // or PrivateKey, or Connection, or none of them
	PrivateKey string
	Connection string
	KnownHosts string
	Every      time.Duration // of a pull mirror: 0 for by hand alone
	Enabled    bool
	Private    bool // only administrators of the installation may ask for it, which the caller has to see to
}

// Connections give the credentials of service connections.
type Connections interface {
	GitCredentials(ctx context.Context, project slipway.ProjectID, connection string) (user, password string, err error)
}

// mirrorSecret is what is sealed of a mirror.
type mirrorSecret struct {
	Password   string `json:"password,omitempty"`
	PrivateKey string `json:"privateKey,omitempty"`
}

func (m MirrorSettings) secret() mirrorSecret { return mirrorSecret{m.Password, m.PrivateKey} }

func (m MirrorSettings) check() error {
	field := func(name, format string, args ...any) error {
		p := slipway.Invalid(format, args...)
		p.Field = name
		return p
	}
	switch m.Kind {
	case MirrorImport, MirrorPush:
		if m.Every != 0 {
			return field("every", "only a pull mirror has a schedule: leave every out")
		}
	case MirrorPull:
		if m.Every != 0 && (m.Every < MinMirrorInterval || m.Every > maxMirrorInterval) {
			return field("every", "a pull mirror fetches every 5 minutes at most and every 31 days at least, or by hand alone with 0")
		}
	default:
		return field("kind", "the kind of a mirror is import, pull or push, not %q", m.Kind)
	}
	if m.Connection != "" && (m.User != "" || m.Password != "" || m.PrivateKey != "") {
		return field("connection", "name a service connection or give a user name with a password or key, not both")
	}
	if len(m.User)+len(m.Password)+len(m.PrivateKey)+len(m.KnownHosts) > maxCredential {
		return slipway.Limit("the credentials have more than %d bytes", maxCredential)
	}
	r := gitremote.Remote{URL: m.URL, User: m.User, Password: m.Password, PrivateKey: m.PrivateKey}
	if m.Connection != "" && r.SSH() {
		return field("connection", "a service connection opens addresses of HTTP alone: give a private key for %s", m.URL)
	}
	return r.Check()
}

func mirrorPlace(id int64) string { return "repository-mirror/" + strconv.FormatInt(id, 10) }

func (s *Service) sealMirror(id int64, secret mirrorSecret) ([]byte, error) {
	if secret == (mirrorSecret{}) {
		return []byte{}, nil
	}
	if s.Secrets == nil {
		return nil, slipway.Unsupported("this server keeps no credentials of other hosts")
	}
	plain, err := json.Marshal(secret)
	if err != nil {
		return nil, fmt.Errorf("encode credentials: %w", err)
	}
	return s.Secrets.Seal(plain, mirrorPlace(id))
}

func (s *Service) openMirror(m Mirror) (secret mirrorSecret, err error) {
	if len(m.sealed) == 0 {
		return secret, nil
	}
	if s.Secrets == nil {
		return secret, slipway.Unsupported("this server keeps no credentials of other hosts")
	}
	plain, err := s.Secrets.Open(m.sealed, mirrorPlace(m.ID))
	if err != nil {
		return secret, err
	}
	return secret, json.Unmarshal(plain, &secret)
}

// CreateMirror adds a mirror, whose first transfer begins at once. A repository is imported into as long as it is empty; an import
// that has ended makes room for another or for a pull mirror.
func (s *Service) CreateMirror(ctx context.Context, id slipway.RepositoryID, want MirrorSettings, by slipway.Actor) (Mirror, error) {
	if err := want.check(); err != nil {
		return Mirror{}, err
	}
	r, err := s.Get(ctx, id)
	if err != nil {
		return Mirror{}, err
	}
	if want.Kind == MirrorImport {
		refs, err := s.refsOnDisk(ctx, id)
		if err != nil {
			return Mirror{}, err
		}
		if len(refs) > 0 {
			return Mirror{}, slipway.Conflict("repository %s is not empty: import into a new one, or make it a pull mirror, which makes it equal to the other", r.Name)
		}
	}
	now := s.clock.Now()
	m := Mirror{Repository: id, Project: r.Project, Kind: want.Kind, State: MirrorQueued, Due: now, Created: now, CreatedBy: by}
	if !want.Enabled && want.Kind != MirrorImport {
		m.State, m.Due = MirrorSucceeded, time.Time{}
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		m := &m
		if err := s.makeRoom(ctx, tx, r, want.Kind); err != nil {
			return err
		}
		who, err := json.Marshal(by)
		if err != nil {
			return fmt.Errorf("encode actor: %w", err)
		}
		const insert = `
			INSERT INTO repository_mirrors (repository, project, kind, url, username, secret, connection, known_hosts, every, enabled, private,
				state, problem, failures, due, started, finished, succeeded, created, created_by)
			VALUES ($1, $2, $3, '', '', $4, '', '', 0, $5, $5, $6, '', 0, $7, 0, 0, 0, $8, $9) RETURNING id`
		err = tx.QueryRowContext(ctx, insert, string(id), string(r.Project), string(m.Kind), []byte{}, false, string(m.State), db.Micros(m.Due), db.Micros(now), string(who)).Scan(&m.ID)
		if db.IsUniqueViolation(err) {
			return slipway.Conflict("repository %s is filled from another host already: change or delete that mirror first", r.Name)
		}
		if err != nil {
			return err
		}
		if err := s.writeMirror(ctx, tx, m, want, want.secret()); err != nil {
			return err
		}
		return s.tellMirror(ctx, tx, *m, EventMirrorChanged, "created", by)
	})
	if err != nil {
		return Mirror{}, fmt.Errorf("mirror repository %s: %w", r.Name, err)
	}
	s.wakeMirrors()
	return m, nil
}

// makeRoom removes an import that has ended, and counts.
func (s *Service) makeRoom(ctx context.Context, tx *db.Tx, r Repository, kind MirrorKind) error {
	if kind == MirrorPush {
		n, err := db.One(ctx, tx, db.Value[int64], `SELECT count(*) FROM repository_mirrors WHERE repository = $1 AND kind = 'push'`, string(r.ID))
		if err == nil && n >= maxPushMirrors {
			err = slipway.Limit("repository %s is pushed to %d places already: delete one first", r.Name, n)
		}
		return err
	}
	const remove = `DELETE FROM repository_mirrors WHERE repository = $1 AND kind = 'import' AND state IN ('succeeded', 'failed', 'canceled')`
	_, err := tx.ExecContext(ctx, remove, string(r.ID))
	return err
}

// writeMirror stores what was chosen.
func (s *Service) writeMirror(ctx context.Context, tx *db.Tx, m *Mirror, want MirrorSettings, secret mirrorSecret) error {
	sealed, err := s.sealMirror(m.ID, secret)
	if err != nil {
		return err
	}
	m.URL, m.User, m.Connection, m.KnownHosts, m.Every, m.Private = want.URL, want.User, want.Connection, want.KnownHosts, want.Every, want.Private
	m.Enabled = want.Enabled || m.Kind == MirrorImport
	m.sealed, m.HasSecret = sealed, len(sealed) > 0
	const update = `UPDATE repository_mirrors SET url = $2, username = $3, secret = $4, connection = $5, known_hosts = $6, every = $7, enabled = $8, private = $9 WHERE id = $1`
	_, err = tx.ExecContext(ctx, update, m.ID, m.URL, m.User, sealed, m.Connection, m.KnownHosts, m.Every.Microseconds(), m.Enabled, m.Private)
	return err
}

func (s *Service) tellMirror(ctx context.Context, tx *db.Tx, m Mirror, kind events.Kind, change string, by slipway.Actor) error {
	e := &events.Event{Kind: kind, Project: m.Project, Subject: slipway.Ref(slipway.RefRepository, m.Repository), Actor: by}
	return s.log.Append(ctx, tx, e, MirrorPayload{m.ID, m.Kind, m.URL, change, m.Problem})
}

// UpdateMirror changes the settings of a mirror; its kind stays. Credentials that are left out stay as long as the URL does.
func (s *Service) UpdateMirror(ctx context.Context, repository slipway.RepositoryID, id int64, want MirrorSettings, by slipway.Actor) (Mirror, error) {
	m, err := s.Mirror(ctx, repository, id)
	if err != nil {
		return m, err
	}
	want.Kind = m.Kind
	if err := want.check(); err != nil {
		return m, err
	}
	secret := want.secret()
	if secret == (mirrorSecret{}) && want.Connection == "" && want.User == m.User {
		if want.URL != m.URL && m.HasSecret {
			return m, slipway.Invalid("give the credentials again: they would be sent to another address than before")
		}
		if secret, err = s.openMirror(m); err != nil {
			return m, err
		}
	}
	if want.KnownHosts == "" && want.URL == m.URL {
		want.KnownHosts = m.KnownHosts
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := s.writeMirror(ctx, tx, &m, want, secret); err != nil {
			return err
		}
		m.Due = time.Time{}
		if m.Enabled && (m.Kind == MirrorPush || m.Every > 0) {
			m.Due = s.clock.Now()
		}
		if _, err := tx.ExecContext(ctx, `UPDATE repository_mirrors SET due = $2, failures = 0 WHERE id = $1 AND state <> 'running'`, m.ID, db.Micros(m.Due)); err != nil {
			return err
		}
		return s.tellMirror(ctx, tx, m, EventMirrorChanged, "changed", by)
	})
	if err != nil {
		return m, fmt.Errorf("change mirror %d: %w", id, err)
	}
	s.wakeMirrors()
	return s.Mirror(ctx, repository, id)
}

// DeleteMirror ends a mirror. What it brought stays.
func (s *Service) DeleteMirror(ctx context.Context, repository slipway.RepositoryID, id int64, by slipway.Actor) error {
	m, err := s.Mirror(ctx, repository, id)
	if err != nil {
		return err
	}
	s.transfers.cancel(id, errMirrorDeleted)
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM repository_mirrors WHERE id = $1`, id); err != nil {
			return err
		}
		return s.tellMirror(ctx, tx, m, EventMirrorChanged, "deleted", by)
	})
	if err != nil {
		return fmt.Errorf("delete mirror %d: %w", id, err)
	}
	return nil
}

const mirrorColumns = `id, repository, project, kind, url, username, secret, connection, known_hosts, every, enabled, private, state, problem, failures,
	due, started, finished, succeeded, created, created_by`

func scanMirror(row interface{ Scan(...any) error }, m *Mirror) error {
	var every, due, started, finished, succeeded, created int64
	var by string
	err := row.Scan(&m.ID, (*string)(&m.Repository), (*string)(&m.Project), (*string)(&m.Kind), &m.URL, &m.User, &m.sealed, &m.Connection, &m.KnownHosts,
		&every, &m.Enabled, &m.Private, (*string)(&m.State), &m.Problem, &m.Failures, &due, &started, &finished, &succeeded, &created, &by)
	if err != nil {
		return err
	}
	m.Every, m.HasSecret = time.Duration(every)*time.Microsecond, len(m.sealed) > 0
	m.Due, m.Started, m.Finished, m.Succeeded, m.Created = db.Time(due), db.Time(started), db.Time(finished), db.Time(succeeded), db.Time(created)
	return json.Unmarshal([]byte(by), &m.CreatedBy)
}

// Mirrors lists the mirrors of a repository, the one that fills it first.
func (s *Service) Mirrors(ctx context.Context, id slipway.RepositoryID) ([]Mirror, error) {
	const query = `SELECT ` + mirrorColumns + ` FROM repository_mirrors WHERE repository = $1 ORDER BY CASE WHEN kind = 'push' THEN 1 ELSE 0 END, id LIMIT 100`
	list, err := db.List(ctx, s.db, scanMirror, query, string(id))
	if err != nil {
		return nil, fmt.Errorf("list mirrors of repository %s: %w", id, err)
	}
	return list, nil
}

// Mirror returns one mirror of a repository.
func (s *Service) Mirror(ctx context.Context, repository slipway.RepositoryID, id int64) (Mirror, error) {
	m, err := db.One(ctx, s.db, scanMirror, `SELECT `+mirrorColumns+` FROM repository_mirrors WHERE repository = $1 AND id = $2`, string(repository), id)
	if db.IsNoRows(err) {
		return m, slipway.NotFound("the repository has no mirror %d", id)
	}
	if err != nil {
		return m, fmt.Errorf("find mirror %d: %w", id, err)
	}
	return m, nil
}

// errFilled is what a write to a mirrored repository comes to.
func errFilled(m Mirror) error {
	if m.Kind == MirrorImport {
		return slipway.Conflict("this repository is being imported from %s: wait until that has ended", m.URL)
	}
	return slipway.Conflict("this repository is a mirror of %s: push there, or have an administrator of the project turn the mirror off", m.URL)
}

// checkFilled refuses a change of branches and tags by anybody but the mirror that fills the repository.
func (s *Service) checkFilled(ctx context.Context, id slipway.RepositoryID) error {
	const query = `SELECT ` + mirrorColumns + ` FROM repository_mirrors WHERE repository = $1 AND kind <> 'push'`
	m, err := db.One(ctx, s.db, scanMirror, query, string(id))
	switch {
	case db.IsNoRows(err):
	case err != nil:
		return fmt.Errorf("find the mirror of repository %s: %w", id, err)
	case m.Fills():
		return errFilled(m)
	}
	if copying, err := s.copying(ctx, id); err != nil || !copying {
		return err
	}
	return slipway.Conflict("this fork is being made: wait until everything has been copied")
}

var (
	errMirrorCanceled = errors.New("it was canceled")
	errMirrorDeleted  = errors.New("the mirror was deleted")
)

// Import makes a repository that is filled from another host: once, or again and again if want is a pull mirror's settings.
func (s *Service) Import(ctx context.Context, req CreateRequest, want MirrorSettings) (Repository, Mirror, error) {
	if want.Kind == MirrorPush {
		return Repository{}, Mirror{}, slipway.Invalid("a push mirror fills no repository: write import or pull")
	}
	if err := want.check(); err != nil {
		return Repository{}, Mirror{}, err
	}
	r, err := s.Create(ctx, req)
	if err != nil {
		return r, Mirror{}, err
	}
	m, err := s.CreateMirror(ctx, r.ID, want, req.Actor)
	if err != nil {
		return r, m, errors.Join(err, s.Delete(context.WithoutCancel(ctx), r.ID, req.Actor))
	}
	return r, m, nil
}
