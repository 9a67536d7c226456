package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
)

// Manifest is an image, an index of images or another artifact in a repository.
type Manifest struct {
	Repository   string
	Digest       slipway.Digest
	MediaType    string
	ArtifactType string
	Content      []byte            // empty in lists
	Size         int64             // of the manifest itself, bytes
	TotalSize    int64             // with all that it names, bytes
	Config       slipway.Digest    // of the image's configuration; empty for an index
	Platform     string            // `linux/amd64`; empty when unknown
	Subject      slipway.Digest    // the manifest that this one is about; empty for none
	Annotations  map[string]string // of the manifest
	Tags         []string          // that point to it, sorted
	Pushed       time.Time         // first
	By           slipway.Actor     // who pushed it last
	Run          slipway.RunID     // the run whose job did; 0 for none
	Commit       slipway.CommitID  // that it was built from: the job's, else what the image says itself
	Lock         Lock
	Pulled       Pull // by its digest, as far as it is written down: see FlushPulls
}

// manifestColumns are of registry_manifests m with manifestTables; the last ones are the tags that point to the manifest, its last push and
// its pulls. Tags are in no order, since an index that has one of their names would be read whole for it.
const manifestColumns = `r.name, m.digest, m.media_type, m.artifact_type, m.size, m.total_size, m.config, m.platform,
	m.subject, m.annotations, m.pushed, m.locks,
	coalesce((SELECT string_agg(t.name, ' ') FROM (SELECT name FROM registry_tags WHERE repository_id = m.repository_id AND digest = m.digest LIMIT 100) AS t), ''),
	coalesce(p.run, 0), coalesce(p.commit_id, ''), coalesce(p.actor, '{}'), coalesce(l.time, 0), coalesce(l.count, 0)`

const manifestTables = ` JOIN registry_repositories AS r ON r.id = m.repository_id
	LEFT JOIN registry_pushes AS p ON p.id = (SELECT max(id) FROM registry_pushes AS l WHERE l.repository_id = m.repository_id AND l.digest = m.digest)
	LEFT JOIN registry_pulls AS l ON l.repository_id = m.repository_id AND l.reference = m.digest`

func scanManifest(row interface{ Scan(...any) error }, m *Manifest) error {
	return m.scan(row)
}

// scan reads manifestColumns, and what more there is behind them.
func (m *Manifest) scan(row interface{ Scan(...any) error }, more ...any) error {
	var annotations, tags, actor string
	var pushed, pulled int64
	err := row.Scan(append([]any{&m.Repository, (*string)(&m.Digest), &m.MediaType, &m.ArtifactType, &m.Size, &m.TotalSize,
		(*string)(&m.Config), &m.Platform, (*string)(&m.Subject), &annotations, &pushed, (*int64)(&m.Lock),
		&tags, (*int64)(&m.Run), (*string)(&m.Commit), &actor, &pulled, &m.Pulled.Count}, more...)...)
	if err != nil {
		return err
	}
	m.Pushed, m.Tags = db.Time(pushed), strings.Fields(tags)
	m.Pulled.Last, m.Pulled.Reference = db.Time(pulled), string(m.Digest)
	slices.Sort(m.Tags)
	if m.Annotations, err = decodeAnnotations(annotations); err != nil {
		return fmt.Errorf("read annotations of %s: %w", m.Digest, err)
	}
	return json.Unmarshal([]byte(actor), &m.By)
}

func decodeAnnotations(s string) (m map[string]string, err error) {
	err = json.Unmarshal([]byte(s), &m)
	return m, err
}

func unknownManifest(repo Repository, reference string) error {
	return fault(ManifestUnknown, slipway.NotFound("there is no manifest %.140q in %s", reference, repo.Name))
}

// Resolve is the digest that a tag or digest of the repository stands for; MANIFEST_UNKNOWN when there is none.
func (s *Service) Resolve(ctx context.Context, repo Repository, reference string) (slipway.Digest, error) {
	query := `SELECT digest FROM registry_tags WHERE repository_id = $1 AND name = $2`
	if _, err := slipway.ParseDigest(reference); err == nil {
		query = `SELECT digest FROM registry_manifests WHERE repository_id = $1 AND digest = $2`
	}
	d, err := db.One(ctx, s.db, db.Value[string], query, repo.ID, reference)
	if db.IsNoRows(err) {
		return "", unknownManifest(repo, reference)
	}
	if err != nil {
		return "", fmt.Errorf("resolve %s of %s: %w", reference, repo.Name, err)
	}
	return slipway.Digest(d), nil
}

// Content is a manifest as clients pull it: no more than its bytes, type and digest.
type Content struct {
	Digest    slipway.Digest
	MediaType string
	Bytes     []byte
	touched   int64
	lock      Lock // of the manifest, and of the tag that was asked for
}

// GetContent returns the manifest that a tag or digest of the repository stands for.
func (s *Service) GetContent(ctx context.Context, repo Repository, reference string) (Content, error) {
	query := `
		SELECT m.digest, m.media_type, m.content, m.touched, m.locks | t.locks FROM registry_tags AS t
		JOIN registry_manifests AS m ON m.repository_id = t.repository_id AND m.digest = t.digest
		WHERE t.repository_id = $1 AND t.name = $2`
	if _, err := slipway.ParseDigest(reference); err == nil {
		query = `SELECT digest, media_type, content, touched, locks FROM registry_manifests WHERE repository_id = $1 AND digest = $2`
	}
	c, err := db.One(ctx, s.db, func(row interface{ Scan(...any) error }, c *Content) error {
		return row.Scan((*string)(&c.Digest), &c.MediaType, &c.Bytes, &c.touched, (*int64)(&c.lock))
	}, query, repo.ID, reference)
	if db.IsNoRows(err) {
		return c, unknownManifest(repo, reference)
	}
	if err != nil {
		return c, fmt.Errorf("get manifest %s of %s: %w", reference, repo.Name, err)
	}
	if DigestOf(c.Digest.Algorithm(), c.Bytes) != c.Digest {
		s.logger.Error("a registry manifest is damaged in the database: push it again", "repository", repo.Name, "digest", c.Digest)
		return c, fault(ManifestUnknown, slipway.NotFound("manifest %s of %s is damaged in the database: push it again", c.Digest, repo.Name))
	}
	return c, nil
}

// GetManifest returns all that is known of the manifest that a tag or digest of the repository stands for.
func (s *Service) GetManifest(ctx context.Context, repo Repository, reference string) (Manifest, error) {
	d, err := s.Resolve(ctx, repo, reference)
	if err != nil {
		return Manifest{}, err
	}
	query := `
		SELECT ` + manifestColumns + `, m.content FROM registry_manifests AS m` + manifestTables + `
		WHERE m.repository_id = $1 AND m.digest = $2`
	m, err := db.One(ctx, s.db, func(row interface{ Scan(...any) error }, m *Manifest) error {
		return m.scan(row, &m.Content)
	}, query, repo.ID, string(d))
	if db.IsNoRows(err) {
		return m, unknownManifest(repo, reference)
	}
	if err != nil {
		return m, fmt.Errorf("get manifest %s of %s: %w", reference, repo.Name, err)
	}
	return m, nil
}

// GetConfig reads the configuration of an image, empty for an index or another artifact.
func (s *Service) GetConfig(ctx context.Context, repo Repository, m Manifest) Config {
	if m.Config == "" {
		return Config{}
	}
	return s.config(ctx, repo, &Descriptor{Digest: string(m.Config)})
}

// Layers lists what the manifest names besides its configuration: an image's layers, an index's manifests.
func (m Manifest) Layers() []Descriptor {
	p, err := parseManifest(m.MediaType, m.Content)
	if err != nil {
		return nil
	}
	if isIndex(m.MediaType) {
		return p.Manifests
	}
	return p.Layers
}

// Filter chooses manifests; zero fields choose all.
type Filter struct {
	Project    slipway.ProjectID
	Repository string
	Digest     slipway.Digest
	Run        slipway.RunID    // pushed by a job of this run
	Commit     slipway.CommitID // built from this commit
	Tagged     bool             // only those that a tag points to
	Untagged   bool             // only those that none points to
	Subjects   bool             // none that is about another
	Limit      int              // at most 1000, which is also the default
}

// Manifests lists manifests, newest first, without their content.
func (s *Service) Manifests(ctx context.Context, f Filter) ([]Manifest, error) {
	conditions, args := f.conditions()
	args = append(args, clamp(f.Limit))
	query := fmt.Sprintf(`
		SELECT x.repository_id, x.digest, x.pushed FROM registry_manifests AS x JOIN registry_repositories AS n ON n.id = x.repository_id
		WHERE %s ORDER BY x.pushed DESC, x.digest LIMIT $%d`, strings.Join(append(conditions, `TRUE`), ` AND `), len(args))
	list, err := s.manifests(ctx, query, `x.pushed DESC, x.digest`, args...)
	if err != nil {
		return nil, fmt.Errorf("list manifests: %w", err)
	}
	return list, nil
}

// conditions are those of the rows x of a repository n that the filter chooses.
func (f Filter) conditions() (list []string, args []any) {
	add := func(is bool, condition string, arg any) {
		if is {
			args = append(args, arg)
			list = append(list, strings.ReplaceAll(condition, `?`, fmt.Sprintf(`$%d`, len(args))))
		}
	}
	const push = `EXISTS (SELECT 1 FROM registry_pushes AS p WHERE p.repository_id = x.repository_id AND p.digest = x.digest AND `
	add(f.Project != "", `n.project = ?`, string(f.Project))
	add(f.Repository != "", `n.name = ?`, f.Repository)
	add(f.Digest != "", `x.digest = ?`, string(f.Digest))
	add(f.Run != 0, push+`p.run = ?)`, int64(f.Run))
	add(f.Commit != "", push+`p.commit_id = ?)`, string(f.Commit))
	const tag = `EXISTS (SELECT 1 FROM registry_tags AS t WHERE t.repository_id = x.repository_id AND t.digest = x.digest)`
	if f.Tagged {
		list = append(list, tag)
	}
	if f.Untagged {
		list = append(list, `NOT `+tag)
	}
	if f.Subjects {
		list = append(list, `x.subject = ''`)
	}
	return list, args
}

// manifests reads the manifests that a query of their repository_id, digest and pushed, called x, names, in an order of those.
func (s *Service) manifests(ctx context.Context, query, order string, args ...any) ([]Manifest, error) {
	query = `SELECT ` + manifestColumns + ` FROM (` + query + `) AS x JOIN registry_manifests AS m ON m.repository_id = x.repository_id AND m.digest = x.digest` + manifestTables + ` ORDER BY ` + order
	return db.List(ctx, s.db, scanManifest, query, args...)
}
