package repos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"

	"slipway"
)

const (
	// maxDiff bounds a diff's text in bytes; of what is beyond only the names of the files are told.
	maxDiff = 4 << 20
	// maxDiffFiles bounds the files of a diff that are told when its text is too large.
	maxDiffFiles = 3000
	// maxRenames bounds the search for renamed files as git does (git-diff(1), -l): files that have a new name and the same content are always found,
	// and so are those that were changed too, unless the deleted times the added ones are more than its square.
	maxRenames          = 500
	renameLimitArgument = "-l500"
)

// Diff is the difference between two commits.
type Diff struct {
	Files          []FileDiff
	Truncated      bool // there are more files, left out because the whole is too large
	RenamesLimited bool // files that were renamed and changed are told as deleted and added, since there are too many
}

// renamesLimited says that git left the search for renamed and changed files out: what it found would have made fewer of the others.
func renamesLimited(files int, status func(int) FileStatus) bool {
	added, deleted := 0, 0
	for i := range files {
		switch status(i) {
		case FileAdded:
			added++
		case FileDeleted:
			deleted++
		}
	}
	return added*deleted > maxRenames*maxRenames
}

// FileStatus says what happened to a file.
type FileStatus string

// What happens to files.
const (
	FileAdded    FileStatus = "added"
	FileDeleted  FileStatus = "deleted"
	FileModified FileStatus = "modified"
	FileRenamed  FileStatus = "renamed"
)

// FileDiff is the difference of one file.
type FileDiff struct {
	Status    FileStatus
	OldPath   string // empty for an added file
	NewPath   string // empty for a deleted one
	OldMode   string // as `100644`, when it is known
	NewMode   string
	OldObject string // object name; empty for an added file, and where only the mode or the name changed
	NewObject string
	Binary    bool // no hunks are given
	Unread    bool // no hunks are given either, since the whole is too large: they come when the file is asked for alone
	Uncounted bool // nor how many lines have changed
	Additions int  // lines
	Deletions int
	Hunks     []Hunk
}

// Path is the file's present name, or its last one.
func (f FileDiff) Path() string {
	if f.NewPath != "" {
		return f.NewPath
	}
	return f.OldPath
}

// Hunk is one changed place of a file with its surroundings.
type Hunk struct {
	OldStart, OldLines int // from line, count
	NewStart, NewLines int
	Section            string // the line that git gives for orientation, as a function's head
	Lines              []DiffLine
}

// DiffLine is one line of a hunk.
type DiffLine struct {
	Op      byte // ' ', '+' or '-'
	Text    string
	Old     int  // line number in the old file, 0 for an added line
	New     int  // line number in the new file, 0 for a deleted line
	NoFinal bool // the file ends here without a line feed
}

// Diff returns the differences from one commit to another, renames detected. A zero commit stands for nothing.
func (s *Service) Diff(ctx context.Context, id slipway.RepositoryID, from, to slipway.CommitID) (Diff, error) {
	return s.Compare(ctx, id, DiffRequest{From: from, To: to})
}

// treeArguments makes two tree-ish arguments of commits, either of which may be zero.
func treeArguments(from, to slipway.CommitID) (a, b string, err error) {
	format := formatOf(string(to))
	if to.IsZero() {
		format = formatOf(string(from))
	}
	side := func(c slipway.CommitID) string {
		if c.IsZero() {
			return format.emptyTree()
		}
		err = errors.Join(err, checkCommitID(c))
		return string(c)
	}
	a, b = side(from), side(to)
	return a, b, err
}

func fileDiff(f *gitdiff.File) FileDiff {
	d := FileDiff{Status: FileModified, OldPath: f.OldName, NewPath: f.NewName, OldObject: f.OldOIDPrefix, NewObject: f.NewOIDPrefix, Binary: f.IsBinary}
	switch {
	case f.IsNew:
		d.Status, d.OldPath, d.OldObject = FileAdded, "", ""
	case f.IsDelete:
		d.Status, d.NewPath, d.NewObject = FileDeleted, "", ""
	case f.IsRename:
		d.Status = FileRenamed
	}
	if f.OldMode != 0 {
		d.OldMode = fmt.Sprintf("%06o", uint32(f.OldMode))
	}
	if f.NewMode != 0 {
		d.NewMode = fmt.Sprintf("%06o", uint32(f.NewMode))
	}
	for _, t := range f.TextFragments {
		h := Hunk{
			OldStart: int(t.OldPosition), OldLines: int(t.OldLines), NewStart: int(t.NewPosition), NewLines: int(t.NewLines),
			Section: strings.ToValidUTF8(t.Comment, "\uFFFD"),
		}
		was, is := h.OldStart, h.NewStart
		for _, l := range t.Lines {
			line := DiffLine{Op: l.Op.String()[0], Text: strings.ToValidUTF8(strings.TrimSuffix(l.Line, "\n"), "\uFFFD"), NoFinal: l.NoEOL()}
			if l.Old() {
				line.Old = was
				was++
			}
			if l.New() {
				line.New = is
				is++
			}
			h.Lines = append(h.Lines, line)
		}
		d.Additions += int(t.LinesAdded)
		d.Deletions += int(t.LinesDeleted)
		d.Hunks = append(d.Hunks, h)
	}
	return d
}

// ChangedPaths lists the files that differ between two commits, at most limit, and whether there are more. A renamed
// file counts with both names. A zero commit stands for nothing.
func (s *Service) ChangedPaths(ctx context.Context, id slipway.RepositoryID, before, after slipway.CommitID, limit int) ([]string, bool, error) {
	a, b, err := treeArguments(before, after)
	if err != nil {
		return nil, false, err
	}
	args := []string{"diff-tree", "-r", "-z", "--name-only", "--no-renames", a, b}
	out, err := s.git.run(ctx, command{dir: s.dir(id), args: args})
	more := errors.Is(err, errOutputLimit)
	if err != nil && !more {
		return nil, false, fmt.Errorf("list changed paths of repository %s: %w", id, err)
	}
	if end := bytes.LastIndexByte(out, 0); end >= 0 {
		out = out[:end] // what follows the last NUL was cut
	} else {
		return nil, more, nil
	}
	var paths []string
	for path := range strings.SplitSeq(string(out), "\x00") {
		if len(paths) == limit {
			return paths, true, nil
		}
		paths = append(paths, strings.ToValidUTF8(path, "\uFFFD"))
	}
	return paths, more, nil
}
