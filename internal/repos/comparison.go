package repos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/bluekeyes/go-gitdiff/gitdiff"

	"slipway"
)

// DiffRequest asks for the difference between two commits, either of which may be zero for nothing.
type DiffRequest struct {
	From, To    slipway.CommitID
	IgnoreSpace bool // changes of white space are none
	Context     int  // lines around each change; 0 means git's three
	// Path chooses one file by its present name, or its last one; empty for all. Was is the name that it had before, for one that was renamed.
	Path, Was string
}

// maxContext bounds the lines around a change: the whole of any file that is shown.
const maxContext = 1_000_000

// Compare returns the difference between two commits, renames detected as far as maxRenames goes.
func (s *Service) Compare(ctx context.Context, id slipway.RepositoryID, req DiffRequest) (Diff, error) {
	a, b, err := treeArguments(req.From, req.To)
	if err != nil {
		return Diff{}, err
	}
	args := []string{"--literal-pathspecs", "diff-tree", "-r", "-p", "-M", renameLimitArgument, "--full-index", "--no-color", "--no-ext-diff", "--no-textconv"}
	if req.IgnoreSpace {
		args = append(args, "-w")
	}
	if req.Context > 0 {
		args = append(args, fmt.Sprintf("-U%d", min(req.Context, maxContext)))
	}
	args = append(args, a, b)
	if req.Path != "" {
		if err := errors.Join(checkPath(req.Path), checkPath(req.Was)); err != nil {
			return Diff{}, err
		}
		args = append(args, "--", req.Path)
		if req.Was != "" {
			args = append(args, req.Was)
		}
	}
	out, err := s.git.run(ctx, command{dir: s.dir(id), args: args, limit: maxDiff})
	d := Diff{}
	if errors.Is(err, errOutputLimit) {
		d.Truncated, err = true, nil
		out = out[:max(bytes.LastIndex(out, []byte("\ndiff --git "))+1, 0)]
	}
	if err != nil {
		return Diff{}, fmt.Errorf("compare commits of repository %s: %w", id, err)
	}
	files, _, err := gitdiff.Parse(bytes.NewReader(out))
	if err != nil {
		return Diff{}, fmt.Errorf("read git's diff: %w", err)
	}
	for _, f := range files {
		d.Files = append(d.Files, fileDiff(f))
	}
	if d.Truncated {
		return d, s.addUnread(ctx, id, req, &d)
	}
	if req.Path == "" {
		d.RenamesLimited = renamesLimited(len(d.Files), func(i int) FileStatus { return d.Files[i].Status })
	}
	return d, nil
}

// Span is what of a pull request is looked at: all of it, or what came between two of its iterations.
type Span struct {
	From, To Iteration // From.Number is 0 for the place where the source left the target
}

// Commits are the two ends of a span.
func (s Span) Commits() (left, right slipway.CommitID) {
	if s.From.Number == 0 {
		return s.To.BaseCommit, s.To.SourceCommit
	}
	return s.From.SourceCommit, s.To.SourceCommit
}

// Latest says that the span ends with the newest of the iterations.
func (s Span) Latest(all []Iteration) bool {
	return len(all) > 0 && s.To.Number == all[len(all)-1].Number
}

// SpanOf chooses by the numbers of two iterations; from 0 is the target's side, to 0 the newest.
func SpanOf(all []Iteration, from, to int) (Span, error) {
	if len(all) == 0 {
		return Span{}, slipway.NotFound("the pull request has no iteration")
	}
	if to == 0 {
		to = all[len(all)-1].Number
	}
	var s Span
	for _, i := range all {
		if i.Number == from {
			s.From = i
		}
		if i.Number == to {
			s.To = i
		}
	}
	if s.To.Number == 0 || from != 0 && s.From.Number == 0 {
		return s, slipway.NotFound("the pull request has iterations 1 to %d", all[len(all)-1].Number)
	}
	if from >= to {
		return s, slipway.Invalid("compare an iteration with a later one: %d does not come before %d", from, to)
	}
	return s, nil
}

// CompareSpan is what changed in a span of a pull request. Files that only the target changed meanwhile are left out.
func (s *Service) CompareSpan(ctx context.Context, p PullRequest, span Span, req DiffRequest) (Diff, error) {
	req.From, req.To = span.Commits()
	d, err := s.Compare(ctx, p.Repository, req)
	if err != nil {
		return d, err
	}
	own, err := s.ownPaths(ctx, p, span)
	d.Files = slices.DeleteFunc(d.Files, func(f FileDiff) bool { return own != nil && !own[f.OldPath] && !own[f.NewPath] })
	return d, err
}

// SpanChanges are the files that changed in a span of a pull request, as CompareSpan has them, without their lines; more says that there are more than can be told.
func (s *Service) SpanChanges(ctx context.Context, p PullRequest, span Span) (list []TreeChange, more bool, err error) {
	from, to := span.Commits()
	if list, more, err = s.Changes(ctx, p.Repository, from, to); err != nil {
		return nil, false, err
	}
	own, err := s.ownPaths(ctx, p, span)
	return slices.DeleteFunc(list, func(c TreeChange) bool { return own != nil && !own[c.OldPath] && !own[c.NewPath] }), more, err
}

// ownPaths are the files that the pull request itself changed at either end of a span between two iterations; nil when none is to be left out.
func (s *Service) ownPaths(ctx context.Context, p PullRequest, span Span) (map[string]bool, error) {
	if span.From.Number == 0 {
		return nil, nil
	}
	own := map[string]bool{}
	for _, i := range []Iteration{span.From, span.To} {
		paths, more, err := s.ChangedPaths(ctx, p.Repository, i.BaseCommit, i.SourceCommit, maxPolicyPaths)
		if err != nil || more { // with so many, none is left out
			return nil, err
		}
		for _, path := range paths {
			own[path] = true
		}
	}
	return own, nil
}
