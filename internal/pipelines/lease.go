package pipelines

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
)

// Lease keeps a run from being deleted for as long as it holds.
type Lease struct {
	ID              int64
	Run             slipway.RunID
	Pipeline        slipway.PipelineID
	Owner           string // who or what wants the run to be kept
	ProtectPipeline bool
	Created         time.Time
	Expires         time.Time
}

// NewLease asks for a lease.
type NewLease struct {
	Run             slipway.RunID
	Owner           string
	Days            int // for which it holds; from Forever on for ever
	ProtectPipeline bool
}

// Forever is how many days count as for ever, as Azure DevOps has it.
const Forever = 36_500

const (
	maxLeaseDays  = 365_000
	maxLeases     = 100 // of one run
	maxLeaseOwner = 400 // bytes
)

// ForEver reports a lease that is not meant to end.
func (l Lease) ForEver() bool { return l.Expires.Sub(l.Created) >= Forever*24*time.Hour }

const leaseQuery = `SELECT l.id, l.run, r.pipeline, l.owner, l.protect_pipeline, l.created, l.expires FROM pipeline_leases l JOIN pipeline_runs r ON r.id = l.run `

func scanLease(row interface{ Scan(...any) error }, l *Lease) error {
	var created, expires int64
	err := row.Scan(&l.ID, (*int64)(&l.Run), (*int64)(&l.Pipeline), &l.Owner, &l.ProtectPipeline, &created, &expires)
	l.Created, l.Expires = db.Time(created), db.Time(expires)
	return err
}

func checkLease(n NewLease) error {
	if n.Owner == "" || len(n.Owner) > maxLeaseOwner || strings.ContainsAny(n.Owner, "\r\n\x00") {
		return slipway.Invalid("the owner of a lease is one line of up to %d bytes", maxLeaseOwner)
	}
	if n.Days < 1 || n.Days > maxLeaseDays {
		return slipway.Invalid("a lease holds for 1 to %d days, not for %d", maxLeaseDays, n.Days)
	}
	return nil
}

// AddLeases retains runs of the project, all or none.
func (s *Service) AddLeases(ctx context.Context, project slipway.ProjectID, by slipway.Actor, list []NewLease) ([]Lease, error) {
	if len(list) > maxLeases {
		return nil, slipway.Limit("at most %d leases are added at once", maxLeases)
	}
	var out []Lease
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		out = nil
		for _, n := range list {
			l, err := s.addLease(ctx, tx, project, by, n)
			if err != nil {
				return err
			}
			out = append(out, l)
		}
		return nil
	})
	return out, err
}

func (s *Service) addLease(ctx context.Context, tx *db.Tx, project slipway.ProjectID, by slipway.Actor, n NewLease) (Lease, error) {
	if err := checkLease(n); err != nil {
		return Lease{}, err
	}
	run, err := getRun(ctx, tx, n.Run)
	if err == nil && run.Project != project {
		err = slipway.NotFound("there is no run %d", n.Run)
	}
	if err != nil {
		return Lease{}, err
	}
	count, err := db.One(ctx, tx, db.Value[int], `SELECT COUNT(*) FROM pipeline_leases WHERE run = $1`, int64(n.Run))
	if err != nil {
		return Lease{}, fmt.Errorf("count the leases of run %d: %w", n.Run, err)
	}
	if count >= maxLeases {
		return Lease{}, slipway.Limit("run %d has %d leases already", n.Run, maxLeases)
	}
	l := Lease{Run: n.Run, Pipeline: run.Pipeline, Owner: n.Owner, ProtectPipeline: n.ProtectPipeline, Created: s.clock.Now()}
	l.Expires = l.Created.Add(time.Duration(n.Days) * 24 * time.Hour)
	const insert = `INSERT INTO pipeline_leases (run, project, owner, protect_pipeline, created, expires) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`
	if err := tx.QueryRowContext(ctx, insert, int64(l.Run), string(project), l.Owner, l.ProtectPipeline, db.Micros(l.Created), db.Micros(l.Expires)).Scan(&l.ID); err != nil {
		return Lease{}, fmt.Errorf("retain run %d: %w", n.Run, err)
	}
	tx.AfterCommit(func() { s.changed(n.Run) })
	return l, s.announce(ctx, tx, &run, EventRunRetained, by, RetentionPayload{Run: run.ID, Number: run.Number, Owner: l.Owner})
}

// LeaseFilter chooses leases of a project; zero fields choose all.
type LeaseFilter struct {
	Project  slipway.ProjectID
	Pipeline slipway.PipelineID
	Run      slipway.RunID
	Owner    string
}

// Leases lists those that hold, at most 1000, oldest first.
func (s *Service) Leases(ctx context.Context, f LeaseFilter) ([]Lease, error) {
	list, err := db.List(ctx, s.db, scanLease, leaseQuery+`WHERE l.project = $1 AND (r.pipeline = $2 OR $2 = 0) AND (l.run = $3 OR $3 = 0)
		AND (l.owner = $4 OR $4 = '') AND l.expires > $5 ORDER BY l.id LIMIT 1000`, string(f.Project), int64(f.Pipeline), int64(f.Run), f.Owner, db.Micros(s.clock.Now()))
	if err != nil {
		return nil, fmt.Errorf("list leases: %w", err)
	}
	return list, nil
}

// Lease returns one lease of the project.
func (s *Service) Lease(ctx context.Context, project slipway.ProjectID, id int64) (Lease, error) {
	l, err := db.One(ctx, s.db, scanLease, leaseQuery+`WHERE l.project = $1 AND l.id = $2`, string(project), id)
	if db.IsNoRows(err) {
		return l, slipway.NotFound("there is no lease %d", id)
	}
	if err != nil {
		return l, fmt.Errorf("get lease %d: %w", id, err)
	}
	return l, nil
}

// LeaseUpdate changes a lease; nil fields stay.
type LeaseUpdate struct {
	Days            *int // from now on
	ProtectPipeline *bool
}

// UpdateLease changes a lease of the project.
func (s *Service) UpdateLease(ctx context.Context, project slipway.ProjectID, id int64, u LeaseUpdate) (Lease, error) {
	l, err := s.Lease(ctx, project, id)
	if err != nil {
		return l, err
	}
	if u.Days != nil {
		if err := checkLease(NewLease{Owner: l.Owner, Days: *u.Days}); err != nil {
			return l, err
		}
		l.Expires = s.clock.Now().Add(time.Duration(*u.Days) * 24 * time.Hour)
	}
	if u.ProtectPipeline != nil {
		l.ProtectPipeline = *u.ProtectPipeline
	}
	const update = `UPDATE pipeline_leases SET expires = $1, protect_pipeline = $2 WHERE id = $3`
	if _, err := s.db.ExecContext(ctx, update, db.Micros(l.Expires), l.ProtectPipeline, id); err != nil {
		return l, fmt.Errorf("change lease %d: %w", id, err)
	}
	return l, nil
}

// DeleteLeases ends leases of the project; those that are not there are no error.
func (s *Service) DeleteLeases(ctx context.Context, project slipway.ProjectID, by slipway.Actor, ids ...int64) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		for _, id := range ids {
			l, err := db.One(ctx, tx, scanLease, leaseQuery+`WHERE l.project = $1 AND l.id = $2`, string(project), id)
			if db.IsNoRows(err) {
				continue
			}
			if err == nil {
				err = s.endLease(ctx, tx, by, &l)
			}
			if err != nil {
				return fmt.Errorf("end lease %d: %w", id, err)
			}
		}
		return nil
	})
}

func (s *Service) endLease(ctx context.Context, tx *db.Tx, by slipway.Actor, l *Lease) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM pipeline_leases WHERE id = $1`, l.ID); err != nil {
		return err
	}
	run, err := getRun(ctx, tx, l.Run)
	if err != nil {
		return err
	}
	tx.AfterCommit(func() { s.changed(l.Run) })
	return s.announce(ctx, tx, &run, EventRunReleased, by, RetentionPayload{Run: run.ID, Number: run.Number, Owner: l.Owner})
}

// Retain keeps a run for ever in the name of a person or job, or ends what they retained.
func (s *Service) Retain(ctx context.Context, run *Run, by slipway.Actor, keep bool) error {
	owner := "User:" + by.Name
	held, err := s.Leases(ctx, LeaseFilter{Project: run.Project, Run: run.ID, Owner: owner})
	if err != nil {
		return err
	}
	if !keep {
		var ids []int64
		for _, l := range held {
			ids = append(ids, l.ID)
		}
		return s.DeleteLeases(ctx, run.Project, by, ids...)
	}
	if slices.ContainsFunc(held, Lease.ForEver) {
		return nil
	}
	_, err = s.AddLeases(ctx, run.Project, by, []NewLease{{Run: run.ID, Owner: owner, Days: Forever}})
	return err
}

// Hold retains exactly these runs in the name of an owner that is no person, such as an environment, for ever: leases of this owner on
// other runs of the project end. Runs that are gone already are left out.
func (s *Service) Hold(ctx context.Context, project slipway.ProjectID, owner string, runs []slipway.RunID) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		old, err := db.List(ctx, tx, scanLease, leaseQuery+`WHERE l.project = $1 AND l.owner = $2 ORDER BY l.id`, string(project), owner)
		if err != nil {
			return fmt.Errorf("list the leases of %s: %w", owner, err)
		}
		var held []slipway.RunID
		for i := range old {
			if slices.Contains(runs, old[i].Run) && !slices.Contains(held, old[i].Run) {
				held = append(held, old[i].Run)
				continue
			}
			if err := s.endLease(ctx, tx, slipway.System, &old[i]); err != nil {
				return fmt.Errorf("end lease %d: %w", old[i].ID, err)
			}
		}
		for _, id := range runs {
			if slices.Contains(held, id) {
				continue
			}
			held = append(held, id)
			_, err := s.addLease(ctx, tx, project, slipway.System, NewLease{Run: id, Owner: owner, Days: Forever})
			if err != nil && slipway.CodeOf(err) != slipway.CodeNotFound {
				return err
			}
		}
		return nil
	})
}
