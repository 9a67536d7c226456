package pipelines

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

// RunState is how far a run is.
type RunState string

// The states of a run.
const (
	RunQueued    RunState = "queued"
	RunRunning   RunState = "running"
	RunCompleted RunState = "completed"
)

// Run is one run of a pipeline.
type Run struct {
	ID           slipway.RunID
	Project      slipway.ProjectID
	Pipeline     slipway.PipelineID
	PipelineName string
	Number       string // Build.BuildNumber
	Title        string // first line of the commit's message
	Reason       string // Build.Reason
	Trigger      string // what started it if Reason is ResourceTrigger: run, image, push (of another repository), webhook or package
	Schedule     int64  // that started it, 0 for none
	ScheduleName string // the schedule's displayName
	Repository   slipway.RepositoryID
	Ref          string
	Commit       slipway.CommitID
	Actor        slipway.Actor // for whom it runs
	Parameters   map[string]any
	// Problems say what is wrong with the files of a run that could not begin.
	Problems   []FileProblem
	Tags       []string
	State      RunState
	Waiting    bool // for the checks of a stage, or for a person, while nothing else runs
	Result     schedule.Result
	Canceled   bool
	CanceledBy string
	Queued     time.Time
	Started    time.Time
	Finished   time.Time
	Purged     time.Time // when its artifacts and attachments were deleted, zero while they are there
	// RetainedUntil is the end of the lease that holds longest, zero without any; it may be over.
	RetainedUntil time.Time
	// Fork is what a run of a pull request from a fork may; nil for any other run.
	Fork *ForkAccess
}

// FileProblem is something wrong in a file, with its place.
type FileProblem struct {
	At      slipway.Position `json:"at"`
	Message string           `json:"message"`
}

// String is file:line:column: message.
func (p FileProblem) String() string { return p.At.String() + ": " + p.Message }

const runColumns = `r.id, r.project, r.pipeline, d.name, r.number, r.title, r.reason, r.repository, r.ref, r.commit_id, r.actor, r.parameters,
	r.problems, r.tags, r.state, r.result, r.canceled, r.canceled_by, r.queued, r.started, r.finished,
	r.schedule, r.schedule_name, r.purged,
	COALESCE((SELECT MAX(l.expires) FROM pipeline_leases l WHERE l.run = r.id), 0), r.fork, COALESCE(r.cause, '')`

// runWaiting is Run.Waiting.
const runWaiting = `, r.state = 'running' AND (EXISTS (SELECT 1 FROM pipeline_stages s WHERE s.run = r.id AND s.state = 'checking')
		AND NOT EXISTS (SELECT 1 FROM pipeline_stages s WHERE s.run = r.id AND s.state = 'running')
		OR EXISTS (SELECT 1 FROM pipeline_validations v WHERE v.run = r.id AND v.state = 'pending')
		AND NOT EXISTS (SELECT 1 FROM pipeline_jobs j WHERE j.run = r.id AND j.state IN ('queued', 'running')
			AND j.id NOT IN (SELECT v.job FROM pipeline_validations v WHERE v.run = r.id AND v.state = 'pending')))`

// notDeleted leaves out what is being deleted.
const notDeleted = ` AND NOT EXISTS (SELECT 1 FROM pipeline_run_deletions x WHERE x.run = r.id)`

const runTables = ` FROM pipeline_runs r JOIN pipeline_definitions d ON d.id = r.pipeline `

func scanRun(row interface{ Scan(...any) error }, r *Run) error {
	var actor, parameters, problems, tags, fork, cause string
	var queued, started, finished, purged, retained int64
	err := row.Scan((*int64)(&r.ID), (*string)(&r.Project), (*int64)(&r.Pipeline), &r.PipelineName, &r.Number, &r.Title, &r.Reason,
		(*string)(&r.Repository), &r.Ref, (*string)(&r.Commit), &actor, &parameters, &problems, &tags, (*string)(&r.State),
		(*string)(&r.Result), &r.Canceled, &r.CanceledBy, &queued, &started, &finished, &r.Schedule, &r.ScheduleName, &purged, &retained, &fork, &cause, &r.Waiting)
	if err != nil {
		return err
	}
	r.Queued, r.Started, r.Finished, r.Purged = db.Time(queued), db.Time(started), db.Time(finished), db.Time(purged)
	r.RetainedUntil = db.Time(retained)
	if r.Reason == variable.ReasonResourceTrigger {
		r.Trigger, _, _ = strings.Cut(cause, "/")
	}
	return decodeColumns(column{actor, &r.Actor}, column{parameters, &r.Parameters}, column{problems, &r.Problems}, column{tags, &r.Tags}, column{fork, &r.Fork})
}

// column is a column of JSON; "" leaves the value as it is.
type column struct {
	text string
	into any
}

func decodeColumns(columns ...column) error {
	for _, c := range columns {
		if c.text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(c.text), c.into); err != nil {
			return fmt.Errorf("decode column: %w", err)
		}
	}
	return nil
}

func getRun(ctx context.Context, q db.Querier, id slipway.RunID) (Run, error) {
	r, err := db.One(ctx, q, scanRun, `SELECT `+runColumns+runWaiting+runTables+`WHERE r.id = $1`+notDeleted, int64(id))
	if db.IsNoRows(err) {
		return r, deleted(ctx, q, id)
	}
	if err != nil {
		return r, fmt.Errorf("get run %d: %w", id, err)
	}
	return r, nil
}

// plainRun is a run without Waiting, for what is asked of every job, and its revision.
func plainRun(ctx context.Context, q db.Querier, id slipway.RunID) (r Run, revision int64, err error) {
	const columns = `SELECT ` + runColumns + `, FALSE, COALESCE((SELECT v.revision FROM pipeline_revisions v WHERE v.run = r.id), 0)`
	err = scanRun(oneMore{q.QueryRowContext(ctx, columns+runTables+`WHERE r.id = $1`, int64(id)), &revision}, &r)
	if db.IsNoRows(err) {
		return r, 0, slipway.NotFound("there is no run %d", id)
	}
	if err != nil {
		return r, 0, fmt.Errorf("get run %d: %w", id, err)
	}
	return r, revision, nil
}

// oneMore is a row with a column behind those that are scanned.
type oneMore struct {
	row  interface{ Scan(...any) error }
	last any
}

// Scan implements the scanner of a row.
func (o oneMore) Scan(into ...any) error { return o.row.Scan(append(into, o.last)...) }

// Get returns one run.
func (s *Service) Get(ctx context.Context, id slipway.RunID) (Run, error) {
	return getRun(ctx, s.db, id)
}

// RunFilter chooses runs; zero fields choose all.
type RunFilter struct {
	Project  slipway.ProjectID
	Pipeline slipway.PipelineID
	Ref      string
	Commit   slipway.CommitID
	State    RunState
	Before   slipway.RunID // only runs older than this one
	Limit    int           // at most 200, which is also the default

	// Of these lists one must fit, and of Tags all; words are the same in any case of letters. No list lets all runs through.
	IDs       []slipway.RunID
	Pipelines []slipway.PipelineID
	States    []RunState
	Results   []schedule.Result
	Reasons   []string
	Tags      []string
	Number    string // with * at its end a beginning
}

// conditions are those of the filter's lists, with their arguments from the place-th on.
func (f *RunFilter) conditions(place int) (conditions []string, args []any) {
	arg := func(value any) string { args = append(args, value); return fmt.Sprintf("$%d", place+len(args)-1) }
	oneOf := func(column string, values []any) {
		if len(values) == 0 {
			return
		}
		places := make([]string, len(values))
		for i, value := range values {
			places[i] = arg(value)
		}
		conditions = append(conditions, column+" IN ("+strings.Join(places, ", ")+")")
	}
	oneOf("r.id", anys(f.IDs, func(id slipway.RunID) any { return int64(id) }))
	oneOf("r.pipeline", anys(f.Pipelines, func(id slipway.PipelineID) any { return int64(id) }))
	oneOf("r.state", anys(f.States, func(s RunState) any { return string(s) }))
	oneOf("r.result", anys(f.Results, func(r schedule.Result) any { return string(r) }))
	oneOf("LOWER(r.reason)", anys(f.Reasons, func(reason string) any { return strings.ToLower(reason) }))
	for _, tag := range f.Tags {
		lower, _ := json.Marshal(strings.ToLower(tag)) // of a string, which cannot fail
		exact, _ := json.Marshal(tag)                  // SQLite's LOWER knows no letters beyond ASCII
		conditions = append(conditions, "(LOWER(r.tags) LIKE "+arg("%"+escapeLike(string(lower))+"%")+" ESCAPE '!' OR r.tags LIKE "+arg("%"+escapeLike(string(exact))+"%")+" ESCAPE '!')")
	}
	if begin, ok := strings.CutSuffix(f.Number, "*"); ok {
		conditions = append(conditions, "r.number LIKE "+arg(escapeLike(begin)+"%")+" ESCAPE '!'")
	} else if f.Number != "" {
		conditions = append(conditions, "r.number = "+arg(f.Number))
	}
	return conditions, args
}

func anys[T any](list []T, as func(T) any) []any {
	out := make([]any, len(list))
	for i, one := range list {
		out[i] = as(one)
	}
	return out
}

// escapeLike makes a text stand for itself in a pattern of SQL with the escape !.
func escapeLike(text string) string {
	return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(text)
}

// List returns runs, newest first.
func (s *Service) List(ctx context.Context, f RunFilter) ([]Run, error) {
	if f.Limit <= 0 || f.Limit > 200 {
		f.Limit = 200
	}
	var where []string
	var args []any
	add := func(set bool, condition string, arg any) {
		if set {
			args = append(args, arg)
			where = append(where, fmt.Sprintf(condition, len(args)))
		}
	}
	add(f.Project != "", "r.project = $%d", string(f.Project))
	add(f.Pipeline != 0, "r.pipeline = $%d", int64(f.Pipeline))
	add(f.Ref != "", "r.ref = $%d", f.Ref)
	add(f.Commit != "", "r.commit_id = $%d", string(f.Commit))
	add(f.State != "", "r.state = $%d", string(f.State))
	add(f.Before != 0, "r.id < $%d", int64(f.Before))
	add(true, "r.id > $%d", int64(0))
	conditions, more := f.conditions(len(args) + 1)
	where, args = append(where, conditions...), append(append(args, more...), f.Limit)
	list, err := db.List(ctx, s.db, scanRun, `SELECT `+runColumns+runWaiting+runTables+`WHERE `+strings.Join(where, " AND ")+notDeleted+
		fmt.Sprintf(` ORDER BY r.id DESC LIMIT $%d`, len(args)), args...)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	return list, nil
}

// updateRun changes number and tags as steps ask.
func updateRun(ctx context.Context, tx *db.Tx, r *Run) error {
	tags, err := json.Marshal(r.Tags)
	if err != nil {
		return fmt.Errorf("change run %d: %w", r.ID, err)
	}
	if _, err := tx.ExecContext(ctx, `UPDATE pipeline_runs SET number = $1, tags = $2 WHERE id = $3`, r.Number, string(tags), int64(r.ID)); err != nil {
		return fmt.Errorf("change run %d: %w", r.ID, err)
	}
	return nil
}
