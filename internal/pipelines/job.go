package pipelines

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

// Job is one attempt of one instance of a job (see plan.Instance), or of a whole job that never started or that has legs.
type Job struct {
	ID              slipway.JobID
	Run             slipway.RunID
	Instance        string
	Stage           string
	Name            string
	Attempt         int
	StageAttempt    int
	State           schedule.State
	Result          schedule.Result
	CancelRequested time.Time // zero: not
	Reason          string    // why it was skipped, failed or canceled
	Retried         string    // why there is another attempt, if the one before was lost
	Outputs         map[string]string
	Legs            []plan.Leg
	Environment     *plan.EnvironmentReference // expanded; of a deployment
	PodNote         string                     // what its pod waits for
	Queued          time.Time
	Started         time.Time
	Finished        time.Time
	Heard           time.Time // last word of its agent, or before it when its pod was asked for
	Machine         int64     // to which it was given, 0 for none

	pod     podState
	podName string // "" for the one that follows from the job
	lost    int    // pods that were lost before the first step
	losses  int    // attempts before this one, in a row, that were lost after it
	pool    string // by which limits count it
}

// podState is how far a job's pod is; the numbers are stored.
type podState int

const (
	podNone     podState = 0
	podWanted   podState = 1
	podStarted  podState = 2
	podUnwanted podState = 3
	podRemoved  podState = 4
	podServer   podState = 5 // no pod: the server runs the job
	// No pod either: the job waits for a machine, or was given to one.
	podMachineWanted podState = 6
	podMachineGiven  podState = 7
)

// PodName is the name of the job's pod.
func (j *Job) PodName() string { return cmp.Or(j.podName, PodName(j.Run, j.ID)) }

// PodName is the name of the first pod of one attempt of a job that gets no warm one: a DNS label.
func PodName(run slipway.RunID, job slipway.JobID) string {
	return fmt.Sprintf("run-%d-job-%d", run, job)
}

const jobColumns = `id, run, instance, stage, name, attempt, stage_attempt, state, result, cancel_requested, reason, outputs, legs, environment,
	pod, pod_note, queued, started, finished, heard, pod_name, lost, pool, machine, lost_attempts, retried`

func scanJob(row interface{ Scan(...any) error }, j *Job) error {
	var outputs, legs, environment string
	var canceled, queued, started, finished, heard int64
	err := row.Scan((*int64)(&j.ID), (*int64)(&j.Run), &j.Instance, &j.Stage, &j.Name, &j.Attempt, &j.StageAttempt, (*string)(&j.State),
		(*string)(&j.Result), &canceled, &j.Reason, &outputs, &legs, &environment, (*int)(&j.pod), &j.PodNote, &queued, &started, &finished, &heard, &j.podName, &j.lost, &j.pool, &j.Machine,
		&j.losses, &j.Retried)
	if err != nil {
		return err
	}
	j.CancelRequested, j.Queued, j.Started, j.Finished, j.Heard = db.Time(canceled), db.Time(queued), db.Time(started), db.Time(finished), db.Time(heard)
	return decodeColumns(column{outputs, &j.Outputs}, column{legs, &j.Legs}, column{environment, &j.Environment})
}

func getJob(ctx context.Context, q db.Querier, id slipway.JobID) (Job, error) {
	j, err := db.One(ctx, q, scanJob, `SELECT `+jobColumns+` FROM pipeline_jobs WHERE id = $1`, int64(id))
	if db.IsNoRows(err) {
		return j, slipway.NotFound("there is no job %d", id)
	}
	if err != nil {
		return j, fmt.Errorf("get job %d: %w", id, err)
	}
	return j, nil
}

// Job returns one attempt of a job.
func (s *Service) Job(ctx context.Context, id slipway.JobID) (Job, error) {
	return getJob(ctx, s.db, id)
}

// jobsOf lists all attempts of all jobs of a run, attempts in order.
func jobsOf(ctx context.Context, q db.Querier, run slipway.RunID) ([]Job, error) {
	list, err := db.List(ctx, q, scanJob, `SELECT `+jobColumns+` FROM pipeline_jobs WHERE run = $1 ORDER BY attempt, id LIMIT 20000`, int64(run))
	if err != nil {
		return nil, fmt.Errorf("list jobs of run %d: %w", run, err)
	}
	return list, nil
}

// putJob inserts a job's attempt or, if it is there, updates what the scheduler decides. It fills in the ID.
func (s *Service) putJob(ctx context.Context, tx *db.Tx, j *Job, vars *variable.Set) error {
	outputs, legs, environment, err := j.encode()
	if err != nil {
		return err
	}
	sealed := []byte{}
	if vars != nil {
		if sealed, err = s.sealVariables(*vars, fmt.Sprintf("job/%d/%s/%d", j.Run, j.Instance, j.Attempt)); err != nil {
			return err
		}
	}
	const upsert = `
		INSERT INTO pipeline_jobs (run, instance, stage, name, attempt, stage_attempt, state, result, cancel_requested, reason, outputs, legs,
			environment, variables, pod, pod_note, queued, started, finished, heard, pool, lost_attempts, retried)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $10, $11, $12, $13, $14, '', $15, $16, $17, 0, $18, $19, $20)
		ON CONFLICT (run, instance, attempt) DO UPDATE SET stage_attempt = excluded.stage_attempt, state = excluded.state, result = excluded.result,
			reason = excluded.reason, outputs = excluded.outputs, legs = excluded.legs, environment = excluded.environment,
			variables = excluded.variables, pod = excluded.pod, pool = excluded.pool, queued = excluded.queued, started = excluded.started, finished = excluded.finished
		RETURNING id`
	err = tx.QueryRowContext(ctx, upsert, int64(j.Run), j.Instance, j.Stage, j.Name, j.Attempt, j.StageAttempt, string(j.State), string(j.Result),
		j.Reason, outputs, legs, environment, sealed, int(j.pod), db.Micros(j.Queued), db.Micros(j.Started), db.Micros(j.Finished), j.pool,
		j.losses, j.Retried).Scan((*int64)(&j.ID))
	if err != nil {
		return fmt.Errorf("record job %s of run %d: %w", j.Instance, j.Run, err)
	}
	return nil
}

func (j *Job) encode() (outputs, legs, environment string, err error) {
	texts := [3]string{}
	for i, v := range []any{j.Outputs, j.Legs, j.Environment} {
		b, err := json.Marshal(v)
		if err != nil {
			return "", "", "", fmt.Errorf("encode job %s: %w", j.Instance, err)
		}
		texts[i] = string(b)
	}
	return texts[0], texts[1], texts[2], nil
}

// updateJob writes what changes while a job runs.
func updateJob(ctx context.Context, tx *db.Tx, j *Job) error {
	outputs, _, _, err := j.encode()
	if err != nil {
		return err
	}
	const update = `
		UPDATE pipeline_jobs SET state = $1, result = $2, cancel_requested = $3, reason = $4, outputs = $5, pod = $6, pod_note = $7,
			started = $8, finished = $9, heard = $10 WHERE id = $11`
	_, err = tx.ExecContext(ctx, update, string(j.State), string(j.Result), db.Micros(j.CancelRequested), j.Reason, outputs, int(j.pod), j.PodNote,
		db.Micros(j.Started), db.Micros(j.Finished), db.Micros(j.Heard), int64(j.ID))
	if err != nil {
		return fmt.Errorf("record job %d: %w", j.ID, err)
	}
	return nil
}

// sealVariables makes of a set bytes that only this server reads.
func (s *Service) sealVariables(set variable.Set, context string) ([]byte, error) {
	b, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("encode variables: %w", err)
	}
	return s.Secrets.Seal(b, "pipelines/"+context)
}

func (s *Service) openVariables(sealed []byte, context string) (variable.Set, error) {
	var set variable.Set
	if len(sealed) == 0 {
		return set, nil
	}
	b, err := s.Secrets.Open(sealed, "pipelines/"+context)
	if err != nil {
		return set, err
	}
	if err := json.Unmarshal(b, &set); err != nil {
		return set, fmt.Errorf("decode variables: %w", err)
	}
	return set, nil
}

// instance finds the job's instance in the plan; legs of an expression's matrix are those recorded under the job itself.
func (j *Job) instance(p *plan.Plan, legs []plan.Leg) (plan.Instance, error) {
	stage := p.Stage(j.Stage)
	if stage != nil {
		if pj := stage.Job(j.Name); pj != nil {
			for _, i := range plan.Instances(stage, pj, legs) {
				if i.ID == j.Instance {
					return i, nil
				}
			}
		}
	}
	return plan.Instance{}, fmt.Errorf("job %s is not in the plan of run %d", j.Instance, j.Run)
}
