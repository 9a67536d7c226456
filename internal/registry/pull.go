package registry

import (
	"context"
	"fmt"
	"sync"
	"time"

	"slipway"
	"slipway/internal/db"
)

const (
	pullInterval = 10 * time.Second // at which pulls are written down; a server that is killed forgets those since
	maxPulls     = 10_000           // references whose pulls are remembered in between
)

// pulls remembers pulls until they are written down together.
type pulls struct {
	mu   sync.Mutex
	seen map[pullKey]pullCount
}

type pullKey struct {
	repository int64
	reference  string // a tag, or a digest
}

type pullCount struct {
	last  time.Time
	count int64
}

// Pulled notes that a manifest was pulled, by the reference that was asked for.
func (s *Service) Pulled(repo Repository, reference string, d slipway.Digest) {
	now := s.clock.Now()
	s.pulls.mu.Lock()
	defer s.pulls.mu.Unlock()
	if s.pulls.seen == nil {
		s.pulls.seen = map[pullKey]pullCount{}
	}
	keys := []pullKey{{repo.ID, string(d)}}
	if reference != string(d) {
		keys = append(keys, pullKey{repo.ID, reference})
	}
	for _, k := range keys {
		if _, known := s.pulls.seen[k]; !known && len(s.pulls.seen) >= maxPulls {
			continue
		}
		s.pulls.seen[k] = pullCount{now, s.pulls.seen[k].count + 1}
	}
}

// FlushPulls writes down the pulls that were noted.
func (s *Service) FlushPulls(ctx context.Context) error {
	s.pulls.mu.Lock()
	seen := s.pulls.seen
	s.pulls.seen = nil
	s.pulls.mu.Unlock()
	if len(seen) == 0 {
		return nil
	}
	const upsert = `
		INSERT INTO registry_pulls (repository_id, reference, time, count) VALUES ($1, $2, $3, $4)
		ON CONFLICT (repository_id, reference) DO UPDATE SET
			time = CASE WHEN excluded.time > registry_pulls.time THEN excluded.time ELSE registry_pulls.time END,
			count = registry_pulls.count + excluded.count`
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		for k, p := range seen {
			if _, err := tx.ExecContext(ctx, upsert, k.repository, k.reference, db.Micros(p.last), p.count); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		return nil
	}
	s.pulls.mu.Lock()
	defer s.pulls.mu.Unlock()
	if s.pulls.seen == nil { // the next time may be better
		s.pulls.seen = seen
	}
	return fmt.Errorf("record pulls: %w", err)
}

// Pull is when and how often something was pulled.
type Pull struct {
	Reference string // a tag, or a digest
	Last      time.Time
	Count     int64
}

// Pulls are the pulls of a repository's tags and manifests, by reference.
func (s *Service) Pulls(ctx context.Context, repo Repository) (map[string]Pull, error) {
	if err := s.FlushPulls(ctx); err != nil {
		return nil, err
	}
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, p *Pull) error {
		var last int64
		err := row.Scan(&p.Reference, &last, &p.Count)
		p.Last = db.Time(last)
		return err
	}, `SELECT reference, time, count FROM registry_pulls WHERE repository_id = $1`, repo.ID)
	if err != nil {
		return nil, fmt.Errorf("list pulls of %s: %w", repo.Name, err)
	}
	byReference := make(map[string]Pull, len(list))
	for _, p := range list {
		byReference[p.Reference] = p
	}
	return byReference, nil
}

// collectPulls forgets the pulls of what is gone.
func (s *Service) collectPulls(ctx context.Context) error {
	const statement = `
		DELETE FROM registry_pulls
		WHERE NOT EXISTS (SELECT 1 FROM registry_tags AS t WHERE t.repository_id = registry_pulls.repository_id AND t.name = registry_pulls.reference)
		  AND NOT EXISTS (SELECT 1 FROM registry_manifests AS m WHERE m.repository_id = registry_pulls.repository_id AND m.digest = registry_pulls.reference)`
	if _, err := s.db.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("collect pulls: %w", err)
	}
	return nil
}
