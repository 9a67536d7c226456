// Package builds remembers image builds, those of jobs and those that people start: their steps, how long each took, and what the cache spared.
//
// A build is there from its beginning (live.go), with its log. A job's agent tells of those of the job, and `slipway build` of its own:
//
//	Begin -> running -> Update ... -> Update with Done -> succeeded, failed, canceled or lost
//	                 `-> lost, as long as nothing is heard of it
//
// It owns two tables. It does not build, and knows no permission: the doors ask who may tell and who may look.
package builds

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/images/progress"
)

// Migrations holds the table of this package.
//
//go:embed migrations
var Migrations embed.FS

// State says how far a build is.
type State string

// The states of a build.
const (
	Running   State = "running"
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Canceled  State = "canceled"
	Lost      State = "lost" // nothing is heard of the program that builds; with a time of its end, whoever told of it lost sight of it
)

// Build is a build of an image.
type Build struct {
	ID      int64             `json:"id"`
	Project slipway.ProjectID `json:"-"`
	Run     slipway.RunID     `json:"run,omitempty"` // 0 for that of a person by hand
	Job     slipway.JobID     `json:"job,omitempty"`
	By      *slipway.Actor    `json:"by,omitempty"` // who started it; nil for those of jobs of the past, which were told of when they were over
	State   State             `json:"state"`
	progress.Report
	Total      int       `json:"total"`  // the Dockerfile's steps
	Cached     int       `json:"cached"` // of them
	Saved      float64   `json:"saved"`  // seconds that the cached ones took when they were last run, as far as that is known
	Started    time.Time `json:"started"`
	Finished   time.Time `json:"finished,omitzero"` // zero while it runs
	LogBytes   int64     `json:"logBytes,omitempty"`
	CanceledBy string    `json:"canceledBy,omitempty"`

	seen int64 // when it was last heard of, in microseconds; no two updates have the same
}

// kept is how many builds of a project are remembered.
const kept = 1000

// learned is from how many builds of a project the time of a cached step is known.
const learned = 50

// Image is what a registry has of a build's result.
type Image struct {
	Digest slipway.Digest // of the image, or of the index
	Bytes  int64          // of the layers, all platforms together
	Layers int
}

// Service keeps builds. Make it with New.
type Service struct {
	// Pushed finds the image that a build has pushed under a name; a NotFound Problem for one that the server's registry does not have. nil finds none.
	Pushed func(ctx context.Context, b Build, tag string) (Image, error)

	db    *db.DB
	clock clock.Clock
}

// New brings the table up to date.
func New(ctx context.Context, d *db.DB, c clock.Clock) (*Service, error) {
	if err := d.Migrate(ctx, "image_builds", Migrations); err != nil {
		return nil, err
	}
	return &Service{db: d, clock: c}, nil
}

// insert adds a build and removes those that are too many.
func (s *Service) insert(ctx context.Context, b *Build) error {
	b.Cached, b.Total = b.Summary.Cached()
	steps, err := json.Marshal(b.Summary.Steps)
	if err != nil {
		return err
	}
	actor := ""
	if b.By != nil {
		text, err := json.Marshal(b.By)
		if err != nil {
			return err
		}
		actor = string(text)
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		err := tx.QueryRowContext(ctx, `INSERT INTO image_builds (project, run, job, tags, target, platforms, digest, error, bytes, layers, seconds, steps, total, cached, saved, finished,
				state, actor, started, seen)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20) RETURNING id`,
			string(b.Project), int64(b.Run), int64(b.Job), strings.Join(b.Tags, "\n"), b.Target, strings.Join(b.Platforms, "\n"), string(b.Digest), b.Error, b.Bytes, b.Layers,
			b.Summary.Seconds, string(steps), b.Total, b.Cached, b.Saved, db.Micros(b.Finished), string(b.State), actor, db.Micros(b.Started), db.Micros(s.clock.Now())).Scan(&b.ID)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM image_build_logs WHERE build IN (SELECT id FROM image_builds WHERE project = $1 AND id <=
			(SELECT id FROM image_builds WHERE project = $1 ORDER BY id DESC LIMIT 1 OFFSET $2))`, string(b.Project), kept)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM image_builds WHERE project = $1 AND id <=
			(SELECT id FROM image_builds WHERE project = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)`, string(b.Project), kept)
		return err
	})
}

// saved is how long the cached steps took when they ran last.
func (s *Service) saved(ctx context.Context, project slipway.ProjectID, of progress.Summary) (float64, error) {
	before, err := s.List(ctx, project, learned)
	if err != nil {
		return 0, err
	}
	return saved(of, before), nil
}

// saved adds up what the cached steps took when they ran last; before is the newest first.
func saved(s progress.Summary, before []Build) float64 {
	took := map[string]float64{}
	for _, b := range before {
		for _, step := range b.Summary.Dockerfile() {
			if _, known := took[step.Name]; !known && !step.Cached && !step.Failed && !step.Running {
				took[step.Name] = step.Seconds
			}
		}
	}
	var sum float64
	for _, step := range s.Dockerfile() {
		if step.Cached {
			sum += took[step.Name]
		}
	}
	return sum
}

const columns = `SELECT id, project, run, job, tags, target, platforms, digest, error, bytes, layers, seconds, steps, total, cached, saved, finished,
	state, actor, started, seen, log_bytes, canceled_by FROM image_builds `

func (s *Service) scan(row interface{ Scan(...any) error }, b *Build) error {
	var tags, platforms, steps, actor string
	var finished, started int64
	err := row.Scan(&b.ID, (*string)(&b.Project), (*int64)(&b.Run), (*int64)(&b.Job), &tags, &b.Target, &platforms, (*string)(&b.Digest), &b.Error, &b.Bytes, &b.Layers,
		&b.Summary.Seconds, &steps, &b.Total, &b.Cached, &b.Saved, &finished, (*string)(&b.State), &actor, &started, &b.seen, &b.LogBytes, &b.CanceledBy)
	if err != nil {
		return err
	}
	b.Tags, b.Platforms, b.Finished, b.Started = lines(tags), lines(platforms), db.Time(finished), db.Time(started)
	if b.State == Running && s.clock.Now().Sub(db.Time(b.seen)) > lostAfter {
		b.State = Lost
	}
	if actor != "" {
		if err := json.Unmarshal([]byte(actor), &b.By); err != nil {
			return err
		}
	}
	return json.Unmarshal([]byte(steps), &b.Summary.Steps)
}

func lines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

// List gives the newest builds of a project, at most limit.
func (s *Service) List(ctx context.Context, project slipway.ProjectID, limit int) ([]Build, error) {
	list, err := db.List(ctx, s.db, s.scan, columns+`WHERE project = $1 ORDER BY id DESC LIMIT $2`, string(project), limit)
	if err != nil {
		return nil, fmt.Errorf("list image builds: %w", err)
	}
	return list, nil
}

// OfRun gives the builds of a run in their order.
func (s *Service) OfRun(ctx context.Context, run slipway.RunID) ([]Build, error) {
	list, err := db.List(ctx, s.db, s.scan, columns+`WHERE run = $1 ORDER BY id LIMIT $2`, int64(run), kept)
	if err != nil {
		return nil, fmt.Errorf("list the image builds of run %d: %w", run, err)
	}
	return list, nil
}

// Get finds a build of a project.
func (s *Service) Get(ctx context.Context, project slipway.ProjectID, id int64) (Build, error) {
	b, err := db.One(ctx, s.db, s.scan, columns+`WHERE project = $1 AND id = $2`, string(project), id)
	if db.IsNoRows(err) {
		return b, slipway.NotFound("there is no image build %d in this project", id)
	}
	if err != nil {
		return b, fmt.Errorf("find image build %d: %w", id, err)
	}
	return b, nil
}

// Totals sum up the builds of a project that are remembered.
type Totals struct {
	Builds, Steps, Cached int
	Seconds, Saved        float64
}

// Totals gives them by project.
func (s *Service) Totals(ctx context.Context) (map[slipway.ProjectID]Totals, error) {
	type row struct {
		project slipway.ProjectID
		Totals
	}
	list, err := db.List(ctx, s.db, func(r interface{ Scan(...any) error }, v *row) error {
		return r.Scan((*string)(&v.project), &v.Builds, &v.Steps, &v.Cached, &v.Seconds, &v.Saved)
	}, `SELECT project, count(*), sum(total), sum(cached), sum(seconds), sum(saved) FROM image_builds WHERE state <> 'running' GROUP BY project ORDER BY project`)
	if err != nil {
		return nil, fmt.Errorf("sum up image builds: %w", err)
	}
	out := map[slipway.ProjectID]Totals{}
	for _, r := range list {
		out[r.project] = r.Totals
	}
	return out, nil
}
