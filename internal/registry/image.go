package registry

import (
	"context"
	"encoding/json"
	"fmt"
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
}

const manifestColumns = `m.repository_id, r.name, m.digest, m.media_type, m.artifact_type, m.size, m.total_size, m.config, m.platform,
	m.subject, m.annotations, m.pushed`

func scanManifest(row interface{ Scan(...any) error }, m *storedManifest) error {
	return row.Scan(m.fields()...)
}

// storedManifest is a row on its way to a Manifest.
type storedManifest struct {
	Manifest
	repository  int64
	annotations string
	pushed      int64
}

func (m *storedManifest) fields() []any {
	return []any{&m.repository, &m.Repository, (*string)(&m.Digest), &m.MediaType, &m.ArtifactType, &m.Size, &m.TotalSize,
		(*string)(&m.Config), &m.Platform, (*string)(&m.Subject), &m.annotations, &m.pushed}
}

// complete fills in what other tables hold: tags and the last push.
func (m *storedManifest) complete(ctx context.Context, s *Service) error {
	m.Pushed = db.Time(m.pushed)
	var err error
	if m.Annotations, err = decodeAnnotations(m.annotations); err != nil {
		return fmt.Errorf("read annotations of %s: %w", m.Digest, err)
	}
	m.Tags, err = db.List(ctx, s.db, db.Value[string],
		`SELECT name FROM registry_tags WHERE repository_id = $1 AND digest = $2 ORDER BY name`+s.bytes+` LIMIT 100`, m.repository, string(m.Digest))
	if err != nil {
		return fmt.Errorf("list tags of %s: %w", m.Digest, err)
	}
	var actor string
	const query = `
		SELECT run, commit_id, actor FROM registry_pushes WHERE repository_id = $1 AND digest = $2 ORDER BY id DESC LIMIT 1`
	err = s.db.QueryRowContext(ctx, query, m.repository, string(m.Digest)).Scan((*int64)(&m.Run), (*string)(&m.Commit), &actor)
	if db.IsNoRows(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("get last push of %s: %w", m.Digest, err)
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
}

// GetContent returns the manifest that a tag or digest of the repository stands for.
func (s *Service) GetContent(ctx context.Context, repo Repository, reference string) (Content, error) {
	query := `
		SELECT m.digest, m.media_type, m.content, m.touched FROM registry_tags AS t
		JOIN registry_manifests AS m ON m.repository_id = t.repository_id AND m.digest = t.digest
		WHERE t.repository_id = $1 AND t.name = $2`
	if _, err := slipway.ParseDigest(reference); err == nil {
		query = `SELECT digest, media_type, content, touched FROM registry_manifests WHERE repository_id = $1 AND digest = $2`
	}
	c, err := db.One(ctx, s.db, func(row interface{ Scan(...any) error }, c *Content) error {
		return row.Scan((*string)(&c.Digest), &c.MediaType, &c.Bytes, &c.touched)
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
		SELECT ` + manifestColumns + `, m.content FROM registry_manifests AS m JOIN registry_repositories AS r ON r.id = m.repository_id
		WHERE m.repository_id = $1 AND m.digest = $2`
	m, err := db.One(ctx, s.db, func(row interface{ Scan(...any) error }, m *storedManifest) error {
		return row.Scan(append(m.fields(), &m.Content)...)
	}, query, repo.ID, string(d))
	if db.IsNoRows(err) {
		return m.Manifest, unknownManifest(repo, reference)
	}
	if err == nil {
		err = m.complete(ctx, s)
	}
	if err != nil {
		return m.Manifest, fmt.Errorf("get manifest %s of %s: %w", reference, repo.Name, err)
	}
	return m.Manifest, nil
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
	const query = `
		SELECT ` + manifestColumns + ` FROM registry_manifests AS m JOIN registry_repositories AS r ON r.id = m.repository_id
		WHERE ($1 = '' OR r.project = $1) AND ($2 = '' OR r.name = $2) AND ($3 = '' OR m.digest = $3)
		  AND (CAST($4 AS BIGINT) = 0 OR EXISTS (SELECT 1 FROM registry_pushes AS p WHERE p.repository_id = m.repository_id AND p.digest = m.digest AND p.run = $4))
		  AND ($5 = '' OR EXISTS (SELECT 1 FROM registry_pushes AS p WHERE p.repository_id = m.repository_id AND p.digest = m.digest AND p.commit_id = $5))
		  AND (CAST($6 AS BIGINT) = 0 OR EXISTS (SELECT 1 FROM registry_tags AS t WHERE t.repository_id = m.repository_id AND t.digest = m.digest))
		  AND (CAST($8 AS BIGINT) = 0 OR NOT EXISTS (SELECT 1 FROM registry_tags AS t WHERE t.repository_id = m.repository_id AND t.digest = m.digest))
		  AND (CAST($7 AS BIGINT) = 0 OR m.subject = '')
		ORDER BY m.pushed DESC, m.digest LIMIT $9`
	tagged, untagged, subjects := 0, 0, 0
	if f.Tagged {
		tagged = 1
	}
	if f.Untagged {
		untagged = 1
	}
	if f.Subjects {
		subjects = 1
	}
	rows, err := db.List(ctx, s.db, scanManifest, query, string(f.Project), f.Repository, string(f.Digest), int64(f.Run), string(f.Commit), tagged, subjects, untagged, clamp(f.Limit))
	if err != nil {
		return nil, fmt.Errorf("list manifests: %w", err)
	}
	list := make([]Manifest, len(rows))
	for i := range rows {
		if err := rows[i].complete(ctx, s); err != nil {
			return nil, err
		}
		list[i] = rows[i].Manifest
	}
	return list, nil
}
