package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/registry/retention"
)

// Plan is what a retention policy makes of a repository now: a fate for each tag, and for each manifest without one.
type Plan struct {
	Policy  retention.Policy
	Fates   []retention.Fate
	Removed int // of those that were to go, how many went; 0 in a dry run
}

// Going counts the tags and manifests that the plan removes.
func (p Plan) Going() (tags, manifests int) {
	for _, f := range p.Fates {
		switch {
		case f.Keep:
		case f.Tag != "":
			tags++
		default:
			manifests++
		}
	}
	return tags, manifests
}

// PlanRetention is a dry run: what the repository's retention policy would do now, or what another one would, when it is given.
func (s *Service) PlanRetention(ctx context.Context, repo Repository, other *retention.Policy) (Plan, error) {
	uses, err := s.uses(ctx)
	if err != nil {
		return Plan{}, err
	}
	return s.plan(ctx, repo, other, uses)
}

// uses asks what must stay; not knowing it is an error, since then nothing may go.
func (s *Service) uses(ctx context.Context) ([]retention.Use, error) {
	if s.InUse == nil {
		return nil, slipway.Unavailable("it is not known yet which images run: try again in a minute")
	}
	uses, err := s.InUse(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask which images are in use: %w", err)
	}
	return uses, nil
}

func (s *Service) plan(ctx context.Context, repo Repository, other *retention.Policy, uses []retention.Use) (Plan, error) {
	g, err := readGoverning(ctx, s.db, repo)
	if err != nil {
		return Plan{}, err
	}
	policy, _ := g.retention()
	if other != nil {
		policy = *other
	}
	if err := policy.Check(); err != nil {
		return Plan{}, err
	}
	state, err := s.state(ctx, repo)
	if err != nil {
		return Plan{}, fmt.Errorf("plan retention of %s: %w", repo.Name, err)
	}
	state.Uses, state.Immutable = uses, g.patterns()
	return Plan{Policy: policy, Fates: retention.Decide(policy, state)}, nil
}

// state reads what there is to decide about.
func (s *Service) state(ctx context.Context, repo Repository) (retention.Repository, error) {
	state := retention.Repository{Name: repo.Name, Now: s.clock.Now()}
	pulls, err := s.Pulls(ctx, repo)
	if err != nil {
		return state, err
	}
	state.Tags, err = db.List(ctx, s.db, func(row interface{ Scan(...any) error }, t *retention.Tag) error {
		var moved, lock int64
		err := row.Scan(&t.Name, (*string)(&t.Digest), &moved, &lock)
		t.Moved, t.Pulled, t.Locked = db.Time(moved), pulls[t.Name].Last, (repo.Lock | Lock(lock)).stays()
		// containerd, docker and BuildKit look at the tag and then pull its image by digest.
		if byDigest := pulls[string(t.Digest)].Last; byDigest.After(t.Pulled) {
			t.Pulled = byDigest
		}
		return err
	}, `SELECT name, digest, updated, locks FROM registry_tags WHERE repository_id = $1 ORDER BY name`, repo.ID)
	if err != nil {
		return state, err
	}
	type part struct{ index, manifest slipway.Digest }
	parts, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, p *part) error {
		return row.Scan((*string)(&p.index), (*string)(&p.manifest))
	}, `SELECT manifest, digest FROM registry_manifest_references WHERE repository_id = $1 AND role = $2`, repo.ID, roleManifest)
	if err != nil {
		return state, err
	}
	children := map[slipway.Digest][]slipway.Digest{}
	for _, p := range parts {
		children[p.index] = append(children[p.index], p.manifest)
	}
	state.Manifests, err = db.List(ctx, s.db, func(row interface{ Scan(...any) error }, m *retention.Manifest) error {
		var touched, lock int64
		err := row.Scan((*string)(&m.Digest), &m.Size, &touched, (*string)(&m.Subject), &lock)
		m.Touched, m.Pulled, m.Children, m.Locked = db.Time(touched), pulls[string(m.Digest)].Last, children[m.Digest], (repo.Lock | Lock(lock)).stays()
		return err
	}, `SELECT digest, total_size, touched, subject, locks FROM registry_manifests WHERE repository_id = $1 ORDER BY digest`, repo.ID)
	return state, err
}

// Retain applies the repository's retention policy. What is moved, pushed or named by a new push meanwhile stays.
func (s *Service) Retain(ctx context.Context, repo Repository, by slipway.Actor) (Plan, error) {
	uses, err := s.uses(ctx)
	if err != nil {
		return Plan{}, err
	}
	return s.retain(ctx, repo, uses, by)
}

func (s *Service) retain(ctx context.Context, repo Repository, uses []retention.Use, by slipway.Actor) (Plan, error) {
	plan, err := s.plan(ctx, repo, nil, uses)
	if err != nil {
		return plan, err
	}
	indexes := map[slipway.Digest]bool{}
	list, err := db.List(ctx, s.db, db.Value[string], `SELECT DISTINCT manifest FROM registry_manifest_references WHERE repository_id = $1 AND role = $2`, repo.ID, roleManifest)
	if err != nil {
		return plan, fmt.Errorf("apply retention to %s: %w", repo.Name, err)
	}
	for _, d := range list {
		indexes[slipway.Digest(d)] = true
	}
	for _, first := range []bool{true, false} { // an index goes before its parts, which it would keep
		for _, f := range plan.Fates {
			if f.Keep || (f.Tag != "" || indexes[f.Digest]) != first {
				continue
			}
			gone, err := s.remove(ctx, repo, f, by)
			if err != nil {
				return plan, err
			}
			if gone {
				plan.Removed++
			}
		}
	}
	return plan, nil
}

// remove carries out a fate, unless something has changed since it was decided.
func (s *Service) remove(ctx context.Context, repo Repository, f retention.Fate, by slipway.Actor) (gone bool, err error) {
	err = s.db.Free(ctx, func(tx *db.Tx) error {
		gone = false
		what := Deleted{Tag: f.Tag, Digest: f.Digest, Reason: "retention: " + f.Reason}
		var n int64
		if f.Tag != "" {
			n, err = removeTag(ctx, tx, repo, f, s.clock.Now())
		} else {
			n, err = removeUntagged(ctx, tx, repo, f)
		}
		if err != nil || n == 0 {
			return err
		}
		gone = true
		return s.deleted(ctx, tx, repo, what, by)
	})
	if err != nil {
		return false, fmt.Errorf("apply retention to %s: %w", repo.Name, err)
	}
	return gone, nil
}

func removeTag(ctx context.Context, tx *db.Tx, repo Repository, f retention.Fate, now time.Time) (int64, error) {
	result, err := tx.ExecContext(ctx, `DELETE FROM registry_tags WHERE repository_id = $1 AND name = $2 AND digest = $3 AND updated = $4 AND (locks & 3) = 0`,
		repo.ID, f.Tag, string(f.Digest), db.Micros(f.Moved))
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	if err != nil || n == 0 {
		return n, err
	}
	return n, touchManifest(ctx, tx, repo, f.Digest, now)
}

// removeUntagged locks the manifest first: a push of an index that names it, or of itself, has then touched it, or waits.
func removeUntagged(ctx context.Context, tx *db.Tx, repo Repository, f retention.Fate) (int64, error) {
	const lock = `UPDATE registry_manifests SET size = size WHERE repository_id = $1 AND digest = $2 AND touched = $3 AND (locks & 3) = 0`
	result, err := tx.ExecContext(ctx, lock, repo.ID, string(f.Digest), db.Micros(f.Moved))
	if err != nil {
		return 0, err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return n, err
	}
	const needed = `
		SELECT (SELECT count(*) FROM registry_tags WHERE repository_id = $1 AND digest = $2)
		     + (SELECT count(*) FROM registry_manifest_references WHERE repository_id = $1 AND digest = $2 AND role = 'manifest')`
	if n, err := db.One(ctx, tx, db.Value[int64], needed, repo.ID, string(f.Digest)); err != nil || n > 0 {
		return 0, err
	}
	if err := deleteReferences(ctx, tx, repo, f.Digest); err != nil {
		return 0, err
	}
	result, err = tx.ExecContext(ctx, `DELETE FROM registry_manifests WHERE repository_id = $1 AND digest = $2`, repo.ID, string(f.Digest))
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// RetainAll applies the retention policies of all repositories.
func (s *Service) RetainAll(ctx context.Context) error {
	governed, err := db.One(ctx, s.db, db.Value[int64], `SELECT count(*) FROM registry_settings`)
	if err != nil {
		return fmt.Errorf("apply retention: %w", err)
	}
	if governed == 0 {
		return nil
	}
	uses, err := s.uses(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for last := ""; ; {
		list, err := s.Repositories(ctx, last, 0)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return errors.Join(errs...)
		}
		for _, repo := range list {
			last = repo.Name
			if err := s.retainGoverned(ctx, repo, uses); err != nil {
				errs = append(errs, err)
			}
		}
	}
}

// retainGoverned applies a repository's policy, if it has one.
func (s *Service) retainGoverned(ctx context.Context, repo Repository, uses []retention.Use) error {
	g, err := readGoverning(ctx, s.db, repo)
	if err != nil {
		return err
	}
	if _, ok := g.retention(); !ok {
		return nil
	}
	plan, err := s.retain(ctx, repo, uses, slipway.System)
	if plan.Removed > 0 {
		s.logger.Info("retention applied", "repository", repo.Name, "removed", plan.Removed)
	}
	return err
}
