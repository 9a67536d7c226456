package pipelines

import (
	"context"
	"fmt"

	"slipway"
	"slipway/internal/db"
)

// GitCredentials are the user name and password with which a service connection opens repositories of its host. Mirrors of
// repositories use them.
func (s *Service) GitCredentials(ctx context.Context, project slipway.ProjectID, connection string) (user, password string, err error) {
	c, err := findConnection(ctx, s.db, project, connection)
	if err != nil {
		return "", "", err
	}
	usual, ok := tokenUsers[c.Type]
	if !ok {
		return "", "", slipway.Invalid("service connection %q is of type %s, which opens no repositories: name one of type externalgit, git, github, githubenterprise, bitbucket or generic", c.Name, c.Type)
	}
	opened, err := s.opened(ctx, s.db, &c)
	if err != nil {
		return "", "", err
	}
	if user, password = opened.Credentials(); user == "" && password != "" {
		user = usual
	}
	return user, password, nil
}

// RunCommits lists the commits of a repository that runs were of, as many as a million. The repository keeps them, whatever becomes of its branches.
func (s *Service) RunCommits(ctx context.Context, repository slipway.RepositoryID) ([]slipway.CommitID, error) {
	const query = `SELECT DISTINCT commit_id FROM pipeline_runs WHERE repository = $1 LIMIT 1000000`
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, c *slipway.CommitID) error { return row.Scan((*string)(c)) }, query, string(repository))
	if err != nil {
		return nil, fmt.Errorf("list commits of runs of repository %s: %w", repository, err)
	}
	return list, nil
}
