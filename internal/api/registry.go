package api

import (
	"context"
	"net/http"
	"time"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/registry"
	"slipway/internal/registry/retention"
)

// maxRegistryBody bounds the bodies about the registry's settings.
const maxRegistryBody = 256 << 10

type registryRoutes struct {
	*Server
	registry *registry.Service
}

// AddRegistry serves how a project's image repositories are governed, and below /_apis those of the installation itself. Names have slashes, so
// they are parameters of the query. What is pushed and pulled goes through /v2/.
func (s *Server) AddRegistry(r *registry.Service) {
	routes := registryRoutes{s, r}
	for _, register := range []func(method, pattern string, a identity.Action, h handler){s.project, s.installation} {
		register("GET", "/slipway/registry/repositories", identity.Read, routes.listRepositories)
		register("DELETE", "/slipway/registry/repositories", identity.Administer, routes.deleteRepository)
		register("GET", "/slipway/registry/tags", identity.Read, routes.listTags)
		register("DELETE", "/slipway/registry/tags", identity.Administer, routes.deleteTag)
		register("DELETE", "/slipway/registry/manifests", identity.Administer, routes.deleteManifest)
		register("PUT", "/slipway/registry/locks", identity.Administer, routes.putLock)
		register("GET", "/slipway/registry/settings", identity.Read, routes.showSettings)
		register("PUT", "/slipway/registry/settings", identity.Administer, routes.putSettings)
		register("GET", "/slipway/registry/retention", identity.Read, routes.planRetention)
		register("POST", "/slipway/registry/retention", identity.Administer, routes.applyRetention)
		register("POST", "/slipway/registry/retention/plan", identity.Administer, routes.tryRetention)
	}
}

// ImageRepository is a repository of images with what it takes up.
type ImageRepository struct {
	Name      string     `json:"name"`
	Public    bool       `json:"public"`
	Tags      int64      `json:"tags"`
	Manifests int64      `json:"manifests"`
	Bytes     int64      `json:"bytes"`
	Latest    string     `json:"latest,omitempty"` // the tag that was moved last
	Updated   *time.Time `json:"updated,omitempty"`
	Forbidden []string   `json:"forbidden,omitempty"` // by a lock of all that is in it: delete, write, read
}

// repository is the one that the query names, if it is the project's.
func (g registryRoutes) repository(r request) (registry.Repository, error) {
	name := r.URL.Query().Get("repository")
	if name == "" {
		return registry.Repository{}, slipway.Invalid("name the repository: ?repository=PROJECT/NAME")
	}
	repo, err := g.registry.Repository(r.Context(), name)
	if err == nil && repo.Project != r.project.ID {
		err = slipway.NotFound("there is no image repository %q here", name)
	}
	return repo, err
}

func (g registryRoutes) listRepositories(w http.ResponseWriter, r request) error {
	found, err := g.registry.ProjectRepositories(r.Context(), r.project.ID, r.URL.Query().Get("search"))
	if err != nil {
		return err
	}
	var out []ImageRepository
	for _, repo := range found {
		one := ImageRepository{Name: repo.Name, Public: repo.Public, Updated: when(repo.Created), Forbidden: repo.Lock.Strings(),
			Tags: repo.Usage.Tags, Manifests: repo.Usage.Manifests, Bytes: repo.Usage.Bytes, Latest: repo.Latest.Name}
		if one.Latest != "" {
			one.Updated = when(repo.Latest.Updated)
		}
		out = append(out, one)
	}
	return list(w, out)
}

func (g registryRoutes) deleteRepository(w http.ResponseWriter, r request) error {
	repo, err := g.repository(r)
	if err != nil {
		return err
	}
	if err := g.registry.DeleteRepository(r.Context(), repo, r.caller.Actor); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// ImageTag is a tag with what is known of its image.
type ImageTag struct {
	Name      string     `json:"name"`
	Digest    string     `json:"digest"`
	MediaType string     `json:"mediaType"`
	Bytes     int64      `json:"bytes"`
	Platforms []string   `json:"platforms,omitempty"`
	Updated   *time.Time `json:"updated,omitempty"`
	LastPull  *time.Time `json:"lastPull,omitempty"`
	Pulls     int64      `json:"pulls"`
	Run       int64      `json:"run,omitempty"`
	Commit    string     `json:"commit,omitempty"`
	Forbidden []string   `json:"forbidden,omitempty"` // by a lock of the tag or of its image: delete, write, read
}

func (g registryRoutes) listTags(w http.ResponseWriter, r request) error {
	repo, err := g.repository(r)
	if err != nil {
		return err
	}
	found, err := g.registry.DescribeTags(r.Context(), repo, r.URL.Query().Get("search"), r.URL.Query().Get("last"), 0)
	if err != nil {
		return err
	}
	var out []ImageTag
	for _, t := range found {
		out = append(out, ImageTag{Name: t.Name, Digest: string(t.Digest), MediaType: t.MediaType, Bytes: t.Size, Platforms: t.Platforms, Updated: when(t.Updated),
			LastPull: when(t.Pulled), Pulls: t.Pulls, Run: int64(t.Run), Commit: string(t.Commit), Forbidden: (t.Lock | t.ImageLock).Strings()})
	}
	return list(w, out)
}

func (g registryRoutes) deleteTag(w http.ResponseWriter, r request) error {
	repo, err := g.repository(r)
	if err != nil {
		return err
	}
	if err := g.registry.DeleteTag(r.Context(), repo, r.URL.Query().Get("tag"), r.caller.Actor); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (g registryRoutes) deleteManifest(w http.ResponseWriter, r request) error {
	repo, err := g.repository(r)
	if err != nil {
		return err
	}
	d, err := slipway.ParseDigest(r.URL.Query().Get("digest"))
	if err != nil {
		return err
	}
	if err := g.registry.DeleteManifest(r.Context(), repo, d, r.caller.Actor); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// RegistrySettings govern a repository, or all repositories of a project, with what they take up now.
type RegistrySettings struct {
	registry.Settings
	Public *bool         `json:"public,omitempty"` // of a repository; left out it stays as it is
	Used   *RegistryUsed `json:"used,omitempty"`
}

// RegistryUsed is what a repository or a project takes up.
type RegistryUsed struct {
	Bytes int64 `json:"bytes"`
	Tags  int64 `json:"tags"`
}

// governed is the repository that the query names, or none: then the project is meant.
func (g registryRoutes) governed(r request) (registry.Repository, error) {
	if !r.URL.Query().Has("repository") {
		return registry.Repository{Project: r.project.ID}, nil
	}
	return g.repository(r)
}

func (g registryRoutes) settings(ctx context.Context, repo registry.Repository) (s RegistrySettings, err error) {
	var u registry.Usage
	if repo.ID == 0 {
		if s.Settings, err = g.registry.ProjectSettings(ctx, repo.Project); err != nil {
			return s, err
		}
		u, err = g.registry.ProjectUsage(ctx, repo.Project)
	} else {
		s.Public = &repo.Public
		if s.Settings, err = g.registry.RepositorySettings(ctx, repo); err != nil {
			return s, err
		}
		u, err = g.registry.Usage(ctx, repo)
	}
	s.Used = &RegistryUsed{u.Bytes, u.Tags}
	return s, err
}

func (g registryRoutes) showSettings(w http.ResponseWriter, r request) error {
	repo, err := g.governed(r)
	if err != nil {
		return err
	}
	s, err := g.settings(r.Context(), repo)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, s)
	return nil
}

// putSettings replaces the settings; what the body leaves out is not set any more, but for public.
func (g registryRoutes) putSettings(w http.ResponseWriter, r request) error {
	repo, err := g.governed(r)
	if err != nil {
		return err
	}
	var body RegistrySettings
	if err := httpx.ReadJSON(w, r.Request, maxRegistryBody, &body); err != nil {
		return err
	}
	if repo.ID == 0 {
		if body.Public != nil {
			return slipway.Invalid("public is a setting of one repository: name it, ?repository=PROJECT/NAME")
		}
		err = g.registry.SetProjectSettings(r.Context(), repo.Project, body.Settings, r.caller.Actor)
	} else {
		err = g.registry.SetRepositorySettings(r.Context(), repo, body.Settings, r.caller.Actor)
		if err == nil && body.Public != nil {
			err = g.registry.SetPublic(r.Context(), repo, *body.Public, r.caller.Actor)
			repo.Public = *body.Public
		}
	}
	if err != nil {
		return err
	}
	s, err := g.settings(r.Context(), repo)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, s)
	return nil
}

// RetentionPlan is what a retention policy makes of a repository now.
type RetentionPlan struct {
	Policy  retention.Policy `json:"policy"`
	Tags    []RetentionFate  `json:"tags"`
	Others  []RetentionFate  `json:"untagged"`
	Removed int              `json:"removed"` // how many of those that go went; 0 in a dry run
}

// RetentionFate is what becomes of a tag, or of a manifest without one, and why.
type RetentionFate struct {
	Tag    string `json:"tag,omitempty"`
	Digest string `json:"digest"`
	Bytes  int64  `json:"bytes"`
	Keep   bool   `json:"keep"`
	Reason string `json:"reason"`
}

func (g registryRoutes) planRetention(w http.ResponseWriter, r request) error {
	repo, err := g.repository(r)
	if err != nil {
		return err
	}
	plan, err := g.registry.PlanRetention(r.Context(), repo, nil)
	return writePlan(w, plan, err)
}

// tryRetention is a dry run of the policy in the body.
func (g registryRoutes) tryRetention(w http.ResponseWriter, r request) error {
	repo, err := g.repository(r)
	if err != nil {
		return err
	}
	var policy retention.Policy
	if err := httpx.ReadJSON(w, r.Request, maxRegistryBody, &policy); err != nil {
		return err
	}
	plan, err := g.registry.PlanRetention(r.Context(), repo, &policy)
	return writePlan(w, plan, err)
}

func (g registryRoutes) applyRetention(w http.ResponseWriter, r request) error {
	repo, err := g.repository(r)
	if err != nil {
		return err
	}
	plan, err := g.registry.Retain(r.Context(), repo, r.caller.Actor)
	return writePlan(w, plan, err)
}

func writePlan(w http.ResponseWriter, plan registry.Plan, err error) error {
	if err != nil {
		return err
	}
	out := RetentionPlan{Policy: plan.Policy, Tags: []RetentionFate{}, Others: []RetentionFate{}, Removed: plan.Removed}
	for _, f := range plan.Fates {
		fate := RetentionFate{f.Tag, string(f.Digest), f.Size, f.Keep, f.Reason}
		if f.Tag != "" {
			out.Tags = append(out.Tags, fate)
		} else {
			out.Others = append(out.Others, fate)
		}
	}
	httpx.WriteJSON(w, http.StatusOK, out)
	return nil
}
