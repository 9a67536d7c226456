package repos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"slipway"
)

const (
	maxConflicts = 200  // paths of a merge that are named
	maxRebased   = 1000 // commits that a rebase writes anew
)

// merged is what comes of joining two commits.
type merged struct {
	tree      string   // object name
	conflicts []string // paths; then the tree holds the marks of conflicts and is of no use
}

// mergeTrees merges theirs into ours by their common history, without a work tree (git-merge-tree(1)).
func (s *Service) mergeTrees(ctx context.Context, id slipway.RepositoryID, ours, theirs slipway.CommitID) (merged, error) {
	args := []string{"merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", "--allow-unrelated-histories", string(ours), string(theirs)}
	out, err := s.git.run(ctx, command{dir: s.dir(id), args: args})
	if err != nil && exitCode(err) != 1 {
		return merged{}, fmt.Errorf("merge %s into %s: %w", theirs.Short(), ours.Short(), err)
	}
	parts := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	m := merged{tree: parts[0]}
	for _, path := range parts[1:] {
		if path != "" {
			m.conflicts = append(m.conflicts, strings.ToValidUTF8(path, "\uFFFD"))
		}
	}
	slices.Sort(m.conflicts)
	m.conflicts = slices.Compact(m.conflicts)
	if exitCode(err) == 1 && len(m.conflicts) == 0 {
		return merged{}, fmt.Errorf("merge %s into %s: git names no conflict: %w", theirs.Short(), ours.Short(), err)
	}
	m.conflicts = m.conflicts[:min(len(m.conflicts), maxConflicts)]
	return m, nil
}

// newCommit is a commit to write.
type newCommit struct {
	tree              string
	parents           []slipway.CommitID
	message           string
	author, committer Signature
}

func (s *Service) writeCommit(ctx context.Context, id slipway.RepositoryID, c newCommit) (slipway.CommitID, error) {
	args := []string{"commit-tree", c.tree}
	for _, p := range c.parents {
		args = append(args, "-p", string(p))
	}
	env := append(c.author.environment("AUTHOR"), c.committer.environment("COMMITTER")...)
	message := strings.NewReader(strings.TrimRight(c.message, "\n") + "\n")
	out, err := s.git.run(ctx, command{dir: s.dir(id), args: args, env: env, stdin: message})
	if err != nil {
		return "", fmt.Errorf("make commit: %w", err)
	}
	return slipway.CommitID(strings.TrimSpace(string(out))), nil
}

// environment is the signature as git reads it, of the AUTHOR or the COMMITTER. git wants a name and a time, which old
// histories lack at times.
func (g Signature) environment(whose string) []string {
	return []string{"GIT_" + whose + "_NAME=" + cmp.Or(g.Name, g.Email, "unknown"), "GIT_" + whose + "_EMAIL=" + g.Email,
		fmt.Sprintf("GIT_%s_DATE=%d %s", whose, max(g.Time.Unix(), 0), g.Time.Format("-0700"))}
}

// check refuses what git could not write; who is "an author" or "a committer".
func (g Signature) check(who string) error {
	if g.Name == "" || strings.ContainsAny(g.Name+g.Email, "<>\n\x00") {
		return slipway.Invalid("a commit needs %s with a name, without the characters < and >", who)
	}
	return nil
}

// rebaseConflict is a commit that does not fit on the new base.
type rebaseConflict struct {
	commit slipway.CommitID
	paths  []string
}

func (e rebaseConflict) Error() string {
	return fmt.Sprintf("commit %s conflicts in %s", e.commit.Short(), strings.Join(e.paths, ", "))
}

// rebase writes the commits that source has and onto has not, merges left out, anew on top of onto, oldest first, and
// returns the last one. What changes nothing there any more is left out.
func (s *Service) rebase(ctx context.Context, id slipway.RepositoryID, source, onto slipway.CommitID, committer Signature) (slipway.CommitID, error) {
	args := []string{"rev-list", "--no-merges", "--topo-order", fmt.Sprintf("--max-count=%d", maxRebased+1), string(source), "^" + string(onto)}
	ids, err := s.revList(ctx, id, args, nil)
	if err != nil {
		return "", err
	}
	if len(ids) > maxRebased {
		return "", slipway.Limit("the pull request has more than %d commits: squash or merge it", maxRebased)
	}
	slices.Reverse(ids)
	commits, err := s.commits(ctx, id, ids)
	if err != nil {
		return "", err
	}
	for _, c := range commits {
		if onto, err = s.pick(ctx, id, c, onto, committer); err != nil {
			return "", err
		}
	}
	return onto, nil
}

// pick writes one commit anew on top of onto.
func (s *Service) pick(ctx context.Context, id slipway.RepositoryID, c Commit, onto slipway.CommitID, committer Signature) (slipway.CommitID, error) {
	top, err := s.Commit(ctx, id, onto)
	if err != nil {
		return "", err
	}
	// The merge is of what c did to its parent: a stand-in for onto that descends from that parent makes it the merge base.
	standIn, err := s.writeCommit(ctx, id, newCommit{tree: top.Tree, parents: c.Parents, message: "stand-in", author: committer, committer: committer})
	if err != nil {
		return "", err
	}
	m, err := s.mergeTrees(ctx, id, standIn, c.ID)
	if err != nil {
		return "", err
	}
	if len(m.conflicts) > 0 {
		return "", rebaseConflict{c.ID, m.conflicts}
	}
	if m.tree == top.Tree {
		return onto, nil
	}
	return s.writeCommit(ctx, id, newCommit{tree: m.tree, parents: []slipway.CommitID{onto}, message: c.Message, author: c.Author, committer: committer})
}

// isAncestor says whether a is b or in its history.
func (s *Service) isAncestor(ctx context.Context, id slipway.RepositoryID, a, b slipway.CommitID) (bool, error) {
	_, err := s.git.run(ctx, command{dir: s.dir(id), args: []string{"merge-base", "--is-ancestor", string(a), string(b)}})
	switch exitCode(err) {
	case 1, 128: // 128: there is no such object (any more)
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("compare commits of repository %s: %w", id, err)
	}
	return true, nil
}

// moveRefs moves refs in one transaction of git's: all or none. A change without an After deletes; one without a Before
// makes the ref anew. One that is not at its Before any more is a Conflict.
func (s *Service) moveRefs(ctx context.Context, id slipway.RepositoryID, moves ...refMove) error {
	if slices.ContainsFunc(moves, func(m refMove) bool {
		return strings.HasPrefix(m.Ref, branchPrefix) || strings.HasPrefix(m.Ref, tagPrefix)
	}) {
		if err := s.checkFilled(ctx, id); err != nil {
			return err
		}
	}
	err := s.updateRefs(ctx, id, moves)
	var failed *gitError
	if errors.As(err, &failed) && exitCode(err) == 128 {
		return slipway.Conflict("a branch was changed by somebody else in the meantime").Because(err)
	}
	if err != nil {
		return fmt.Errorf("move refs of repository %s: %w", id, err)
	}
	return nil
}

// refMove is the change of one ref.
type refMove struct {
	Ref           string
	Before, After slipway.CommitID
	Anywhere      bool // whatever it is at
}
