package pipelines

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/job"
)

// A warm pod is a started pod of a pool's image whose agent waits at the server for a job, so that the job need not wait for a
// pod. It is made for one project, whose caches it has, does one job, and has a token that is good for waiting alone until it
// is given one. Rows come before pods and go after them, so that a server which was killed finds every one.
//
//	wanted -> started -> waiting (its agent has called) -> given -> gone with the job's pod
//	any of the first three -> unwanted -> gone
type warmPod struct {
	id       int64
	pool     string
	project  slipway.ProjectID
	likeness string // of what jobs it may take
	state    warmState
	job      slipway.JobID
	created  time.Time
}

// warmState is how far a warm pod is; the numbers are stored.
type warmState int

const (
	warmWanted   warmState = 1
	warmStarted  warmState = 2
	warmWaiting  warmState = 3
	warmGiven    warmState = 4
	warmUnwanted warmState = 5
)

const (
	// warmAge is when a warm pod is replaced by a new one, so that an image that has changed is taken up.
	warmAge = time.Hour
	// warmLife bounds the life of a warm pod with the job that it gets.
	warmLife = warmAge + (maxTimeout+60)*time.Minute + startPatience + stopGrace
	// warmPatience is how long no warm pod of a kind is started after one that broke.
	warmPatience = 5 * time.Minute
	// maxWarmPods bounds the warm pods of all pools.
	maxWarmPods = 200
)

// warmPrefix begins the names of warm pods.
const warmPrefix = "warm-"

func warmPodName(id int64) string { return fmt.Sprint(warmPrefix, id) }

func scanWarmPod(row interface{ Scan(...any) error }, w *warmPod) error {
	var created int64
	err := row.Scan(&w.id, &w.pool, (*string)(&w.project), &w.likeness, (*int)(&w.state), (*int64)(&w.job), &created)
	w.created = db.Time(created)
	return err
}

const warmColumns = `id, pool, project, likeness, state, job, created`

// likeness is the same for pods of which one can stand in for another.
func (s *Service) likeness(p *Pod) string {
	b, err := json.Marshal(struct {
		Project  slipway.ProjectID
		Image    string
		Env      map[string]string
		Pool     PoolSettings
		Protocol int
		Build    string
	}{p.Project, p.Image, p.Env, p.Pool, job.Version, s.Build})
	if err != nil {
		panic(err) // texts and numbers alone
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// commonPod is what the pod of a job without a container of its own, and a warm pod, are like.
func (s *Service) commonPod(project slipway.ProjectID, image string, pool *Pool) Pod {
	settings := pool.PoolSettings
	settings.Description, settings.Capabilities, settings.Warm, settings.Image = "", nil, nil, ""
	return Pod{Project: project, Image: image, Pool: settings, Env: map[string]string{"SLIPWAY_URL": s.URL, "SLIPWAY_REGISTRY": s.Registry}}
}

// warmCount is how many warm pods a pool has.
func (s *Service) warmCount(p *Pool) int {
	if p.Warm != nil {
		return *p.Warm
	}
	return min(s.Warm, MaxWarm)
}

// takeWarm gives the job a warm pod that is like its own would be; false without one.
func (s *Service) takeWarm(ctx context.Context, j *Job, likeness string) (taken bool, err error) {
	const give = `
		UPDATE pipeline_warm_pods SET state = $1, job = $2 WHERE state = $3 AND id =
			(SELECT id FROM pipeline_warm_pods WHERE state = $3 AND likeness = $4 ORDER BY id LIMIT 1) RETURNING id`
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		id, err := db.One(ctx, tx, db.Value[int64], give, int(warmGiven), int64(j.ID), int(warmWaiting), likeness)
		if db.IsNoRows(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("give job %d a warm pod: %w", j.ID, err)
		}
		const take = `UPDATE pipeline_jobs SET pod = $1, pod_name = $2, pod_note = '', heard = $3 WHERE id = $4 AND pod = $5`
		result, err := tx.ExecContext(ctx, take, int(podStarted), warmPodName(id), db.Micros(s.clock.Now()), int64(j.ID), int(podWanted))
		if err != nil {
			return fmt.Errorf("give job %d a warm pod: %w", j.ID, err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, errJobHasGoneOn)
		}
		taken = true
		tx.AfterCommit(func() { s.changed(warmNews); s.changed(j.Run) })
		return nil
	})
	if errors.Is(err, errJobHasGoneOn) {
		return true, nil
	}
	return taken, err
}

var errJobHasGoneOn = errors.New("the job has gone on meanwhile")

// warmNews is the watched thing that changes when warm pods are given away; no run has its number.
const warmNews slipway.RunID = 0

// WatchWarm is Watch for waiting agents of warm pods.
func (s *Service) WatchWarm() (<-chan struct{}, func()) { return s.Watch(warmNews) }

// AwaitJob says that the agent of a warm pod waits, and returns the job that the pod was given, with the job's token; none for
// now. A pod that is not wanted any more is a conflict.
func (s *Service) AwaitJob(ctx context.Context, id int64) (work job.PodAssignment, ok bool, err error) {
	w, err := db.One(ctx, s.db, scanWarmPod, `SELECT `+warmColumns+` FROM pipeline_warm_pods WHERE id = $1`, id)
	if db.IsNoRows(err) {
		return work, false, slipway.Conflict("pod %d is not wanted any more", id)
	}
	if err != nil {
		return work, false, fmt.Errorf("read warm pod %d: %w", id, err)
	}
	switch w.state {
	case warmWanted, warmStarted:
		if err := s.setWarm(ctx, &w, warmWaiting); err != nil {
			return work, false, err
		}
		s.Wake() // a job may have waited for it
		return work, false, nil
	case warmWaiting:
		return work, false, nil
	case warmGiven:
		work.Job = w.job
		work.Token, err = s.warmToken(ctx, w.job)
		return work, err == nil, err
	}
	return work, false, slipway.Conflict("pod %d is not wanted any more", id)
}

// warmToken issues the token of the job that a warm pod was given.
func (s *Service) warmToken(ctx context.Context, id slipway.JobID) (string, error) {
	j, err := s.Job(ctx, id)
	if err != nil {
		return "", err
	}
	run, err := s.Get(ctx, j.Run)
	if err != nil {
		return "", err
	}
	p, err := s.plan(ctx, s.db, j.Run)
	if err != nil {
		return "", err
	}
	i, err := s.instanceOf(ctx, p, &j)
	if err != nil {
		return "", err
	}
	return s.jobToken(ctx, &run, &i, id, deadlineOf(i.Job))
}

// setWarm moves a warm pod, unless it has gone on meanwhile.
func (s *Service) setWarm(ctx context.Context, w *warmPod, to warmState) error {
	if _, err := s.db.ExecContext(ctx, `UPDATE pipeline_warm_pods SET state = $1 WHERE id = $2 AND state = $3`, int(to), w.id, int(w.state)); err != nil {
		return fmt.Errorf("record warm pod %d: %w", w.id, err)
	}
	return nil
}

// usedPool remembers for whom warm pods of a pool are worth having.
func (s *Service) usedPool(ctx context.Context, pool *Pool, p *Pod) error {
	const upsert = `
		INSERT INTO pipeline_pool_uses (pool, project, image, used) VALUES ($1, $2, $3, $4)
		ON CONFLICT (pool, project) DO UPDATE SET image = excluded.image, used = excluded.used`
	if _, err := s.db.ExecContext(ctx, upsert, strings.ToLower(pool.Name), string(p.Project), p.Image, db.Micros(s.clock.Now())); err != nil {
		return fmt.Errorf("record use of pool %s: %w", pool.Name, err)
	}
	return nil
}

// WarmCount is the number of a pool's warm pods: those whose agents wait, and those that are being started.
type WarmCount struct{ Waiting, Starting int }

// WarmCounts are those of all pools, by name in lower case.
func (s *Service) WarmCounts(ctx context.Context) (map[string]WarmCount, error) {
	rows, err := db.List(ctx, s.db, scanWarmPod, `SELECT `+warmColumns+` FROM pipeline_warm_pods WHERE state IN (1, 2, 3) ORDER BY id LIMIT 1000`)
	if err != nil {
		return nil, fmt.Errorf("list warm pods: %w", err)
	}
	counts := map[string]WarmCount{}
	for _, w := range rows {
		c := counts[w.pool]
		if w.state == warmWaiting {
			c.Waiting++
		} else {
			c.Starting++
		}
		counts[w.pool] = c
	}
	return counts, nil
}
