package pipelines

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/db"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

// Cache is a folder that a job has kept for later runs of its pipeline. It never changes.
type Cache struct {
	ID           int64
	Project      slipway.ProjectID
	Pipeline     slipway.PipelineID
	PipelineName string
	Ref          string // of the run that saved it
	Key          string
	Run          slipway.RunID // that saved it
	Size         int64         // in bytes, compressed
	Hits         int64         // how often it was restored
	Created      time.Time
	Used         time.Time // restored last, or saved

	blob string
}

// CacheLimits bound what caches take; a zero field is its default.
type CacheLimits struct {
	One     int64         // bytes of one cache, job.MaxCache by default, which agents keep too
	Project int64         // bytes of all caches of a project, 20 GiB by default; those whose use is longest ago go first
	Unused  time.Duration // how long a cache is kept that nothing uses, 7 days by default
}

func (l CacheLimits) complete() CacheLimits {
	if l.One <= 0 {
		l.One = job.MaxCache
	}
	if l.Project <= 0 {
		l.Project = 20 << 30
	}
	if l.Unused <= 0 {
		l.Unused = 7 * 24 * time.Hour
	}
	return l
}

const cacheColumns = `c.id, c.project, c.pipeline, d.name, c.ref, c.cache_key, c.run, c.size, c.hits, c.blob_key, c.created, c.used
	FROM pipeline_caches c JOIN pipeline_definitions d ON d.id = c.pipeline `

func scanCache(row interface{ Scan(...any) error }, c *Cache) error {
	var created, used int64
	err := row.Scan(&c.ID, (*string)(&c.Project), (*int64)(&c.Pipeline), &c.PipelineName, &c.Ref, &c.Key, (*int64)(&c.Run), &c.Size, &c.Hits, &c.blob, &created, &used)
	c.Created, c.Used = db.Time(created), db.Time(used)
	return err
}

// cacheScope is what a running job may read and write: caches of its run's pipeline, of these refs. It writes to the first.
type cacheScope struct {
	run  Run
	refs []string
}

// cacheScope finds the refs whose caches a job reads: its run's own, of a pull request the source and the target, and the default
// branch. A pull request from a fork reads none of its source, which is no branch of this repository.
func (s *Service) cacheScope(ctx context.Context, id slipway.JobID) (cacheScope, error) {
	j, err := s.Job(ctx, id)
	if err != nil {
		return cacheScope{}, err
	}
	if j.State == schedule.Completed {
		return cacheScope{}, slipway.Conflict("job %d is over", id)
	}
	run, err := s.Get(ctx, j.Run)
	if err != nil {
		return cacheScope{}, err
	}
	repo, err := s.Source.Repository(ctx, run.Repository)
	if err != nil {
		return cacheScope{}, err
	}
	refs := []string{run.Ref}
	if run.Reason == variable.ReasonPullRequest {
		vars, err := s.jobVariables(ctx, &run, &j)
		if err != nil {
			return cacheScope{}, err
		}
		if run.Fork == nil {
			refs = append(refs, vars.Text(variable.SystemPullRequestSource))
		}
		refs = append(refs, vars.Text(variable.SystemPullRequestTarget))
	}
	scope := cacheScope{run: run}
	for _, ref := range append(refs, repo.DefaultBranch) {
		if ref != "" && !slices.Contains(scope.refs, ref) {
			scope.refs = append(scope.refs, ref)
		}
	}
	return scope, nil
}

func checkCacheKey(key string) error {
	if key == "" || len(key) > job.MaxCacheKey || !utf8.ValidString(key) || strings.ContainsAny(key, "\x00\r\n") {
		return slipway.Invalid("a cache's key is one line of up to %d bytes", job.MaxCacheKey)
	}
	return nil
}

// FindCache finds the cache that a job's step asks for: key by key, and each key in the refs that the job may read, its own
// first. Of several that a restore key fits, it is the newest. The ID is 0 when there is none.
func (s *Service) FindCache(ctx context.Context, id slipway.JobID, q job.CacheQuery) (job.Cache, error) {
	if len(q.RestoreKeys) > job.MaxRestoreKeys {
		return job.Cache{}, slipway.Limit("at most %d restore keys", job.MaxRestoreKeys)
	}
	keys := append([]string{q.Key}, q.RestoreKeys...)
	for _, key := range keys {
		if err := checkCacheKey(key); err != nil {
			return job.Cache{}, err
		}
	}
	scope, err := s.cacheScope(ctx, id)
	if err != nil {
		return job.Cache{}, err
	}
	for i, key := range keys {
		for _, ref := range scope.refs {
			c, err := s.findCache(ctx, scope.run.Pipeline, ref, key, i > 0)
			if err == nil {
				return job.Cache{ID: c.ID, Key: c.Key, Ref: c.Ref, Size: c.Size}, nil
			}
			if !db.IsNoRows(err) {
				return job.Cache{}, fmt.Errorf("find a cache of pipeline %d: %w", scope.run.Pipeline, err)
			}
		}
	}
	return job.Cache{}, nil
}

// findCache finds the cache of a key, or with prefix the newest whose key begins with the key's parts.
func (s *Service) findCache(ctx context.Context, pipeline slipway.PipelineID, ref, key string, prefix bool) (Cache, error) {
	oldest := db.Micros(s.clock.Now().Add(-s.Caches.complete().Unused))
	query := `SELECT ` + cacheColumns + `WHERE c.pipeline = $1 AND c.ref = $2 AND c.used > $3 AND `
	if !prefix {
		return db.One(ctx, s.db, scanCache, query+`c.cache_key = $4`, int64(pipeline), ref, oldest, key)
	}
	begin := key + "|"
	return db.One(ctx, s.db, scanCache, query+`(c.cache_key = $4 OR substr(c.cache_key, 1, $5) = $6) ORDER BY c.created DESC, c.id DESC LIMIT 1`,
		int64(pipeline), ref, oldest, key, utf8.RuneCountInString(begin), begin)
}

// OpenCache opens a cache that a job may read, and counts that.
func (s *Service) OpenCache(ctx context.Context, id slipway.JobID, cache int64) (blob.Object, error) {
	scope, err := s.cacheScope(ctx, id)
	if err != nil {
		return nil, err
	}
	c, err := db.One(ctx, s.db, scanCache, `SELECT `+cacheColumns+`WHERE c.id = $1`, cache)
	if db.IsNoRows(err) || err == nil && (c.Pipeline != scope.run.Pipeline || !slices.Contains(scope.refs, c.Ref)) {
		return nil, slipway.NotFound("there is no cache %d", cache)
	}
	if err != nil {
		return nil, fmt.Errorf("find cache %d: %w", cache, err)
	}
	o, err := s.Blobs.Open(ctx, c.blob)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, errors.Join(slipway.NotFound("there is no cache %d", cache), s.dropCaches(ctx, c))
	}
	if err != nil {
		return nil, fmt.Errorf("open cache %d: %w", cache, err)
	}
	if _, err := s.db.ExecContext(ctx, `UPDATE pipeline_caches SET hits = hits + 1, used = $1 WHERE id = $2`, db.Micros(s.clock.Now()), cache); err != nil {
		o.Close()
		return nil, fmt.Errorf("count the use of cache %d: %w", cache, err)
	}
	return o, nil
}

// PutCache stores a cache under the ref of the job's run. Of two that save the same key at the same time the first to end wins;
// the other, and any later one, is a conflict.
func (s *Service) PutCache(ctx context.Context, id slipway.JobID, key string, r io.Reader) (job.Cache, error) {
	if err := checkCacheKey(key); err != nil {
		return job.Cache{}, err
	}
	scope, err := s.cacheScope(ctx, id)
	if err != nil {
		return job.Cache{}, err
	}
	if err := s.dropUnused(ctx); err != nil {
		return job.Cache{}, err
	}
	taken := slipway.Conflict("there is a cache of this key already")
	if _, err := s.findCache(ctx, scope.run.Pipeline, scope.run.Ref, key, false); err == nil {
		return job.Cache{}, taken
	} else if !db.IsNoRows(err) {
		return job.Cache{}, fmt.Errorf("find a cache of pipeline %d: %w", scope.run.Pipeline, err)
	}
	c := Cache{Project: scope.run.Project, Pipeline: scope.run.Pipeline, Ref: scope.run.Ref, Key: key, Run: scope.run.ID, Created: s.clock.Now()}
	c.blob = fmt.Sprintf("caches/%d/%d-%s", c.Pipeline, id, rand.Text())
	limit := s.Caches.complete().One
	if c.Size, err = s.Blobs.Put(ctx, c.blob, &limitedReader{r: arriving{r}, left: limit, tooMuch: slipway.Limit("a cache has at most %d bytes", limit)}); err != nil {
		return job.Cache{}, err
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		const insert = `
			INSERT INTO pipeline_caches (project, pipeline, ref, cache_key, run, size, hits, blob_key, created, used)
			VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $8) RETURNING id`
		err := tx.QueryRowContext(ctx, insert, string(c.Project), int64(c.Pipeline), c.Ref, key, int64(c.Run), c.Size, c.blob, db.Micros(c.Created)).Scan(&c.ID)
		if db.IsUniqueViolation(err) {
			return taken
		}
		return err
	})
	if err != nil {
		err = fmt.Errorf("record cache: %w", err)
		return job.Cache{}, errors.Join(err, s.Blobs.Delete(context.WithoutCancel(ctx), c.blob))
	}
	return job.Cache{ID: c.ID, Key: key, Ref: c.Ref, Size: c.Size}, s.makeRoom(ctx, &c)
}

// arriving says of a body that broke off that it may come again.
type arriving struct{ r io.Reader }

func (a arriving) Read(p []byte) (int, error) {
	n, err := a.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = slipway.Unavailable("it did not arrive whole").Because(err)
	}
	return n, err
}

// makeRoom drops the caches of the project whose use is longest ago until it is within its limit. The one just saved stays.
func (s *Service) makeRoom(ctx context.Context, saved *Cache) error {
	total, err := db.One(ctx, s.db, db.Value[int64], `SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM pipeline_caches WHERE project = $1`, string(saved.Project))
	if err != nil {
		return fmt.Errorf("measure caches: %w", err)
	}
	for limit := s.Caches.complete().Project; total > limit; {
		oldest, err := db.List(ctx, s.db, scanCache, `SELECT `+cacheColumns+`WHERE c.project = $1 AND c.id <> $2 ORDER BY c.used, c.id LIMIT 100`, string(saved.Project), saved.ID)
		if err != nil {
			return fmt.Errorf("list caches: %w", err)
		}
		if len(oldest) == 0 {
			return nil
		}
		for _, c := range oldest {
			if total <= limit {
				break
			}
			if err := s.dropCaches(ctx, c); err != nil {
				return err
			}
			total -= c.Size
		}
	}
	return nil
}

// dropCaches deletes caches. One that is being read stays readable.
func (s *Service) dropCaches(ctx context.Context, list ...Cache) error {
	for _, c := range list {
		if _, err := s.db.ExecContext(ctx, `DELETE FROM pipeline_caches WHERE id = $1`, c.ID); err != nil {
			return fmt.Errorf("delete cache %d: %w", c.ID, err)
		}
		if err := s.Blobs.Delete(ctx, c.blob); err != nil {
			return fmt.Errorf("delete cache %d: %w", c.ID, err)
		}
	}
	return nil
}

// dropUnused deletes the caches that nothing has used for too long.
func (s *Service) dropUnused(ctx context.Context) error {
	for {
		list, err := db.List(ctx, s.db, scanCache, `SELECT `+cacheColumns+`WHERE c.used <= $1 ORDER BY c.used LIMIT 100`, db.Micros(s.clock.Now().Add(-s.Caches.complete().Unused)))
		if err != nil {
			return fmt.Errorf("list unused caches: %w", err)
		}
		if len(list) == 0 {
			return nil
		}
		if err := s.dropCaches(ctx, list...); err != nil {
			return err
		}
	}
}

// cacheInterval is how often caches that nothing uses are looked for.
const cacheInterval = time.Hour

// trimCaches deletes unused caches, and what a server that ended while it stored or deleted one has left.
func (s *Service) trimCaches(ctx context.Context) error {
	if err := s.dropUnused(ctx); err != nil {
		return err
	}
	var lost []string
	err := s.Blobs.List(ctx, "caches/", func(key string, _ int64) error {
		is, err := s.isLost(ctx, key)
		if is {
			lost = append(lost, key)
		}
		return err
	})
	for _, key := range lost {
		err = errors.Join(err, s.Blobs.Delete(ctx, key))
	}
	if err != nil {
		return fmt.Errorf("look for lost caches: %w", err)
	}
	return nil
}

// isLost reports whether a stored cache has no row and will get none, since the job that stored it is over.
func (s *Service) isLost(ctx context.Context, key string) (bool, error) {
	_, err := db.One(ctx, s.db, db.Value[int64], `SELECT id FROM pipeline_caches WHERE blob_key = $1`, key)
	if !db.IsNoRows(err) {
		return false, err
	}
	name := key[strings.LastIndexByte(key, '/')+1:]
	number, _, _ := strings.Cut(name, "-")
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return false, nil
	}
	j, err := s.Job(ctx, slipway.JobID(id))
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return true, nil
	}
	return err == nil && j.State == schedule.Completed, err
}

// CacheFilter chooses caches; Pipeline may be 0 for all of the project.
type CacheFilter struct {
	Project  slipway.ProjectID
	Pipeline slipway.PipelineID
}

// ListCaches lists caches, those used last first, at most 1000.
func (s *Service) ListCaches(ctx context.Context, f CacheFilter) ([]Cache, error) {
	list, err := db.List(ctx, s.db, scanCache, `SELECT `+cacheColumns+`WHERE c.project = $1 AND (c.pipeline = $2 OR $2 = 0) ORDER BY c.used DESC, c.id DESC LIMIT 1000`,
		string(f.Project), int64(f.Pipeline))
	if err != nil {
		return nil, fmt.Errorf("list caches: %w", err)
	}
	return list, nil
}

// DeleteCache deletes one cache of the project.
func (s *Service) DeleteCache(ctx context.Context, project slipway.ProjectID, id int64) error {
	c, err := db.One(ctx, s.db, scanCache, `SELECT `+cacheColumns+`WHERE c.id = $1`, id)
	if db.IsNoRows(err) || err == nil && c.Project != project {
		return slipway.NotFound("there is no cache %d in this project", id)
	}
	if err != nil {
		return fmt.Errorf("find cache %d: %w", id, err)
	}
	return s.dropCaches(ctx, c)
}

// DeleteCaches deletes all caches that the filter chooses and returns how many they were.
func (s *Service) DeleteCaches(ctx context.Context, f CacheFilter) (int, error) {
	for n := 0; ; {
		list, err := s.ListCaches(ctx, f)
		if err != nil || len(list) == 0 {
			return n, err
		}
		if err := s.dropCaches(ctx, list...); err != nil {
			return n, err
		}
		n += len(list)
	}
}
