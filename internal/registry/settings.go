package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/registry/retention"
)

// EventSettingsChanged tells that a project or repository is governed otherwise, or is public or no longer. Its subject is the
// project, `installation` for repositories of the installation's own; SettingsPayload.
const EventSettingsChanged events.Kind = "registry.settings_changed"

// SettingsPayload is the payload of EventSettingsChanged.
type SettingsPayload struct {
	Repository string    `json:"repository,omitempty"` // empty for the project's own
	Public     *bool     `json:"public,omitempty"`     // what it was set to
	Settings   *Settings `json:"settings,omitempty"`   // what they were set to
}

// Settings govern one repository, or all those of a project. Of both, a repository's retention policy takes the place of its
// project's; immutable tags and quotas are those of both.
type Settings struct {
	Retention *retention.Policy `json:"retention,omitempty"` // nil keeps everything, or what the project says
	Immutable []string          `json:"immutable,omitempty"` // patterns of tags that are never moved or removed
	Quota     Quota             `json:"quota"`
}

// Quota bounds what a repository or project takes up; 0 is no bound.
type Quota struct {
	Bytes int64 `json:"bytes,omitempty"` // of distinct contents and manifests
	Tags  int64 `json:"tags,omitempty"`
}

// Check says what is wrong with the settings.
func (s Settings) Check() error {
	if s.Quota.Bytes < 0 || s.Quota.Tags < 0 {
		return slipway.Invalid("a quota is 0, for none, or more")
	}
	if err := retention.CheckPatterns("immutable", s.Immutable); err != nil {
		return err
	}
	if s.Retention == nil {
		return nil
	}
	return s.Retention.Check()
}

// ProjectSettings are the settings of all repositories of a project; of the installation's own when it is empty.
func (s *Service) ProjectSettings(ctx context.Context, project slipway.ProjectID) (Settings, error) {
	return readSettings(ctx, s.db, project, 0)
}

// RepositorySettings are the settings of one repository alone.
func (s *Service) RepositorySettings(ctx context.Context, repo Repository) (Settings, error) {
	return readSettings(ctx, s.db, repo.Project, repo.ID)
}

func readSettings(ctx context.Context, q db.Querier, project slipway.ProjectID, repository int64) (Settings, error) {
	text, err := db.One(ctx, q, db.Value[string], `SELECT settings FROM registry_settings WHERE project = $1 AND repository_id = $2`, string(project), repository)
	if db.IsNoRows(err) {
		return Settings{}, nil
	}
	var settings Settings
	if err == nil {
		err = json.Unmarshal([]byte(text), &settings)
	}
	if err != nil {
		return settings, fmt.Errorf("read registry settings: %w", err)
	}
	return settings, nil
}

// SetProjectSettings governs a project's repositories; callers have authorized its administrator.
func (s *Service) SetProjectSettings(ctx context.Context, project slipway.ProjectID, to Settings, by slipway.Actor) error {
	return s.setSettings(ctx, Repository{Project: project}, to, by)
}

// SetRepositorySettings governs one repository; callers have authorized its administrator.
func (s *Service) SetRepositorySettings(ctx context.Context, repo Repository, to Settings, by slipway.Actor) error {
	return s.setSettings(ctx, repo, to, by)
}

func (s *Service) setSettings(ctx context.Context, repo Repository, to Settings, by slipway.Actor) error {
	if err := to.Check(); err != nil {
		return err
	}
	text, err := json.Marshal(to)
	if err != nil {
		return fmt.Errorf("write registry settings: %w", err)
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		const upsert = `
			INSERT INTO registry_settings (project, repository_id, settings) VALUES ($1, $2, $3)
			ON CONFLICT (project, repository_id) DO UPDATE SET settings = excluded.settings`
		if _, err := tx.ExecContext(ctx, upsert, string(repo.Project), repo.ID, string(text)); err != nil {
			return fmt.Errorf("write registry settings: %w", err)
		}
		return s.settingsChanged(ctx, tx, repo, SettingsPayload{Settings: &to}, by)
	})
}

func (s *Service) settingsChanged(ctx context.Context, tx *db.Tx, repo Repository, p SettingsPayload, by slipway.Actor) error {
	p.Repository = repo.Name
	return s.log.Append(ctx, tx, &events.Event{Kind: EventSettingsChanged, Project: repo.Project, Actor: by, Subject: projectReference(repo)}, p)
}

func projectReference(repo Repository) slipway.Reference {
	return slipway.Ref(slipway.RefProject, cmp.Or(repo.Project, "installation"))
}

// governing are the settings that hold for a repository.
type governing struct {
	project, repository Settings
}

func readGoverning(ctx context.Context, q db.Querier, repo Repository) (g governing, err error) {
	type row struct {
		repository int64
		text       string
	}
	rows, err := db.List(ctx, q, func(from interface{ Scan(...any) error }, r *row) error { return from.Scan(&r.repository, &r.text) },
		`SELECT repository_id, settings FROM registry_settings WHERE project = $1 AND repository_id IN (0, $2)`, string(repo.Project), repo.ID)
	for _, r := range rows {
		to := &g.repository
		if r.repository == 0 {
			to = &g.project
		}
		if err == nil {
			err = json.Unmarshal([]byte(r.text), to)
		}
	}
	if err != nil {
		return g, fmt.Errorf("read registry settings of %s: %w", repo.Name, err)
	}
	return g, nil
}

// retention is the policy that holds; false when there is none.
func (g governing) retention() (retention.Policy, bool) {
	p := cmp.Or(g.repository.Retention, g.project.Retention)
	if p == nil {
		return retention.Policy{}, false
	}
	return *p, true
}

// immutable is the pattern by which a tag is immutable, empty when it is not.
func (g governing) immutable(tag string) string {
	return cmp.Or(retention.Match(g.repository.Immutable, tag), retention.Match(g.project.Immutable, tag))
}

// patterns are those of all immutable tags.
func (g governing) patterns() []string {
	return append(append([]string{}, g.repository.Immutable...), g.project.Immutable...)
}
