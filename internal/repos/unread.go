package repos

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"slipway"
)

const (
	// countTime bounds the counting of lines of files that a difference leaves out; those that it does not suffice for are Uncounted. The first
	// countedAtOnce always are.
	countTime = 400 * time.Millisecond
	// countedAtOnce are the files whose lines are counted by one process.
	countedAtOnce = 250
)

// addUnread tells of the files that a difference leaves out because its text is too large.
func (s *Service) addUnread(ctx context.Context, id slipway.RepositoryID, req DiffRequest, d *Diff) error {
	changes, more, err := s.Changes(ctx, id, req.From, req.To)
	if err != nil {
		return err
	}
	if req.Path == "" && !more {
		d.RenamesLimited = renamesLimited(len(changes), func(i int) FileStatus { return changes[i].Status })
	}
	read := map[string]bool{}
	for _, f := range d.Files {
		read[f.Path()] = true
	}
	d.Truncated = more
	var left []TreeChange
	for _, c := range changes {
		if read[c.Path()] || req.Path != "" && c.Path() != req.Path {
			continue
		}
		if len(d.Files)+len(left) >= maxDiffFiles {
			d.Truncated = true
			break
		}
		left = append(left, c)
	}
	end := time.Now().Add(countTime)
	for first := true; len(left) > 0; first = false {
		part := left[:min(countedAtOnce, len(left))]
		left = left[len(part):]
		var counts map[string]lineCount // nil when there is no time left
		if first || time.Now().Before(end) {
			if counts, err = s.lineCounts(ctx, id, req, part); err != nil {
				return err
			}
		}
		d.addCounted(part, counts, req.IgnoreSpace)
	}
	return nil
}

// addCounted adds files without their lines. Those that only white space has changed in are left out if that is no change.
func (d *Diff) addCounted(changes []TreeChange, counts map[string]lineCount, ignoreSpace bool) {
	for _, c := range changes {
		f := FileDiff{Status: c.Status, OldPath: c.OldPath, NewPath: c.NewPath, OldObject: c.OldObject, NewObject: c.NewObject, Unread: true, Uncounted: counts == nil}
		n, ok := counts[c.Path()]
		if ignoreSpace && counts != nil && (!ok || n == (lineCount{}) && c.Status == FileModified) {
			continue
		}
		f.Additions, f.Deletions, f.Binary = n.added, n.deleted, n.binary
		d.Files = append(d.Files, f)
	}
}

// lineCount is how much of a file has changed.
type lineCount struct {
	added, deleted int
	binary         bool
}

// lineCounts counts the changed lines of some files of a difference, by their present or last names (git-diff-tree(1), --numstat with -z).
func (s *Service) lineCounts(ctx context.Context, id slipway.RepositoryID, req DiffRequest, of []TreeChange) (map[string]lineCount, error) {
	a, b, err := treeArguments(req.From, req.To)
	if err != nil {
		return nil, err
	}
	args := []string{"--literal-pathspecs", "diff-tree", "-r", "-z", "-M", renameLimitArgument, "--numstat", "--no-ext-diff", "--no-textconv"}
	if req.IgnoreSpace {
		args = append(args, "-w")
	}
	args = append(args, a, b, "--")
	for _, c := range of {
		args = append(args, c.Path())
		if c.Status == FileRenamed {
			args = append(args, c.OldPath)
		}
	}
	out, err := s.git.run(ctx, command{dir: s.dir(id), args: args})
	if err != nil && !errors.Is(err, errOutputLimit) {
		return nil, fmt.Errorf("count changed lines of repository %s: %w", id, err)
	}
	counts := map[string]lineCount{}
	fields := strings.Split(string(out), "\x00")
	for i := 0; i+1 < len(fields); i++ {
		n := strings.SplitN(fields[i], "\t", 3)
		if len(n) != 3 {
			break
		}
		if n[2] == "" { // renamed: both names follow
			if i += 2; i+1 >= len(fields) {
				break
			}
			n[2] = fields[i]
		}
		one := lineCount{binary: n[0] == "-"}
		one.added, _ = strconv.Atoi(n[0])
		one.deleted, _ = strconv.Atoi(n[1])
		counts[n[2]] = one
	}
	return counts, nil
}
