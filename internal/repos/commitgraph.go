package repos

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"slipway"
)

const (
	// graphBranches is from how many branches on, that are told of at once, a commit-graph pays for itself.
	graphBranches = 10
	// graphTime bounds writing it while the pusher waits: some seconds for 200,000 commits.
	graphTime = 30 * time.Second
)

// graphFirst gives a repository without a commit-graph one before many of its branches are described, as after the first push of a mirror: for each
// of them git looks where it left the default branch, and without the graph that reads most of the history's commits every time. Upkeep replaces it.
func (s *Service) graphFirst(ctx context.Context, id slipway.RepositoryID, changes []change) {
	branches := 0
	for _, c := range changes {
		if c.after.Target != "" && strings.HasPrefix(c.name(), branchPrefix) {
			branches++
		}
	}
	if branches < graphBranches || s.hasGraph(id) {
		return
	}
	_, err := s.git.run(ctx, command{dir: s.dir(id), args: []string{"commit-graph", "write", "--reachable", "--no-progress"}, time: graphTime})
	if err != nil { // it is slower without
		s.logger.Warn("writing the commit-graph of a push failed", "repository", id, "error", err)
	}
}

// hasGraph says that the repository has a commit-graph, in one file or in several (gitformat-commit-graph(5)).
func (s *Service) hasGraph(id slipway.RepositoryID) bool {
	_, err := os.Stat(filepath.Join(s.dir(id), "objects", "info", "commit-graph"))
	return err == nil || s.hasGraphChain(id)
}

// hasGraphChain says that it has one in several files, which upkeep writes.
func (s *Service) hasGraphChain(id slipway.RepositoryID) bool {
	_, err := os.Stat(filepath.Join(s.dir(id), "objects", "info", "commit-graphs", "commit-graph-chain"))
	return err == nil
}
