package pipelines

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/nearest"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

// checkNames says which service connections and vaults the plan names that are not there or that its pipeline may not use, each
// with its place. A name with a macro that has no value yet is looked at when the job asks for it.
func (s *Service) checkNames(ctx context.Context, q db.Querier, project slipway.ProjectID, pipeline slipway.PipelineID, p *plan.Plan, vars variable.Set) error {
	return errors.Join(s.checkConnections(ctx, q, project, pipeline, p.Connections(), vars), s.checkVaults(ctx, q, project, p, vars))
}

func (s *Service) checkConnections(ctx context.Context, q db.Querier, project slipway.ProjectID, pipeline slipway.PipelineID, uses []plan.Connection, vars variable.Set) error {
	if len(uses) == 0 {
		return nil
	}
	known, err := listConnections(ctx, q, project)
	if err != nil {
		return err
	}
	var problems []error
	said := map[string]bool{}
	for _, use := range uses {
		for _, name := range strings.Split(vars.Expand(use.Name), ",") {
			name = strings.TrimSpace(name)
			key := strings.ToLower(name) + " " + use.At.String()
			if name == "" || said[key] || strings.Contains(name, "$(") || strings.Contains(name, "://") {
				continue
			}
			said[key] = true
			if problem := checkConnection(known, name, use, pipeline); problem != nil {
				problems = append(problems, problem.At(use.At))
			}
		}
	}
	return errors.Join(problems...)
}

// checkConnection says what is wrong with one name, nil if nothing is.
func checkConnection(known []Connection, name string, use plan.Connection, pipeline slipway.PipelineID) *slipway.Problem {
	var names []string
	for i := range known {
		c := &known[i]
		names = append(names, c.Name)
		if !strings.EqualFold(c.Name, name) && !strings.EqualFold(c.ID, name) {
			continue
		}
		switch {
		case !c.Permits(pipeline):
			return slipway.Invalid("the pipeline may not use the service connection %q: an administrator of the project allows it under Settings, Service connections", c.Name)
		case !use.Allows(c.Type):
			return slipway.Invalid("service connection %q is of type %s, and here stands one of type %s", c.Name, c.Type, strings.Join(use.Types, " or "))
		}
		return nil
	}
	if use.Optional {
		if slip := nearest.Slip(name, names); slip != "" {
			return slipway.Invalid("there is no service connection %q, did you mean %q?", name, slip)
		}
		return nil
	}
	if suggestion := nearest.Suggest(name, names); suggestion != "" {
		return slipway.Invalid("there is no service connection %q%s", name, suggestion)
	}
	return slipway.Invalid("there is no service connection %q in this project: an administrator makes it under Settings, Service connections", name)
}

// Purposes of uses that are no step's.
const (
	usedForImages   = "images of the job's containers"
	usedForFiles    = "files of another repository"
	usedForPackages = "packages of the run"
)

// connectionUse is who is given a connection.
type connectionUse struct {
	run     *Run
	job     slipway.JobID // 0: the run itself
	step    int           // 0: no step
	purpose string
	actor   slipway.Actor
}

// FetchConnection gives a running job a service connection that one of its steps names, and writes down that it did. The name
// must be known when the job starts: a variable that a step sets does not count. Pull requests from forks get none. A name of
// no connection is CodeNotFound.
func (s *Service) FetchConnection(ctx context.Context, id slipway.JobID, step int, idOrName string) (job.Connection, error) {
	run, j, i, vars, err := s.jobThatFetches(ctx, id)
	if err != nil {
		return job.Connection{}, err
	}
	if err := run.refuseFork("service connections"); err != nil {
		return job.Connection{}, err
	}
	var named *plan.Connection
	for _, st := range i.Steps() {
		for k := range st.Connections {
			if st.ID == step && slices.ContainsFunc(strings.Split(vars.Expand(st.Connections[k].Name), ","), func(name string) bool {
				return strings.EqualFold(strings.TrimSpace(name), strings.TrimSpace(idOrName))
			}) {
				named = &st.Connections[k]
			}
		}
	}
	if named == nil {
		if _, err := findConnection(ctx, s.db, run.Project, idOrName); err != nil {
			return job.Connection{}, err // as in plans of before there were connections
		}
		return job.Connection{}, slipway.Forbidden("step %d of this job does not name the service connection %q when the job starts: write its name, or a variable that no step sets", step, idOrName)
	}
	use := connectionUse{run: &run, job: id, step: step, actor: slipway.Actor{Kind: slipway.ActorJob, ID: id.String(), Name: j.Instance}}
	return s.openConnection(ctx, idOrName, *named, use)
}

// permittedConnection is the service connection of that id or name, if the job's pipeline may use it. A pull request from a
// fork may use none.
func (s *Service) permittedConnection(ctx context.Context, run *Run, idOrName string) (Connection, error) {
	if err := run.refuseFork("service connections"); err != nil {
		return Connection{}, err
	}
	c, err := s.Connection(ctx, run.Project, idOrName)
	if err != nil {
		return c, err
	}
	if !c.Permits(run.Pipeline) {
		return c, slipway.Forbidden("the pipeline may not use the service connection %q: an administrator of the project allows it under Settings, Service connections", c.Name)
	}
	return c, nil
}

// jobThatFetches is a job that is not over, with what it knew when it started.
func (s *Service) jobThatFetches(ctx context.Context, id slipway.JobID) (run Run, j Job, i plan.Instance, vars variable.Set, err error) {
	if j, err = s.Job(ctx, id); err != nil {
		return run, j, i, vars, err
	}
	if j.State == schedule.Completed {
		return run, j, i, vars, slipway.Conflict("job %d is over", id)
	}
	if run, err = s.Get(ctx, j.Run); err != nil {
		return run, j, i, vars, err
	}
	p, err := s.plan(ctx, s.db, run.ID)
	if err != nil {
		return run, j, i, vars, err
	}
	if i, err = s.instanceOf(ctx, p, &j); err != nil {
		return run, j, i, vars, err
	}
	vars, err = s.jobVariables(ctx, &run, &j)
	return run, j, i, vars, err
}

// openConnection gives a connection to who may have it, and records the use.
func (s *Service) openConnection(ctx context.Context, idOrName string, named plan.Connection, use connectionUse) (out job.Connection, err error) {
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		out, err = s.openConnectionIn(ctx, tx, idOrName, named, use)
		return err
	})
	return out, err
}

func (s *Service) openConnectionIn(ctx context.Context, tx *db.Tx, idOrName string, named plan.Connection, use connectionUse) (job.Connection, error) {
	c, err := findConnection(ctx, tx, use.run.Project, idOrName)
	if err != nil {
		return job.Connection{}, err
	}
	if problem := checkConnection([]Connection{c}, c.Name, named, use.run.Pipeline); problem != nil {
		problem.Code = slipway.CodeForbidden
		return job.Connection{}, problem
	}
	out, err := s.opened(ctx, tx, &c)
	if err != nil {
		return out, err
	}
	return out, s.recordUse(ctx, tx, &c, use)
}

// keptUses is how many uses of a connection are remembered; the event log has all.
const keptUses = 200

// recordUse writes a use down, once for each step of an attempt of a job.
func (s *Service) recordUse(ctx context.Context, tx *db.Tx, c *Connection, use connectionUse) error {
	n, err := db.One(ctx, tx, db.Value[int], `SELECT COUNT(*) FROM service_connection_uses WHERE connection = $1 AND run = $2 AND job = $3 AND step = $4 AND purpose = $5`,
		c.ID, int64(use.run.ID), int64(use.job), use.step, use.purpose)
	if err != nil {
		return fmt.Errorf("record use of service connection %q: %w", c.Name, err)
	}
	if n > 0 {
		return nil
	}
	const insert = `INSERT INTO service_connection_uses (connection, run, pipeline, job, step, purpose, used) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	if _, err := tx.ExecContext(ctx, insert, c.ID, int64(use.run.ID), int64(use.run.Pipeline), int64(use.job), use.step, use.purpose, db.Micros(s.clock.Now())); err != nil {
		return fmt.Errorf("record use of service connection %q: %w", c.Name, err)
	}
	const trim = `DELETE FROM service_connection_uses WHERE connection = $1 AND id NOT IN (SELECT id FROM service_connection_uses WHERE connection = $1 ORDER BY id DESC LIMIT 200)`
	if _, err := tx.ExecContext(ctx, trim, c.ID); err != nil {
		return fmt.Errorf("forget old uses of service connection %q: %w", c.Name, err)
	}
	return s.announceConnection(ctx, tx, c, EventConnectionUsed, use.actor, use.run)
}

// ConnectionUse is one time that a connection was given to somebody.
type ConnectionUse struct {
	Run          slipway.RunID
	Number       string // of the run
	Pipeline     slipway.PipelineID
	PipelineName string
	Job          slipway.JobID // 0: the run itself
	Instance     string        // of the job
	Step         string        // its display name, or what else it was for
	Used         time.Time
}

// ConnectionUses lists the latest uses of a connection, the last first.
func (s *Service) ConnectionUses(ctx context.Context, c *Connection, limit int) ([]ConnectionUse, error) {
	const query = `
		SELECT u.run, r.number, u.pipeline, d.name, u.job, COALESCE(j.instance, ''), u.purpose, COALESCE(t.record, ''), u.used
		FROM service_connection_uses u JOIN pipeline_runs r ON r.id = u.run JOIN pipeline_definitions d ON d.id = u.pipeline
		LEFT JOIN pipeline_jobs j ON j.id = u.job LEFT JOIN pipeline_steps t ON t.job = u.job AND t.step = u.step
		WHERE u.connection = $1 ORDER BY u.id DESC LIMIT $2`
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, u *ConnectionUse) error {
		var used int64
		var record string
		if err := row.Scan((*int64)(&u.Run), &u.Number, (*int64)(&u.Pipeline), &u.PipelineName, (*int64)(&u.Job), &u.Instance, &u.Step, &record, &used); err != nil {
			return err
		}
		u.Used = db.Time(used)
		if u.Step != "" || record == "" {
			return nil
		}
		var step job.StepRecord
		if err := decodeColumns(column{record, &step}); err != nil {
			return err
		}
		u.Step = step.DisplayName
		return nil
	}, query, c.ID, min(max(limit, 1), keptUses))
	if err != nil {
		return nil, fmt.Errorf("list uses of service connection %q: %w", c.Name, err)
	}
	return list, nil
}
