package repos

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
)

const (
	// From so many loose objects or packs on a repository is packed.
	fewLoose, fewPacks = 500, 8
	// looseRefs are so many refs in files of their own that all commands which read them are slow.
	looseRefs = 1000
	// cleanInterval is how often everything is packed anew and what is unreachable is looked through, if there were pushes.
	cleanInterval = 7 * 24 * time.Hour
	// unreachableTime is how long what is unreachable stays.
	unreachableTime = "2.weeks.ago"
	keepPrefix      = "refs/slipway/keep/"
	// upkeepPatience is how long upkeep that is due waits for pushes to end.
	upkeepPatience = 10 * time.Minute
)

// Upkeep is the state of a repository on disk.
type Upkeep struct {
	Due      time.Time     // since when upkeep is wanted; zero when it is not
	Running  bool          // it is under way
	Packs    int64         // after the last upkeep
	Loose    int64         // objects outside of packs, after it
	Cleaned  time.Time     // when everything was packed anew, and what was unreachable for two weeks removed
	Finished time.Time     // zero when there was none yet
	Took     time.Duration // of the last
	Problem  string        // why the last failed
}

// wantUpkeep makes a repository due, in the transaction that announces a change of its refs.
func (s *Service) wantUpkeep(ctx context.Context, tx *db.Tx, id slipway.RepositoryID) error {
	const upsert = `INSERT INTO repository_upkeep (repository, due, packs, loose, cleaned, finished, took, problem) VALUES ($1, $2, 0, 0, $2, 0, 0, '')
		ON CONFLICT (repository) DO UPDATE SET due = CASE WHEN repository_upkeep.due = 0 THEN $2 ELSE repository_upkeep.due END`
	_, err := tx.ExecContext(ctx, upsert, string(id), db.Micros(s.clock.Now()))
	return err
}

// RequestUpkeep has a repository looked after soon; clean packs everything anew and removes what was unreachable for two weeks.
func (s *Service) RequestUpkeep(ctx context.Context, id slipway.RepositoryID, clean bool) error {
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := s.wantUpkeep(ctx, tx, id); err != nil || !clean {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE repository_upkeep SET cleaned = 0 WHERE repository = $1`, string(id))
		return err
	})
	if err != nil {
		return fmt.Errorf("request upkeep: %w", err)
	}
	s.requestUpkeep()
	return nil
}

// UpkeepState tells how a repository is on disk.
func (s *Service) UpkeepState(ctx context.Context, id slipway.RepositoryID) (Upkeep, error) {
	scan := func(row interface{ Scan(...any) error }, u *Upkeep) error {
		var due, cleaned, finished, took int64
		err := row.Scan(&due, &u.Packs, &u.Loose, &cleaned, &finished, &took, &u.Problem)
		u.Due, u.Cleaned, u.Finished, u.Took = db.Time(due), db.Time(cleaned), db.Time(finished), time.Duration(took)*time.Microsecond
		return err
	}
	u, err := db.One(ctx, s.db, scan, `SELECT due, packs, loose, cleaned, finished, took, problem FROM repository_upkeep WHERE repository = $1`, string(id))
	if err != nil && !db.IsNoRows(err) {
		return u, fmt.Errorf("read state of repository %s: %w", id, err)
	}
	at, _ := s.tending.Load().(string)
	u.Running = at == string(id)
	return u, nil
}

// upkeepDue looks after the repositories that are due, one after the other. It does not begin while there are pushes, unless there are always some.
func (s *Service) upkeepDue(ctx context.Context) error {
	for ctx.Err() == nil {
		since := s.clock.Now()
		if s.receiving.Load() > 0 {
			since = since.Add(-upkeepPatience)
		}
		id, err := db.One(ctx, s.db, db.Value[string], `SELECT repository FROM repository_upkeep WHERE due > 0 AND due <= $1 ORDER BY due LIMIT 1`, db.Micros(since))
		if db.IsNoRows(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.tend(ctx, slipway.RepositoryID(id)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// tend looks after one repository and records what it found. A server that dies meanwhile leaves it due; git's own steps can be
// broken off anywhere.
func (s *Service) tend(ctx context.Context, id slipway.RepositoryID) error {
	s.tending.Store(string(id))
	defer s.tending.Store("")
	start := s.clock.Now()
	u, err := s.UpkeepState(ctx, id)
	if err != nil {
		return err
	}
	due := u.Due
	if u, err = s.pack(ctx, id, u); ctx.Err() != nil {
		return ctx.Err()
	}
	u.Problem = ""
	if err != nil {
		s.logger.Warn("upkeep of a repository failed", "repository", id, "error", err)
		u.Problem = shorten(err.Error(), 500)
	}
	size, err := folderSize(s.dir(id))
	if err != nil {
		s.logger.Warn("measuring a repository failed", "repository", id, "error", err)
	}
	now := s.clock.Now()
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		// What a push brought meanwhile waits for the next.
		const update = `UPDATE repository_upkeep SET due = CASE WHEN due = $2 THEN 0 ELSE due END, packs = $3, loose = $4, cleaned = $5, finished = $6, took = $7, problem = $8 WHERE repository = $1`
		_, err := tx.ExecContext(ctx, update, string(id), db.Micros(due), u.Packs, u.Loose, db.Micros(u.Cleaned), db.Micros(now), now.Sub(start).Microseconds(), u.Problem)
		if err == nil {
			_, err = tx.ExecContext(ctx, `UPDATE repositories SET size = $1 WHERE id = $2`, size, string(id))
		}
		return err
	})
}

func (s *Service) quiet(ctx context.Context, id slipway.RepositoryID, args ...string) error {
	_, err := s.git.run(ctx, command{dir: s.dir(id), args: args, time: collectTimeout, nice: true})
	return err
}

// pack does what the repository needs: nothing, packs that grow geometrically with an index and bitmap over all, or everything anew.
func (s *Service) pack(ctx context.Context, id slipway.RepositoryID, u Upkeep) (Upkeep, error) {
	defer s.working.lock(id)()
	if err := s.removeUnfinished(id); err != nil {
		return u, err
	}
	if s.manyLooseRefs(id) {
		if err := s.quiet(ctx, id, "pack-refs", "--all", "--prune"); err != nil {
			return u, err
		}
	}
	var err error
	if u.Packs, u.Loose, err = s.countObjects(ctx, id); err != nil {
		return u, err
	}
	if u.Packs > 0 && !s.hasGraphChain(id) { // pages want it at once, and a bitmap of a large history takes minutes
		if err := s.writeGraph(ctx, id); err != nil {
			return u, err
		}
	}
	clean := s.clock.Now().Sub(u.Cleaned) >= cleanInterval
	switch {
	case clean:
		if err := s.expireMerges(ctx, id); err != nil {
			return u, err
		}
		if err := s.expireDeleted(ctx, id); err != nil {
			return u, err
		}
		if err := s.keepNamed(ctx, id); err != nil {
			return u, err
		}
		// What is unreachable goes to a pack of its own, with the time since when, and goes after two weeks (gitformat-pack(5), cruft packs).
		if err := s.quiet(ctx, id, "gc", "--quiet", "--cruft", "--prune="+unreachableTime); err != nil {
			return u, err
		}
		u.Cleaned = s.clock.Now()
	case u.Loose >= fewLoose || u.Packs >= fewPacks || u.Packs > 0 && !s.hasBitmap(id): // the first large push is cloned soon
		if err := s.quiet(ctx, id, "repack", "--quiet", "--geometric=2", "-d", "-l", "--write-midx", "--write-bitmap-index"); err != nil {
			return u, err
		}
		if err := s.quiet(ctx, id, "pack-refs", "--all", "--prune"); err != nil {
			return u, err
		}
	default:
		return u, nil
	}
	if err := s.writeGraph(ctx, id); err != nil {
		return u, err
	}
	u.Packs, u.Loose, err = s.countObjects(ctx, id)
	return u, err
}

// writeGraph writes the commit-graph with the paths that commits change, by which histories and last commits are found (git-commit-graph(1)).
func (s *Service) writeGraph(ctx context.Context, id slipway.RepositoryID) error {
	split := "--split"
	if !s.hasGraphChain(id) { // what graphFirst has written does not know the paths
		split = "--split=replace"
	}
	return s.quiet(ctx, id, "commit-graph", "write", "--reachable", split, "--changed-paths", "--no-progress")
}

// hasBitmap says that there is a reachability bitmap, by which clones find what they need (gitformat-bitmap(5)).
func (s *Service) hasBitmap(id slipway.RepositoryID) bool {
	list, err := filepath.Glob(filepath.Join(s.dir(id), "objects", "pack", "*.bitmap"))
	return err == nil && len(list) > 0
}

// manyLooseRefs says that a repository has looseRefs or more, as after the first push of a mirror.
func (s *Service) manyLooseRefs(id slipway.RepositoryID) bool {
	n := 0
	_ = filepath.WalkDir(filepath.Join(s.dir(id), "refs"), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			n++
		}
		if n >= looseRefs {
			return fs.SkipAll
		}
		return nil // what vanishes meanwhile is no loose one
	})
	return n >= looseRefs
}

// countObjects counts packs and loose objects (git-count-objects(1)).
func (s *Service) countObjects(ctx context.Context, id slipway.RepositoryID) (packs, loose int64, err error) {
	out, err := s.git.run(ctx, command{dir: s.dir(id), args: []string{"count-objects", "-v"}})
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			continue // of one that is no number
		}
		switch name {
		case "packs":
			packs = n
		case "count":
			loose = n
		}
	}
	return packs, loose, nil
}

// keepNamed puts refs on the commits that pull requests and others name and that no branch, tag or pull request's ref has any more.
func (s *Service) keepNamed(ctx context.Context, id slipway.RepositoryID) error {
	const query = `
		SELECT source_commit FROM pull_requests WHERE repository = $1 UNION SELECT target_commit FROM pull_requests WHERE repository = $1
		UNION SELECT merge_commit FROM pull_requests WHERE repository = $1
		UNION SELECT i.source_commit FROM pull_request_iterations i JOIN pull_requests p ON i.pull_request = p.id WHERE p.repository = $1
		UNION SELECT i.target_commit FROM pull_request_iterations i JOIN pull_requests p ON i.pull_request = p.id WHERE p.repository = $1
		LIMIT 1000000`
	named, err := db.List(ctx, s.db, db.Value[string], query, string(id))
	if err != nil {
		return fmt.Errorf("list commits that pull requests name: %w", err)
	}
	if s.Named != nil {
		more, err := s.Named(ctx, id)
		if err != nil {
			return err
		}
		for _, c := range more {
			named = append(named, string(c))
		}
	}
	wanted := map[string]bool{}
	var input strings.Builder
	for _, c := range named {
		if checkCommitID(slipway.CommitID(c)) == nil && !wanted[c] {
			wanted[c] = true
			input.WriteString(c + "\n")
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	args := []string{"rev-list", "--ignore-missing", "--stdin", "--not", "--all"}
	out, err := s.git.run(ctx, command{dir: s.dir(id), args: args, stdin: strings.NewReader(input.String()), limit: 256 << 20, time: collectTimeout, nice: true})
	if err != nil {
		return fmt.Errorf("look for commits without a ref: %w", err)
	}
	var moves []refMove
	for c := range strings.FieldsSeq(string(out)) {
		if wanted[c] {
			moves = append(moves, refMove{Ref: keepPrefix + c, After: slipway.CommitID(c), Anywhere: true})
		}
	}
	if len(moves) == 0 {
		return nil
	}
	if err := s.setRefs(ctx, id, moves); err != nil {
		return fmt.Errorf("keep commits: %w", err)
	}
	return nil
}
