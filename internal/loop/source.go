package loop

import (
	"context"
	"net/url"
	"strings"

	"slipway"
	"slipway/internal/environments"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/variable"
	"slipway/internal/repos"
)

// Source shows repositories to pipelines.
type Source struct {
	Repos    *repos.Service
	Identity *identity.Service
	URL      string // the server's address as job pods see it
}

// Repository implements pipelines.Source.
func (s Source) Repository(ctx context.Context, id slipway.RepositoryID) (pipelines.Repository, error) {
	r, err := s.Repos.Get(ctx, id)
	if err != nil {
		return pipelines.Repository{}, err
	}
	return s.describe(ctx, r)
}

// FindRepository implements pipelines.Source.
func (s Source) FindRepository(ctx context.Context, project slipway.ProjectID, name string) (pipelines.Repository, error) {
	if other, repository, ok := strings.Cut(name, "/"); ok {
		p, err := s.Identity.ProjectByName(ctx, other)
		if err != nil {
			return pipelines.Repository{}, err
		}
		project, name = p.ID, repository
	}
	r, err := s.Repos.Find(ctx, project, name)
	if err != nil {
		return pipelines.Repository{}, err
	}
	return s.describe(ctx, r)
}

func (s Source) describe(ctx context.Context, r repos.Repository) (pipelines.Repository, error) {
	p, err := s.Identity.Project(ctx, r.Project)
	if err != nil {
		return pipelines.Repository{}, err
	}
	return pipelines.Repository{
		ID: r.ID, Project: r.Project, ProjectName: p.Name, Name: r.Name, DefaultBranch: "refs/heads/" + r.DefaultBranch,
		URL: s.URL + "/" + url.PathEscape(p.Name) + "/_git/" + url.PathEscape(r.Name),
	}, nil
}

// Branches implements pipelines.Source.
func (s Source) Branches(ctx context.Context, id slipway.RepositoryID) ([]pipelines.Branch, error) {
	refs, err := s.Repos.Branches(ctx, id)
	if err != nil {
		return nil, err
	}
	branches := make([]pipelines.Branch, 0, len(refs))
	for _, r := range refs {
		branches = append(branches, pipelines.Branch{Ref: r.Full, Commit: r.Commit})
	}
	return branches, nil
}

// Resolve implements pipelines.Source.
func (s Source) Resolve(ctx context.Context, id slipway.RepositoryID, ref string) (slipway.CommitID, error) {
	return s.Repos.Resolve(ctx, id, ref)
}

// ReadFile implements pipelines.Source.
func (s Source) ReadFile(ctx context.Context, id slipway.RepositoryID, commit slipway.CommitID, path string, limit int64) ([]byte, error) {
	return s.Repos.ReadFile(ctx, id, commit, path, limit)
}

// List implements pipelines.Source.
func (s Source) List(ctx context.Context, id slipway.RepositoryID, commit slipway.CommitID, folder string) ([]string, error) {
	entries, _, err := s.Repos.Tree(ctx, id, commit, folder)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name
	}
	return names, err
}

// Commit implements pipelines.Source.
func (s Source) Commit(ctx context.Context, id slipway.RepositoryID, commit slipway.CommitID) (pipelines.Commit, error) {
	c, err := s.Repos.Commit(ctx, id, commit)
	return pipelines.Commit{Message: c.Message, Author: c.Author.Name}, err
}

// Environments shows to pipelines the environments that they deploy to.
type Environments struct{ *environments.Service }

// Variables implements pipelines.Environments.
func (e Environments) Variables(ctx context.Context, project slipway.ProjectID, environment string) (variable.Set, error) {
	var set variable.Set
	env, err := e.ByName(ctx, project, environment)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return set, nil
	}
	if err != nil {
		return set, err
	}
	values, err := e.Values(ctx, env.ID)
	if err != nil {
		return set, err
	}
	for _, v := range values {
		set.Put(v.Name, variable.Value{Text: v.Value, Secret: v.Secret})
	}
	return set, nil
}
