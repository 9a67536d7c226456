package pipelines

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/identity"
)

// wantedWarm is what warm pods there should be, by likeness, the most wanted first. A pool's are for the projects that used it
// last. While a job finds no room on the nodes there are none.
func (s *Service) wantedWarm(ctx context.Context) ([]Pod, error) {
	// SQLite takes the partial index for the words of its definition alone.
	const crowded = `SELECT COUNT(*) FROM pipeline_jobs WHERE pod IN (2, 3) AND pod = 2 AND state = 'queued' AND pod_note LIKE 'no node has room%'`
	if n, err := db.One(ctx, s.db, db.Value[int], crowded); err != nil || n > 0 {
		return nil, err
	}
	set, err := s.poolSet(ctx, s.db)
	if err != nil {
		return nil, err
	}
	type use struct{ pool, project, image string }
	uses, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, u *use) error {
		return row.Scan(&u.pool, &u.project, &u.image)
	},
		`SELECT pool, project, image FROM pipeline_pool_uses ORDER BY used DESC LIMIT 1000`)
	if err != nil {
		return nil, fmt.Errorf("list uses of pools: %w", err)
	}
	byPool := map[string][]use{}
	var pools []string
	for _, u := range uses {
		if byPool[u.pool] == nil {
			pools = append(pools, u.pool)
		}
		byPool[u.pool] = append(byPool[u.pool], u)
	}
	var wanted []Pod
	for _, name := range pools {
		pool := set[name]
		if pool == nil && name != DefaultPool {
			continue // it was deleted
		}
		if pool == nil {
			pool = set.of(name)
		}
		list := byPool[name]
		for i := range s.warmCount(pool) {
			u := list[i%len(list)]
			p := s.commonPod(slipway.ProjectID(u.project), cmp.Or(pool.Image, u.image), pool)
			p.Title = "a warm pod of the pool " + pool.Name
			p.poolName = name
			wanted = append(wanted, p)
		}
	}
	return wanted[:min(len(wanted), maxWarmPods)], nil
}

// reconcileWarm makes the warm pods that should be there and removes the others.
func (s *Service) reconcileWarm(ctx context.Context) error {
	wanted, err := s.wantedWarm(ctx)
	if err != nil {
		return err
	}
	rows, err := db.List(ctx, s.db, scanWarmPod, `SELECT `+warmColumns+` FROM pipeline_warm_pods ORDER BY id LIMIT 1000`)
	if err != nil {
		return fmt.Errorf("list warm pods: %w", err)
	}
	// Those that wait are kept first.
	slices.SortStableFunc(rows, func(a, b warmPod) int { return cmp.Compare(b.state, a.state) })
	missing := map[string][]Pod{}
	for _, p := range wanted {
		kind := s.likeness(&p)
		missing[kind] = append(missing[kind], p)
	}
	for i := range rows {
		w := &rows[i]
		var own *Pod
		if list := missing[w.likeness]; w.state <= warmWaiting && len(list) > 0 && s.clock.Now().Sub(w.created) < warmAge {
			own, missing[w.likeness] = &list[0], list[1:]
		}
		if err := s.reconcileWarmPod(ctx, w, own); err != nil && ctx.Err() == nil {
			s.Logger.Warn("a warm pod needs another look", "pod", warmPodName(w.id), "error", err)
		}
	}
	for _, p := range wanted { // in their order
		kind := s.likeness(&p)
		if n := len(missing[kind]); n > 0 && !s.brokeOfLate(kind) {
			missing[kind] = missing[kind][:n-1]
			if err := s.addWarm(ctx, &p, kind); err != nil {
				return err
			}
		}
	}
	return nil
}

// reconcileWarmPod compares one row with its pod; own is what the pod should be like, nil when it should not be.
func (s *Service) reconcileWarmPod(ctx context.Context, w *warmPod, own *Pod) error {
	switch {
	case w.state == warmGiven:
		const gone = `DELETE FROM pipeline_warm_pods WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM pipeline_jobs WHERE id = $2 AND pod IN (2, 3) AND pod_name = $3)`
		_, err := s.db.ExecContext(ctx, gone, w.id, int64(w.job), warmPodName(w.id))
		return err
	case w.state == warmUnwanted:
		return s.removeWarm(ctx, w)
	case own == nil:
		return s.setWarm(ctx, w, warmUnwanted)
	case w.state == warmWanted:
		return s.startWarm(ctx, w, *own)
	}
	status, err := s.Executor.Inspect(ctx, warmPodName(w.id))
	if err != nil || status.Phase == PodRunning || status.Phase == PodStarting && s.clock.Now().Sub(w.created) < startPatience {
		return err
	}
	s.Logger.Warn("a warm pod is not well and is removed", "pod", warmPodName(w.id), "pool", w.pool, "phase", status.Phase, "note", status.Note)
	if status.Phase != PodAbsent {
		s.rememberBroken(w.likeness)
	}
	return s.setWarm(ctx, w, warmUnwanted)
}

func (s *Service) addWarm(ctx context.Context, p *Pod, kind string) error {
	w := warmPod{pool: p.poolName, project: p.Project, likeness: kind, state: warmWanted}
	const insert = `INSERT INTO pipeline_warm_pods (pool, project, likeness, state, job, created) VALUES ($1, $2, $3, $4, 0, $5) RETURNING id`
	var err error
	if w.id, err = db.One(ctx, s.db, db.Value[int64], insert, w.pool, string(w.project), w.likeness, int(w.state), db.Micros(s.clock.Now())); err != nil {
		return fmt.Errorf("record a warm pod: %w", err)
	}
	return s.startWarm(ctx, &w, *p)
}

// startWarm gives the pod a token that is good for waiting, and starts it.
func (s *Service) startWarm(ctx context.Context, w *warmPod, p Pod) error {
	p.Name, p.Warm, p.Deadline = warmPodName(w.id), w.id, warmLife
	p.Env = maps.Clone(p.Env)
	p.Env["SLIPWAY_POD"] = fmt.Sprint(w.id)
	var err error
	p.Token, err = s.Tokens.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenPod, Life: warmAge + 10*time.Minute,
		Actor: slipway.Actor{Kind: slipway.ActorJob, ID: p.Name, Name: p.Title}, Binding: identity.Binding{Pod: w.id}})
	if err != nil {
		return fmt.Errorf("issue the token of warm pod %d: %w", w.id, err)
	}
	if err := s.Executor.Start(ctx, p); err != nil {
		if code := slipway.CodeOf(err); code == slipway.CodeInvalid || code == slipway.CodeUnsupported {
			s.rememberBroken(w.likeness)
			return errors.Join(err, s.setWarm(ctx, w, warmUnwanted))
		}
		return fmt.Errorf("start warm pod %d: %w", w.id, err)
	}
	return s.setWarm(ctx, w, warmStarted)
}

// removeWarm stops an unwanted pod, and forgets it once it is gone.
func (s *Service) removeWarm(ctx context.Context, w *warmPod) error {
	if err := s.Executor.Stop(ctx, warmPodName(w.id)); err != nil {
		return fmt.Errorf("stop warm pod %d: %w", w.id, err)
	}
	if status, err := s.Executor.Inspect(ctx, warmPodName(w.id)); err != nil || status.Phase != PodAbsent {
		return err
	}
	if _, err := s.db.ExecContext(ctx, `DELETE FROM pipeline_warm_pods WHERE id = $1 AND state = $2`, w.id, int(warmUnwanted)); err != nil {
		return fmt.Errorf("forget warm pod %d: %w", w.id, err)
	}
	return nil
}

// StopWarm removes all warm pods that have no job, for a server that stops. Run must have ended.
func (s *Service) StopWarm(ctx context.Context) error {
	if _, err := s.db.ExecContext(ctx, `UPDATE pipeline_warm_pods SET state = 5 WHERE state IN (1, 2, 3)`); err != nil {
		return fmt.Errorf("remove warm pods: %w", err)
	}
	rows, err := db.List(ctx, s.db, scanWarmPod, `SELECT `+warmColumns+` FROM pipeline_warm_pods WHERE state = 5 ORDER BY id LIMIT 1000`)
	if err != nil {
		return fmt.Errorf("list warm pods: %w", err)
	}
	var errs []error
	for i := range rows {
		errs = append(errs, s.removeWarm(ctx, &rows[i]))
	}
	return errors.Join(errs...)
}

// RenewWarm replaces warm pods whose image has changed, and which have no job yet.
func (s *Service) RenewWarm(ctx context.Context, image string) error {
	wanted, err := s.wantedWarm(ctx)
	if err != nil {
		return err
	}
	for _, p := range wanted {
		if p.Image != image {
			continue
		}
		if _, err := s.db.ExecContext(ctx, `UPDATE pipeline_warm_pods SET state = 5 WHERE state IN (1, 2, 3) AND likeness = $1`, s.likeness(&p)); err != nil {
			return fmt.Errorf("renew warm pods of %s: %w", image, err)
		}
	}
	s.Wake()
	return nil
}

// rememberBroken holds back pods of a kind of which one broke.
func (s *Service) rememberBroken(kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		s.broken = map[string]time.Time{}
	}
	s.broken[kind] = s.clock.Now()
}

func (s *Service) brokeOfLate(kind string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock.Now().Sub(s.broken[kind]) < warmPatience
}
