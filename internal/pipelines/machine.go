package pipelines

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// Machine is one whose agent does jobs: those of a pool of machines, or deployments to an environment.
type Machine struct {
	ID int64
	// Pool is the pool's name in lower case; "" for a machine of the environment Environment (in lower case) of Project.
	Pool        string
	Project     slipway.ProjectID
	Environment string
	Name        string // unique in its pool or environment, in any case
	Tags        []string
	// Capabilities are what the agent reported.
	Capabilities map[string]string
	Enabled      bool // a disabled one gets no jobs
	Online       bool // its agent was heard of lately
	Job          slipway.JobID
	Created      time.Time
	CreatedBy    slipway.Actor // who made the registration token
	Heard        time.Time
}

const (
	// machineAway is how long an agent is silent before its machine is offline. It calls twice a minute and more.
	machineAway = time.Minute
	// machineLost is how long an agent is silent before its job is lost. An agent keeps its job while the server is away for longer
	// than that, and the time counts from when the server is back.
	machineLost = 5 * time.Minute
	// machinePatience is how long a deployment waits for a machine that is offline.
	machinePatience = 30 * time.Minute
	// registrationLife is how long a registration token is good.
	registrationLife = time.Hour

	maxMachines     = 5000
	maxCapabilities = 500
	maxTags         = 50
)

// MachineTarget is for what a machine does jobs: a pool, or an environment of a project.
type MachineTarget struct {
	Pool        string
	Project     slipway.ProjectID
	ProjectName string // for people
	Environment string
}

// String is the target for people.
func (t MachineTarget) String() string {
	if t.Pool != "" {
		return "pool " + t.Pool
	}
	return "environment " + t.ProjectName + "/" + t.Environment
}

func (t MachineTarget) key() MachineTarget {
	return MachineTarget{Pool: strings.ToLower(strings.TrimSpace(t.Pool)), Project: t.Project, Environment: strings.ToLower(strings.TrimSpace(t.Environment))}
}

const machineColumns = `id, pool, project, environment, name, tags, capabilities, enabled, job, created, created_by, heard`

func (s *Service) scanMachine(row interface{ Scan(...any) error }, m *Machine) error {
	var tags, capabilities, actor string
	var created, heard int64
	if err := row.Scan(&m.ID, &m.Pool, (*string)(&m.Project), &m.Environment, &m.Name, &tags, &capabilities, &m.Enabled, (*int64)(&m.Job), &created, &actor, &heard); err != nil {
		return err
	}
	m.Created, m.Heard = db.Time(created), db.Time(heard)
	m.Online = s.clock.Now().Sub(m.Heard) < machineAway
	return decodeColumns(column{tags, &m.Tags}, column{capabilities, &m.Capabilities}, column{actor, &m.CreatedBy})
}

// Machines lists the machines of a pool or of an environment, by name.
func (s *Service) Machines(ctx context.Context, of MachineTarget) ([]Machine, error) {
	return s.machines(ctx, s.db, of)
}

func (s *Service) machines(ctx context.Context, q db.Querier, of MachineTarget) ([]Machine, error) {
	key := of.key()
	list, err := db.List(ctx, q, s.scanMachine, `SELECT `+machineColumns+` FROM pipeline_machines WHERE pool = $1 AND project = $2 AND environment = $3 ORDER BY name_key LIMIT $4`,
		key.Pool, string(key.Project), key.Environment, maxMachines)
	if err != nil {
		return nil, fmt.Errorf("list the machines of %s: %w", of, err)
	}
	return list, nil
}

// allMachines lists every machine.
func (s *Service) allMachines(ctx context.Context) ([]Machine, error) {
	list, err := db.List(ctx, s.db, s.scanMachine, `SELECT `+machineColumns+` FROM pipeline_machines ORDER BY id LIMIT $1`, maxMachines)
	if err != nil {
		return nil, fmt.Errorf("list machines: %w", err)
	}
	return list, nil
}

// Machine returns one machine.
func (s *Service) Machine(ctx context.Context, id int64) (Machine, error) {
	return s.machine(ctx, s.db, id)
}

func (s *Service) machine(ctx context.Context, q db.Querier, id int64) (Machine, error) {
	m, err := db.One(ctx, q, s.scanMachine, `SELECT `+machineColumns+` FROM pipeline_machines WHERE id = $1`, id)
	if db.IsNoRows(err) {
		return m, slipway.NotFound("there is no machine %d", id)
	}
	if err != nil {
		return m, fmt.Errorf("read machine %d: %w", id, err)
	}
	return m, nil
}

// MachineOf returns the machine of that number if it is of the pool or environment.
func (s *Service) MachineOf(ctx context.Context, of MachineTarget, id int64) (Machine, error) {
	m, err := s.Machine(ctx, id)
	key := of.key()
	if err == nil && (m.Pool != key.Pool || m.Project != key.Project || m.Environment != key.Environment) {
		err = slipway.NotFound("the %s has no machine %d", of, id)
	}
	return m, err
}

// MachineUpdate changes a machine; nil fields stay.
type MachineUpdate struct {
	Enabled *bool
	Tags    []string
}

// UpdateMachine enables or disables a machine, or sets its tags. A job that it has goes on.
func (s *Service) UpdateMachine(ctx context.Context, id int64, u MachineUpdate, by slipway.Actor) (Machine, error) {
	var m Machine
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		var err error
		if m, err = s.machine(ctx, tx, id); err != nil {
			return err
		}
		if u.Enabled != nil {
			m.Enabled = *u.Enabled
		}
		if u.Tags != nil {
			if m.Tags, err = checkTags(u.Tags); err != nil {
				return err
			}
		}
		tags, err := json.Marshal(m.Tags)
		if err != nil {
			return fmt.Errorf("encode tags: %w", err)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE pipeline_machines SET enabled = $1, tags = $2 WHERE id = $3`, m.Enabled, string(tags), id); err != nil {
			return fmt.Errorf("change machine %d: %w", id, err)
		}
		tx.AfterCommit(s.Wake)
		return s.announceMachine(ctx, tx, EventMachineChanged, &m, by)
	})
	return m, err
}

// RemoveMachine ends a machine's credentials. The job that it has fails.
func (s *Service) RemoveMachine(ctx context.Context, id int64, by slipway.Actor) error {
	m, err := s.Machine(ctx, id)
	if err != nil {
		return err
	}
	if err := s.Tokens.RevokeBound(ctx, identity.TokenMachine, identity.Binding{Machine: id}); err != nil {
		return err
	}
	if m.Job != 0 {
		if err := s.loseMachineJob(ctx, m.Job, fmt.Sprintf("machine %s, which did the job, was removed", m.Name)); err != nil {
			return err
		}
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM pipeline_machines WHERE id = $1`, id); err != nil {
			return fmt.Errorf("remove machine %d: %w", id, err)
		}
		tx.AfterCommit(func() { s.Wake(); s.changed(machineNews) })
		return s.announceMachine(ctx, tx, EventMachineRemoved, &m, by)
	})
}

// loseMachineJob fails a job, and ends its token: the agent may be alive.
func (s *Service) loseMachineJob(ctx context.Context, id slipway.JobID, reason string) error {
	j, err := s.Job(ctx, id)
	if err != nil || j.State == schedule.Completed {
		return err
	}
	if err := s.Tokens.RevokeJob(ctx, j.ID); err != nil {
		return err
	}
	result := schedule.Failed
	if !j.CancelRequested.IsZero() {
		result = schedule.Canceled
	}
	return s.finish(ctx, &j, job.Completion{Result: result, Reason: reason})
}

// MachinePayload is the payload of machines' events.
type MachinePayload struct {
	Machine     int64  `json:"machine"`
	Name        string `json:"name"`
	Pool        string `json:"pool,omitempty"`
	Environment string `json:"environment,omitempty"`
}

func (s *Service) announceMachine(ctx context.Context, tx *db.Tx, kind events.Kind, m *Machine, by slipway.Actor) error {
	payload := MachinePayload{Machine: m.ID, Name: m.Name, Pool: m.Pool, Environment: m.Environment}
	if m.Project != "" {
		return s.announceProject(ctx, tx, m.Project, kind, by, payload)
	}
	return s.log.Append(ctx, tx, &events.Event{Kind: kind, Actor: by, Subject: slipway.Ref(slipway.RefUser, by.ID)}, payload)
}

// checkTags refuses tags that no file can name.
func checkTags(tags []string) ([]string, error) {
	out := []string{}
	for _, tag := range tags {
		tag = strings.TrimSpace(tag)
		if tag == "" || len(tag) > 100 || strings.ContainsAny(tag, ",\r\n\t\x00") {
			return nil, slipway.Invalid("tag %q of a machine: a tag is up to 100 characters without commas", tag)
		}
		if !contains(out, tag) {
			out = append(out, tag)
		}
	}
	if len(out) > maxTags {
		return nil, slipway.Limit("a machine has at most %d tags", maxTags)
	}
	return out, nil
}

// hasTags reports a machine that has all of the tags, in any case.
func (m *Machine) hasTags(tags []string) bool {
	return !slices.ContainsFunc(tags, func(tag string) bool { return !contains(m.Tags, tag) })
}

func checkCapabilities(c map[string]string) error {
	if len(c) > maxCapabilities {
		return slipway.Limit("a machine has at most %d capabilities", maxCapabilities)
	}
	for name, value := range c {
		if name == "" || len(name) > 200 || len(value) > 1000 || strings.ContainsAny(name, " \t\r\n\x00") || strings.ContainsRune(value, 0) {
			return slipway.Invalid("capability %.50q of a machine: a name is up to 200 characters without spaces, and a value up to 1000", name)
		}
	}
	return nil
}
