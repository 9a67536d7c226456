package repos

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"slipway"
)

// Preview is what a pull request would bring.
type Preview struct {
	Commits []Commit // newest first
	More    bool     // there are more than Commits holds
	Diff    Diff     // of the source against the place where it left the target
}

// PreviewPullRequest says what a commit of one repository would bring to one of another, or of the same. Nothing comes over for it.
func (s *Service) PreviewPullRequest(ctx context.Context, from slipway.RepositoryID, source slipway.CommitID, into slipway.RepositoryID, target slipway.CommitID) (Preview, error) {
	bases, err := s.basesAcross(ctx, from, source, into, target)
	if err != nil {
		return Preview{}, err
	}
	// What both have is what leads to their best common ancestors, which the source's repository has: the target's is needed no more.
	ids, more, err := s.newCommits(ctx, from, source, bases, maxPullCommits)
	if err != nil {
		return Preview{}, err
	}
	p := Preview{More: more}
	if p.Commits, err = s.commits(ctx, from, ids); err != nil || len(ids) == 0 {
		return p, err
	}
	var base slipway.CommitID
	if len(bases) > 0 {
		base = bases[0]
	}
	p.Diff, err = s.Diff(ctx, from, base, source)
	return p, err
}

// basesAcross are the best common ancestors of commits of two repositories.
func (s *Service) basesAcross(ctx context.Context, from slipway.RepositoryID, source slipway.CommitID, into slipway.RepositoryID, target slipway.CommitID) ([]slipway.CommitID, error) {
	if err := errors.Join(checkCommitID(source), checkCommitID(target)); err != nil {
		return nil, err
	}
	c := command{dir: s.dir(from), args: []string{"merge-base", "--all", string(source), string(target)}}
	if from != into { // git sees the objects of both (GIT_ALTERNATE_OBJECT_DIRECTORIES in git(1))
		c.env = []string{"GIT_ALTERNATE_OBJECT_DIRECTORIES=" + filepath.Join(s.dir(into), "objects")}
	}
	out, err := s.git.run(ctx, c)
	if exitCode(err) == 1 { // they have none
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find merge bases of repositories %s and %s: %w", from, into, err)
	}
	var list []slipway.CommitID
	for id := range strings.FieldsSeq(string(out)) {
		list = append(list, slipway.CommitID(id))
	}
	return list, nil
}
