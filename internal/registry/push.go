package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/identity"
)

// The events of this package.
const (
	EventPushed  events.Kind = "registry.pushed"  // subject image; refers to run and commit when they are known
	EventDeleted events.Kind = "registry.deleted" // subject image
)

// Pushed is the payload of EventPushed. There is one event for each tag, or one without a tag.
type Pushed struct {
	Repository string         `json:"repository"`
	Tag        string         `json:"tag,omitempty"`
	Digest     slipway.Digest `json:"digest"`
	MediaType  string         `json:"mediaType"`
	Size       int64          `json:"size"`              // of the whole image in bytes
	Subject    slipway.Digest `json:"subject,omitempty"` // the manifest that this one is about
}

// Deleted is the payload of EventDeleted.
type Deleted struct {
	Repository string         `json:"repository"`
	Tag        string         `json:"tag,omitempty"` // the tag that went; empty when the manifest itself went
	Digest     slipway.Digest `json:"digest"`
	Reason     string         `json:"reason,omitempty"` // of a removal by a retention rule
}

// Push is a manifest to store.
type Push struct {
	Content   []byte
	MediaType string         // what the request said; empty takes it from the content
	Digest    slipway.Digest // what the content must have; empty means its sha256
	Tags      []string       // to point to it
	By        identity.Principal
}

// PutManifest stores a manifest, points its tags to it, records who pushed it for which run and commit, and appends
// EventPushed, all in one transaction. Everything that it names must be in the repository already.
func (s *Service) PutManifest(ctx context.Context, repo Repository, p Push) (Manifest, error) {
	parsed, err := parseManifest(p.MediaType, p.Content)
	if err == nil && (parsed.Subject == nil || len(p.Tags) > 0) { // what the server says about an image does not change it
		err = repo.CheckPush()
	}
	if err != nil {
		return Manifest{}, err
	}
	algorithm := "sha256"
	if p.Digest != "" {
		algorithm = p.Digest.Algorithm()
	}
	d := DigestOf(algorithm, p.Content)
	if p.Digest != "" && d != p.Digest {
		return Manifest{}, mismatch(p.Digest, d)
	}
	if len(p.Tags) > maxTags {
		return Manifest{}, fault(ManifestInvalid, slipway.Limit("a push gives at most %d tags", maxTags))
	}
	for _, tag := range p.Tags {
		if !IsTag(tag) {
			return Manifest{}, invalidManifest("tag %.130q: use up to 128 letters, digits, dots, dashes and underscores", tag)
		}
	}
	config := s.config(ctx, repo, parsed.Config)
	m := Manifest{
		Repository: repo.Name, Digest: d, MediaType: parsed.MediaType, ArtifactType: parsed.artifactType(), Content: p.Content,
		Size: int64(len(p.Content)), Platform: config.Platform.String(), Annotations: parsed.Annotations, Pushed: s.clock.Now(),
		By: p.By.Actor, Run: p.By.Binding.Run, Commit: p.By.Binding.Commit,
	}
	if parsed.Config != nil {
		m.Config = slipway.Digest(parsed.Config.Digest)
	}
	if parsed.Subject != nil {
		m.Subject = slipway.Digest(parsed.Subject.Digest)
	}
	if m.Commit == "" {
		m.Commit = revision(parsed.Annotations, config.Config.Labels)
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		m.Tags = nil
		return s.put(ctx, tx, repo, parsed, &m, p.Tags)
	})
	return m, err
}

func (s *Service) put(ctx context.Context, tx *db.Tx, repo Repository, parsed parsed, m *Manifest, tags []string) error {
	if err := s.complete(ctx, tx, repo, parsed, m); err != nil {
		return err
	}
	isNew, err := insertManifest(ctx, tx, repo, parsed, *m)
	if err != nil {
		return fmt.Errorf("put manifest %s of %s: %w", m.Digest, repo.Name, err)
	}
	g, err := readGoverning(ctx, tx, repo)
	if err != nil {
		return err
	}
	if isNew {
		if _, err := s.checkBytes(ctx, tx, repo, g, 0); err != nil {
			return err
		}
	}
	if len(tags) == 0 {
		return s.pushed(ctx, tx, repo, *m, "", isNew)
	}
	for _, tag := range slices.Compact(slices.Sorted(slices.Values(tags))) {
		moved, err := moveTag(ctx, tx, repo, g, *m, tag)
		if err != nil {
			return err
		}
		m.Tags = append(m.Tags, tag)
		if err := s.pushed(ctx, tx, repo, *m, tag, isNew || moved); err != nil {
			return err
		}
	}
	return nil
}

// complete checks that what the manifest names is there, keeps it there, and adds up the image's size.
func (s *Service) complete(ctx context.Context, tx *db.Tx, repo Repository, parsed parsed, m *Manifest) error {
	now := db.Micros(m.Pushed)
	m.TotalSize = m.Size
	seen := map[string]bool{}
	list := parsed.references()
	slices.SortFunc(list, func(a, b reference) int { // one order for all, so that two pushes do not wait for each other
		return slices.Compare([]byte(a.Digest), []byte(b.Digest))
	})
	for _, r := range list {
		if seen[r.Digest] {
			continue
		}
		seen[r.Digest] = true
		size, found := r.Size, false
		var err error
		if r.role == roleManifest {
			size, err = db.One(ctx, tx, db.Value[int64],
				`UPDATE registry_manifests SET touched = $3 WHERE repository_id = $1 AND digest = $2 RETURNING total_size`, repo.ID, r.Digest, now)
			found = err == nil
			if db.IsNoRows(err) {
				size, err = r.Size, nil
			}
		} else {
			found, err = touch(ctx, tx, repo, slipway.Digest(r.Digest), now)
		}
		if err != nil {
			return fmt.Errorf("find %s %s: %w", r.role, r.Digest, err)
		}
		if !found && !r.elsewhere() && !s.options.Sparse {
			return fault(ManifestBlobUnknown, slipway.Invalid("the manifest names %s %s, which is not in %s: push it first", r.role, r.Digest, repo.Name))
		}
		m.TotalSize += size
	}
	return nil
}

func insertManifest(ctx context.Context, tx *db.Tx, repo Repository, parsed parsed, m Manifest) (isNew bool, err error) {
	annotations, err := json.Marshal(m.Annotations)
	if err != nil {
		return false, err
	}
	const insert = `
		INSERT INTO registry_manifests (repository_id, digest, media_type, artifact_type, content, size, total_size, config,
			platform, subject, annotations, pushed, touched)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
		ON CONFLICT (repository_id, digest) DO NOTHING`
	result, err := tx.ExecContext(ctx, insert, repo.ID, string(m.Digest), m.MediaType, m.ArtifactType, m.Content, m.Size, m.TotalSize,
		string(m.Config), m.Platform, string(m.Subject), string(annotations), db.Micros(m.Pushed))
	if err != nil {
		return false, err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return false, errors.Join(err, touchManifest(ctx, tx, repo, m.Digest, m.Pushed), repairManifest(ctx, tx, repo, m))
	}
	for i, r := range parsed.references() {
		const insert = `
			INSERT INTO registry_manifest_references (repository_id, manifest, position, role, digest) VALUES ($1, $2, $3, $4, $5)`
		if _, err := tx.ExecContext(ctx, insert, repo.ID, string(m.Digest), i, r.role, r.Digest); err != nil {
			return false, err
		}
	}
	return true, nil
}

// moveTag points the tag to the manifest. An immutable one is given once, and again only to the same manifest; a locked one stays.
func moveTag(ctx context.Context, tx *db.Tx, repo Repository, g governing, m Manifest, tag string) (moved bool, err error) {
	const find = `SELECT digest FROM registry_tags WHERE repository_id = $1 AND name = $2`
	before, err := db.One(ctx, tx, db.Value[string], find, repo.ID, tag)
	isNew := db.IsNoRows(err)
	if err != nil && !isNew {
		return false, fmt.Errorf("tag %s:%s: %w", repo.Name, tag, err)
	}
	if before == string(m.Digest) {
		return false, nil
	}
	pattern := g.immutable(tag)
	if pattern != "" && !isNew {
		return false, fault(Denied, slipway.Forbidden("tag %s of %s is immutable (%s) and stands for %s: push under another tag", tag, repo.Name, pattern, before))
	}
	insert := `INSERT INTO registry_tags (repository_id, name, digest, updated) VALUES ($1, $2, $3, $4) ON CONFLICT (repository_id, name) DO `
	if pattern != "" {
		insert += `NOTHING`
	} else {
		insert += `UPDATE SET digest = excluded.digest, updated = excluded.updated WHERE registry_tags.digest <> excluded.digest AND (registry_tags.locks & 2) = 0`
	}
	result, err := tx.ExecContext(ctx, insert, repo.ID, tag, string(m.Digest), db.Micros(m.Pushed))
	if err != nil {
		return false, fmt.Errorf("tag %s:%s: %w", repo.Name, tag, err)
	}
	n, err := result.RowsAffected()
	if err == nil && n == 0 && pattern != "" {
		return false, fault(Denied, slipway.Forbidden("tag %s of %s is immutable (%s), and another push was faster: push under another tag", tag, repo.Name, pattern))
	}
	if err == nil && n == 0 { // another push gave it the same image meanwhile, or it is locked
		before, err = db.One(ctx, tx, db.Value[string], find, repo.ID, tag)
		if err == nil && before != string(m.Digest) {
			return false, locked(repo, tag, change)
		}
	}
	if err != nil {
		return false, fmt.Errorf("tag %s:%s: %w", repo.Name, tag, err)
	}
	if isNew {
		if err := checkTags(ctx, tx, repo, g); err != nil {
			return false, err
		}
	} else if err := touchManifest(ctx, tx, repo, slipway.Digest(before), m.Pushed); err != nil {
		return false, err
	}
	return n > 0, nil
}

// pushed records the push and tells the log. A push that changes nothing counts only when a run made it: two runs
// may well build the same bytes.
func (s *Service) pushed(ctx context.Context, tx *db.Tx, repo Repository, m Manifest, tag string, changed bool) error {
	if !changed && m.Run == 0 {
		return nil
	}
	actor, err := json.Marshal(m.By)
	if err != nil {
		return fmt.Errorf("record push of %s: %w", m.Digest, err)
	}
	const insert = `
		INSERT INTO registry_pushes (repository_id, digest, tag, run, commit_id, actor, time) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	if _, err := tx.ExecContext(ctx, insert, repo.ID, string(m.Digest), tag, int64(m.Run), string(m.Commit), string(actor), db.Micros(m.Pushed)); err != nil {
		return fmt.Errorf("record push of %s: %w", m.Digest, err)
	}
	e := events.Event{Kind: EventPushed, Project: repo.Project, Subject: slipway.Ref(slipway.RefImage, m.Digest), Actor: m.By}
	if m.Run != 0 {
		e.References = append(e.References, slipway.Ref(slipway.RefRun, m.Run))
	}
	if m.Commit != "" {
		e.References = append(e.References, slipway.Ref(slipway.RefCommit, m.Commit))
	}
	return s.log.Append(ctx, tx, &e, Pushed{Repository: repo.Name, Tag: tag, Digest: m.Digest, MediaType: m.MediaType, Size: m.TotalSize, Subject: m.Subject})
}

const maxConfig = 1 << 20 // bytes of an image's configuration that are read

// config reads an image's configuration, as far as it is there and is one.
func (s *Service) config(ctx context.Context, repo Repository, d *Descriptor) Config {
	var c Config
	if d == nil || d.Size > maxConfig {
		return c
	}
	o, err := s.OpenBlob(ctx, repo, slipway.Digest(d.Digest))
	if err != nil {
		return c
	}
	defer o.Close()
	content, err := io.ReadAll(io.LimitReader(o, maxConfig))
	if err != nil || json.Unmarshal(content, &c) != nil {
		return Config{}
	}
	return c
}
