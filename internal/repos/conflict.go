package repos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"slipway"
)

// maxResolved bounds the text of one file that is resolved on a page, in bytes.
const maxResolved = 1 << 20

// ConflictVersion is a file as one side of a merge has it.
type ConflictVersion struct {
	Mode   string // as `100644`; empty where the side has no such file
	Object string // object name
}

// Missing says that the side has no such file.
func (v ConflictVersion) Missing() bool { return v.Object == "" }

// Conflict is a file that both branches of a pull request changed.
type Conflict struct {
	Path                 string
	Base, Source, Target ConflictVersion
	// Text is the file with git's marks around the places that conflict; nil where it is no text, or one side has no such file.
	Text []byte
}

// Conflicts are the files that keep the source of a pull request from getting its target.
type Conflicts struct {
	Source, Target slipway.CommitID
	Files          []Conflict
	tree           string // the merge, with marks
}

// PullRequestConflicts merges the target into the source of a pull request and returns what conflicts.
func (s *Service) PullRequestConflicts(ctx context.Context, p PullRequest) (Conflicts, error) {
	c := Conflicts{Source: p.SourceCommit, Target: p.TargetCommit}
	args := []string{"merge-tree", "--write-tree", "-z", "--no-messages", "--allow-unrelated-histories", string(p.SourceCommit), string(p.TargetCommit)}
	out, err := s.git.run(ctx, command{dir: s.dir(p.Repository), args: args})
	if err != nil && exitCode(err) != 1 {
		return c, fmt.Errorf("merge %s into %s: %w", p.TargetCommit.Short(), p.SourceCommit.Short(), err)
	}
	parts := strings.Split(strings.TrimRight(string(out), "\x00"), "\x00")
	c.tree = parts[0]
	for _, line := range parts[1:] { // MODE OBJECT STAGE\tPATH
		head, path, ok := strings.Cut(line, "\t")
		fields := strings.Fields(head)
		if !ok || len(fields) != 3 {
			return c, fmt.Errorf("read git's conflicts: unexpected line %q", line)
		}
		if n := len(c.Files); n == 0 || c.Files[n-1].Path != path {
			c.Files = append(c.Files, Conflict{Path: path})
		}
		f, v := &c.Files[len(c.Files)-1], ConflictVersion{fields[0], fields[1]}
		switch fields[2] {
		case "1":
			f.Base = v
		case "2":
			f.Source = v
		case "3":
			f.Target = v
		}
	}
	if len(c.Files) > maxConflicts {
		return c, slipway.Limit("more than %d files conflict: resolve them with git", maxConflicts)
	}
	return c, s.addConflictTexts(ctx, p.Repository, &c)
}

func (s *Service) addConflictTexts(ctx context.Context, id slipway.RepositoryID, c *Conflicts) error {
	return s.readers.with(ctx, s.dir(id), func(r *reader) error {
		for i := range c.Files {
			f := &c.Files[i]
			if !isRegular(f.Source.Mode) || !isRegular(f.Target.Mode) || checkPath(f.Path) != nil {
				continue
			}
			o, data, err := r.contents(c.tree+":"+f.Path, maxResolved)
			if err != nil && !errors.Is(err, errTooLarge) {
				return err
			}
			if err == nil && !o.missing() && o.kind == "blob" && !isBinary(data) {
				f.Text = append([]byte{}, data...)
			}
		}
		return nil
	})
}

func isRegular(mode string) bool { return mode == "100644" || mode == "100755" }

// Resolution says what becomes of a file that conflicts.
type Resolution struct {
	Path   string
	Choose Side   // Right takes the source's version, Left the target's, one that is missing deletes; empty takes Text
	Text   []byte // the whole file
}

// ResolveRequest asks for a merge of the target into the source.
type ResolveRequest struct {
	PullRequest slipway.PullRequestID
	Source      slipway.CommitID // what the writer looked at; a Conflict when the branches are elsewhere by now
	Target      slipway.CommitID
	Files       []Resolution // one for each conflict
	Message     string       // as git merge writes it when empty
	Author      Signature    // also the committer; a zero time means now
	Actor       slipway.Actor
}

// conflictMark begins a line that git puts around what conflicts.
var conflictMark = regexp.MustCompile(`(?m)^(<{7} |>{7} |\|{7} )`)

// ResolveConflicts makes a merge commit on the source branch in which each conflict is resolved as was asked for.
func (s *Service) ResolveConflicts(ctx context.Context, req ResolveRequest) (slipway.CommitID, error) {
	p, err := s.PullRequest(ctx, req.PullRequest)
	if err != nil {
		return "", err
	}
	switch {
	case p.Status != PullRequestActive:
		return "", slipway.Conflict("pull request %d is %s: nothing is merged into its branch any more", p.ID, p.Status)
	case p.SourceCommit != req.Source || p.TargetCommit != req.Target:
		return "", slipway.Conflict("the branches of pull request %d have moved since: look at the conflicts again", p.ID)
	}
	if err := s.mayPush(ctx, p, req.Actor); err != nil {
		return "", err
	}
	if err := s.checkDirect(ctx, p.source(), p.Source); err != nil {
		return "", err
	}
	if err := req.Author.check("an author"); err != nil {
		return "", err
	}
	if len(req.Message) > maxNewMessage || strings.ContainsRune(req.Message, 0) {
		return "", slipway.Invalid("the message of a commit has at most %d bytes", maxNewMessage)
	}
	conflicts, err := s.PullRequestConflicts(ctx, p)
	if err != nil {
		return "", err
	}
	if len(conflicts.Files) == 0 {
		return "", slipway.Conflict("pull request %d has no conflicts", p.ID)
	}
	tree, err := s.resolvedTree(ctx, p, conflicts, req)
	if err != nil {
		return "", err
	}
	if req.Author.Time.IsZero() {
		req.Author.Time = s.clock.Now()
	}
	if strings.TrimSpace(req.Message) == "" {
		req.Message = fmt.Sprintf("Merge branch '%s' into %s", p.TargetBranch(), p.SourceBranch())
	}
	commit, err := s.writeCommit(ctx, p.Repository, newCommit{tree: tree, parents: []slipway.CommitID{p.SourceCommit, p.TargetCommit}, message: req.Message,
		author: req.Author, committer: req.Author})
	if err != nil {
		return "", err
	}
	if err := s.giveSource(ctx, p, commit, req.Actor); err != nil {
		return "", err
	}
	if err := s.moveRefs(ctx, p.source(), refMove{Ref: p.Source, Before: p.SourceCommit, After: commit}); err != nil {
		return "", err
	}
	lasting := context.WithoutCancel(ctx) // the ref is on disk
	if _, err := s.Announce(lasting, p.source(), req.Actor, p.Source); err != nil {
		return commit, err
	}
	return commit, s.follow(lasting, p.ID, req.Actor)
}

// resolvedTree writes the merge with the conflicts resolved.
func (s *Service) resolvedTree(ctx context.Context, p PullRequest, conflicts Conflicts, req ResolveRequest) (string, error) {
	work, err := os.MkdirTemp(s.git.scratch, "merge-")
	if err != nil {
		return "", fmt.Errorf("make folder for a merge: %w", err)
	}
	defer os.RemoveAll(work)
	w := writer{s: s, dir: s.dir(p.Repository), work: work, env: []string{"GIT_INDEX_FILE=" + filepath.Join(work, "index")}}
	if _, err := w.git(ctx, nil, "read-tree", conflicts.tree); err != nil {
		return "", err
	}
	var lines bytes.Buffer
	var written []Change
	for _, f := range conflicts.Files {
		i := slices.IndexFunc(req.Files, func(r Resolution) bool { return r.Path == f.Path })
		if i < 0 {
			return "", slipway.Invalid("say what becomes of %s, which conflicts too", f.Path)
		}
		entry, change, err := f.resolve(req.Files[i])
		if err != nil {
			return "", err
		}
		if change != nil {
			written = append(written, *change)
			continue
		}
		if entry.Missing() { // mode 0 removes the file
			entry = ConflictVersion{"0", formatOf(string(p.SourceCommit)).NoObject()}
		}
		fmt.Fprintf(&lines, "%s %s\t%s\x00", entry.Mode, entry.Object, f.Path)
	}
	if len(written) > 0 {
		check := CommitRequest{Repository: p.Repository, Changes: written, Actor: req.Actor}
		if err := s.checkSecrets(ctx, check, p.SourceCommit); err != nil {
			return "", err
		}
		if err := w.index(ctx, written); err != nil {
			return "", err
		}
	}
	if _, err := w.git(ctx, lines.Bytes(), "update-index", "-z", "--add", "--replace", "--index-info"); err != nil {
		return "", err
	}
	return w.git(ctx, nil, "write-tree")
}

// resolve is the entry that the file gets, missing when it is removed, or the text to write for it.
func (f Conflict) resolve(r Resolution) (entry ConflictVersion, change *Change, err error) {
	chosen := f.Source
	switch r.Choose {
	case Right:
	case Left:
		chosen = f.Target
	case "":
		if len(r.Text) > maxResolved {
			return entry, nil, slipway.Limit("%s has more than %d bytes: resolve it with git", f.Path, maxResolved)
		}
		if at := conflictMark.FindIndex(r.Text); at != nil {
			line := bytes.Count(r.Text[:at[0]], []byte("\n")) + 1
			return entry, nil, slipway.Invalid("%s has a conflict's mark in line %d still", f.Path, line)
		}
		return entry, &Change{Path: f.Path, Content: WithLineEndsOf(f.Text, r.Text), Executable: f.Source.Mode == "100755"}, nil
	default:
		return entry, nil, slipway.Invalid("take the left (target's) or the right (source's) version of %s, not %q", f.Path, shorten(string(r.Choose), 40))
	}
	return chosen, nil, nil
}
