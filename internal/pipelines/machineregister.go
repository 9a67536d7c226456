package pipelines

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/identity"
	"slipway/internal/pipelines/job"
)

var machineName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`) })

// Registration lets one agent register its machine; it is shown once.
type Registration struct {
	Token   string
	Expires time.Time
}

func registrationHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// NewRegistration makes a registration token, good for one machine and for an hour. The pool must be one of machines.
func (s *Service) NewRegistration(ctx context.Context, of MachineTarget, by slipway.Actor) (Registration, error) {
	if of.Pool != "" {
		p, err := s.Pool(ctx, of.Pool)
		if err != nil {
			return Registration{}, err
		}
		if !p.Machines {
			return Registration{}, slipway.Conflict("the jobs of pool %s run in pods: set it to machines first, or make another pool", p.Name)
		}
	}
	actor, err := json.Marshal(by)
	if err != nil {
		return Registration{}, fmt.Errorf("encode actor: %w", err)
	}
	r := Registration{Token: rand.Text() + rand.Text(), Expires: s.clock.Now().Add(registrationLife)}
	key := of.key()
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM pipeline_machine_registrations WHERE expires < $1`, db.Micros(s.clock.Now())); err != nil {
			return fmt.Errorf("remove registration tokens: %w", err)
		}
		const insert = `INSERT INTO pipeline_machine_registrations (hash, pool, project, environment, created_by, expires) VALUES ($1, $2, $3, $4, $5, $6)`
		if _, err := tx.ExecContext(ctx, insert, registrationHash(r.Token), key.Pool, string(key.Project), key.Environment, string(actor), db.Micros(r.Expires)); err != nil {
			return fmt.Errorf("record registration token: %w", err)
		}
		return nil
	})
	return r, err
}

// checkVersion refuses an agent of another release: nothing is updated silently.
func checkVersion(version int) error {
	if version != job.Version {
		return slipway.Invalid("the server speaks version %d of the agent's protocol, this agent version %d: install the slipway-agent of the server's release", job.Version, version)
	}
	return nil
}

// RegisterMachine makes a machine of what an agent with a registration token says, and its credentials. The token is used up by
// that, and only by success.
func (s *Service) RegisterMachine(ctx context.Context, token string, r job.MachineRegistration) (job.MachineCredentials, error) {
	tags, err := checkTags(r.Tags)
	if err == nil {
		err = checkCapabilities(r.Capabilities)
	}
	if err == nil {
		err = checkVersion(r.Version)
	}
	if err == nil && !machineName().MatchString(r.Name) {
		err = slipway.Invalid("machine name %q: use up to 63 letters, digits, dots, dashes and underscores, beginning with a letter or digit", r.Name)
	}
	if err != nil {
		return job.MachineCredentials{}, err
	}
	var m Machine
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		m = Machine{Name: r.Name, Tags: tags, Capabilities: r.Capabilities}
		const use = `DELETE FROM pipeline_machine_registrations WHERE hash = $1 AND expires > $2 RETURNING pool, project, environment, created_by`
		var actor string
		err := tx.QueryRowContext(ctx, use, registrationHash(token), db.Micros(s.clock.Now())).Scan(&m.Pool, (*string)(&m.Project), &m.Environment, &actor)
		if db.IsNoRows(err) {
			return slipway.Unauthenticated("this registration token is unknown, used or expired: make a new one")
		}
		if err != nil {
			return fmt.Errorf("use registration token: %w", err)
		}
		if err := decodeColumns(column{actor, &m.CreatedBy}); err != nil {
			return err
		}
		if err := m.matches(&r); err != nil {
			return err
		}
		if err := s.insertMachine(ctx, tx, &m, r.Replace); err != nil {
			return err
		}
		return s.announceMachine(ctx, tx, EventMachineRegistered, &m, m.CreatedBy)
	})
	if err != nil {
		return job.MachineCredentials{}, err
	}
	// Whoever had the machine's name before is let in no more.
	if err := s.Tokens.RevokeBound(ctx, identity.TokenMachine, identity.Binding{Machine: m.ID}); err != nil {
		return job.MachineCredentials{}, err
	}
	secret, err := s.Tokens.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenMachine, Name: m.Name,
		Actor: slipway.Actor{Kind: slipway.ActorMachine, ID: fmt.Sprint(m.ID), Name: "machine " + m.Name}, Binding: identity.Binding{Machine: m.ID}})
	if err != nil {
		return job.MachineCredentials{}, fmt.Errorf("issue the credentials of machine %s: %w", m.Name, err)
	}
	return job.MachineCredentials{Machine: m.ID, Name: m.Name, Target: m.target(), Token: secret}, nil
}

// target is for what the machine does jobs, for people.
func (m *Machine) target() string {
	if m.Pool != "" {
		return "pool " + m.Pool
	}
	return "environment " + m.Environment
}

// matches refuses an agent that means another pool or environment than its token.
func (m *Machine) matches(r *job.MachineRegistration) error {
	_, environment, _ := strings.Cut(r.Environment, "/")
	if r.Pool != "" && !strings.EqualFold(r.Pool, m.Pool) || r.Environment != "" && !strings.EqualFold(environment, m.Environment) {
		return slipway.Forbidden("this registration token is for the %s", m.target())
	}
	if m.Pool != "" && len(m.Tags) > 0 {
		return slipway.Invalid("tags are for machines of environments: give the machines of pools capabilities, which demands ask for")
	}
	return nil
}

func (s *Service) insertMachine(ctx context.Context, tx *db.Tx, m *Machine, replace bool) error {
	encodedTags, err := json.Marshal(m.Tags)
	if err != nil {
		return fmt.Errorf("encode tags: %w", err)
	}
	capabilities, err := json.Marshal(m.Capabilities)
	if err != nil {
		return fmt.Errorf("encode capabilities: %w", err)
	}
	actor, err := json.Marshal(m.CreatedBy)
	if err != nil {
		return fmt.Errorf("encode actor: %w", err)
	}
	there, err := s.machines(ctx, tx, MachineTarget{Pool: m.Pool, Project: m.Project, Environment: m.Environment})
	if err != nil {
		return err
	}
	if len(there) >= maxMachines {
		return slipway.Limit("the %s has %d machines already", m.target(), maxMachines)
	}
	m.Created, m.Heard, m.Enabled = s.clock.Now(), s.clock.Now(), true
	for i := range there {
		if !strings.EqualFold(there[i].Name, m.Name) {
			continue
		}
		if !replace {
			return slipway.Conflict("the %s has a machine %s already: choose another --name, or give --replace to take its place", m.target(), m.Name)
		}
		m.ID = there[i].ID
		const update = `UPDATE pipeline_machines SET name = $1, tags = $2, capabilities = $3, enabled = TRUE, created = $4, created_by = $5, heard = $6 WHERE id = $7`
		if _, err := tx.ExecContext(ctx, update, m.Name, string(encodedTags), string(capabilities), db.Micros(m.Created), string(actor), db.Micros(m.Heard), m.ID); err != nil {
			return fmt.Errorf("replace machine %s: %w", m.Name, err)
		}
		return nil
	}
	const insert = `
		INSERT INTO pipeline_machines (pool, project, environment, name, name_key, tags, capabilities, enabled, job, created, created_by, heard)
		VALUES ($1, $2, $3, $4, $5, $6, $7, TRUE, 0, $8, $9, $10) RETURNING id`
	err = tx.QueryRowContext(ctx, insert, m.Pool, string(m.Project), m.Environment, m.Name, strings.ToLower(m.Name), string(encodedTags), string(capabilities),
		db.Micros(m.Created), string(actor), db.Micros(m.Heard)).Scan(&m.ID)
	if err != nil {
		return fmt.Errorf("register machine %s: %w", m.Name, err)
	}
	tx.AfterCommit(s.Wake)
	return nil
}
